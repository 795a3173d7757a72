"""Robust centre and scale of every signal of one entity, read from its thinned past."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.multi_memory import Kept, ShingleMemory
from tocsin.model.arrays import F8, I8
from tocsin.stats.jit import njit

KNOWN: Final = 30
"""Values of a signal before its scale is believed."""
MOVED: Final = 8.0
"""Deviation of a signal that never moved and now does: nothing is known of its spread."""
CAP: Final = 20.0
"""Largest deviation that counts."""
FLAT: Final = 1e-7
"""A spread below this share of the level is rounding, not movement."""


class RobustScale(Kept):
    """Centre, spread and reach of each signal, (signals,); NaN spread while too little is known, 0 for a constant.

    The centre is the median. The spread is the larger of the interquartile range / 1.349 and the standard deviation
    of all values, each bounded to `CAP` spreads; the larger, for a signal that is mostly still and sometimes busy has
    no quartiles. The reach is a sixth of the range of the thinned past, so that one wild value seldom widens it.

    Reference: P. J. Rousseeuw and C. Croux, Alternatives to the Median Absolute Deviation, JASA 1993.
    """

    _kept: ClassVar[tuple[str, ...]] = ("centre", "spread", "reach", "count", "mean", "square")

    def __init__(self, signals: int) -> None:
        self.centre: F8 = np.full(signals, np.nan)
        self.spread: F8 = np.full(signals, np.nan)
        self.reach: F8 = np.full(signals, np.nan)
        self.count: I8 = np.zeros(signals, np.int64)
        self.mean: F8 = np.zeros(signals)
        self.square: F8 = np.zeros(signals)

    def deviations(self, values: F8) -> F8:
        """Signed deviations in spreads, (signals,), within `CAP`; NaN where value or spread is unknown.

        >>> scale = RobustScale(3)
        >>> scale.centre[:], scale.spread[:] = [1.0, 5.0, 0.0], [2.0, 0.0, np.nan]
        >>> scale.deviations(np.array([2.0, 5.5, 9.0])).tolist()
        [0.5, 8.0, nan]
        """
        out = np.empty(values.size)
        deviations_of(values, self.centre, self.spread, out)
        return out

    def learn(self, values: F8) -> None:
        """Take a row (signals,) into the standard deviations."""
        _learn(values, self.centre, self.spread, self.count, self.mean, self.square)

    def refit(self, memory: ShingleMemory) -> None:
        """Read centre, spread and reach from the newest rows of the kept shingles."""
        rows = np.ascontiguousarray(memory.past[: memory.size, 0].T)
        _refit(rows, self.count, self.square, self.centre, self.spread, self.reach)


@njit()
def deviations_of(values: F8, centre: F8, spread: F8, out: F8) -> None:
    """Signed deviations within `CAP`."""
    for i in range(values.size):
        gap = values[i] - centre[i]
        if math.isnan(gap) or math.isnan(spread[i]):
            out[i] = math.nan
        elif spread[i] > 0.0:
            out[i] = min(max(gap / spread[i], -CAP), CAP)
        else:
            moved = abs(gap) > FLAT * abs(centre[i])
            out[i] = math.copysign(MOVED, gap) if moved else 0.0


@njit()
def _learn(values: F8, centre: F8, spread: F8, count: I8, mean: F8, square: F8) -> None:
    for i in range(values.size):
        v = values[i]
        if math.isnan(v):
            continue
        if spread[i] > 0.0:
            v = min(max(v, centre[i] - CAP * spread[i]), centre[i] + CAP * spread[i])
        count[i] += 1
        gap = v - mean[i]
        rate = 1.0 / min(count[i], 50_000)
        mean[i] += rate * gap
        square[i] += rate * ((1.0 - rate) * gap * gap - square[i])


@njit()
def _refit(rows: F8, count: I8, square: F8, centre: F8, spread: F8, reach: F8) -> None:
    for i in range(rows.shape[0]):
        known = rows[i][~np.isnan(rows[i])]
        if count[i] < KNOWN or known.size < KNOWN // 2:
            continue
        known.sort()
        n = known.size
        centre[i] = known[n // 2]
        quartiles = (known[(3 * n) // 4] - known[n // 4]) / 1.349
        wide = max(quartiles, math.sqrt(square[i]))
        moves = wide > FLAT * abs(centre[i]) and wide > 0.0
        spread[i] = wide if moves else 0.0
        reach[i] = max((known[n - 1] - known[0]) / 6.0, wide) if moves else 0.0
