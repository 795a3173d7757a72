"""The five states of a series - absent, zero, late, stale, reset - through real posts, in time that goes faster."""

import time
from pathlib import Path

import pytest

from system.otlp_json import NS, gauge, point, request, total
from system.server import PYTHON, Server, until

SPEED = 6
PAUSE_S = 20  # of event time, between two posts of a slow service; after 30 s it would count as silent


@pytest.fixture(scope="module")
def server(kernels, tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("scaled"), kernels)
    origin = time.time_ns() - 7200 * NS
    script = Path(__file__).with_name("scaled_serve.py")
    running.command = [PYTHON, script, running.data, running.port, origin, SPEED]
    running.command = [str(word) for word in running.command]
    running.start()
    started = int((running.data / "started").read_text())
    running.now = lambda: origin + (time.time_ns() - started) * SPEED
    yield running
    running.close()


def post(server, service, *metrics):
    answer = server.http.post("/v1/metrics", json=request(service, *metrics))
    assert answer.status_code == 200, answer.text
    assert not answer.json().get("partialSuccess"), answer.text


def entered(server, state):
    """Signals that were ever said to be in a state."""
    return {row["signal"] for row in server.export("states") if row["state"] == state}


def first_states(server):
    """What each signal was first said to be; in the end all are absent, as nothing more comes."""
    found = {}
    for row in server.export("states"):
        found.setdefault(row["signal"], row["state"])
    return found


def lively(second):
    return 10.0 + (second * 7) % 13


def history(end):
    """Two hundred seconds of a service of which one series stops, one sticks, one drops to zero, one begins anew."""
    seconds = range(200)
    at = [end - (len(seconds) - second) * NS for second in seconds]
    values = {second: lively(second) for second in seconds}
    gone = {**point(at[121], 0.0), "flags": 1}
    gone.pop("asDouble")
    vanished = gauge("t.vanished", [(at[s], values[s], {}) for s in range(120)])
    vanished["gauge"]["dataPoints"].append(gone)
    counted = [(at[s], float(5 * s if s < 190 else s - 190), {}) for s in seconds]
    return [
        gauge("t.live", [(at[s], values[s], {}) for s in seconds]),
        gauge("t.stopped", [(at[s], values[s], {}) for s in range(100)]),
        gauge("t.empty", [(at[s], values[s] if s < 100 else 0.0, {}) for s in seconds]),
        gauge("t.frozen", [(at[s], values[s] if s < 100 else 11.0, {}) for s in seconds]),
        vanished,
        total("t.restarted", counted, at[0]),
    ]


def test_absent_zero_stale_and_reset(server):
    post(server, "api", *history(server.now() - 5 * NS))
    wanted = {
        "t.stopped": "absent",
        "t.empty": "zero",
        "t.frozen": "stale",
        "t.vanished": "stale",
        "t.restarted": "reset",
    }
    assert until(lambda: wanted.items() <= first_states(server).items()), first_states(server)
    shown = {row["signal"] for row in until(lambda: server.get("/api/states", state="absent")["series"])}
    assert "t.stopped" in shown
    assert "t.vanished" not in shown, "what its source declared gone did not stop without a word"
    (row,) = server.get("/api/series", signal="t.stopped")["series"]
    assert row["state"] == "absent"


def test_total_silence_is_seen(server):
    end = server.now()
    post(server, "quiet", gauge("t.quiet", [(end - s * NS, lively(s), {}) for s in range(60, 0, -1)]))
    assert until(lambda: "t.quiet" in entered(server, "absent")), server.export("states")
    (row,) = [row for row in server.export("states", signal="t.quiet") if row["state"] == "absent"]
    assert row["labels"]["service.name"] == "quiet"


def test_late(server):
    begin = server.now()
    post(server, "slow", gauge("t.slow", [(begin - s * NS, lively(s), {}) for s in range(30, 0, -1)]))
    for second in range(1, 9):
        time.sleep(PAUSE_S / SPEED)
        post(server, "slow", gauge("t.slow", [(begin + second * NS, lively(second), {})]))
        if entered(server, "late"):
            break
    assert entered(server, "late") == {"t.slow"}
