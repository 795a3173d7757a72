"""Mean of the largest robust z: how far the signals of an entity are from their own centres."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.multi_member import Look, Member
from tocsin.model.arrays import F8
from tocsin.stats.jit import njit

LEAST: Final = 4
"""Signals that are averaged at least."""


class Spread(Member):
    """Score = mean of the largest tenth of |z| (at least four signals, or all there are).

    Between the mean (a fault in few of many signals drowns) and the maximum (one noisy signal decides).

    Reference: C. C. Aggarwal and S. Sathe, Theoretical Foundations and Algorithms for Outlier Ensembles, SIGKDD
    Explorations 2015 (averages of the largest).

    >>> z, none = np.array([4.0, 0.0, -2.0, np.nan]), np.zeros(4)
    >>> Spread(4).score(Look(np.zeros((10, 4)), z, none, none, np.zeros((0, 10, 4)), np.zeros(0, "i8"), 0))[0]
    2.0
    """

    name: ClassVar[str] = "spread"

    def score(self, look: Look) -> tuple[float, F8]:
        """Score and |z|."""
        parts = np.empty(look.z.size)
        return _score(look.z, parts), parts


@njit()
def _score(z: F8, parts: F8) -> float:
    known = 0
    for i in range(z.size):
        parts[i] = 0.0 if math.isnan(z[i]) else abs(z[i])
        known += not math.isnan(z[i])
    if known == 0:
        return math.nan
    ordered = np.sort(parts)
    used = min(max(LEAST, (known + 9) // 10), known)
    total = 0.0
    for i in range(used):
        total += ordered[z.size - 1 - i]
    for i in range(z.size):
        parts[i] *= parts[i]
    return total / used
