"""What a series' data are like, learned as they come, and which members of the ensemble suit them."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import ClassVar, Final, NamedTuple

import numpy as np

from tocsin.model.arrays import F8, I4, I8, U1, Mask
from tocsin.model.detection import Step
from tocsin.stats.columns import Columns, column
from tocsin.stats.jit import njit

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
LONGEST_S: Final = 86_400.0
MOST: Final = 1e150
"""Values count no further, so that their squares are numbers."""
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


STILL_AT, ZERO_AT, WHOLE_AT, PAIRED_AT, STEP_S_AT = 0, 1, 2, 3, 4
"""Shares of values as the one before, that are 0, whole and >= 0, at one of two levels; and the mean step."""
MEAN_AT, VAR_AT, LAG_AT, GAP_AT, VALUE_AT = 0, 1, 2, 3, 4
"""Mean, variance, covariance of a value with the one before; the gap of the latest from the mean, and the latest."""


class Traits(Columns):
    """Running traits of each row: length of its steps, shares of values of some kind, how one value follows another."""

    kind: ClassVar[str] = "traits"
    seen: I4 = column(0, "i4")
    time: I8 = column(0, "i8")
    shares: F8 = column(0.0, shape=(5,))
    moments: F8 = column(0.0, shape=(5,))
    levels: F8 = column(np.nan, shape=(2,))
    verdict: U1 = column(Kind.UNKNOWN, "u1")  # kind in force
    candidate: U1 = column(Kind.UNKNOWN, "u1")  # kind of the latest review

    def learn(self, step: Step) -> None:
        """Take finite values in, (n,)."""
        self.touch(step.rows)
        _learn(step.rows, step.time, step.value, self.seen, self.time, self.shares, self.moments, self.levels)

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
        shares, moments = self.shares[rows], self.moments[rows]
        tests = {
            Kind.STABLE: shares[:, STILL_AT] >= STILL,
            Kind.ON_OFF: (shares[:, PAIRED_AT] >= TWO_LEVELS) & ~np.isnan(self.levels[rows, 1]),
            Kind.SPARSE: (shares[:, STEP_S_AT] >= SLOW_S) | (shares[:, ZERO_AT] >= EMPTY),
            Kind.COUNTS: (shares[:, WHOLE_AT] >= WHOLE) & (moments[:, MEAN_AT] <= FEW),
            Kind.SEASONAL: seasonal,
            Kind.NOISE: ~(moments[:, LAG_AT] >= DEPENDENT * moments[:, VAR_AT]),
            Kind.HIGH_FREQUENCY: shares[:, STEP_S_AT] <= FAST_S,
        }
        found: U1 = np.select(list(tests.values()), list(tests), Kind.SLOW).astype("u1")
        return found


@njit("void(i4[::1],i8[::1],f8[::1],i4[::1],i8[::1],f8[:,::1],f8[:,::1],f8[:,::1])")
def _learn(rows: I4, time: I8, value: F8, seen: I4, latest: I8, shares: F8, moments: F8, levels: F8) -> None:
    for i in range(rows.size):
        r, x = rows[i], value[i]
        s, m, two = shares[r], moments[r], levels[r]
        rate = 1.0 / min(seen[r] + 1.0, MEMORY)
        if seen[r] > 0:
            later = 1.0 / min(float(seen[r]), MEMORY)
            step_s = min(max((time[i] - latest[r]) / 1e9, 0.0), LONGEST_S)
            s[STEP_S_AT] += later * (step_s - s[STEP_S_AT])
            s[STILL_AT] += later * ((1.0 if x == m[VALUE_AT] else 0.0) - s[STILL_AT])
        s[ZERO_AT] += rate * ((1.0 if x == 0.0 else 0.0) - s[ZERO_AT])
        s[WHOLE_AT] += rate * ((1.0 if x >= 0.0 and math.floor(x) == x else 0.0) - s[WHOLE_AT])
        # two levels are the first two values there were; where they hold too little, the next two
        if math.isnan(two[0]):
            two[0] = x
        elif math.isnan(two[1]) and x != two[0]:
            two[1] = x
        held = x == two[0] or x == two[1]
        s[PAIRED_AT] += rate * ((1.0 if held else 0.0) - s[PAIRED_AT])
        if s[PAIRED_AT] < EMPTY and not held:
            two[0] = two[1] = math.nan
        # once there are some, a value counts up to 4 sds
        gap = min(max(x, -MOST), MOST) - m[MEAN_AT]
        if seen[r] >= 15 and m[VAR_AT] > 0.0:
            bound = 4.0 * math.sqrt(m[VAR_AT])
            gap = min(max(gap, -bound), bound)
        m[MEAN_AT] += rate * gap
        m[VAR_AT] = (1.0 - rate) * (m[VAR_AT] + rate * gap * gap)
        m[LAG_AT] += rate * (gap * m[GAP_AT] - m[LAG_AT])
        m[GAP_AT], m[VALUE_AT] = gap, x
        latest[r] = time[i]
        seen[r] += 1
