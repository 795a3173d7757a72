"""What one reading usually is, given others: least squares that forget slowly, as a share of what was expected.

Reference: L. Ljung, System Identification, 2nd ed. 1999, chapter 11 (recursive least squares with forgetting);
P. J. Huber, Robust Estimation of a Location Parameter, 1964 (residuals of bounded influence).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from tocsin.model.arrays import F8
from tocsin.model.errors import Corrupt
from tocsin.stats.products import factor, solve

MEMORY_NS: Final = 7 * 86_400 * 10**9
"""Time after which what was learned has faded to 1/e."""
WARM: Final = 240
"""Readings before anything is told."""
RIDGE: Final = 1e-6
CLIP: Final = 3.0
"""Spreads beyond which a residual teaches no more."""
LEAST_SPREAD: Final = 1e-3
"""Of a reading's usual size: within it a residual always teaches."""
LEAST_SHARE: Final = 0.5
"""Of its variance that the others must explain: what does not move with them can't stop to."""
QUIET: Final = 0.5
"""Of its usual size: what is added to both sides of the share, so that little of little is no news. By a model server
with the traffic of real clients, day and night: with .1 the lowest of a thousand usual shares of a GPU's use is .7 and
two fifths of that use is .47; with .5 they are .86 and .62."""
BEYOND: Final = 0.05
"""Of the range of another reading that was seen: how far beyond it anything is told."""


class Usual(NamedTuple):
    """What a reading is as a share of what is usual, about 1, drawn to 1 where both are small; and what is usual."""

    share: float
    expected: float


class Regression:
    """One reading y and others x >= 0 and their roots; `fold` tells y as a share of its expectation, then learns.

    Roots, since most of what a machine does rises fast at first and then no more.

    >>> r, wave = Regression(1), [50 + 40 * math.sin(k / 9) for k in range(600)]
    >>> told = [r.fold(k * 10**10, 3 + 2 * x + (-1) ** k, [x]).share for k, x in enumerate(wave)]
    >>> math.isnan(told[100]), round(told[-1], 1), round(r.fold(6 * 10**12, 50.0, [90.0]).share, 1)
    (True, 1.0, 0.5)
    """

    def __init__(self, others: int) -> None:
        features = 1 + 2 * others
        self._products: F8 = np.zeros((features, features))
        self._crossed: F8 = np.zeros(features)
        self._low: F8 = np.full(others, math.inf)
        self._high: F8 = np.full(others, -math.inf)
        # readings so far, time of the newest (ns), weight, mean, mean square, mean square of residuals
        self._marks: F8 = np.zeros(6)

    def fold(self, now: int, y: float, others: Sequence[float]) -> Usual:
        """Y at `now` (ns) as a share of what the others tell.

        NaN until warm, beyond the range that was seen, where the others tell little, and for what is no number.
        """
        x = np.array(others, "f8")
        if not (math.isfinite(y) and np.isfinite(x).all()):
            return Usual(math.nan, math.nan)
        row = np.concatenate([np.ones(1), x, np.sqrt(np.maximum(x, 0.0))])
        expected = self._expected(row)
        told = self._share(y, expected) if self._within(x) else math.nan
        self._learn(now, y, expected, x, row)
        return Usual(told, expected)

    def _expected(self, row: F8) -> float:
        if self._marks[0] < WARM:
            return math.nan
        scale = np.sqrt(np.maximum(np.diagonal(self._products), 1e-300))
        lower = self._products / np.outer(scale, scale) + RIDGE * np.eye(len(row))
        weights = self._crossed / scale
        factor(lower)
        solve(lower, weights)
        return math.fsum((weights * row / scale).tolist())

    def _within(self, x: F8) -> bool:
        room = BEYOND * (self._high - self._low)
        return bool(np.all((x >= self._low - room) & (x <= self._high + room)))

    def _share(self, y: float, expected: float) -> float:
        _, _, _, mean, square, residual = self._marks.tolist()
        variance = square - mean * mean
        if not (variance > LEAST_SPREAD**2 * square and 0.0 < residual <= (1.0 - LEAST_SHARE) * variance):
            return math.nan
        floor = QUIET * math.sqrt(square)
        return (y + floor) / (max(expected, 0.0) + floor)

    def _learn(self, now: int, y: float, expected: float, x: F8, row: F8) -> None:
        seen, newest, weight, mean, square, residual = self._marks.tolist()
        fade = math.exp(-max(now - newest, 0.0) / MEMORY_NS) if seen else 0.0
        weight = weight * fade + 1.0
        rate = 1.0 / weight
        if not math.isnan(expected):
            # at first the others are held to tell nothing: a lucky start would cut off what is usual
            residual = residual or square - mean * mean
            most = CLIP * math.sqrt(max(residual, LEAST_SPREAD**2 * square))
            gap = min(max(y - expected, -most), most)
            y = expected + gap
            residual += rate * (gap * gap - residual)
        self._products += rate * (np.outer(row, row) - self._products)
        self._crossed += rate * (row * y - self._crossed)
        mean += rate * (y - mean)
        square += rate * (y * y - square)
        self._low, self._high = np.fmin(self._low, x), np.fmax(self._high, x)
        self._marks[:] = [seen + 1, now, weight, mean, square, residual]

    def snapshot(self) -> list[Any]:
        """All state, as JSON can hold it."""
        return [each.tolist() for each in (self._products, self._crossed, self._low, self._high, self._marks)]

    @staticmethod
    def of(state: Sequence[Any]) -> Regression:
        """State back from a snapshot.

        Raises
        ------
        Corrupt
            It is of another version, with other features.
        """
        products, crossed, low, high, marks = (np.array(each, "f8") for each in state)
        found = Regression(len(low))
        if products.shape != found._products.shape:
            raise Corrupt(
                f"regression: the snapshot holds {len(products)} features, this version wants {len(found._products)}"
            )
        found._products, found._crossed, found._low, found._high, found._marks = products, crossed, low, high, marks
        return found
