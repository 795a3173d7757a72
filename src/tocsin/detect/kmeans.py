"""k-means on windows: how far the last stretch of a series is from the few kinds of stretches it is made of."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.array import column
from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.rings import unroll

MEMORY: Final = 500.0
"""Windows that a centre averages at most."""


class Kmeans(Shingled):
    """Score = root mean squared difference of the last window to the nearest centre, over what is usual.

    The first windows, half a window apart, are the first centres; each later one moves the nearest centre towards
    itself (sequential k-means).

    Parameters: `window` in steps; `centres`; `warmup` in steps, until all centres have begun.

    Reference: J. MacQueen, Some Methods for Classification and Analysis of Multivariate Observations, Berkeley
    Symposium 1967.

    >>> from tocsin.model.detection import Step
    >>> d = Kmeans(window=4, centres=3, warmup=12)
    >>> for k in range(300):
    ...     v = float(k % 3) + 0.01 * (k % 7) if k < 298 else 2.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3
    True
    """

    name: ClassVar[str] = "kmeans"
    centres: F8 = column(0.0, shape=(1, 1))
    windows: F8 = column(0.0, shape=(1,))  # how many each centre averages; 0: not begun

    def __init__(self, *, window: float = 10, centres: float = 8, warmup: float = 60) -> None:
        size, k = int(window), int(centres)
        if not (size >= 2 and k >= 1):
            raise ValueError(f"kmeans: window must be at least 2 steps and centres at least 1, got {size} and {k}")
        least = size + (k - 1) * (size // 2)
        super().__init__(kept=size - 1, warmup=warmup, least=least, centres=(k, size), windows=(k,))

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        _distances(rows, value, self.ring, self.centres, self.windows, self.seen, out)
        return out

    def _reach(self, rows: I4, radius: F8) -> tuple[F8, F8, F8]:
        out = np.full((rows.size, 3), np.nan)
        _reaches(rows, radius, self.ring, self.centres, self.windows, self.seen, out)
        return out[:, 0].copy(), out[:, 1].copy(), out[:, 2].copy()

    def _train(self, step: Step, weight: F8) -> None:
        _train(step.rows, step.value, weight, self.ring, self.centres, self.windows, self.seen)


@njit()
def partly(past: F8, centre: F8) -> float:
    """Sum of squared differences to a centre, the newest value left out."""
    far = 0.0
    for j in range(centre.size - 1):
        gap = past[j] - centre[j]
        far += gap * gap
    return far


@njit()
def nearest(past: F8, value: float, centres: F8, windows: F8) -> tuple[float, int]:
    """Sum of squared differences to the nearest centre that has begun, and which."""
    best, which = math.inf, -1
    for c in range(windows.size):
        if windows[c] > 0.0:
            gap = value - centres[c, centres.shape[1] - 1]
            far = partly(past, centres[c]) + gap * gap
            if far < best:
                best, which = far, c
    return best, which


@njit("void(i4[::1],f8[::1],f8[:,::1],f8[:,:,::1],f8[:,::1],i4[::1],f8[::1])")
def _distances(rows: I4, value: F8, ring: F8, centres: F8, windows: F8, seen: I4, out: F8) -> None:
    past, size = np.empty(ring.shape[1]), ring.shape[1] + 1
    for i in range(rows.size):
        r = rows[i]
        if unroll(ring[r], seen[r], past) == size - 1 and windows[r, 0] > 0.0:
            out[i] = math.sqrt(nearest(past, value[i], centres[r], windows[r])[0] / size)


@njit("void(i4[::1],f8[::1],f8[:,::1],f8[:,:,::1],f8[:,::1],i4[::1],f8[:,::1])")
def _reaches(rows: I4, radius: F8, ring: F8, centres: F8, windows: F8, seen: I4, out: F8) -> None:
    past, size = np.empty(ring.shape[1]), ring.shape[1] + 1
    for i in range(rows.size):
        r = rows[i]
        if unroll(ring[r], seen[r], past) < size - 1:
            continue
        low, high, least, middle = math.inf, -math.inf, math.inf, math.nan
        for c in range(windows.shape[1]):
            if windows[r, c] > 0.0:
                far, own = partly(past, centres[r, c]), centres[r, c, size - 1]
                if far < least:
                    least, middle = far, own
                room = size * radius[i] * radius[i] - far
                if room >= 0.0:
                    low, high = min(low, own - math.sqrt(room)), max(high, own + math.sqrt(room))
        out[i, 0], out[i, 1], out[i, 2] = min(low, middle), middle, max(high, middle)


@njit("void(i4[::1],f8[::1],f8[::1],f8[:,::1],f8[:,:,::1],f8[:,::1],i4[::1])")
def _train(rows: I4, value: F8, weight: F8, ring: F8, centres: F8, windows: F8, seen: I4) -> None:
    past, size = np.empty(ring.shape[1]), ring.shape[1] + 1
    for i in range(rows.size):
        r = rows[i]
        if unroll(ring[r], seen[r], past) < size - 1:
            continue
        begun, since = 0, seen[r] - size + 1
        while begun < windows.shape[1] and windows[r, begun] > 0.0:
            begun += 1
        which = begun
        if begun == windows.shape[1] or since % (size // 2):
            which = nearest(past, value[i], centres[r], windows[r])[1]
        if which >= 0:
            windows[r, which] = min(windows[r, which] + 1.0, MEMORY)
            share = weight[i] / windows[r, which]
            for j in range(size):
                news = past[j] if j < size - 1 else value[i]
                centres[r, which, j] += share * (news - centres[r, which, j])
