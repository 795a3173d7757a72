"""Drift of what a detector is given: each row's values of the last days beside those of its first week."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.model.arrays import F8, I4, I8, U1, Mask
from tocsin.stats.columns import Columns, column, numbers_of, rows_of, times_of
from tocsin.stats.jit import njit

F4: TypeAlias = NDArray[np.float32]

DAY_NS: Final = 86_400 * 10**9
LEAST_DAYS: Final = 5
DAYS: Final = 7
"""Days of the reference and of what is compared with it: every day of the week is in both."""
SAMPLE: Final = 256
CELLS: Final = 8
LEAST: Final = 100.0
"""Values in the reference, below which nothing is said."""
BACK: Final = 0.5
"""Share of the threshold under which a drift is over."""
CALM, DRIFTED = 0, 1


class Inputs(Columns):
    """Watches whether a detector still sees what it saw in a row's first seven days; 8 cells of equal shares.

    The cells are those of the first week, drawn by quantiles from 256 of its values taken at even distances. Every
    day the last seven are compared with them: by the population stability index (`psi`), or by the greatest gap of
    the distribution functions at the edges of cells (`ks`). At `threshold`, beyond what the index of so few values is by
    chance, a row has drifted, below half of it no more. Nothing is compared before five of the seven days have values. Days begin at midnight UTC of the values' own time. Ties take one side of an edge, whatever their number.

    Parameters: `test` psi or ks, `threshold` of it.

    References: E. M. Lewis, An Introduction to Credit Scoring, 1994 (index); N. V. Smirnov, Table for Estimating
    the Goodness of Fit of Empirical Distributions, Annals of Mathematical Statistics 1948.

    >>> watch, row, hour = Inputs(), np.zeros(1, "i4"), 3600 * 10**9
    >>> for k in range(24 * 20):
    ...     _ = watch.fold(row, np.array([k * hour]), np.array([k * 7 % 100 + (60.0 if k > 24 * 15 else 0.0)]))
    >>> bool(watch.drifted(row)[0]), watch.explain(0)["input_psi"] > 0.2
    (True, True)
    """

    kind: ClassVar[str] = "inputs"
    day: I4 = column(-1, "i4")
    first: I4 = column(-1, "i4")
    sample: F4 = column(0.0, "f4", (SAMPLE,))
    kept: I4 = column(0, "i4")
    every: I4 = column(1, "i4")
    seen: I8 = column(0, "i8")
    edges: F4 = column(np.nan, "f4", (CELLS - 1,))
    reference: F4 = column(0.0, "f4", (CELLS,))  # counts a day
    days: F4 = column(0.0, "f4", (DAYS, CELLS))
    distance: F8 = column(np.nan, "f8", (2,))  # psi, ks
    state: U1 = column(CALM, "u1")
    drifts: I4 = column(0, "i4")

    def __init__(self, *, test: Literal["psi", "ks"] = "psi", threshold: float = 0.2) -> None:
        super().__init__()
        if not threshold > 0:
            raise ValueError(f"inputs: threshold must be above 0, got {threshold}")
        self._which, self.threshold = int(test == "ks"), float(threshold)

    def fold(self, rows: I4, time: I8, value: F8) -> I4:
        """Take values in, each (n,), NaN is none; gives the rows that have drifted or come back just now."""
        known = np.isfinite(value)
        rows, time, value = rows_of(rows[known]), times_of(time[known]), numbers_of(value[known])
        self.touch(rows)
        moved = np.zeros(rows.size, np.uint8)
        _fold(
            rows, time, value, self.day, self.first, self.sample, self.kept, self.every, self.seen, self.edges,
            self.reference, self.days, self.distance, self.state, self.drifts, self._which, self.threshold, moved,
        )  # fmt: skip
        found: I4 = rows[moved > 0]
        return found

    def drifted(self, rows: I4) -> Mask:
        """Whether what these rows are given has drifted, (n,)."""
        self.reserve(rows)
        found: Mask = self.state[rows] == DRIFTED
        return found

    def settle(self, rows: I4) -> None:
        """Take what these rows were given of late for their reference: the detector was fitted to it."""
        for row in rows.tolist():
            _settle(self.reference[row], self.days[row])
            self.state[row] = CALM

    def explain(self, row: int) -> Mapping[str, float]:
        """Distances of the last seven days from the first seven, NaN before there are two weeks, and drifts so far."""
        if row >= self.size:
            return {}
        psi, ks = self.distance[row].tolist()
        return {"input_psi": psi, "input_ks": ks, "input_drifts": float(self.drifts[row])}


@njit()
def cell_of(x: float, edges: F4) -> int:
    """Number of the cell of a value."""
    found = 0
    for k in range(CELLS - 1):
        if x > edges[k]:
            found += 1
    return found


@njit()
def psi(reference: F4, present: F8) -> float:
    """Population stability index of two rows of counts; half a count at least in each cell."""
    left, right, found = 0.0, 0.0, 0.0
    for k in range(CELLS):
        left += reference[k]
        right += present[k]
    for k in range(CELLS):
        p = max(float(reference[k]), 0.5) / left
        q = max(present[k], 0.5) / right
        found += (q - p) * math.log(q / p)
    return found


@njit()
def ks(reference: F4, present: F8) -> float:
    """Greatest gap of two distribution functions at the edges of cells."""
    left, right, p, q, found = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(CELLS):
        left += reference[k]
        right += present[k]
    for k in range(CELLS):
        p += reference[k] / left
        q += present[k] / right
        found = max(found, abs(p - q))
    return found


@njit()
def _collect(x: float, r: int, sample: F4, kept: I4, every: I4, seen: I8) -> None:
    """Keep values at even distances; where they are too many, every other one."""
    if seen[r] % every[r] == 0:
        if kept[r] == SAMPLE:
            for k in range(SAMPLE // 2):
                sample[k] = sample[2 * k]
            kept[r] = SAMPLE // 2
            every[r] *= 2
        if seen[r] % every[r] == 0:
            sample[kept[r]] = x
            kept[r] += 1
    seen[r] += 1


@njit()
def _draw(sample: F4, kept: int, seen: int, edges: F4, reference: F4, days: F4) -> None:
    """Cells of equal shares, what is in them, and a first week that is like it in place of the days to come."""
    ordered = np.sort(sample[:kept])
    for k in range(CELLS - 1):
        edges[k] = ordered[min((k + 1) * kept // CELLS, kept - 1)]
    reference[:] = 0.0
    for k in range(kept):
        reference[cell_of(ordered[k], edges)] += seen / kept / DAYS
    for d in range(DAYS):
        days[d] = reference


@njit()
def _settle(reference: F4, days: F4) -> None:
    for k in range(CELLS):
        total = 0.0
        for d in range(DAYS):
            total += days[d, k]
        reference[k] = total / DAYS


@njit()
def _compare(reference: F4, days: F4, distance: F8) -> float:
    """Distances of the latest days; gives how large the index is by chance, infinite where too little is known.

    Of independent values of one law it is (1 / n + 1 / m) times a chi-square of cells - 1 degrees; this is the mean
    and two sds of that: B. Yurdakul, Statistical Properties of Population Stability Index, 2018.
    """
    present = np.zeros(CELLS)
    first, total, whole = 0.0, 0.0, 0
    for d in range(DAYS):
        here = 0.0
        for k in range(CELLS):
            present[k] += days[d, k]
            here += days[d, k]
        total += here
        whole += 1 if here > 0.0 else 0
    if whole < LEAST_DAYS:
        return math.inf
    for k in range(CELLS):
        first += reference[k] * DAYS
    distance[0], distance[1] = psi(reference * np.float32(DAYS), present), ks(reference, present)
    return (CELLS - 1 + 2.0 * math.sqrt(2.0 * (CELLS - 1))) * (1.0 / first + 1.0 / total)


@njit(
    "void(i4[::1],i8[::1],f8[::1],i4[::1],i4[::1],f4[:,::1],i4[::1],i4[::1],i8[::1],f4[:,::1],f4[:,::1],f4[:,:,::1],"
    "f8[:,::1],u1[::1],i4[::1],i8,f8,u1[::1])"
)
def _fold(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, time: I8, value: F8, day: I4, first: I4, sample: F4, kept: I4, every: I4, seen: I8, edges: F4,
    reference: F4, days: F4, distance: F8, state: U1, drifts: I4, which: int, threshold: float, moved: U1,
) -> None:  # fmt: skip
    for i in range(rows.size):
        r, today = rows[i], time[i] // DAY_NS
        if first[r] < 0:
            first[r] = day[r] = today
        if today - first[r] < DAYS or (math.isnan(edges[r, 0]) and seen[r] < LEAST):
            _collect(value[i], r, sample[r], kept, every, seen)
            day[r] = max(today, day[r])
            continue
        if math.isnan(edges[r, 0]):
            _draw(sample[r], kept[r], seen[r], edges[r], reference[r], days[r])
            day[r] = today
            days[r, today % DAYS] = 0.0
        if today > day[r]:
            chance = _compare(reference[r], days[r], distance[r])
            far = distance[r, which] - (chance if which == 0 or math.isinf(chance) else 0.0)
            for d in range(day[r] + 1, min(today, day[r] + DAYS) + 1):
                days[r, d % DAYS] = 0.0
            day[r] = today
            if state[r] == CALM and far >= threshold:
                state[r] = DRIFTED
                drifts[r] += 1
                moved[i] = 1
            elif state[r] == DRIFTED and -math.inf < far < BACK * threshold:
                state[r] = CALM
                moved[i] = 1
        days[r, day[r] % DAYS, cell_of(value[i], edges[r])] += 1.0
