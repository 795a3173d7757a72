"""Mean products of bounded deviations and the linear algebra on them, in scalar loops of fixed order."""

from __future__ import annotations

import math
from typing import Final

from tocsin.model.arrays import F8
from tocsin.stats.jit import njit

MEMORY: Final = 10_000
"""Steps after which old products have faded to 1/e."""
BOUND: Final = 8.0
"""Deviation beyond which a value teaches no more."""
WARM: Final = 30
"""Residuals before a standard deviation is believed."""


@njit()
def bounded(value: float) -> float:
    """A deviation as it is learned: within `BOUND`, 0 where missing.

    >>> bounded(-99.0), bounded(float("nan"))
    (-8.0, 0.0)
    """
    return 0.0 if math.isnan(value) else min(max(value, -BOUND), BOUND)


@njit()
def learn_products(left: F8, right: F8, seen: int, products: F8) -> None:
    """Take the outer product of two rows of deviations into (signals, signals) mean products."""
    rate = 1.0 / min(seen + 1, MEMORY)
    for i in range(left.size):
        a = bounded(left[i])
        for j in range(right.size):
            products[i, j] += rate * (a * bounded(right[j]) - products[i, j])


@njit()
def learn_variance(residual: F8, seen: int, square: F8) -> None:
    """Take residuals into their mean squares, each bounded to `BOUND` of its own standard deviations once warm."""
    rate = 1.0 / min(seen + 1, MEMORY)
    for i in range(residual.size):
        if math.isnan(residual[i]):
            continue
        most = BOUND * math.sqrt(square[i]) if seen >= WARM and square[i] > 0.0 else math.inf
        gap = min(abs(residual[i]), most)
        square[i] += rate * (gap * gap - square[i])


@njit()
def factor(matrix: F8) -> None:
    """Lower Cholesky factor of a positive definite matrix, in place."""
    n = matrix.shape[0]
    for j in range(n):
        for i in range(j, n):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                matrix[j, j] = math.sqrt(max(total, 1e-12))
            else:
                matrix[i, j] = total / matrix[j, j]


@njit()
def solve(lower: F8, right: F8) -> None:
    """Solve (L L') x = right in place, given the lower factor L."""
    n = right.size
    for i in range(n):
        total = right[i]
        for k in range(i):
            total -= lower[i, k] * right[k]
        right[i] = total / lower[i, i]
    for i in range(n - 1, -1, -1):
        total = right[i]
        for k in range(i + 1, n):
            total -= lower[k, i] * right[k]
        right[i] = total / lower[i, i]
