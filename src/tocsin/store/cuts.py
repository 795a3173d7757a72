"""The note of the batch under way: written before its first insert, read by the writer that comes after a crash."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from tocsin.model.errors import Corrupt
from tocsin.store.database import Database
from tocsin.store.schema import DATABASE


@dataclass(frozen=True, slots=True)
class Cut:
    """One batch of one log: records `first` to `last` (included), all rows stamped `stamp` (ms)."""

    log: str
    first: int
    last: int
    stamp: int


class Cuts(Protocol):
    """Where the note is."""

    def note(self, cut: Cut) -> None:
        """Write a cut down, durably, over the one before."""

    def noted(self) -> Cut | None:
        """The cut noted last."""


class FileCuts:
    """A note in a file: of a store that only processes of one machine write."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, cut: Cut) -> None:
        """Write a cut down, durably, over the one before."""
        durable_write(self._file, json.dumps(asdict(cut)).encode())

    def noted(self) -> Cut | None:
        """The cut noted last.

        Raises
        ------
        Corrupt
            The file is none that was written here.
        """
        if not self._file.exists():
            return None
        try:
            found = json.loads(self._file.read_text())
            return Cut(str(found["log"]), int(found["first"]), int(found["last"]), int(found["stamp"]))
        except (ValueError, TypeError, KeyError) as error:
            raise Corrupt(f"{self._file}: not a note of a batch under way ({error}); restore a backup") from error


class TableCuts:
    """A note in the cluster, where the writer finds it on whatever machine it comes back."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def note(self, cut: Cut) -> None:
        """Write a cut down, durably, over the one before."""
        row = {name: [value] for name, value in asdict(cut).items()}
        self._db.insert("cuts", pa.table(row), f"cut:{cut.log}:{cut.first}:{cut.stamp}")

    def noted(self) -> Cut | None:
        """The cut noted last."""
        sql = f"SELECT log, first, last, stamp FROM {DATABASE}.cuts ORDER BY stamp DESC LIMIT 1"
        rows = self._db.write_query(sql).to_pylist()
        return Cut(str(rows[0]["log"]), rows[0]["first"], rows[0]["last"], rows[0]["stamp"]) if rows else None


def durable_write(file: Path, content: bytes) -> None:
    """Replace a file so that after a power cut it holds the old or the new content, whole."""
    draft = file.with_suffix(".new")
    with draft.open("wb") as sink:
        sink.write(content)
        sink.flush()
        os.fsync(sink.fileno())
    draft.replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
