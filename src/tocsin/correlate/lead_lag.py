"""Which of two residuals leads: by cross-correlation, and by dynamic time warping as a second opinion.

Cross-correlation: the lag with the greatest Pearson correlation of the overlap. Dynamic time warping: Sakoe and Chiba,
IEEE Trans. ASSP 26 (1978), in a band; its lag is the mean offset of the path where either moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tocsin.model.arrays import F8

MOST_POINTS = 120
LEAST_POINTS = 8
BAND = 0.2
"""Greatest lag looked at, as a share of the points."""
CORRELATED = 0.5


@dataclass(frozen=True, slots=True)
class Lag:
    """By how many seconds the first leads the second (negative: follows), and how alike they are at that lag."""

    seconds: float
    correlation: float
    warped_s: float

    @property
    def agreed(self) -> bool:
        """Whether both ways name the same leader."""
        return self.correlation >= CORRELATED and self.seconds * self.warped_s > 0


def lag(time_a: F8, a: F8, time_b: F8, b: F8) -> Lag | None:
    """How a leads b; readings (n,), (m,) at times in seconds; None where they share too little time.

    >>> t = np.arange(60.0)
    >>> found = lag(t, (t > 30).astype("f8"), t, (t > 33).astype("f8"))
    >>> found.seconds, found.warped_s > 0, found.agreed
    (3.0, True, True)
    """
    if min(len(a), len(b)) < LEAST_POINTS:
        return None
    begin, end = max(time_a[0], time_b[0]), min(time_a[-1], time_b[-1])
    step = max(float(np.median(np.diff(time_a))), float(np.median(np.diff(time_b))))
    if step <= 0 or end - begin < (LEAST_POINTS - 1) * step:
        return None
    points = min(MOST_POINTS, round((end - begin) / step) + 1)
    grid = np.linspace(begin, end, points)
    one, other = np.interp(grid, time_a, a), np.interp(grid, time_b, b)
    tick = float(end - begin) / (points - 1)
    most = max(1, int(points * BAND))
    steps, correlation = _by_correlation(np.abs(one), np.abs(other), most)
    return Lag(steps * tick, correlation, _by_warping(_unit(one), _unit(other), most) * tick)


def _unit(values: F8) -> F8:
    spread = float(np.abs(values).max())
    return np.asarray(np.abs(values) / spread if spread > 0 else values, "f8")


def _by_correlation(a: F8, b: F8, most: int) -> tuple[int, float]:
    best, at = -2.0, 0
    for steps in sorted(range(-most, most + 1), key=lambda each: (abs(each), each)):
        left = a[: len(a) - steps] if steps >= 0 else a[-steps:]
        right = b[steps:] if steps >= 0 else b[:steps]
        if len(left) < LEAST_POINTS or left.std() < 1e-12 or right.std() < 1e-12:
            continue
        found = float(np.corrcoef(left, right)[0, 1])
        if found > best + 1e-9:
            best, at = found, steps
    return at, best


def _by_warping(a: F8, b: F8, most: int) -> float:
    """Mean of j - i along the path, over the steps on which either value is well off its rest."""
    n = len(a)
    cost = np.full((n + 1, n + 1), np.inf)
    cost[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(max(1, i - most), min(n, i + most) + 1):
            near = min(cost[i - 1, j - 1], cost[i - 1, j], cost[i, j - 1])
            cost[i, j] = abs(a[i - 1] - b[j - 1]) + near
    i = j = n
    offsets: list[int] = []
    while i > 0 and j > 0:
        if max(a[i - 1], b[j - 1]) > 0.5 * 0.2:
            offsets.append(j - i)
        ways = ((cost[i - 1, j - 1], i - 1, j - 1), (cost[i - 1, j], i - 1, j), (cost[i, j - 1], i, j - 1))
        _, i, j = min(ways, key=lambda way: way[0])
    return float(np.mean(offsets)) if offsets else 0.0
