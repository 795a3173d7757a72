from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tocsin.store.telemetry import TelemetryStore

CHILD = Path(__file__).parent / "crash_writer.py"
RECORDS, ROWS = 2_000, 200


def run_child(path: Path, kill_after_s: float | None) -> bool:
    """Whether the child finished; killed with SIGKILL after that many seconds of storing otherwise."""
    with subprocess.Popen([sys.executable, str(CHILD), str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "opened\n"
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            child.kill()
        rest = child.stdout.read()
        child.wait()
    return "done" in rest


def check_all_stored_once(path: Path) -> None:
    store = TelemetryStore(path)
    try:
        frames = RECORDS - RECORDS // 10
        values = [at * ROWS + row for at in range(RECORDS) if at % 10 != 9 for row in (0, ROWS - 1)]
        found = store.db.query(
            "SELECT count() AS n, uniqExact(value) AS distinct, min(value) AS low, max(value) AS high,"
            " sum(toUInt64(value)) AS total FROM tocsin.points"
        ).to_pylist()[0]
        total = sum(at * ROWS * ROWS + ROWS * (ROWS - 1) // 2 for at in range(RECORDS) if at % 10 != 9)
        assert found == {
            "n": frames * ROWS,
            "distinct": frames * ROWS,
            "low": min(values),
            "high": max(values),
            "total": total,
        }
        panes = store.db.query("SELECT count() AS n, uniqExact(series, time) AS d FROM tocsin.panes").to_pylist()[0]
        assert panes == {"n": RECORDS // 4 * 2, "d": RECORDS // 4 * 2}
        assert store.applied("input")[0] == RECORDS
        assert store.applied("output")[0] == RECORDS // 4
    finally:
        store.close()


def kill_repeatedly(path: Path, kills: int) -> None:
    dice = random.Random(7)
    killed = 0
    while killed < kills:
        if run_child(path, dice.uniform(0.0, 0.15)):
            break
        killed += 1
    # most runs are cut short: otherwise the test shows nothing
    assert killed >= kills // 2
    assert run_child(path, None)
    check_all_stored_once(path)


def test_killed_at_random_nothing_is_missing_and_nothing_is_there_twice(tmp_path):
    kill_repeatedly(tmp_path / "store", 3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(7))
def test_soak_killed_fifty_times(tmp_path, seed):
    kill_repeatedly(tmp_path / str(seed), 8)
