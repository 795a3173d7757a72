"""Reading what a stopped server stored: everything is there, whatever its time to live, and nothing changes."""

from __future__ import annotations

import json
import re

import pytest

from store.world import SECOND, T0, World
from tocsin.model.errors import BadInput
from tocsin.store.copied import copied
from tocsin.store.state import StateStore
from tocsin.store.telemetry import TelemetryStore

ROWS = 50


@pytest.fixture
def data(tmp_path):
    """A data directory whose points are all past their time, as the engine would find it at its next start."""
    StateStore(f"sqlite:///{tmp_path / 'state.db'}").close()
    world = World(tmp_path / "store")
    ref = world.ref("cpu", host="a")
    times = [T0 + n * SECOND for n in range(ROWS)]
    world.input.append([world.points([ref] * ROWS, times, [float(n) for n in range(ROWS)])]).result()
    while world.writer.step():
        pass
    world.close()
    tables = [path for path in (tmp_path / "store" / "chdb").rglob("points.sql") if not path.is_symlink()]
    assert tables
    for path in tables:
        short = re.sub(r"toIntervalSecond\(\d+\)", "toIntervalSecond(1)", path.read_text())
        assert "toIntervalSecond(1)" in short
        path.write_text(short)
    return tmp_path


def tree(path):
    """Every file with its size and time, and what the small ones hold."""
    found = {}
    for each in sorted(path.rglob("*")):
        if each.is_file() and not each.is_symlink():
            stat = each.stat()
            found[str(each.relative_to(path))] = (stat.st_size, stat.st_mtime_ns, each.read_bytes())
    return found


def test_a_copy_has_everything_keeps_it_for_ever_and_changes_nothing(data):
    before = tree(data)
    with copied(data) as copy:
        store = TelemetryStore(copy / "store", read_only=True)
        rows = b"".join(store.export("points", "main")).splitlines()
        assert [json.loads(row)["value"] for row in rows] == list(range(ROWS))
        made = store.db.query("SELECT create_table_query AS made FROM system.tables WHERE database = 'tocsin'")
        assert not [each for each in made.column("made").to_pylist() if "toIntervalSecond" in each]
        # even where the engine tidies up at once, the original has its parts
        store.db.command("OPTIMIZE TABLE tocsin.points FINAL")
        assert len(b"".join(store.export("points", "main")).splitlines()) == ROWS
        store.close()
        state = StateStore(f"sqlite:///{copy / 'state.db'}")
        assert state.incidents(None) == []
        state.close()
    assert tree(data) == before


def test_a_directory_without_stores_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is not the data directory of a server that ran"), copied(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
