"""Distance of the latest window of an entity to the nearest of its usual windows."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.multi_member import Look, Member
from tocsin.detect.multi_memory import LENGTH, ShingleMemory
from tocsin.detect.multi_scale import CAP, RobustScale
from tocsin.model.arrays import F8, I8
from tocsin.stats.jit import njit

CENTRES: Final = 32
ROUNDS: Final = 2
"""Lloyd rounds at a refit; centres go on from where they were."""


class KMeans(Member):
    """Score = root mean square distance, in reaches, of the newest 10 rows to the nearest of 32 centres.

    Centres start with the shingle that is farthest from those before it, and go on from there at every refit.

    Reference: T. F. Gonzalez, Clustering to Minimize the Maximum Intercluster Distance, 1985 (start); S. P. Lloyd,
    Least Squares Quantization in PCM, 1982; on windows: S. Schmidl et al., Anomaly Detection in Time Series, VLDB 2022.

    >>> memory, scale, d = ShingleMemory(1), RobustScale(1), KMeans(1)
    >>> for t in range(200):
    ...     row = np.array([math.sin(t / 5)])
    ...     memory.push(row)
    ...     memory.learn()
    ...     scale.learn(row)
    >>> scale.refit(memory)
    >>> d.refit(memory, scale)
    >>> look = Look(memory.latest, row, row, scale.reach, memory.past, memory.when, 200)
    >>> d.score(look)[0] < 0.2 < 2 < d.score(look._replace(latest=memory.latest + 3))[0]
    True
    """

    name: ClassVar[str] = "kmeans"
    _kept: ClassVar[tuple[str, ...]] = ("centres", "used")

    def __init__(self, signals: int) -> None:
        self.centres: F8 = np.zeros((CENTRES, LENGTH, signals))
        self.used: I8 = np.zeros(1, np.int64)

    def score(self, look: Look) -> tuple[float, F8]:
        """Distance and each signal's squared distance to the nearest centre."""
        parts = np.zeros(look.z.size)
        return _nearest(look.latest, self.centres, int(self.used[0]), look.reach, parts), parts

    def refit(self, memory: ShingleMemory, scale: RobustScale) -> None:
        """A few rounds over the kept shingles."""
        past = memory.past[: memory.size]
        if len(past) < CENTRES:
            return
        if not self.used[0]:
            self.used[0] = _start(past, scale.centre, scale.reach, self.centres)
        _lloyd(past, scale.centre, scale.reach, self.centres, int(self.used[0]))


@njit()
def _gap(a: float, b: float, reach: float) -> float:
    """Squared distance of one number; a missing one or a signal that never moved is at no distance."""
    if math.isnan(a) or math.isnan(b) or not reach > 0.0:
        return 0.0
    gap = min(abs(a - b) / reach, CAP)
    return gap * gap


@njit()
def _squared(a: F8, b: F8, reach: F8, limit: float) -> float:
    """Squared distance of two windows, or something above `limit` once it exceeds that."""
    total = 0.0
    for r in range(a.shape[0]):
        for i in range(a.shape[1]):
            total += _gap(a[r, i], b[r, i], reach[i])
        if total > limit:
            break
    return total


@njit()
def _nearest(latest: F8, centres: F8, used: int, reach: F8, parts: F8) -> float:
    known = 0
    for r in range(latest.shape[0]):
        for i in range(latest.shape[1]):
            known += not math.isnan(latest[r, i]) and reach[i] > 0.0
    if used == 0 or known == 0:
        return math.nan
    best, at = np.inf, 0
    for c in range(used):
        total = _squared(latest, centres[c], reach, best)
        if total < best:
            best, at = total, c
    for r in range(latest.shape[0]):
        for i in range(latest.shape[1]):
            parts[i] += _gap(latest[r, i], centres[at, r, i], reach[i])
    return math.sqrt(best / known)


@njit()
def _start(past: F8, centre: F8, reach: F8, centres: F8) -> int:
    """Farthest-first from the medians; how many differ."""
    far = np.full(past.shape[0], np.inf)
    for r in range(past.shape[1]):
        centres[0, r] = centre
    used = 1
    while used < centres.shape[0]:
        at = 0
        for m in range(past.shape[0]):
            far[m] = min(far[m], _squared(past[m], centres[used - 1], reach, far[m]))
            if far[m] > far[at]:
                at = m
        if not far[at] > 0.0:
            break
        centres[used] = past[at]
        used += 1
    return used


@njit()
def _lloyd(past: F8, centre: F8, reach: F8, centres: F8, used: int) -> None:
    sums, counts = np.zeros(centres.shape), np.zeros(centres.shape)
    for _ in range(ROUNDS):
        sums[:], counts[:] = 0.0, 0.0
        for m in range(past.shape[0]):
            best, at = np.inf, 0
            for c in range(used):
                total = _squared(past[m], centres[c], reach, best)
                if total < best:
                    best, at = total, c
            _gather(past[m], sums[at], counts[at])
        for c in range(used):
            _centre(sums[c], counts[c], centre, centres[c])


@njit()
def _gather(window: F8, sums: F8, counts: F8) -> None:
    for r in range(window.shape[0]):
        for i in range(window.shape[1]):
            if not math.isnan(window[r, i]):
                sums[r, i] += window[r, i]
                counts[r, i] += 1.0


@njit()
def _centre(sums: F8, counts: F8, centre: F8, out: F8) -> None:
    """Means where anything was seen; else what was there before, or the median of the signal."""
    for r in range(out.shape[0]):
        for i in range(out.shape[1]):
            if counts[r, i] > 0.0:
                out[r, i] = sums[r, i] / counts[r, i]
            elif math.isnan(out[r, i]):
                out[r, i] = centre[i]
