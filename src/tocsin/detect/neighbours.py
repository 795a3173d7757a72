"""`Neighbours`: distance of the newest shingle to the most similar ones of a bounded past."""

from __future__ import annotations

import math

import numpy as np

from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.stats.jit import njit
from tocsin.stats.rings import unroll


class Neighbours(Shingled):
    """Raw distance = root mean squared difference to the k-th most similar earlier shingle that shares no value.

    The past is the last `kept` values; a shingle is made of values that follow each other in it.
    """

    def __init__(self, *, window: int, neighbours: int, kept: int, warmup: float) -> None:
        if not (window >= 1 and neighbours >= 1 and kept >= 2 * window + neighbours):
            raise ValueError(
                f"{self.name}: window and neighbours must be at least 1 and kept at least 2 windows and the neighbours, "
                f"got {window}, {neighbours} and {kept}"
            )
        super().__init__(kept=kept, warmup=warmup, least=2 * window + neighbours - 2)
        self.window, self.neighbours = window, neighbours

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        _distances(rows, value, self.ring, self.seen, self.window, self.neighbours, out)
        return out

    def _reach(self, rows: I4, radius: F8) -> tuple[F8, F8, F8]:
        out = np.full((rows.size, 3), np.nan)
        _reaches(rows, radius, self.ring, self.seen, self.window, self.neighbours, out)
        return out[:, 0].copy(), out[:, 1].copy(), out[:, 2].copy()


@njit()
def earlier(past: F8, count: int, window: int, into: F8) -> int:
    """Squared differences of every earlier shingle to the newest one, its newest value left out; how many.

    Shingle i ends with past[i + window - 1]; the newest is the last window - 1 values and one to come.
    """
    found = count - 2 * window + 2
    for i in range(found):
        into[i] = 0.0
    for j in range(window - 1):
        own = past[count - window + 1 + j]
        for i in range(found):
            gap = past[i + j] - own
            into[i] += gap * gap
    return max(found, 0)


@njit("void(i4[::1],f8[::1],f8[:,::1],i4[::1],i8,i8,f8[::1])")
def _distances(rows: I4, value: F8, ring: F8, seen: I4, window: int, neighbours: int, out: F8) -> None:
    past, partly, nearest = np.empty(ring.shape[1]), np.empty(ring.shape[1]), np.empty(neighbours)
    for i in range(rows.size):
        r = rows[i]
        found = earlier(past, unroll(ring[r], seen[r], past), window, partly)
        if found < neighbours:
            continue
        nearest[:] = math.inf
        for s in range(found):
            gap = value[i] - past[s + window - 1]
            near = partly[s] + gap * gap
            k = neighbours - 1
            if near < nearest[k]:
                while k > 0 and nearest[k - 1] > near:
                    nearest[k] = nearest[k - 1]
                    k -= 1
                nearest[k] = near
        out[i] = math.sqrt(nearest[neighbours - 1] / window)


@njit("void(i4[::1],f8[::1],f8[:,::1],i4[::1],i8,i8,f8[:,::1])")
def _reaches(rows: I4, radius: F8, ring: F8, seen: I4, window: int, neighbours: int, out: F8) -> None:
    """Each neighbour allows an interval; the band is where at least k of them overlap, from first to last."""
    past, partly = np.empty(ring.shape[1]), np.empty(ring.shape[1])
    for i in range(rows.size):
        r = rows[i]
        found = earlier(past, unroll(ring[r], seen[r], past), window, partly)
        if found < neighbours:
            continue
        starts, ends = np.empty(found), np.empty(found)
        best, allowed = 0, 0
        for s in range(found):
            if partly[s] < partly[best]:
                best = s
            room = window * radius[i] * radius[i] - partly[s]
            if room >= 0.0:
                half = math.sqrt(room)
                starts[allowed] = past[s + window - 1] - half
                ends[allowed] = past[s + window - 1] + half
                allowed += 1
        centre = past[best + window - 1]
        low, high = overlap(np.sort(starts[:allowed]), np.sort(ends[:allowed]), neighbours)
        if math.isnan(low):
            low, high = centre, centre
        out[i, 0], out[i, 1], out[i, 2] = low, min(max(centre, low), high), high


@njit()
def overlap(starts: F8, ends: F8, depth: int) -> tuple[float, float]:
    """First and last point that lies in at least `depth` intervals, from sorted starts and ends; NaN if none does."""
    low, high = math.nan, math.nan
    n, closed = starts.size, 0
    for opened in range(n):
        while ends[closed] < starts[opened]:
            closed += 1
        if opened + 1 - closed >= depth:
            low = starts[opened]
            break
    later = n - 1
    for last in range(n - 1, -1, -1):
        while starts[later] > ends[last]:
            later -= 1
        if later + 1 - last >= depth:
            high = ends[last]
            break
    return low, high
