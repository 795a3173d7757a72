from __future__ import annotations

import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from store.world import SECOND, T0, World
from tocsin.model.errors import Corrupt, Unreachable
from tocsin.store.backup import frozen
from tocsin.store.state import StateStore
from tocsin.store.telemetry import TelemetryStore


def fill(world: World, frames: int, first: int = 0) -> None:
    ref = world.ref(host_name="a")
    for at in range(first, first + frames):
        times = T0 + (at * 10 + np.arange(10)) * SECOND
        world.input.append([world.points([ref] * 10, times, np.full(10, float(at)))])
        world.writer.step()


def test_a_backup_under_writes_starts_as_a_store_that_lacks_only_what_came_later(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    world = World(data / "store")
    state = StateStore(f"sqlite:///{data / 'state.db'}")
    state.commit("correlate", 5, state=b"blob")
    (data / "keys.json").write_text("{}")
    (data / "snapshots").mkdir()
    (data / "snapshots" / "7").write_bytes(b"snapshot")
    (data / "input").mkdir()
    (data / "input" / "0.log").write_bytes(b"segment")
    (data / "input" / "durable").write_bytes(b"mark")
    (data / "tocsin.lock").write_text("")
    fill(world, 20)

    going, stop = threading.Event(), threading.Event()

    def write_on() -> None:
        at = 20
        while not stop.is_set():
            fill(world, 1, at)
            at += 1
            going.set()

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        assert going.wait(30)
        with frozen(data, world.store, state) as files:
            for name, path in files:
                target = tmp_path / "copy" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    finally:
        stop.set()
        thread.join()
    assert not list(data.glob(".backup-*"))
    later = world.rows("points")
    world.close()
    state.close()

    copy = tmp_path / "copy"
    assert {path.name for path in copy.iterdir()} == {"input", "snapshots", "store", "state.db", "keys.json"}
    assert (copy / "input" / "durable").read_bytes() == b"mark"
    restored = StateStore(f"sqlite:///{copy / 'state.db'}")
    assert restored.cursor("correlate") == (5, b"blob")
    restored.close()
    again = World(copy / "store")
    try:
        rows = again.rows("points")
        assert rows == later[: len(rows)]
        # the ledger agrees with the rows: writing goes on where the picture was taken
        assert again.writer.offset("input") * 10 == len(rows)
        assert len(rows) >= 210
    finally:
        again.close()


def test_a_directory_that_is_open_elsewhere_is_refused_clearly(world, tmp_path):
    with pytest.raises(Unreachable, match="open elsewhere"):
        World(tmp_path / "other")  # one engine a process
    code = f"from tocsin.store.telemetry import TelemetryStore as T; from pathlib import Path; T(Path({str(world.path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Unreachable" in done.stderr
    assert "open elsewhere" in done.stderr


def test_a_damaged_directory_is_refused_clearly(world):
    world.store.close()
    (definition,) = (world.path / "chdb").glob("store/*/*/points.sql")
    kept = definition.read_text()
    definition.write_text("garbage")
    with pytest.raises(Corrupt, match="tocsin restore"):
        TelemetryStore(world.path)
    definition.write_text(kept)
    world.store = TelemetryStore(world.path)
