"""Broken correlation: a signal that the others used to tell of no longer does what they say."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.multi_member import Look, Member
from tocsin.detect.multi_memory import ShingleMemory
from tocsin.detect.multi_scale import RobustScale
from tocsin.model.arrays import F8, I8
from tocsin.stats.jit import njit
from tocsin.stats.products import WARM, bounded, factor, learn_products, learn_variance, solve

RIDGE: Final = 0.05
HELD: Final = 0.5
"""Share of a signal's variance that the others tell (R squared) from which on a relation is said to hold."""
BROKEN: Final = 2
"""Relations that are averaged: a break between two signals shows in both."""
CAP: Final = 20.0


class Relation(Member):
    """Score = mean of the two largest residuals, in their standard deviations, of signals that the others tell.

    The residual of signal i given all others is (P z)_i / P_ii, with P the inverse of the ridge correlation matrix,
    whose moments are updated at every step with bounded influence. A break shows though each signal alone is usual.

    Reference: S. L. Lauritzen, Graphical Models, 1996, section 5.1; T. Ide et al., Proximity-Based Anomaly Detection
    Using Sparse Structure Learning, SDM 2009.

    >>> d = Relation(2)
    >>> for t in range(200):  # both signals move together
    ...     z = np.array([math.sin(t), math.sin(t) + 0.1 * math.cos(7 * t)])
    ...     look = Look(z[None], z, z, z, z[None, None], np.zeros(1, "i8"), t)
    ...     usual = d.score(look)[0]
    ...     d.learn(look)
    ...     if t == 100:
    ...         d.refit(ShingleMemory(2), RobustScale(2))
    >>> usual < 3 < 10 < d.score(look._replace(z=np.array([0.8, -0.8])))[0]
    True
    """

    name: ClassVar[str] = "relation"
    specialist: ClassVar[bool] = True
    _kept: ClassVar[tuple[str, ...]] = ("products", "precision", "told", "square", "seen")

    def __init__(self, signals: int) -> None:
        self.products: F8 = np.zeros((signals, signals))
        self.precision: F8 = np.zeros((signals, signals))
        self.told: F8 = np.zeros(signals)
        """R squared of each signal given the others."""
        self.square: F8 = np.zeros(signals)
        self.seen: I8 = np.zeros(2, np.int64)  # rows in the moments, residuals in their squares

    def score(self, look: Look) -> tuple[float, F8]:
        """Score and each signal's squared residual; NaN while no relation holds."""
        parts = np.zeros(look.z.size)
        if self.seen[1] < WARM:
            return math.nan, parts
        return _score(self._residuals(look), self.square, self.told, parts), parts

    def learn(self, look: Look) -> None:
        """Moments, and the squares of the residuals of what is solved."""
        if np.any(self.told):
            learn_variance(self._residuals(look), int(self.seen[1]), self.square)
            self.seen[1] += 1
        learn_products(look.z, look.z, int(self.seen[0]), self.products)
        self.seen[0] += 1

    def refit(self, memory: ShingleMemory, scale: RobustScale) -> None:  # noqa: ARG002 - the moments are its memory
        """Invert, and see which relations hold."""
        if self.seen[0] > WARM:
            _invert(self.products, self.precision, self.told)

    def _residuals(self, look: Look) -> F8:
        out = np.empty(look.z.size)
        _residuals(look.z, self.precision, out)
        return out


@njit()
def _invert(products: F8, precision: F8, told: F8) -> None:
    """Precision of the correlations, kept in terms of deviations, and R squared of each signal given the others."""
    n = products.shape[0]
    sd = np.zeros(n)
    for i in range(n):
        sd[i] = math.sqrt(products[i, i])
    lower = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            both = sd[i] > 0.0 and sd[j] > 0.0
            lower[i, j] = products[i, j] / (sd[i] * sd[j]) if both else 0.0
        lower[i, i] = 1.0 + RIDGE
    factor(lower)
    column = np.zeros(n)
    for i in range(n):
        column[:] = 0.0
        column[i] = 1.0
        solve(lower, column)
        told[i] = max(1.0 + RIDGE - 1.0 / column[i], 0.0) if sd[i] > 0.0 else 0.0
        for j in range(n):
            known = sd[i] > 0.0 and sd[j] > 0.0
            precision[i, j] = column[j] / column[i] * sd[i] / sd[j] if known else 0.0


@njit()
def _residuals(z: F8, precision: F8, out: F8) -> None:
    """z_i less what the others tell of it; a missing one tells what is usual."""
    for i in range(z.size):
        rest = 0.0
        for j in range(z.size):
            if j != i:
                rest += precision[i, j] * bounded(z[j])
        out[i] = z[i] + rest


@njit()
def _score(residual: F8, square: F8, told: F8, parts: F8) -> float:
    most = np.zeros(BROKEN)
    held = 0
    for i in range(residual.size):
        if told[i] < HELD or math.isnan(residual[i]) or not square[i] > 0.0:
            continue
        held += 1
        ratio = min(abs(residual[i]) / math.sqrt(square[i]), CAP)
        parts[i] = ratio * ratio
        for k in range(BROKEN):
            if ratio > most[k]:
                ratio, most[k] = most[k], ratio
    if held == 0:
        return math.nan
    return float(most.sum()) / min(held, BROKEN)
