"""Whether the rows of each series come in the order of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.app.score.layout import Block, Readings
from tocsin.model.arrays import I8
from tocsin.model.errors import BadInput
from tocsin.model.rows import grown
from tocsin.model.times import time_to_json

CLOCK_RATIO: Final = 0.003
CLOCK_ROWS: Final = 1_000
"""In a table of so many rows, up to this share may repeat a time or go back: clocks are set back, and data that
was taken by one is still of use. In a shorter table, or more of it, it is a mistake."""


@dataclass(frozen=True, slots=True)
class Disorder:
    """The first row that is not later than the one before it in its series, and how many there are."""

    rows: int
    count: int
    message: str


class OrderCheck:
    """Follows blocks and remembers each series' latest time."""

    def __init__(self, readings: Readings) -> None:
        self.readings = readings
        self.rows = self.count = 0
        self._message = ""
        self._last: I8 = np.full(0, np.iinfo("i8").min, "i8")

    def follow(self, block: Block) -> None:
        """Take the next rows."""
        self._last = grown(self._last, len(self.readings.groups), np.iinfo("i8").min).astype("i8", copy=False)
        order = np.argsort(block.group, kind="stable")
        group, time = block.group[order], block.time[order]
        before = np.empty_like(time)
        before[1:] = time[:-1]
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        before[starts] = self._last[group[starts]]
        bad = order[time <= before]
        ends = np.append(starts[1:], len(group)) - 1
        self._last[group[ends]] = time[ends]
        self.rows += len(block)
        self.count += len(bad)
        if len(bad) and not self._message:
            at = int(bad.min())
            self._message = self._tell(block, at, int(before[np.flatnonzero(order == at)[0]]))

    def _tell(self, block: Block, at: int, before: int) -> str:
        where = self.readings.table.place(block.first + at)
        label = self.readings.label(int(block.group[at]))
        column = self.readings.layout.time
        if int(block.time[at]) == before:
            more = "" if self.readings.layout.keys else ", or name the column that tells series apart with --series"
            return f"{where}: the time {time_to_json(before)}{label} comes twice; drop one of the rows{more}"
        return (
            f"{where}: the time {time_to_json(int(block.time[at]))}{label} is before that of the row above it, "
            f"{time_to_json(before)}; sort the rows by {column!r}"
        )

    def done(self) -> Disorder | None:
        """What was found wrong and can be lived with, or None.

        Raises
        ------
        BadInput
            Too much is out of order.
        """
        if not self.count:
            return None
        if self.rows < CLOCK_ROWS or self.count > CLOCK_RATIO * self.rows:
            more = f" ({self.count} rows are out of order)" if self.count > 1 else ""
            raise BadInput(self._message + more)
        return Disorder(self.rows, self.count, self._message)
