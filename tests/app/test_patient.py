"""The engine's log without room: what was folded is written once, in order, when there is some."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest
import structlog

from tocsin.app.hot import Hot
from tocsin.app.patient import PatientLog
from tocsin.model.errors import DiskFull, Overloaded
from tocsin.model.log import Tick
from tocsin.testing.memory_log import MemoryLog


class Full(MemoryLog):
    """A log that refuses so many times: at once, then in its answer, by turns."""

    def __init__(self, refusals):
        super().__init__()
        self.refusals = refusals

    def append(self, entries):
        if not self.refusals:
            return super().append(entries)
        self.refusals -= 1
        if self.refusals % 2:
            raise Overloaded("no room now")
        refused: Future[int] = Future()
        refused.set_exception(Overloaded("no room"))
        return refused


class NoWait(threading.Event):
    """A stop that is set after so many waits."""

    def __init__(self, waits):
        super().__init__()
        self.waits = waits

    def wait(self, timeout=None):
        self.waits -= 1
        return self.waits < 0


def test_what_finds_no_room_is_written_once_when_there_is_some():
    log = PatientLog(Full(4), NoWait(10))
    with structlog.testing.capture_logs() as told:
        log.append([Tick(1), Tick(2)]).result(0)
        assert not log.trouble
        log.append([Tick(3)]).result(0)
    assert [record.entry for record in log.read(0)] == [Tick(1), Tick(2), Tick(3)]
    assert [each["log_level"] for each in told] == ["error", "warning"]


def test_a_stop_ends_the_wait_and_says_what_was_waited_for():
    log = PatientLog(Full(100), NoWait(3))
    with pytest.raises(DiskFull, match="no room"):
        log.append([Tick(1)])
    assert "no room" in log.trouble
    assert log.end() == 0


def test_an_engine_that_is_stopped_while_it_waits_ends_in_order():
    class Waits(Hot):
        def __init__(self):  # only what the end needs: the rest opens logs
            self.stop = threading.Event()

        def fold_all(self):
            raise DiskFull("no room")

    hot = Waits()
    with pytest.raises(DiskFull):
        hot.fold()
    hot.stop.set()
    hot.fold()
