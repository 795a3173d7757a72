"""The server looks at itself: what is found is shown, told once, and ends nothing."""

from __future__ import annotations

import shutil
import threading
from types import SimpleNamespace

import structlog

from tocsin.api.ports import DestinationStatus
from tocsin.app.selfcheck import LATE_S, LEAST_BYTES, Behind, Other, SelfCheck, disk, failing, looks_of_cold, told
from tocsin.app.settings import ServeSettings
from tocsin.app.stumbles import Stumbles
from tocsin.model.clock import SECOND, ManualClock
from tocsin.model.errors import Unreachable
from tocsin.selfmon.metrics import REGISTRY


def well(check):
    return REGISTRY.get_sample_value("tocsin_process_check_up", {"check": check})


class Rounds(threading.Event):
    """An event that nobody sets; it is set when it was waited for so often."""

    def __init__(self, most):
        super().__init__()
        self.most, self.waited = most, []

    def wait(self, timeout=None):
        self.waited.append(timeout)
        if len(self.waited) >= self.most:
            self.set()
        return self.is_set()


def test_every_interval_all_is_looked_at_and_a_change_is_told_once():
    reasons = iter(["", "it is slow", "it is very slow", "", ""])
    stop = Rounds(5)
    rounds = REGISTRY.get_sample_value("tocsin_process_check_rounds_total") or 0.0
    check = SelfCheck({"test-thing": lambda: next(reasons), "test-other": lambda: ""}, lambda: 10 * SECOND, stop)
    shown = []
    wait = stop.wait
    stop.wait = lambda timeout=None: shown.append((well("test-thing"), well("test-other"))) or wait(timeout)
    with structlog.testing.capture_logs() as lines:
        check.run()
    assert stop.waited == [10.0] * 5
    assert shown == [(1, 1), (0, 1), (0, 1), (1, 1), (1, 1)]
    assert [(line["log_level"], line["check"], line.get("reason")) for line in lines] == [
        ("warning", "test-thing", "it is slow"),
        ("info", "test-thing", None),
    ]
    assert (REGISTRY.get_sample_value("tocsin_process_check_rounds_total") or 0.0) - rounds == 5


def test_what_breaks_when_it_is_looked_at_is_not_well_and_nothing_ends():
    def broken():
        raise RuntimeError

    check = SelfCheck({"test-broken": broken}, lambda: SECOND, Rounds(1))
    check.run()
    assert check.found == {"test-broken": "RuntimeError()"}
    assert told(check.found) == "degraded\ntest-broken failing\n"
    assert well("test-broken") == 0


def test_an_engine_behind_is_told_in_time_of_the_wall_whatever_the_speed():
    now, received = 1_000_000 * SECOND, [0]
    look, fast = (Behind(lambda: received[0], lambda: now, speed) for speed in (1.0, 60.0))
    assert look() == ""  # nothing is folded here, or not yet
    received[0] = now - 29 * SECOND
    assert look() == ""
    received[0] = now - 45 * SECOND
    assert look() == "the last tick that was folded is 45 s old"
    assert fast() == ""
    received[0] = now - 45 * 60 * SECOND
    assert fast() == "the last tick that was folded is 45 s old"


def test_a_disk_with_little_room_is_told_before_it_is_full(tmp_path, monkeypatch):
    for free, reason in (
        (LEAST_BYTES, ""),
        (LEAST_BYTES // 2, "0.50 GiB free; free some, or lower `limits.retention`"),
    ):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert disk(tmp_path) == reason


def status(name, error):
    return DestinationStatus(name, "webhook", "https://example.org", False, 0, 0, None, error)


def test_the_cold_process_looks_at_its_stores_loops_and_destinations(tmp_path):
    seconds, errors, store = [0.0], {"a": "", "b": ""}, {"telemetry": "", "state": ""}

    def asked(name):
        if store[name]:
            raise Unreachable(store[name])

    stumbles = Stumbles(threading.Event(), ManualClock(0), seconds=lambda: seconds[0])
    looks = looks_of_cold(
        ServeSettings(data_dir=tmp_path, run_dir=tmp_path),
        SimpleNamespace(db=SimpleNamespace(query=lambda _: asked("telemetry"))),
        SimpleNamespace(cursor=lambda _: asked("state")),
        stumbles,
        lambda _: [status(name, error) for name, error in errors.items()],
    )
    check = SelfCheck({name: look for name, look in looks.items() if name != "hot"}, lambda: SECOND, Rounds(1))
    check.step()
    assert not any(check.found.values())
    seconds[0] = LATE_S + 12.0
    stumbles.attempt("correlate", lambda: 0)  # nothing to do is a good step
    errors["b"], store["state"] = "no route to host", "the database does not answer"
    check.step()
    assert {name: reason for name, reason in check.found.items() if reason} == {
        "storing": "no step succeeded for 42 s",
        "state": "the database does not answer",
        "destinations": "b: no route to host",
    }
    assert failing([]) == ""


def test_a_process_that_does_not_answer_is_not_well_and_says_nothing_of_itself(tmp_path):
    other = Other(tmp_path / "gone.sock", ServeSettings(data_dir=tmp_path, run_dir=tmp_path))
    assert [other(), other(), other()] == ["", "it does not answer", "it does not answer"]
    assert other.found == {}
