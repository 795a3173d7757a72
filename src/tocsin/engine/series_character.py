"""What a series' data are like, learned as they come, and which members of the ensemble suit them."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Final, NamedTuple

import numpy as np

from tocsin.model.arrays import F8, I4, I8, U1, Mask
from tocsin.model.detection import Step
from tocsin.stats.columns import Columns, column

MEMORY: Final = 500.0
"""Steps over which shares are averaged."""
SLOW_S: Final = 600.0
"""Step from which on a series is one of few values, as business figures are."""
FAST_S: Final = 60.0
"""Step up to which a series is of high frequency, as infrastructure's are."""
TWO_LEVELS: Final = 0.98
STILL: Final = 0.9
EMPTY: Final = 0.5
WHOLE: Final = 0.99
DEPENDENT: Final = 0.3
"""Correlation of a value with the one before it, from which on the way into a value tells something."""
FEW: Final = 100.0
"""Mean up to which whole numbers are counts of events; beyond, their grain is not seen."""
FIRST_REVIEW: Final = 60
REVIEW_EVERY: Final = 240


class Kind(IntEnum):
    """Kinds of series; the names are those of B17."""

    UNKNOWN = 0
    ON_OFF = 1
    STABLE = 2
    SPARSE = 3
    COUNTS = 4
    SEASONAL = 5
    HIGH_FREQUENCY = 6
    SLOW = 7
    NOISE = 8


class Seat(NamedTuple):
    """A member of the ensemble: its name, and microseconds to score, calibrate and learn a point, upper bounds."""

    name: str
    cost_us: float


SEATS: Final = (
    Seat("baseline", 2.5),
    Seat("novelty", 6.5),
    Seat("pca", 2.5),
    Seat("kmeans", 1.5),
    Seat("relative_entropy", 3.2),
    Seat("half_space_trees", 3.3),
)
"""Costs are those of docs/detectors.md and of a calibrator each."""
NAMES: Final = tuple(seat.name for seat in SEATS)
PREFERRED: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.UNKNOWN: ("baseline", "novelty"),
    Kind.ON_OFF: ("baseline", "novelty"),
    Kind.STABLE: ("baseline", "novelty"),
    Kind.SPARSE: ("baseline", "half_space_trees", "novelty", "kmeans", "pca"),
    Kind.COUNTS: ("baseline", "relative_entropy", "novelty", "kmeans"),
    Kind.SEASONAL: ("baseline", "pca", "novelty"),
    Kind.HIGH_FREQUENCY: ("baseline", "pca", "novelty"),
    Kind.SLOW: ("baseline", "pca", "novelty"),
    Kind.NOISE: ("baseline", "relative_entropy", "novelty", "kmeans"),
}
"""Members for each kind of data, the most needed first; the first always runs.

Where a value depends on the one before, principal components of shingles, a linear autoencoder, know the way into it;
where it doesn't, only its distribution tells something. Sparse series get the forest. What stands still or switches
has no shape. Novelty, which sees what is larger than all before, runs everywhere.
"""
ALLOWED_US: Final = 1_000_000.0
"""Core time that one step of all series may take: with steps of ten seconds a tenth of a core."""


def allowance_us(series: int) -> float:
    """Core time that one series may take for a step when so many are watched; their number counts by powers of two.

    >>> allowance_us(100), allowance_us(100_000)
    (7812.5, 7.62939453125)
    """
    return ALLOWED_US / float(1 << max(series - 1, 0).bit_length())


def members_for(kind: Kind, series: int) -> tuple[str, ...]:
    """Members that suit a kind and that so many series leave time for.

    >>> members_for(Kind.SEASONAL, 50_000), members_for(Kind.SEASONAL, 100_000), members_for(Kind.SEASONAL, 10**6)
    (('baseline', 'pca', 'novelty'), ('baseline', 'pca'), ('baseline',))
    """
    costs = dict(SEATS)
    allowed, chosen = allowance_us(series), [PREFERRED[kind][0]]
    left = allowed - costs[chosen[0]]
    for name in PREFERRED[kind][1:]:
        if costs[name] <= left:
            chosen.append(name)
            left -= costs[name]
    return tuple(chosen)


