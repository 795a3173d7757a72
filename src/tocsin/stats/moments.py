"""Mean and variance that follow, and that no single value moves far."""

from __future__ import annotations

import math

from tocsin.stats.jit import njit
from tocsin.stats.scale import honest_sd


@njit()
def robust_moments(mean: float, var: float, value: float, share: float, bounded: bool) -> tuple[float, float]:
    """Mean and variance after one more value of weight `share`; where `bounded`, at most 4 sds of it count.

    >>> robust_moments(0.0, 1.0, 100.0, 0.5, True)
    (2.0, 4.5)
    """
    gap = value - mean
    if bounded:
        bound = 4.0 * honest_sd(math.sqrt(var), mean, gap)
        gap = min(max(gap, -bound), bound)
    return mean + share * gap, (1.0 - share) * (var + share * gap * gap)
