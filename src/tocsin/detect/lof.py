"""Local outlier factor: how much thinner the past lies around a shingle than around its neighbours."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.stats.jit import njit
from tocsin.stats.rings import unroll
from tocsin.stats.shingles import kth_smallest, pairs

ALIKE: Final = 0.01
"""Distances below this share of the kept values' sd count as this much: repeated values are no dense cluster."""


class Lof(Shingled):
    """Score = local outlier factor of the shingle among those of the last `kept` values, over what is usual.

    Shingles that share values with the newest are left out.

    Parameters: `window` in steps, values of a shingle; `neighbours`, k; `kept` values; `warmup` in steps.

    Reference: M. M. Breunig, H.-P. Kriegel, R. T. Ng and J. Sander, LOF: Identifying Density-Based Local Outliers,
    SIGMOD 2000.

    >>> from tocsin.model.detection import Step
    >>> d = Lof(window=1, neighbours=3, warmup=12)
    >>> for k in range(60):
    ...     v = [1.0, 1.1, 9.0, 9.3][k % 4] + 0.01 * (k % 7) if k < 59 else 5.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3
    True
    """

    name: ClassVar[str] = "lof"
    least_unit: ClassVar[float] = 1.0

    def __init__(self, *, window: float = 3, neighbours: float = 10, kept: float = 64, warmup: float = 40) -> None:
        self.window, self.neighbours = int(window), int(neighbours)
        if not (self.window >= 1 and self.neighbours >= 1 and kept >= 2 * self.window + self.neighbours):
            raise ValueError(
                f"lof: window and neighbours must be at least 1 and kept at least 2 windows and the neighbours, "
                f"got {window:g}, {neighbours:g} and {kept:g}"
            )
        super().__init__(kept=int(kept), warmup=warmup, least=2 * self.window + self.neighbours)

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        _factors(rows, value, self.ring, self.seen, self.window, self.neighbours, out)
        return out


@njit()
def distances(past: F8, value: float, window: int, into: F8) -> int:
    """Distance of the newest shingle, which ends with `value`, to every earlier one without a shared value."""
    found = past.size - 2 * window + 2
    for s in range(found):
        square = (value - past[s + window - 1]) ** 2
        for j in range(window - 1):
            square += (past[past.size - window + 1 + j] - past[s + j]) ** 2
        into[s] = math.sqrt(square / window)
    return max(found, 0)


@njit()
def reach(far: F8, radii: F8, own: float, floor: float, skip: int) -> float:
    """Mean reachability distance to the neighbours within `own`: how thin it is here."""
    total, n = 0.0, 0
    for o in range(far.size):
        if o != skip and far[o] <= own:
            total += max(far[o], radii[o], floor)
            n += 1
    return total / n if n else floor


@njit("void(i4[::1],f8[::1],f8[:,::1],i4[::1],i8,i8,f8[::1])")
def _factors(rows: I4, value: F8, ring: F8, seen: I4, window: int, neighbours: int, out: F8) -> None:
    kept, between = np.empty(ring.shape[1]), np.empty((ring.shape[1], ring.shape[1]))
    far, radii, thin, scratch = np.empty(kept.size), np.empty(kept.size), np.empty(kept.size), np.empty(neighbours)
    for i in range(rows.size):
        r = rows[i]
        past = kept[: unroll(ring[r], seen[r], kept)]
        n = distances(past, value[i], window, far)
        if n <= neighbours:
            continue
        floor = ALIKE * float(np.std(past))
        if floor == 0.0:
            floor = ALIKE * max(abs(past[0]), 1e-9)
        pairs(past[: n + window - 1], window, between)
        for s in range(n):
            radii[s] = kth_smallest(between[s, :n], neighbours, s, scratch)
        for s in range(n):
            thin[s] = reach(between[s, :n], radii[:n], radii[s], floor, s)
        own = kth_smallest(far[:n], neighbours, -1, scratch)
        here, near = reach(far[:n], radii[:n], own, floor, -1), 0.0
        count = 0
        for s in range(n):
            if far[s] <= own:
                near += 1.0 / thin[s]
                count += 1
        out[i] = here * near / count
