"""Shingles, runs of values that follow each other, as points whose distances are taken."""

from __future__ import annotations

import math

from tocsin.model.arrays import F8
from tocsin.stats.jit import njit


@njit()
def pairs(past: F8, window: int, into: F8) -> int:
    """Root mean squared difference of every two shingles of `past`, (n, n); how many there are.

    >>> import numpy as np
    >>> far = np.zeros((2, 2))
    >>> pairs(np.array([0.0, 3.0, 3.0]), 2, far), far[0, 1]
    (2, np.float64(2.1213203435596424))
    """
    found = past.size - window + 1
    for a in range(found):
        into[a, a] = 0.0
        for b in range(a + 1, found):
            square = 0.0
            for j in range(window):
                gap = past[a + j] - past[b + j]
                square += gap * gap
            into[a, b] = into[b, a] = math.sqrt(square / window)
    return max(found, 0)


@njit()
def kth_smallest(values: F8, k: int, skip: int, scratch: F8) -> float:
    """The k-th smallest value, one of them left out; `scratch` keeps the k smallest, sorted.

    >>> import numpy as np
    >>> kth_smallest(np.array([5.0, 1.0, 4.0, 2.0]), 2, 1, np.zeros(2))
    4.0
    """
    scratch[:k] = math.inf
    for i in range(values.size):
        if i == skip or values[i] >= scratch[k - 1]:
            continue
        j = k - 1
        while j > 0 and scratch[j - 1] > values[i]:
            scratch[j] = scratch[j - 1]
            j -= 1
        scratch[j] = values[i]
    found: float = scratch[k - 1]
    return found
