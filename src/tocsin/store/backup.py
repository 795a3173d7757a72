"""A consistent picture of a running server's data directory, as files: what a backup reads.

The order makes it consistent: the segments of the logs are held first (nothing that store or incidents still need can
go), then the telemetry store is frozen between two batches, then state, snapshots and last the marks of the logs are
taken. So the logs of a backup always reach at least as far as everything that was made from them. Files are hard
links where they never change: taking the picture costs no copy of the telemetry.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tocsin.store.dialects import SQLITE
from tocsin.store.moving import copy_state
from tocsin.store.schema import DATABASE, TABLES
from tocsin.store.state import StateStore
from tocsin.store.telemetry import TelemetryStore

_LOGS = ("output", "input")  # the output first: it must not reach further than the input it came from
_MARK = "durable"
_STORE, _ENGINE = "store", "chdb"
_NOT_KEPT = (".lock", ".sock", ".new", ".pid")
REPLAYS = "replays"
"""Directory of what replays of incidents hold: mostly the segments of the log once more, so no backup has it."""


@contextmanager
def frozen(data_dir: Path, store: TelemetryStore, state: StateStore) -> Iterator[list[tuple[str, Path]]]:
    """Files of a backup as (name within it, path), valid inside the `with`; the server goes on meanwhile.

    A plain copy of the files under their names is a data directory that a server can start on. State of PostgreSQL is
    in it as a file of SQLite, which `copy_state` brings back; telemetry of a cluster is not: its servers back it up.
    """
    token = secrets.token_hex(8)  # letters and digits only: the engine would escape others in the name of a directory
    stage = data_dir / f".backup-{token}"
    stage.mkdir(mode=0o700)
    engine = store.path / _ENGINE
    shadow = engine / "shadow" / token
    try:
        _hold_logs(data_dir, stage)
        if store.embedded:
            _freeze(store, token)
        _copy_state(state, stage / "state.db")
        _link_rest(data_dir, store.path, stage)
        for name in _LOGS:
            if (data_dir / name / _MARK).exists():
                shutil.copy2(data_dir / name / _MARK, stage / name / _MARK)
        _hold_logs(data_dir, stage)
        yield [*(_of_engine(engine, shadow) if store.embedded else ()), *_files(stage, "")]
    finally:
        shutil.rmtree(shadow, ignore_errors=True)
        shutil.rmtree(stage, ignore_errors=True)


def _freeze(store: TelemetryStore, name: str) -> None:
    """Hold all tables as they are between two batches."""
    with store.db.writing():
        for table in TABLES:
            store.db.command(f"ALTER TABLE {DATABASE}.{table.name} FREEZE WITH NAME '{name}'")


def _of_engine(engine: Path, shadow: Path) -> Iterator[tuple[str, Path]]:
    """Definitions of the tables, and the frozen parts under the names that the engine looks for."""
    prefix = f"{_STORE}/{_ENGINE}"
    for path in _under(engine):
        if path.suffix == ".sql" and "shadow" not in path.relative_to(engine).parts and not path.is_symlink():
            yield f"{prefix}/{path.relative_to(engine).as_posix()}", path
    for path in sorted(engine.glob("store/*/*/format_version.txt")):
        yield f"{prefix}/{path.relative_to(engine).as_posix()}", path
    yield from _files(shadow, f"{prefix}/")


def _under(root: Path) -> list[Path]:
    """All files below a directory that lives: one that goes while it is listed is passed over."""
    return sorted(Path(folder, name) for folder, _, names in os.walk(root) for name in names)


def _files(root: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield f"{prefix}{path.relative_to(root).as_posix()}", path


def _hold_logs(data_dir: Path, stage: Path) -> None:
    """Link the segments there are; one that is still written grows under its link too."""
    for name in _LOGS:
        (stage / name).mkdir(exist_ok=True)
        for path in sorted((data_dir / name).glob("*")):
            if path.is_file() and path.name != _MARK:
                _link(path, stage / name / path.name)


def _copy_state(state: StateStore, copy: Path) -> None:
    source = state.url.database
    if state.url.get_backend_name() != SQLITE or not source:
        copy_state(state, f"{SQLITE}:///{copy}")
        return
    with closing(sqlite3.connect(source)) as found, closing(sqlite3.connect(copy)) as kept:
        found.backup(kept)


def _link_rest(data_dir: Path, store: Path, stage: Path) -> None:
    """Snapshots, keys, and what else lies in the directory; not what only a running process needs."""
    for path in _under(data_dir):
        name = path.relative_to(data_dir)
        transient = any(part.startswith(".") for part in name.parts) or path.name.endswith(_NOT_KEPT)
        taken = (
            name.parts[0] in (*_LOGS, REPLAYS)
            or name.parts[0].startswith("state.db")
            or path.is_relative_to(store / _ENGINE)
        )
        if transient or taken or not path.is_file() or path.is_symlink() or path == store / "pending.json":
            continue
        _link(path, stage / name)


def _link(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except (FileExistsError, FileNotFoundError):  # held already, or retention was quicker
        return
    except OSError:  # a file system without links
        shutil.copy2(path, target)
