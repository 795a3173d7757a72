"""Quantiles of measured values with intervals that hold for any distribution."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tocsin.assess.intervals import Measure
from tocsin.assess.tails import beta_cdf
from tocsin.model.arrays import F8


def quantile(values: F8, share: float, level: float) -> Measure:
    """The value below which a share of (n,) finite values lies, between two of the values by their rank.

    The k-th smallest value lies above the true quantile with the chance that fewer than k of n lie below it
    (David and Nagaraja 2003, Order Statistics, 7.1). Too few values for an end: that end is open.

    >>> found = quantile(np.arange(1.0, 101.0), 0.5, 0.05)
    >>> found.value, found.low, found.high
    (50.5, 40.0, 61.0)
    >>> quantile(np.array([1.0, 2.0]), 0.95, 0.05).high
    inf
    """
    n = int(values.size)
    if n == 0:
        return Measure(math.nan, note="no rows")
    ordered = np.sort(values)

    def below(k: int) -> float:
        """Chance that at least k of n lie below the quantile."""
        return beta_cdf(share, k, n - k + 1)

    low = _last(lambda k: 1 - below(k) <= level / 2, n)
    high = _last(lambda k: below(k) > level / 2, n) + 1
    return Measure(
        float(np.quantile(ordered, share)),
        float(ordered[low - 1]) if low > 0 else -math.inf,
        float(ordered[high - 1]) if high <= n else math.inf,
        n,
    )


def _last(holds: Callable[[int], bool], n: int) -> int:
    """The last of 1..n for which something holds that then holds no more; 0 if it never does."""
    low, high = 0, n + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
