"""How far the single observations behind a mean lie apart: number, variance and range by slice, combined as windows are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.model.arrays import F8, I4, Array
from tocsin.model.rows import grown
from tocsin.stats.jit import njit

COUNT, MEAN, SQUARES, LOW, HIGH = range(5)
_FILL: Final = np.array([0.0, 0.0, 0.0, math.inf, -math.inf])


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Independent observations behind each mean, all (n,): how many, their variance, the least and the greatest."""

    count: F8
    variance: F8
    low: F8
    high: F8

    def take(self, pick: Array) -> Spread:
        """Those selected by a mask or an index."""
        return Spread(self.count[pick], self.variance[pick], self.low[pick], self.high[pick])

    @staticmethod
    def unknown(n: int) -> Spread:
        """Nothing is known: no observation is independent of the others."""
        return Spread(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n))

    @staticmethod
    def concat(parts: list[Spread]) -> Spread:
        """All parts, one after the other."""
        return Spread(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("count", "variance", "low", "high"))
        )


class Spreads:
    """What `Spread` is made of, for all groups of a lane, (groups, slices, 5)."""

    def __init__(self, slices: int) -> None:
        self.cells: F8 = np.zeros((0, slices, len(_FILL)))

    def advance(self, n: int, now: int, left: int, local: I4, value: F8, weight: F8, low: F8, high: F8) -> None:
        """Empty `left` slices back from `now`, of `n` groups, and fill the newest with samples in their order."""
        have = len(self.cells)
        if n > have:
            self.cells = grown(self.cells, n, 0.0).astype("f8", copy=False)
            self.cells[have:] = _FILL
        slices = self.cells.shape[1]
        for back in range(left):
            self.cells[:, (now + slices - back) % slices] = _FILL
        _fill(local, value, weight, low, high, now % slices, self.cells)

    def of(self, pick: I4, now: int) -> Spread:
        """The whole window of these groups, (m,)."""
        out = np.empty((len(pick), len(_FILL)))
        _combine(pick, now, self.cells, out)
        variance = np.maximum(out[:, SQUARES], 0.0) / np.maximum(out[:, COUNT], 1.0)
        return Spread(out[:, COUNT].copy(), variance, out[:, LOW].copy(), out[:, HIGH].copy())

    def snapshot(self, n: int) -> dict[str, Array]:
        """Copy of all state."""
        return {"spread": self.cells[:n].copy()}

    def restore(self, state: Mapping[str, Array], n: int) -> None:
        """Take a snapshot back; one of before they were kept knows nothing of `n` groups."""
        self.cells = np.empty((n, *self.cells.shape[1:]))
        self.cells[:] = state.get("spread", _FILL)


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1],i8,f8[:,:,::1])")
def _fill(local: I4, value: F8, weight: F8, low: F8, high: F8, cell: int, cells: F8) -> None:
    """Add samples to the newest slice of their groups, by Welford's update with weights."""
    for i in range(local.size):
        c = cells[local[i], cell]
        c[COUNT] += weight[i]
        if c[COUNT] > 0.0:
            gap = value[i] - c[MEAN]
            c[MEAN] += gap * weight[i] / c[COUNT]
            c[SQUARES] += weight[i] * gap * (value[i] - c[MEAN])
        c[LOW] = min(c[LOW], low[i])
        c[HIGH] = max(c[HIGH], high[i])


@njit("void(i4[::1],i8,f8[:,:,::1],f8[:,::1])")
def _combine(pick: I4, now: int, cells: F8, out: F8) -> None:
    """All slices of a window as one, oldest first.

    Reference: T. F. Chan, G. H. Golub, R. J. LeVeque, Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances, 1979.
    """
    slices = cells.shape[1]
    for i in range(pick.size):
        n, mean, squares, low, high = 0.0, 0.0, 0.0, math.inf, -math.inf
        for k in range(slices):
            c = cells[pick[i], (now + 1 + k) % slices]
            if c[COUNT] <= 0.0:
                continue
            both, gap = n + c[COUNT], c[MEAN] - mean
            squares += c[SQUARES] + gap * gap * n * c[COUNT] / both
            mean += gap * c[COUNT] / both
            n, low, high = both, min(low, c[LOW]), max(high, c[HIGH])
        out[i, COUNT], out[i, MEAN], out[i, SQUARES], out[i, LOW], out[i, HIGH] = n, mean, squares, low, high
