"""Interquartile range: how far a value lies outside the middle half of the recent past."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.array import ArrayDetector, column
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.scale import honest_sd, ratio_of

KEPT: Final = 64


class Iqr(ArrayDetector):
    """Score = distance outside the quartiles, in interquartile ranges; Tukey's fences stand at 1.5 and 3.

    The last 64 values are kept; `every` thins them, so that the window spans `64 * every` steps.

    Parameters: `every` in steps, at least 1; `warmup` in steps.

    Reference: J. W. Tukey, Exploratory Data Analysis, 1977.

    >>> d = Iqr(warmup=4)
    >>> for v in (1.0, 2.0, 3.0, 4.0, 8.0):
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> round(z, 2)
    3.17
    """

    name: ClassVar[str] = "iqr"
    ring: F8 = column(np.nan, shape=(KEPT,))

    def __init__(self, *, every: float = 1, warmup: float = 15) -> None:
        super().__init__(warmup=warmup)
        if not every >= 1:
            raise ValueError(f"iqr: every must be at least 1 step, got {every}")
        self.every = int(every)

    def _score(self, step: Step) -> F8:
        out = np.full(len(step), np.nan)
        _score(step.rows, step.value, self.ring, self.seen, self.warmup, out)
        return out

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        found = np.full((len(step), 3), np.nan)
        _quartiles(step.rows, self.ring, found)
        low, middle, high = found[:, 0], found[:, 1], found[:, 2]
        return low - width * (high - low), middle.copy(), high + width * (high - low)

    def _learn(self, step: Step, weight: F8) -> None:
        _learn(step.rows, step.value, weight, self.ring, self.seen, self.every)


@njit()
def quartiles(ring: F8) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the values that are there (linear interpolation)."""
    kept = np.sort(ring[~np.isnan(ring)])
    if kept.size == 0:
        return math.nan, math.nan, math.nan
    found = np.empty(3)
    for q in range(3):
        place = (q + 1) * 0.25 * (kept.size - 1)
        below = int(place)
        above = min(below + 1, kept.size - 1)
        found[q] = kept[below] + (place - below) * (kept[above] - kept[below])
    return found[0], found[1], found[2]


@njit("void(i4[::1],f8[:,::1],f8[:,::1])")
def _quartiles(rows: I4, ring: F8, out: F8) -> None:
    for i in range(rows.size):
        out[i, 0], out[i, 1], out[i, 2] = quartiles(ring[rows[i]])


@njit("void(i4[::1],f8[::1],f8[:,::1],i4[::1],i8,f8[::1])")
def _score(rows: I4, value: F8, ring: F8, seen: I4, warmup: int, out: F8) -> None:
    for i in range(rows.size):
        r = rows[i]
        if seen[r] >= warmup and math.isfinite(value[i]):
            low, middle, high = quartiles(ring[r])
            gap = max(low - value[i], value[i] - high, 0.0)
            out[i] = ratio_of(gap, honest_sd(high - low, middle, gap))


@njit("void(i4[::1],f8[::1],f8[::1],f8[:,::1],i4[::1],i8)")
def _learn(rows: I4, value: F8, weight: F8, ring: F8, seen: I4, every: int) -> None:
    for i in range(rows.size):
        r = rows[i]
        # a value is kept or not: half a weight is enough to be kept
        if (seen[r] < KEPT or seen[r] % every == 0) and weight[i] >= 0.5:
            place = seen[r] if seen[r] < KEPT else seen[r] // every
            ring[r, place % KEPT] = value[i]
        seen[r] += 1
