"""Rings of the last values of a row, as kernels read and write them."""

from __future__ import annotations

from tocsin.model.arrays import F8
from tocsin.stats.jit import njit


@njit()
def unroll(ring: F8, seen: int, into: F8) -> int:
    """Copy a ring that took `seen` values into `into`, oldest first; how many there are.

    >>> import numpy as np
    >>> into = np.zeros(3)
    >>> unroll(np.array([4.0, 2.0, 3.0]), 4, into), into
    (3, array([2., 3., 4.]))
    """
    kept = ring.size
    if seen < kept:
        for i in range(seen):
            into[i] = ring[i]
        return seen
    start = seen % kept
    for i in range(kept - start):
        into[i] = ring[start + i]
    for i in range(start):
        into[kept - start + i] = ring[i]
    return kept


@njit()
def tamed(low: float, high: float, value: float) -> float:
    """The value, but no further from a range than it is wide.

    One freak value so widens a past by its own width at most; a new level is reached within a few steps.

    >>> tamed(1.0, 3.0, 1e12), tamed(1.0, 3.0, 2.5)
    (5.0, 2.5)
    """
    span = high - low
    if not span > 0.0:
        span = max(abs(high), 1.0)
    return min(max(value, low - span), high + span)


@njit()
def robust_mean(mean: float, news: float, share: float) -> float:
    """Running mean of something >= 0 after one more value, of which no more than four times the mean counts.

    >>> robust_mean(1.0, 100.0, 0.1), robust_mean(0.0, 3.0, 0.5)
    (1.3, 1.5)
    """
    if mean > 0.0:
        news = min(news, 4.0 * mean)
    return mean + share * (news - mean)
