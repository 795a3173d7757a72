"""What chance does to a mean of few: no p-value is smaller than that of so many observations drawn as in the past.

Where windows hold fewer observations than those that a scale was learned from, or a share is made of a handful of
rare ones, a mean is far from what is usual without anything having changed.

Reference: G. Bennett, Probability Inequalities for the Sum of Independent Random Variables, JASA 1962.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.model.arrays import F8, I4
from tocsin.stats.columns import Columns, column

LEAST: Final = 10.0
"""Observations from which on this is asked; windows of fewer were as small before, and say themselves what is usual."""
MEMORY: Final = 20_000.0
"""Observations after which what was learned is halved."""


class Sampling(Columns):
    """Variance of single observations of each row, pooled over past windows, and what follows for a mean of n.

    >>> s, row = Sampling(), np.zeros(1, "i4")
    >>> s.learn(row, np.array([1000.0]), np.array([0.03 * 0.97]))
    >>> five_of_27 = s.log10_p(row, np.array([27.0]), np.array([0.15]), np.array([0.97]), np.array([5 / 27 - 0.03]))
    >>> thirty_of_60 = s.log10_p(row, np.array([60.0]), np.array([0.25]), np.array([0.97]), np.array([0.47]))
    >>> five_of_27.round(1).tolist(), thirty_of_60.round(1).tolist()
    ([-2.0], [-20.3])
    """

    kind: ClassVar[str] = "sampling"
    squares: F8 = column(0.0)
    count: F8 = column(0.0)

    def log10_p(self, rows: I4, count: F8, variance: F8, reach: F8, distance: F8) -> F8:
        """log10 p, (n,), of means of `count` that lie `distance` off what is expected, by Bennett's inequality.

        `variance` and `reach` are those of the window's own observations: how far the farthest of them lies off, on
        that side. What is expected is known from the past only as well as from so many. -inf where nothing varies
        or little is known.
        """
        self.reserve(rows)
        past = self.count[rows]
        pooled = (self.squares[rows] + count * variance) / np.maximum(past + count, 1.0)
        known = (count >= LEAST) & (past > 0.0) & (pooled > 0.0) & (distance > 0.0)
        sigma2, b, d = (np.where(known, each, 1.0) for each in (pooled, np.maximum(reach, distance), distance))
        u = d * b / sigma2
        n = count * past / np.maximum(count + past, 1.0)
        return np.where(known, -n * sigma2 / (b * b) * ((1.0 + u) * np.log1p(u) - u) / math.log(10.0), -np.inf)

    def learn(self, rows: I4, count: F8, variance: F8) -> None:
        """Take windows in, (n,): `count` observations that no earlier window held, and their variance."""
        self.touch(rows)
        self.squares[rows] += count * variance
        self.count[rows] += count
        full = rows[self.count[rows] > MEMORY]
        self.squares[full] *= 0.5
        self.count[full] *= 0.5
