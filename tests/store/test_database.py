"""Handles to the telemetry engine: few of them, shared by many readers, and given back at the end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tocsin.model.errors import Unreachable
from tocsin.store.database import Database

WAIT_S = 60


class Handle:
    """Answers a query when it is let."""

    def __init__(self, world):
        self.world = world

    def query_arrow(self, sql, parameters):
        self.world.begun.release()
        assert self.world.may_end.wait(WAIT_S)
        return sql

    def close(self):
        self.world.closed.append(self)
        self.world.ends.set()


class Slow(Database):
    """A database whose queries end when they may."""

    def __init__(self, readers):
        self.begun, self.closed = threading.Semaphore(0), []
        self.may_end, self.ends = threading.Event(), threading.Event()
        super().__init__(readers, {}, {})

    def _connect(self, settings):
        return Handle(self)


def test_closing_waits_for_what_runs_and_refuses_what_waits():
    database = Slow(readers=2)
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(database.query, "one") for _ in range(2)]
        for _ in running:
            assert database.begun.acquire(timeout=WAIT_S)
        waiting = [pool.submit(database.query, "two") for _ in range(4)]
        closing = pool.submit(database.close)
        assert database.ends.wait(WAIT_S)
        assert not closing.done()
        database.may_end.set()
        closing.result(WAIT_S)
        assert [each.result(WAIT_S) for each in running] == ["one", "one"]
        for each in waiting:
            with pytest.raises(Unreachable, match="being closed"):
                each.result(WAIT_S)
    assert len(database.closed) == 3
    with pytest.raises(Unreachable, match="being closed"):
        database.query("three")
