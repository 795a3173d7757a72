"""`Samples`: what every kind of telemetry becomes before it is windowed - weighted values of a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from tocsin.model.arrays import F8, I4, I8, Array


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Weighted values, one row each, all columns (n,).

    Attributes
    ----------
    row : int32, row of the series in this shard
    time : int64, ns, event time
    value : float64, in the signal's unit; NaN = the source says there is none
    weight : float64, how many observations it stands for (a histogram bucket: its count)
    low, high : float64, range the observations lie in; both equal `value` for a plain point
    uid : int64, tells two observations of one series and time apart (spans); 0 where time alone does
    """

    row: I4
    time: I8
    value: F8
    weight: F8
    low: F8
    high: F8
    uid: I8

    def __len__(self) -> int:
        return int(self.row.size)

    @staticmethod
    def plain(row: I4, time: I8, value: F8, uid: I8 | None = None) -> Samples:
        """Points of weight 1."""
        return Samples(
            row, time, value, np.ones(len(row)), value, value, np.zeros(len(row), "i8") if uid is None else uid
        )

    @staticmethod
    def empty() -> Samples:
        """No samples at all."""
        return _NONE

    @staticmethod
    def concat(parts: Sequence[Samples]) -> Samples:
        """All parts, one after the other."""
        if len(parts) < 2:
            return parts[0] if parts else _NONE
        return Samples(*(np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS))

    def take(self, pick: Array) -> Samples:
        """The samples selected by a mask or an index."""
        value = self.value[pick]
        # of plain points value, low and high are one array: gathered once
        low = value if self.low is self.value else self.low[pick]
        high = value if self.high is self.value else self.high[pick]
        return Samples(self.row[pick], self.time[pick], value, self.weight[pick], low, high, self.uid[pick])

    def slice(self, start: int, stop: int) -> Samples:
        """The samples from `start` up to `stop`; views, not copies."""
        return Samples(*(getattr(self, name)[start:stop] for name in _COLUMNS))

    def sorted(self) -> Samples:
        """By series, time, uid and value, so that the order of arrival leaves no trace."""
        return self.take(np.lexsort((self.value, self.uid, self.time, self.row)))

    def columns(self) -> dict[str, Array]:
        """Columns by name, for a snapshot."""
        return {name: getattr(self, name) for name in _COLUMNS}

    @staticmethod
    def of_columns(columns: dict[str, Array]) -> Samples:
        """Samples back from a snapshot."""
        return Samples(**{name: columns[name] for name in _COLUMNS})  # type: ignore[arg-type]  # names checked above


_COLUMNS = tuple(f.name for f in fields(Samples))
_NONE = Samples.plain(np.empty(0, "i4"), np.empty(0, "i8"), np.empty(0))
