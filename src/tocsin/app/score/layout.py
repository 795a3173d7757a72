"""What the columns of a table are: time, what tells series apart, and the numbers to score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tocsin.app.score.cells import looks_numeric, numbers, plain, times
from tocsin.app.score.table import Chunk, Table
from tocsin.model.arrays import F8, I4, I8
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

OWN: tuple[str, ...] = ("time", "score", "p_value", "alarm", "lower", "upper")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command was told."""

    time: str
    out: Path
    values: tuple[str, ...] = ()
    series: str | None = None
    entity: str | None = None
    train_until_ns: int | None = None
    form: Literal["csv", "parquet"] = "csv"
    univariate: bool = False
    model: Path | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns by their part; `keys` tell rows of several series or entities apart; `left_out` are numberless."""

    time: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    left_out: tuple[str, ...]

    @staticmethod
    def of(table: Table, wanted: Wanted) -> Layout:
        """The parts of a table's columns.

        Raises
        ------
        BadInput
            A column is missing, the table has no rows, or which numbers to score is open.
        """
        time = table.column(wanted.time, "--time")
        keys = tuple(
            table.column(name, option)
            for option, name in (("--entity", wanted.entity), ("--series", wanted.series))
            if name is not None
        )
        for name in keys:
            if name in OWN:
                raise BadInput(f"{table.path}:1: column {name!r} would clash with one of the output; rename it")
        first = next((chunk for chunk in table.chunks() if len(chunk)), None)
        if first is None:
            raise BadInput(f"{table.path}:2: there are no rows below the names of the columns")
        rest = [name for name in table.names if name != time and name not in keys]
        if wanted.values:
            values = tuple(table.column(name, "--value") for name in wanted.values)
        else:
            values = tuple(name for name in rest if looks_numeric(first.columns[name]))
        if not values:
            raise BadInput(f"{table.path}:1: no column holds numbers beside {time!r}; name one with --value")
        if wanted.series is not None and len(values) > 1 and not wanted.values:
            raise BadInput(
                f"{table.path}:1: --series means one value a row, but {', '.join(map(repr, values))} all hold "
                "numbers; name the one to score with --value"
            )
        return Layout(time, keys, values, tuple(name for name in rest if name not in values))


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows on end, ready to be scored.

    Attributes
    ----------
    first : number of the first row, from 0
    time : (n,) int64, ns
    group : (n,) int32, number of the row's series or entity, in order of first sight
    value : (n, k) float64, NaN = none
    shown : time and key columns as they came
    """

    first: int
    time: I8
    group: I4
    value: F8
    shown: dict[str, Any]

    def __len__(self) -> int:
        return int(self.time.size)


class Readings:
    """The rows of a table by its layout; `groups` grows as they are read."""

    def __init__(self, table: Table, layout: Layout) -> None:
        self.table, self.layout = table, layout
        self.groups: dict[tuple[Any, ...], int] = {}

    def blocks(self) -> Iterator[Block]:
        """All rows, some thousands at a time.

        Raises
        ------
        BadInput
            A cell is no time or no number.
        """
        for chunk in self.table.chunks():
            if len(chunk):
                yield self._block(chunk)

    def _block(self, chunk: Chunk) -> Block:
        layout = self.layout
        when = times(chunk.columns[layout.time], self.table, chunk.first, layout.time)
        value = np.empty((len(chunk), len(layout.values)))
        for k, name in enumerate(layout.values):
            value[:, k] = numbers(chunk.columns[name], self.table, chunk.first, name)
        shown = {name: chunk.columns[name] for name in (layout.time, *layout.keys)}
        return Block(chunk.first, when, self._group(chunk), value, shown)

    def _group(self, chunk: Chunk) -> I4:
        if not self.layout.keys:
            self.groups.setdefault((), 0)
            return np.zeros(len(chunk), "i4")
        cells = [plain(chunk.columns[name]).to_pylist() for name in self.layout.keys]
        groups = self.groups
        return np.array([groups.setdefault(key, len(groups)) for key in zip(*cells, strict=True)], "i4")

    def label(self, group: int) -> str:
        """Which series or entity a group is, for messages; nothing where there is only one."""
        if not self.layout.keys:
            return ""
        key = next(key for key, number in self.groups.items() if number == group)
        pairs = zip(self.layout.keys, key, strict=True)
        return " of " + ", ".join(f"{name} {one_line(str(cell))[:60]!r}" for name, cell in pairs)
