"""Leaks: whether a share of memory grows at equal load, how fast, and when it is full.

Pairs of half hours with equal load give slopes (Theil and Sen). Counted are only pairs between which load reached no
new height, so that what a cache grew to at its busiest is no leak. A leak must show in both halves of the time looked
at, or it was a step.

Reference: P. K. Sen, Estimates of the regression coefficient based on Kendall's tau, JASA 63, 1968.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from tocsin.model.arrays import F8, Mask

SECOND: Final = 1_000_000_000
BLOCK_NS: Final = 1800 * SECOND
DAY_S: Final = 86_400.0
BLOCKS: Final = 72
"""Half hours that are looked at: 36 hours."""
LEAST_BLOCKS: Final = 60
LEAST_PAIRS: Final = 40
EQUAL: Final = 0.1
"""Loads are equal within this share of the range they had."""
NEW_HEIGHT: Final = 1.02
LEAST_APART: Final = 8
"""Half hours between the two of a pair."""
HALVES: Final = 0.7
"""Share of the whole slope that each half must show."""
SIGMAS: Final = 5.0
RELEASED: Final = 4.0
"""A fall by so many times what half hours usually differ, at equal load, is memory given back: all begins anew."""
LEAST_FALL: Final = 0.004


class Leak(NamedTuple):
    """Growth at equal load: the least that is sure and the likeliest, as shares of the whole per day; days to full."""

    least_per_day: float
    per_day: float
    days_to_full: float


@dataclass(slots=True)
class EqualLoad:
    """Half hours of one reading and of the load: `fold` takes values in, `leak` judges the whole ones."""

    block: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    times: list[float] = field(default_factory=list)  # days
    values: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)  # the most load there was until then
    height: float = 0.0
    found: Leak | None = None

    def fold(self, now: int, value: float, load: float) -> None:
        """Take one value (0 to 1) and the load at `now` (ns)."""
        block = now // BLOCK_NS
        if block != self.block and self.sums[0] > 0:
            self._close()
        self.block = block
        self.height = max(self.height, load)
        self.sums = [self.sums[0] + 1, self.sums[1] + value, self.sums[2] + load]

    def _close(self) -> None:
        n, value, load = self.sums
        self.sums = [0.0, 0.0, 0.0]
        value, load = value / n, load / n
        if self._given_back(value, load):
            self.times, self.values, self.loads, self.heights = [], [], [], []
            self.height = load
        for kept, new in (
            (self.times, (self.block + 0.5) * BLOCK_NS / SECOND / DAY_S),
            (self.values, value),
            (self.loads, load),
            (self.heights, self.height),
        ):
            kept.append(new)
            del kept[:-BLOCKS]
        self.found = leak_of(np.array(self.times), np.array(self.values), np.array(self.loads), np.array(self.heights))

    def _given_back(self, value: float, load: float) -> bool:
        """Whether memory fell though the load did not: a restart, or a clean-up."""
        if len(self.values) < 2 * LEAST_APART:
            return False
        values, loads = np.array([*self.values, value]), np.array([*self.loads, load])
        spread = float(np.quantile(loads, 0.95) - np.quantile(loads, 0.05))
        at_equal_load = values - _per_load(values, loads, spread) * loads
        usual = 1.4826 * float(np.median(np.abs(np.diff(at_equal_load))))
        return float(at_equal_load[-2:].max()) < float(at_equal_load[-6:-2].min()) - max(RELEASED * usual, LEAST_FALL)

    def snapshot(self) -> list[Any]:
        """All state, as JSON can hold it."""
        found = list(self.found) if self.found else None
        return [self.block, self.sums, self.times, self.values, self.loads, self.heights, self.height, found]

    @staticmethod
    def of(state: list[Any]) -> EqualLoad:
        """State back from a snapshot."""
        block, sums, times, values, loads, heights, height, found = state
        whole = Leak(*found) if found else None
        return EqualLoad(block, list(sums), list(times), list(values), list(loads), list(heights), height, whole)


def leak_of(times: F8, values: F8, loads: F8, heights: F8) -> Leak | None:
    """The leak that half hours show, each (n,), times in days; None while none is sure.

    >>> t = np.arange(72) / 48
    >>> found = leak_of(t, 0.5 + 0.01 * t, np.ones(72), np.ones(72))
    >>> round(found.per_day, 4), round(found.days_to_full)
    (0.01, 49)
    """
    if len(times) < LEAST_BLOCKS:
        return None
    slopes, first, second = _slopes(times, values, loads, heights)
    if len(slopes) < LEAST_PAIRS or min(len(first), len(second)) < LEAST_PAIRS // 4:
        return None
    middle = float(np.median(slopes))
    halves = float(np.median(first)), float(np.median(second))
    if middle <= 0 or min(halves) < HALVES * middle or max(halves) > middle / HALVES:
        return None
    # pairs share their ends: as many are independent as there are half hours, less two
    spread = 1.4826 * float(np.median(np.abs(slopes - middle)))
    error = 1.2533 * spread / math.sqrt(len(times) - 2)
    least = middle - SIGMAS * error
    full = max(0.0, 1 - float(values[-48:].max())) / middle
    return Leak(least, middle, full) if least > 0 else None


def _slopes(times: F8, values: F8, loads: F8, heights: F8) -> tuple[F8, F8, F8]:
    """Slopes of all good pairs, and of those within the first and the second half."""
    i, j = np.triu_indices(len(times), LEAST_APART)
    spread = float(np.quantile(loads, 0.95) - np.quantile(loads, 0.05))
    tolerance = max(EQUAL * spread, 0.02 * float(np.abs(loads).max()))
    with_load = _per_load(values, loads, spread)
    moved = loads[j] - loads[i]
    good: Mask = (np.abs(moved) <= tolerance) & (heights[j] <= NEW_HEIGHT * heights[i] + 1e-12)
    slope = (values[j] - values[i] - with_load * moved) / (times[j] - times[i])
    half = len(times) // 2
    return slope[good], slope[good & (j < half)], slope[good & (i >= half)]


def _per_load(values: F8, loads: F8, spread: float) -> float:
    """By how much the reading follows the load, from neighbouring half hours; jumps of either count little."""
    if spread <= 0 or len(loads) < LEAST_APART:
        return 0.0
    moved, grown = np.diff(loads), np.diff(values)
    rough = float((moved * grown).sum() / max(float((moved * moved).sum()), 1e-12))
    off = np.abs(grown - rough * moved)
    good = off <= 3 * 1.4826 * float(np.median(off)) + 1e-9
    return float((moved * grown)[good].sum() / max(float((moved * moved)[good].sum()), 1e-12))
