"""Residuals of a vector autoregression: what the row before doesn't tell about this one."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.multi_member import Look, Member
from tocsin.detect.multi_memory import ShingleMemory
from tocsin.detect.multi_scale import RobustScale
from tocsin.model.arrays import F8, I8
from tocsin.stats.jit import njit
from tocsin.stats.products import BOUND, WARM, bounded, factor, learn_products, learn_variance, solve

RIDGE: Final = 0.05
CAP: Final = 20.0


class Autoregression(Member):
    """Score = root mean square of the residuals of a ridge VAR(1), each in its own standard deviations.

    Moments are updated at every step with bounded influence and solved at a refit.

    Reference: H. Luetkepohl, New Introduction to Multiple Time Series Analysis, 2005, chapter 3; A. E. Hoerl and
    R. W. Kennard, Ridge Regression, Technometrics 1970.

    >>> d, was = Autoregression(2), np.zeros(2)
    >>> for t in range(200):  # each row is the one before, turned
    ...     z = np.array([math.sin(t), math.cos(t)])
    ...     look = Look(z[None], z, was, z, z[None, None], np.zeros(1, "i8"), t)
    ...     usual, was = d.score(look)[0], z
    ...     d.learn(look)
    ...     if t == 100:
    ...         d.refit(ShingleMemory(2), RobustScale(2))
    >>> usual < 2 < 5 < d.score(look._replace(z=-z))[0]
    True
    """

    name: ClassVar[str] = "autoregression"
    specialist: ClassVar[bool] = True
    _kept: ClassVar[tuple[str, ...]] = ("lagged", "crossed", "weights", "square", "seen")

    def __init__(self, signals: int) -> None:
        self.lagged: F8 = np.zeros((signals, signals))
        self.crossed: F8 = np.zeros((signals, signals))
        self.weights: F8 = np.zeros((signals, signals))  # row: the signal told of
        self.square: F8 = np.zeros(signals)
        self.seen: I8 = np.zeros(2, np.int64)  # rows in the moments, residuals in their squares

    def score(self, look: Look) -> tuple[float, F8]:
        """Score and each signal's squared residual."""
        parts = np.zeros(look.z.size)
        if self.seen[1] < WARM:
            return math.nan, parts
        return _score(self._residuals(look), self.square, parts), parts

    def learn(self, look: Look) -> None:
        """Moments, and the squares of the residuals of what is solved."""
        if self.seen[0] and np.any(self.weights):
            learn_variance(self._residuals(look), int(self.seen[1]), self.square)
            self.seen[1] += 1
        learn_products(look.before, look.before, int(self.seen[0]), self.lagged)
        learn_products(look.z, look.before, int(self.seen[0]), self.crossed)
        self.seen[0] += 1

    def refit(self, memory: ShingleMemory, scale: RobustScale) -> None:  # noqa: ARG002 - the moments are its memory
        """Solve the normal equations."""
        if self.seen[0] > WARM:
            lower = self.lagged + RIDGE * np.eye(len(self.lagged))
            self.weights[:] = self.crossed
            _solve_rows(lower, self.weights)

    def _residuals(self, look: Look) -> F8:
        out = np.empty(look.z.size)
        _residuals(look.z, look.before, self.weights, out)
        return out


@njit()
def _solve_rows(matrix: F8, weights: F8) -> None:
    factor(matrix)
    for i in range(weights.shape[0]):
        solve(matrix, weights[i])


@njit()
def _residuals(z: F8, before: F8, weights: F8, out: F8) -> None:
    for i in range(z.size):
        told = 0.0
        for j in range(z.size):
            told += weights[i, j] * bounded(before[j])
        out[i] = z[i] - told


@njit()
def _score(residual: F8, square: F8, parts: F8) -> float:
    known, total = 0, 0.0
    for i in range(residual.size):
        sd = math.sqrt(square[i])
        if math.isnan(residual[i]) or not sd > 0.0:
            continue
        ratio = min(abs(residual[i]) / max(sd, 1.0 / BOUND / BOUND), CAP)
        parts[i] = ratio * ratio
        total += parts[i]
        known += 1
    return math.sqrt(total / known) if known else math.nan
