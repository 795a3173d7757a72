"""A copy of the stores of a stopped server to read from: nothing in the original changes, and nothing ages in the copy.

Opening a store lets its engine merge parts and drop what is past its time. So it is opened on a copy, whose tables
keep their rows for ever. Parts never change once they are written: they are linked, which costs no space.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tocsin.model.errors import BadInput

_TTL = re.compile(r"^TTL .*\n", re.MULTILINE)
_PART_DEPTH = 4
"""Files of a part lie at `store/<3 digits>/<uuid>/<part>/...` below the engine's directory."""


@contextmanager
def copied(data_dir: Path) -> Iterator[Path]:
    """A directory with copies of `store` and `state.db` of a data directory; gone afterwards.

    Raises
    ------
    BadInput
        There is no store in this directory, or no room for a copy.
    """
    engine = data_dir / "store" / "chdb"
    if not engine.is_dir() or not (data_dir / "state.db").is_file():
        raise BadInput(f"{data_dir} is not the data directory of a server that ran; name one with --data DIR")
    try:
        copy = _beside(data_dir)
    except OSError as error:
        raise BadInput(f"no room for a copy of {data_dir}: {(error.strerror or str(error)).lower()}") from None
    try:
        _copy_engine(engine, copy / "store" / "chdb")
        layout = data_dir / "store" / "layout.json"
        if layout.exists():
            shutil.copy2(layout, copy / "store" / "layout.json")
        _copy_state(data_dir, copy)
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _beside(data_dir: Path) -> Path:
    """Within the data directory, where files can be linked; elsewhere if it can't be written."""
    try:
        return Path(tempfile.mkdtemp(prefix=".reading-", dir=data_dir))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="tocsin-reading-"))


def _copy_engine(engine: Path, copy: Path) -> None:
    for path in sorted(engine.rglob("*")):
        name = path.relative_to(engine)
        if path.is_symlink():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path.readlink())
        elif path.is_file() and path.name != "status" and "shadow" not in name.parts:
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".sql":
                target.write_text(_TTL.sub("", path.read_text()))
            elif name.parts[0] == "store" and len(name.parts) > _PART_DEPTH and "deduplication_logs" not in name.parts:
                _link(path, target)
            else:
                shutil.copy2(path, target)
        elif path.is_dir():
            (copy / name).mkdir(parents=True, exist_ok=True)


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(path, target)


def _copy_state(data_dir: Path, copy: Path) -> None:
    # a copy of the files first: SQLite would write beside the original even to read it
    for path in data_dir.glob("state.db*"):
        shutil.copy2(path, copy / path.name)
    with closing(sqlite3.connect(copy / "state.db")) as state:
        state.execute("PRAGMA wal_checkpoint(TRUNCATE)")
