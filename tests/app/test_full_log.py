"""A log that takes nothing is known to the probes at once, and so is its end."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from types import SimpleNamespace

from tocsin.app.hot import Hot
from tocsin.app.patient import PatientLog
from tocsin.model.errors import Overloaded
from tocsin.testing.memory_log import MemoryLog


class Edge:
    """Plays an edge whose log answers a tick as it is told."""

    def __init__(self) -> None:
        self.answer: Exception | int = 0

    def append_tick(self) -> Future[int]:
        if isinstance(self.answer, Overloaded) and "now" in str(self.answer):
            raise self.answer
        done: Future[int] = Future()
        if isinstance(self.answer, Exception):
            done.set_exception(self.answer)
        else:
            done.set_result(self.answer)
        return done


def test_a_tick_that_finds_no_room_says_so_until_one_does():
    hot = Hot.__new__(Hot)  # only what a tick needs: the rest opens logs
    hot.waiting, hot.full, hot.edge = [], "", Edge()  # type: ignore[assignment]
    hot.written = PatientLog(MemoryLog(), threading.Event())
    hot.machine = SimpleNamespace(trouble=lambda: "")  # type: ignore[assignment]
    assert isinstance(hot.edge, Edge)
    for fault in (Overloaded("refused now"), Overloaded("no room on the disk")):
        hot.edge.answer = fault
        hot.tick()
        assert hot.missing() == [str(fault)]
        hot.edge.answer = 7
        hot.tick()
        assert hot.missing() == []
