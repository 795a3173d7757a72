"""A whole CSV or Parquet file in memory, column by column, with the place of every cell."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.drift_files.unfold import unfolded, with_points
from tocsin.app.score.cells import is_text, missing_words, plain, times
from tocsin.app.score.table import Table
from tocsin.assess.column import numbers, texts
from tocsin.model.arrays import F8, I8
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line
from tocsin.plugin.registry import nearest


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A table read in full: `columns` are Arrow arrays (n,), text trimmed, by name in the order of the file.

    `typed_text` names the columns of which the file itself says that they are text, as only Parquet does; `notes` say
    what was read in a way that a person may want to know. Names are without blanks around them, in composed letters.
    """

    table: Table
    columns: dict[str, Any]
    rows: int
    typed_text: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Columns, in the order of the file."""
        return list(self.columns)

    def column(self, name: str, option: str) -> str:
        """The name, if there is such a column.

        Raises
        ------
        BadInput
            There is none; what is near is told.
        """
        if name not in self.columns:
            raise BadInput(f"{self.table.path}:1: no column {name!r} for {option}: {near(name, self.names)}")
        return name

    @staticmethod
    def read(path: Path) -> Frame:
        """Read a file.

        Raises
        ------
        BadInput
            It can't be read, or has no rows.
        """
        table = Table(path)
        chunks = [chunk.columns for chunk in table.chunks() if len(chunk)]
        if not chunks:
            raise BadInput(f"{path}:{1 if table.is_parquet else 2}: there are no rows, only the names of columns")
        cells = {name: _joined([each[name] for each in chunks]) for name in table.names}
        notes: list[str] = []
        if table.delimiter == ";":
            cells = {name: _pointed(name, each, notes) for name, each in cells.items()}
        columns: dict[str, Any] = {}
        for name, each in cells.items():
            for part, found in unfolded(_plain_name(name), each, notes):
                if part in columns:
                    raise BadInput(f"{path}:1: two columns are called {part!r}; give each a name of its own")
                columns[part] = found
        typed = [name for name, each in columns.items() if table.is_parquet and is_text(each)]
        noted = tuple(f"{path.name}: {note}" for note in notes)
        return Frame(table, columns, len(next(iter(cells.values()))), frozenset(typed), noted)

    def numbers(self, name: str, *, may_be_missing: bool = True) -> F8:
        """A column as numbers (n,), NaN where there is none.

        Raises
        ------
        BadInput
            A cell is text, or is missing where it may not be.
        """
        found = numbers(self.columns[name])
        if found.corrupted.any():
            at = int(np.argmax(found.corrupted))
            raise BadInput(
                f"{self.table.place(at)}: column {name!r}: {one_line(found.example)[:40]!r} is not a number; "
                "write one, or leave the cell empty"
            )
        if not may_be_missing and found.missing.any():
            raise BadInput(f"{self.table.place(int(np.argmax(found.missing)))}: column {name!r}: the cell is empty")
        return found.value

    def labels(self, name: str) -> Any:
        """A column as texts (n,), null where there is no value; 1, 1.0 and "1" are the same."""
        return texts(self.columns[name])

    def times(self, name: str) -> I8:
        """A column as nanoseconds since 1970, (n,).

        Raises
        ------
        BadInput
            A cell is no time, or empty.
        """
        return times(self.columns[name], self.table, 0, name)


def near(name: str, known: list[str]) -> str:
    """What to tell of a name that is not there: one that differs in case alone, else the nearest."""
    alike = [each for each in known if each.casefold() == name.casefold()]
    return f"did you mean {alike[0]!r}?" if alike else nearest(name, known)


def _plain_name(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _pointed(name: str, cells: Any, notes: list[str]) -> Any:
    found = with_points(cells) if is_text(cells) else None
    if found is None:
        return cells
    notes.append(f"column {name!r}: commas are read as decimal points")
    return found


def _joined(parts: list[Any]) -> Any:
    parts = [plain(part) for part in parts]
    if is_text(parts[0]):
        parts = [part.cast(pa.large_string()) for part in parts]
    return pa.concat_arrays(parts)


def filled(cells: Any) -> Any:
    """Cells of a column that hold something."""
    if not is_text(cells):
        return cells.drop_null()
    lowered = pc.utf8_lower(cells)
    return cells.filter(pc.invert(pc.fill_null(pc.is_in(lowered, value_set=missing_words().cast(lowered.type)), True)))