class Traits(Columns):
    """Running traits of each row: length of its steps, shares of values of some kind, how one value follows another."""

    kind: ClassVar[str] = "traits"
    seen: I4 = column(0, "i4")
    time: I8 = column(0, "i8")
    value: F8 = column(0.0)
    step_s: F8 = column(0.0)
    still: F8 = column(0.0)  # share of values like the one before
    zero: F8 = column(0.0)
    whole: F8 = column(0.0)  # share of whole numbers >= 0
    paired: F8 = column(0.0)  # share of values at one of two levels
    levels: F8 = column(np.nan, shape=(2,))
    mean: F8 = column(0.0)
    var: F8 = column(0.0)
    lag: F8 = column(0.0)  # covariance of a value with the one before
    gap: F8 = column(0.0)  # of the value before, from the mean
    verdict: U1 = column(Kind.UNKNOWN, "u1")  # kind in force
    candidate: U1 = column(Kind.UNKNOWN, "u1")  # kind of the latest review

    def learn(self, step: Step) -> None:
        """Take finite values in, (n,)."""
        self.touch(step.rows)
        rows, x = step.rows, step.value
        seen = self.seen[rows]
        rate = 1.0 / np.minimum(seen + 1.0, MEMORY)
        again = seen > 0
        gap_s = np.maximum(step.time - self.time[rows], 0) / 1e9
        later = 1.0 / np.minimum(np.maximum(seen, 1), MEMORY)
        self.step_s[rows] += np.where(again, later * (np.minimum(gap_s, 86_400.0) - self.step_s[rows]), 0.0)
        self.still[rows] += np.where(again, later * ((x == self.value[rows]) - self.still[rows]), 0.0)
        self.zero[rows] += rate * ((x == 0.0) - self.zero[rows])
        self.whole[rows] += rate * (((x >= 0.0) & (np.floor(x) == x)) - self.whole[rows])
        self._follow(rows, x, rate)
        self._pair(rows, x, rate)
        self.time[rows], self.value[rows] = step.time, x
        self.seen[rows] += 1

    def _follow(self, rows: I4, x: F8, rate: F8) -> None:
        """Mean, variance and covariance with the value before, a value counting up to 4 sds once there are some."""
        gap = np.clip(x, -1e150, 1e150) - self.mean[rows]
        bound = np.where(self.seen[rows] >= 15, 4.0 * np.sqrt(self.var[rows]), np.inf)
        bound = np.where(bound > 0.0, bound, np.abs(gap))
        gap = np.clip(gap, -bound, bound)
        self.mean[rows] += rate * gap
        self.var[rows] = (1.0 - rate) * (self.var[rows] + rate * gap * gap)
        self.lag[rows] += rate * (gap * self.gap[rows] - self.lag[rows])
        self.gap[rows] = gap

    def _pair(self, rows: I4, x: F8, rate: F8) -> None:
        """Two levels are the first two values there were; where they hold too little, the next two."""
        levels = self.levels[rows]
        first = np.isnan(levels[:, 0])
        levels[first, 0] = x[first]
        second = np.isnan(levels[:, 1]) & (x != levels[:, 0])
        levels[second, 1] = x[second]
        held = (x == levels[:, 0]) | (x == levels[:, 1])
        self.paired[rows] += rate * (held - self.paired[rows])
        levels[(self.paired[rows] < EMPTY) & ~held] = np.nan
        self.levels[rows] = levels

    def due(self, rows: I4) -> I4:
        """Rows whose kind is to be looked at now."""
        seen = self.seen[rows]
        found: I4 = rows[(seen == FIRST_REVIEW) | ((seen > 0) & (seen % REVIEW_EVERY == 0))]
        return found

    def review(self, rows: I4, seasonal: Mask) -> U1:
        """Kinds of rows, (n,): the first one found at once, another one when two reviews in a row say so."""
        found = self.kinds(rows, seasonal)
        moved = (self.verdict[rows] == Kind.UNKNOWN) | (found == self.candidate[rows])
        self.verdict[rows] = np.where(moved, found, self.verdict[rows])
        self.candidate[rows] = found
        return self.verdict[rows]

    def kinds(self, rows: I4, seasonal: Mask) -> U1:
        """What the traits say now, (n,); `seasonal` where a season is trusted."""
        tests = {
            Kind.STABLE: self.still[rows] >= STILL,
            Kind.ON_OFF: (self.paired[rows] >= TWO_LEVELS) & ~np.isnan(self.levels[rows, 1]),
            Kind.SPARSE: (self.step_s[rows] >= SLOW_S) | (self.zero[rows] >= EMPTY),
            Kind.COUNTS: (self.whole[rows] >= WHOLE) & (self.mean[rows] <= FEW),
            Kind.SEASONAL: seasonal,
            Kind.NOISE: ~(self.lag[rows] >= DEPENDENT * self.var[rows]),
            Kind.HIGH_FREQUENCY: self.step_s[rows] <= FAST_S,
        }
        found: U1 = np.select(list(tests.values()), list(tests), Kind.SLOW).astype("u1")
        return found
