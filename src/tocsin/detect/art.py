"""Adaptive resonance: shingles that fit none of the categories that the past has formed."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.array import column
from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.moments import robust_moments
from tocsin.stats.rings import unroll
from tocsin.stats.scale import honest_sd

SPAN: Final = 8.0
"""Range of a coordinate in sds, to which vigilance is a share."""
MEMORY: Final = 1000.0


class Art(Shingled):
    """Score = city-block distance of the shingle to the nearest category, a box, in sds of the series.

    A shingle resonates with the nearest box that would stay small enough if it took it in; that box grows to hold
    it. Where none would, it becomes a category of its own, in place of the one that resonated least of late.

    Parameters: `window` in steps, values of a shingle; `categories`; `vigilance` in (0, 1): a box may be
    (1 - vigilance) of 8 sds wide, on average over its sides; `warmup` in steps.

    References: G. A. Carpenter, S. Grossberg and D. B. Rosen, Fuzzy ART, Neural Networks 1991; for time series:
    ARTime in the Numenta Anomaly Benchmark, M. Hampton, 2022.

    >>> from tocsin.model.detection import Step
    >>> d = Art(window=2, warmup=20)
    >>> for k in range(100):
    ...     v = float(k % 2) if k < 99 else 0.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 1  # 0 after 0 is new
    True
    """

    name: ClassVar[str] = "art"
    mean: F8 = column(0.0)
    var: F8 = column(0.0)
    low_sides: F8 = column(0.0, shape=(1, 1))
    high_sides: F8 = column(0.0, shape=(1, 1))
    use: F8 = column(0.0, shape=(1,))  # resonances, fading by a thousandth a step; 0: no category yet

    def __init__(
        self, *, window: float = 4, categories: float = 24, vigilance: float = 0.85, warmup: float = 30
    ) -> None:
        size, many = int(window), int(categories)
        if not (size >= 1 and many >= 1 and 0 < vigilance < 1):
            raise ValueError(
                f"art: window and categories must be at least 1 and vigilance in (0, 1), got {size}, {many}, {vigilance}"
            )
        boxes = (many, size)
        super().__init__(
            kept=max(size - 1, 1), warmup=warmup, least=size + 1, low_sides=boxes, high_sides=boxes, use=(many,)
        )
        self.window = size
        self.widest = (1.0 - vigilance) * SPAN * size

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        _distances(rows, value, self.ring, self.low_sides, self.high_sides, self.use, self.seen, out)
        return out

    def _unit(self, rows: I4, gap: F8) -> F8:
        out = np.empty(rows.size)
        _sds(rows, gap, self.mean, self.var, out)
        return out

    def _reach(self, rows: I4, radius: F8) -> tuple[F8, F8, F8]:
        out = np.full((rows.size, 3), np.nan)
        _reaches(rows, radius, self.ring, self.low_sides, self.high_sides, self.use, self.seen, out)
        return out[:, 0].copy(), out[:, 1].copy(), out[:, 2].copy()

    def _train(self, step: Step, weight: F8) -> None:
        _train(
            step.rows, step.value, weight, self.ring, self.mean, self.var, self.low_sides, self.high_sides, self.use,
            self.seen, self.widest,
        )  # fmt: skip


@njit()
def outside(x: float, low: float, high: float) -> float:
    """How far a value lies outside an interval."""
    return max(low - x, x - high, 0.0)


@njit()
def partly(past: F8, low: F8, high: F8) -> float:
    """City-block distance of a shingle to a box, its newest value left out; `past` ends with the value before."""
    far, behind = 0.0, past.size - low.size + 1
    for j in range(low.size - 1):
        far += outside(past[behind + j], low[j], high[j])
    return far


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1])")
def _sds(rows: I4, gap: F8, mean: F8, var: F8, out: F8) -> None:
    for i in range(rows.size):
        r = rows[i]
        out[i] = honest_sd(math.sqrt(var[r]), mean[r], gap[i])


@njit("void(i4[::1],f8[::1],f8[:,::1],f8[:,:,::1],f8[:,:,::1],f8[:,::1],i4[::1],f8[::1])")
def _distances(rows: I4, value: F8, ring: F8, low: F8, high: F8, use: F8, seen: I4, out: F8) -> None:
    kept, newest = np.empty(ring.shape[1]), low.shape[2] - 1
    for i in range(rows.size):
        r = rows[i]
        past = kept[: unroll(ring[r], seen[r], kept)]
        best = math.inf
        for c in range(use.shape[1]):
            if use[r, c] > 0.0:
                far = partly(past, low[r, c], high[r, c]) + outside(value[i], low[r, c, newest], high[r, c, newest])
                best = min(best, far)
        if best < math.inf:
            out[i] = best


@njit("void(i4[::1],f8[::1],f8[:,::1],f8[:,:,::1],f8[:,:,::1],f8[:,::1],i4[::1],f8[:,::1])")
def _reaches(rows: I4, radius: F8, ring: F8, low: F8, high: F8, use: F8, seen: I4, out: F8) -> None:
    kept, newest = np.empty(ring.shape[1]), low.shape[2] - 1
    for i in range(rows.size):
        r = rows[i]
        past = kept[: unroll(ring[r], seen[r], kept)]
        first, last, least, middle = math.inf, -math.inf, math.inf, math.nan
        for c in range(use.shape[1]):
            if use[r, c] > 0.0:
                far = partly(past, low[r, c], high[r, c])
                room = radius[i] - far
                if far < least:
                    least, middle = far, 0.5 * (low[r, c, newest] + high[r, c, newest])
                if room >= 0.0:
                    first, last = min(first, low[r, c, newest] - room), max(last, high[r, c, newest] + room)
        out[i, 0], out[i, 1], out[i, 2] = min(first, middle), middle, max(last, middle)


@njit("void(i4[::1],f8[::1],f8[::1],f8[:,::1],f8[::1],f8[::1],f8[:,:,::1],f8[:,:,::1],f8[:,::1],i4[::1],f8)")
def _train(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, weight: F8, ring: F8, mean: F8, var: F8, low: F8, high: F8, use: F8, seen: I4, widest: float
) -> None:
    kept, size = np.empty(ring.shape[1]), low.shape[2]
    shingle = np.empty(size)
    for i in range(rows.size):
        r = rows[i]
        past = kept[: unroll(ring[r], seen[r], kept)]
        # the first values only tell how wide a box may be
        if seen[r] >= max(size - 1, 8):
            for j in range(size - 1):
                shingle[j] = past[past.size - size + 1 + j]
            shingle[size - 1] = value[i]
            sd = honest_sd(math.sqrt(var[r]), mean[r], value[i] - mean[r])
            resonate(shingle, low[r], high[r], use[r], widest * sd, weight[i])
        share = weight[i] / min(seen[r] + 1.0, MEMORY)
        mean[r], var[r] = robust_moments(mean[r], var[r], value[i], share, seen[r] >= 15)


@njit()
def resonate(shingle: F8, low: F8, high: F8, use: F8, widest: float, weight: float) -> None:
    """Take a shingle into the nearest box that may hold it, or make it a box."""
    best, which = math.inf, -1
    for c in range(use.size):
        use[c] *= 1.0 - weight / MEMORY
        if use[c] <= 0.0:
            continue
        far, width = 0.0, 0.0
        for j in range(shingle.size):
            far += outside(shingle[j], low[c, j], high[c, j])
            width += high[c, j] - low[c, j]
        if far < best and far + width <= widest:
            best, which = far, c
    if which < 0:
        which = int(np.argmin(use))
        use[which] = 0.0
        low[which], high[which] = shingle, shingle
    use[which] += weight
    for j in range(shingle.size):
        low[which, j] = min(low[which, j], shingle[j])
        high[which, j] = max(high[which, j], shingle[j])
