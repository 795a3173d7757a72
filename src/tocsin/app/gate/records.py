"""Records from a file, as `tocsin export records` writes them: JSON lines, CSV or Parquet, read by column."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.score.table import Table
from tocsin.assess.column import as_arrow, numbers, texts
from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line
from tocsin.spec.problem import nearest

NESTED: Final = ("tags", "features", "feedback", "attributions")
"""Columns that hold objects, in the order in which a bare name is looked for in them."""
FIXED: Final = ("prediction_id", "time", "model", "version", "embedding", "attention")
_LINES: Final = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Rows by column; what lies in an object is a column `tags.region`, `features.age` and so on."""

    path: Path
    columns: dict[str, Any]
    rows: int

    @staticmethod
    def read(path: Path) -> Records:
        """Read a file.

        Raises
        ------
        BadInput
            It can't be read, has no rows, or a line is no JSON object.
        """
        columns, rows = _lines(path) if path.suffix.lower() in _LINES else _table(path)
        if not rows:
            raise BadInput(f"{path}: there are no rows")
        flat: dict[str, Any] = {}
        for name, cells in columns.items():
            for key, values in _flattened(name, cells, path).items():
                flat[key] = as_arrow(values)
        return Records(path, flat, rows)

    def named(self, name: str) -> str:
        """The full name of a column; a bare name is looked for in tags first, then in features.

        Raises
        ------
        KeyError
            There is none; the message says which is near.
        """
        for full in (name, *(f"{each}.{name}" for each in NESTED)):
            if full in self.columns:
                return full
        bare = [full.partition(".")[2] or full for full in self.columns]
        raise KeyError(f"{self.path.name} has no column `{name}`{nearest(name, [*self.columns, *bare])}")

    def has(self, name: str) -> bool:
        """Whether a column, by its full or bare name, is there."""
        return any(full in self.columns for full in (name, *(f"{each}.{name}" for each in NESTED)))

    def numbers(self, name: str) -> F8:
        """A column as numbers (n,), NaN where there is none.

        Raises
        ------
        BadInput
            A cell is text.
        """
        found = numbers(self.columns[self.named(name)])
        if found.corrupted.any():
            raise BadInput(
                f"{self.path}: row {int(np.argmax(found.corrupted)) + 1}: {name!r}: "
                f"{one_line(found.example)[:40]!r} is not a number; write one, or leave it empty"
            )
        return found.value

    def labels(self, name: str) -> Any:
        """A column as texts (n,), null where there is no value."""
        return texts(self.columns[self.named(name)])

    def features(self) -> list[str]:
        """Columns that a model was given: those of `features`, else all that have no other part."""
        inside = [name for name in self.columns if name.startswith("features.")]
        return inside or [
            name for name in self.columns if name not in FIXED and name.partition(".")[0] not in NESTED
        ]  # fmt: skip

    def taken(self, rows: Mask | I8) -> Records:
        """Some rows, by a mask."""
        index = pa.array(np.flatnonzero(rows))
        return Records(self.path, {name: cells.take(index) for name, cells in self.columns.items()}, len(index))

    def where(self, wanted: dict[str, str]) -> Records:
        """The rows whose columns have these values, as texts."""
        kept = np.ones(self.rows, bool)
        for name, value in wanted.items():
            equal = pc.fill_null(pc.equal(self.labels(name), pa.scalar(value, pa.large_string())), False)
            kept &= equal.to_numpy(zero_copy_only=False)
        return self if kept.all() else self.taken(kept)


def _lines(path: Path) -> tuple[dict[str, Any], int]:
    rows: list[dict[str, Any]] = []
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    rows.append(_object(path, number, line))
    except OSError as error:
        raise BadInput(f"{path}: can't be read: {(error.strerror or str(error)).lower()}") from None
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}, len(rows)


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.rstrip())
    except (ValueError, RecursionError) as error:
        column = getattr(error, "pos", 0) + 1
        said = getattr(error, "msg", "not UTF-8, or nested too deep")
        raise BadInput(f"{path}:{number}:{column}: not JSON: {said}; each line is one record") from None
    if not isinstance(row, dict):
        raise BadInput(
            f'{path}:{number}:1: a record is a JSON object, like {{"prediction": 1}}; found {type(row).__name__}'
        )
    return row


def _table(path: Path) -> tuple[dict[str, Any], int]:
    table = Table(path)
    chunks = [chunk.columns for chunk in table.chunks() if len(chunk)]
    columns = {name: pa.chunked_array([chunk[name] for chunk in chunks]) for name in table.names} if chunks else {}
    return columns, len(next(iter(columns.values()))) if columns else 0


def _flattened(name: str, cells: Any, path: Path) -> dict[str, Any]:
    """A column, or those of the objects in it."""
    if name not in NESTED:
        return {name: cells}
    objects = [_members(cell, name, path, row) for row, cell in enumerate(_plain(cells), 1)]
    if not any(isinstance(cell, dict) for cell in objects):
        return {name: objects}
    keys = dict.fromkeys(key for cell in objects if isinstance(cell, dict) for key in cell)
    found: dict[str, Any] = {
        f"{name}.{key}": [cell.get(key) if isinstance(cell, dict) else None for cell in objects] for key in keys
    }
    bare = [None if isinstance(cell, dict) else cell for cell in objects]
    return {**found, name: bare} if any(cell is not None for cell in bare) else found


def _plain(cells: Any) -> Sequence[Any]:
    return cells if isinstance(cells, list) else cells.to_pylist()


def _members(cell: Any, name: str, path: Path, row: int) -> Any:
    """A cell that may hold an object as JSON, as Arrow's list of pairs, or as itself."""
    if isinstance(cell, list) and cell and all(isinstance(pair, tuple) and len(pair) == 2 for pair in cell):
        return dict(cell)
    if isinstance(cell, str) and cell.startswith("{"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            raise BadInput(f"{path}: row {row}: {name!r} begins like a JSON object, but is none") from None
    return None if cell == "" else cell
