"""DBSCAN: whether the shingle lies within reach of a place where the past is dense."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tocsin.detect.array import column
from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.rings import robust_mean, unroll
from tocsin.stats.shingles import pairs


class Dbscan(Shingled):
    """Score = distance to the nearest core shingle in thirds of eps: above 3 the shingle is noise to DBSCAN.

    A core shingle has `neighbours` others within eps; eps is `reach` times the usual distance to the k-th
    neighbour. Shingles that share values with the newest are left out.

    Parameters: `window` in steps, values of a shingle; `neighbours`, k; `reach`; `kept` values; `warmup` in steps.

    Reference: M. Ester, H.-P. Kriegel, J. Sander and X. Xu, A Density-Based Algorithm for Discovering Clusters,
    KDD 1996.

    >>> from tocsin.model.detection import Step
    >>> d = Dbscan(window=1, neighbours=3, warmup=12)
    >>> for k in range(60):
    ...     v = [1.0, 1.1, 9.0, 9.3][k % 4] + 0.01 * (k % 7) if k < 59 else 5.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3
    True
    """

    name: ClassVar[str] = "dbscan"
    kth: F8 = column(0.0)  # usual distance to the k-th neighbour

    def __init__(
        self, *, window: float = 3, neighbours: float = 5, reach: float = 2, kept: float = 96, warmup: float = 40
    ) -> None:
        self.window, self.neighbours, self.reach = int(window), int(neighbours), float(reach)
        if not (self.window >= 1 and self.neighbours >= 1 and kept >= 2 * self.window + self.neighbours and reach > 0):
            raise ValueError(
                f"dbscan: window and neighbours must be at least 1, kept at least 2 windows and the neighbours and "
                f"reach above 0, got {window:g}, {neighbours:g}, {kept:g} and {reach:g}"
            )
        super().__init__(kept=int(kept), warmup=warmup, least=2 * self.window + self.neighbours)

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full((rows.size, 4), np.nan)
        _reaches(rows, value, np.zeros(rows.size), self.ring, self.kth, self.seen, self._shape(), self.reach, out)
        return out[:, 0].copy()

    def _unit(self, rows: I4, gap: F8) -> F8:
        usual = super()._unit(rows, gap)
        eps: F8 = np.where(self.kth[rows] > 0.0, self.reach * self.kth[rows] / 3.0, usual)
        return eps

    def _reach(self, rows: I4, radius: F8) -> tuple[F8, F8, F8]:
        out = np.full((rows.size, 4), np.nan)
        _reaches(rows, self.level[rows], radius, self.ring, self.kth, self.seen, self._shape(), self.reach, out)
        return out[:, 1].copy(), out[:, 2].copy(), out[:, 3].copy()

    def _train(self, step: Step, weight: F8) -> None:
        _train(step.rows, step.value, weight, self.ring, self.kth, self.seen, self._shape())

    def _shape(self) -> tuple[int, int]:
        return self.window, self.neighbours


@njit()
def partly(past: F8, window: int, into: F8) -> int:
    """Squared differences of the newest shingle, its newest value left out, to those without a shared value."""
    found = past.size - 2 * window + 2
    for s in range(found):
        into[s] = 0.0
        for j in range(window - 1):
            into[s] += (past[past.size - window + 1 + j] - past[s + j]) ** 2
    return max(found, 0)


@njit()
def is_core(between: F8, s: int, n: int, neighbours: int, eps: float) -> bool:
    """Whether so many others lie within eps."""
    near = 0
    for o in range(n):
        if o != s and between[s, o] <= eps:
            near += 1
    return near >= neighbours


@njit("void(i4[::1],f8[::1],f8[::1],f8[:,::1],f8[::1],i4[::1],UniTuple(i8,2),f8,f8[:,::1])")
def _reaches(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, radius: F8, ring: F8, kth: F8, seen: I4, shape: tuple[int, int], reach: float, out: F8
) -> None:
    """Distance to the nearest core shingle; lowest, middle and highest newest value within `radius` of one."""
    window, neighbours = shape
    kept, between = np.empty(ring.shape[1]), np.empty((ring.shape[1], ring.shape[1]))
    squares = np.empty(kept.size)
    for i in range(rows.size):
        r = rows[i]
        past = kept[: unroll(ring[r], seen[r], kept)]
        n = partly(past, window, squares)
        if n <= neighbours:
            continue
        pairs(past[: n + window - 1], window, between)
        eps, some = reach * kth[r], False
        for s in range(n):
            some = some or is_core(between, s, n, neighbours, eps)
        best, least, middle, low, high = math.inf, math.inf, math.nan, math.inf, -math.inf
        for s in range(n):
            # where nothing is dense, everything counts
            if some and not is_core(between, s, n, neighbours, eps):
                continue
            own = past[s + window - 1]
            best = min(best, squares[s] + (value[i] - own) ** 2)
            if squares[s] < least:
                least, middle = squares[s], own
            room = window * radius[i] * radius[i] - squares[s]
            if room >= 0.0:
                low, high = min(low, own - math.sqrt(room)), max(high, own + math.sqrt(room))
        out[i, 0] = math.sqrt(best / window)
        out[i, 1], out[i, 2], out[i, 3] = min(low, middle), middle, max(high, middle)


@njit("void(i4[::1],f8[::1],f8[::1],f8[:,::1],f8[::1],i4[::1],UniTuple(i8,2))")
def _train(rows: I4, value: F8, weight: F8, ring: F8, kth: F8, seen: I4, shape: tuple[int, int]) -> None:
    window, neighbours = shape
    kept, squares = np.empty(ring.shape[1]), np.empty(ring.shape[1])
    for i in range(rows.size):
        r = rows[i]
        past = kept[: unroll(ring[r], seen[r], kept)]
        n = partly(past, window, squares)
        if n <= neighbours:
            continue
        for s in range(n):
            squares[s] += (value[i] - past[s + window - 1]) ** 2
        far = math.sqrt(np.sort(squares[:n])[neighbours - 1] / window)
        share = weight[i] * max(0.01, 1.0 / (seen[r] - 2 * window - neighbours + 3.0))
        kth[r] = far if kth[r] == 0.0 else robust_mean(kth[r], far, min(share, 1.0))
