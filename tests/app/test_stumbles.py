"""Loops that fail: told once, tried again, and what a full disk has people told."""

from __future__ import annotations

import threading

import pytest
import structlog

from tocsin.app.child import BAD_CONFIG, refuse
from tocsin.app.stumbles import LAST_RETRY_S, OVER_NS, Stumbles
from tocsin.model.clock import ManualClock
from tocsin.model.errors import BadConfig, Corrupt, DiskFull, Unreachable


class Waits(threading.Event):
    """An event nobody sets, that notes how long it was waited for."""

    def __init__(self):
        super().__init__()
        self.waited: list[float | None] = []

    def wait(self, timeout=None):
        self.waited.append(timeout)
        return False


def failing(error):
    def step():
        raise error

    return step


def test_a_full_disk_is_told_once_and_asked_ever_more_rarely_until_it_is_over():
    stop = Waits()
    clock = ManualClock(0)
    stumbles = Stumbles(stop, clock)
    with structlog.testing.capture_logs() as told:
        for _ in range(7):
            assert stumbles.attempt("store", failing(DiskFull("no room"))) == 0
            assert stumbles.attempt("store", lambda: 1) == 1  # with a little room small things fit
        assert len(told) == 1
        assert "disk is full" in stumbles.notices()[0]
        assert stumbles.attempt("correlate", lambda: 4) == 4
        assert stumbles.notices()
        clock.advance(OVER_NS)
        assert stumbles.attempt("store", lambda: 3) == 3
    assert stop.waited == [1, 2, 4, 8, LAST_RETRY_S, LAST_RETRY_S, LAST_RETRY_S]
    assert [(each["log_level"], each["loop"]) for each in told] == [("error", "store"), ("warning", "store")]
    assert not stumbles.notices()


def test_other_failures_are_told_each_time_and_are_no_notice():
    stop = Waits()
    stumbles = Stumbles(stop, ManualClock(0))
    with structlog.testing.capture_logs() as told:
        for _ in range(2):
            assert stumbles.attempt("join", failing(Unreachable("gone"))) == 0
    assert [each["reason"] for each in told] == ["gone", "gone"]
    assert stop.waited == [1, 1]
    assert not stumbles.notices()


def test_what_is_no_error_of_ours_ends_the_thread():
    with pytest.raises(KeyError):
        Stumbles(Waits(), ManualClock(0)).attempt("store", failing(KeyError("a bug")))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadConfig("c"), BAD_CONFIG),
        (Corrupt("of a newer program"), BAD_CONFIG),
        (Unreachable("held"), 1),
        (DiskFull("d"), 1),
    ],
)
def test_a_start_that_can_not_succeed_is_not_tried_again(error, code, capsys):
    assert refuse(error) == code
    assert capsys.readouterr().err == f"{error}\n"
