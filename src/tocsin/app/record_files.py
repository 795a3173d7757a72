"""Files of inference records, CSV or Parquet, as rows of `/v1/records`; read in pieces, whatever their size.

A column of feedback that is not called so keeps its name: `clicked` gives `{"clicked": ...}`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from tocsin.app.drift_files.roles import IDENTITY, PREDICTION, SCORE, TARGET, TIME
from tocsin.model.errors import BadInput
from tocsin.plugin.registry import nearest

Row: TypeAlias = dict[str, Any]

KNOWN: Final[Mapping[str, Sequence[str]]] = {
    "prediction_id": IDENTITY,
    "time": TIME,
    "prediction": PREDICTION,
    "score": SCORE,
    "truth": TARGET,
    "feedback": ("feedback", "clicked", "converted", "thumbs"),
    "model": ("model", "model_name"),
    "version": ("version", "model_version"),
}
"""Fields of a record that a file may have, and the names by which their columns are known."""
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_PIECE_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what: those of `fields` by field, `tags`, the rest are features."""

    fields: Mapping[str, str]
    tags: tuple[str, ...]
    features: tuple[str, ...]
    inferred: tuple[str, ...]

    def to_json(self) -> Row:
        """As the output names them."""
        return {
            **self.fields, "tags": list(self.tags), "features": list(self.features), "inferred": list(self.inferred),
        }  # fmt: skip

    def record(self, row: Mapping[str, Any], base: Row) -> Row:
        """A row of the file as a record; empty cells are left out, of features they are null."""
        found = dict(base)
        for field, name in self.fields.items():
            value = row.get(name)
            if value is not None and not (isinstance(value, float) and math.isnan(value)):
                found[field] = str(value) if field in ("prediction_id", "model", "version") else _plain(value)
        if "feedback" in found and self.fields["feedback"] != "feedback":
            found["feedback"] = {self.fields["feedback"]: found["feedback"]}
        if "time" in found:
            found["time"] = _time(found["time"])
        tags = {name: str(_plain(row[name])) for name in self.tags if row.get(name) is not None}
        features = {name: _plain(row.get(name)) for name in self.features}
        if tags:
            found["tags"] = tags
        # rows that bring truth or feedback only are no predictions, whatever the file has beside
        if features and ("prediction" in found or "score" in found):
            found["features"] = features
        return found


def columns_of(path: Path, asked: Mapping[str, str], tags: Sequence[str]) -> Columns:
    """Which column is what: as asked ("" for none), else by its name where one only can be meant.

    Raises
    ------
    BadInput
        The file can't be read, a column is missing, or several could be the same.
    """
    names = _names(path)
    for name in (*asked.values(), *tags):
        if name and name not in names:
            raise BadInput(f"{path}:1: no column {name!r}: {nearest(name, names)}")
    fields = {field: name for field, name in asked.items() if name}
    inferred: list[str] = []
    for field, known in KNOWN.items():
        if field in asked:
            continue
        taken = {*fields.values(), *tags}
        found = [
            name for name in names if name.lower().replace(" ", "_").replace("-", "_") in known and name not in taken
        ]
        if len(found) > 1:
            raise BadInput(
                f"{path}:1: {' and '.join(map(repr, found))} could both be the {field}; "
                f"name one with --{field.replace('_', '-')}"
            )
        if found:
            fields[field] = found[0]
            inferred.append(field)
    rest = tuple(name for name in names if name not in {*fields.values(), *tags})
    return Columns(fields, tuple(tags), rest, tuple(inferred))


def rows_of(path: Path) -> Iterator[Row]:
    """Rows of the file, one after the other.

    Raises
    ------
    BadInput
        It can't be read.
    """
    try:
        yield from _parquet_rows(path) if path.suffix == ".parquet" else _csv_rows(path)
    except UnicodeDecodeError as bad:
        raise BadInput(f"{path}: not UTF-8 at byte {bad.start}") from bad
    except (OSError, pa.ArrowException, csv.Error) as bad:
        raise BadInput(f"{path}: can't be read: {str(bad)[:200]}") from bad


def _names(path: Path) -> list[str]:
    if path.suffix not in (".csv", ".parquet"):
        raise BadInput(f"{path}: records are read from .csv and .parquet")
    try:
        if path.suffix == ".parquet":
            return list(pq.read_schema(path).names)
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except UnicodeDecodeError as bad:
        raise BadInput(f"{path}: not UTF-8 at byte {bad.start}") from bad
    except (OSError, pa.ArrowException, csv.Error) as bad:
        raise BadInput(f"{path}: can't be read: {str(bad)[:200]}") from bad
    if not names or len(set(names)) < len(names):
        raise BadInput(f"{path}:1: the first line must name every column, each once")
    return names


def _parquet_rows(path: Path) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_PIECE_ROWS):
            yield from batch.to_pylist()


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                raise BadInput(f"{path}:{reader.line_num}: {len(cells)} cells under {len(names)} columns")
            yield {name: _cell(cell) for name, cell in zip(names, cells, strict=True)}


def _cell(text: str) -> str | None:
    """The text of a cell; what is a number is told apart later, ids stay what they are."""
    return text if text not in ("", "NaN", "nan", "NULL", "null") else None


def _plain(value: Any) -> Any:
    """A value as JSON knows it; texts that are numbers or truth values become them."""
    if isinstance(value, str):
        return _read(value)
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return value if value is None or isinstance(value, bool | int) else str(value)


def _read(text: str) -> Any:
    if _NUMBER.fullmatch(text):
        number = float(text)
        return int(text) if text.lstrip("-").isdigit() and abs(number) < 2**53 else number
    return {"true": True, "false": False}.get(text.lower(), text)


def _time(value: Any) -> Any:
    """A time as the server reads it; numbers are seconds, ms, us or ns since 1970 by their size."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        for scale in (10**9, 10**6, 10**3):
            if abs(value) >= 10**8 * scale:
                return value / scale
        return value
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:  # the server says what is wrong with it
        return value
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
