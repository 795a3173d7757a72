"""What a few principal directions of an entity's shingles don't explain: PCA, or a linear autoencoder."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.multi_member import Look, Member
from tocsin.detect.multi_memory import ShingleMemory
from tocsin.detect.multi_scale import CAP, RobustScale
from tocsin.model.arrays import F8, I8
from tocsin.stats.jit import njit

ROWS: Final = 5
DIRECTIONS: Final = 4
TURNS: Final = 4
"""Power iterations at a refit; directions go on from where they were."""
BOUND: Final = 8.0
"""Deviation beyond which a value teaches no more: one wild row must not become a direction."""


class Subspace(Member):
    """Score = root mean square residual (in spreads) of the newest 5 rows off the span of 4 principal directions.

    Reference: J. E. Jackson and G. S. Mudholkar, Control Procedures for Residuals Associated with Principal Component
    Analysis, Technometrics 1979; P. Baldi and K. Hornik, Neural Networks and Principal Component Analysis, 1989.

    >>> memory, scale, d = ShingleMemory(1), RobustScale(1), Subspace(1)
    >>> for t in range(200):
    ...     row = np.array([math.sin(t / 5)])
    ...     memory.push(row)
    ...     memory.learn()
    ...     scale.learn(row)
    >>> scale.refit(memory)
    >>> d.refit(memory, scale)
    >>> look = Look(memory.latest, row, row, scale.reach, memory.past, memory.when, 200)
    >>> wild = memory.latest * (-1.0) ** np.arange(10)[:, None]  # a wave has two directions; this is another
    >>> d.score(look)[0] < 0.1 < d.score(look._replace(latest=wild))[0]
    True
    """

    name: ClassVar[str] = "subspace"
    _kept: ClassVar[tuple[str, ...]] = ("basis", "centre", "scale", "fitted")

    def __init__(self, signals: int) -> None:
        self.basis: F8 = np.zeros((DIRECTIONS, ROWS * signals))
        self.centre: F8 = np.zeros(signals)
        self.scale: F8 = np.full(signals, np.nan)
        self.fitted: I8 = np.zeros(1, np.int64)

    def score(self, look: Look) -> tuple[float, F8]:
        """Residual and each signal's squared residual in the newest row."""
        parts = np.zeros(look.z.size)
        if not self.fitted[0]:
            return math.nan, parts
        return _residual(look.latest, self.centre, self.scale, self.basis, parts), parts

    def refit(self, memory: ShingleMemory, scale: RobustScale) -> None:
        """A few power iterations over the kept shingles."""
        if memory.size < 4 * DIRECTIONS:
            return
        self.centre[:], self.scale[:] = scale.centre, scale.spread
        windows = np.zeros((memory.size, self.basis.shape[1]))
        for m in range(memory.size):
            _window(memory.past[m], self.centre, self.scale, BOUND, windows[m])
        if not self.fitted[0]:
            self.fitted[0] = 1
            width = self.centre.size
            for d in range(DIRECTIONS):  # any start will do that is no direction's exact opposite
                self.basis[d] = windows[(d * memory.size) // DIRECTIONS] + 0.01 * np.cos(
                    0.7 * (d + 1) * (np.arange(ROWS * width) // width + 1)
                )
        _iterate(windows, self.basis)


@njit()
def _window(latest: F8, centre: F8, scale: F8, bound: float, out: F8) -> int:
    """Deviations of the newest rows, flat; 0 where unknown. How many are known."""
    signals = centre.size
    known = 0
    for r in range(ROWS):
        for i in range(signals):
            value = (latest[r, i] - centre[i]) / scale[i] if scale[i] > 0.0 else math.nan
            missing = math.isnan(value)
            known += not missing
            out[r * signals + i] = 0.0 if missing else min(max(value, -bound), bound)
    return known


@njit()
def _residual(latest: F8, centre: F8, scale: F8, basis: F8, parts: F8) -> float:
    width, signals = basis.shape[1], centre.size
    window = np.empty(width)
    known = _window(latest, centre, scale, CAP, window)
    if known == 0:
        return math.nan
    for d in range(basis.shape[0]):
        _add(window, -_along(basis[d], window), basis[d])
    total = 0.0
    for j in range(width):
        i = j % signals
        if not math.isnan(latest[j // signals, i]) and scale[i] > 0.0:
            total += window[j] * window[j]
            if j < signals:
                parts[i] = window[j] * window[j]
    return math.sqrt(total / known)


@njit()
def _iterate(windows: F8, basis: F8) -> None:
    """Subspace iteration with Gram-Schmidt; a direction without variance becomes zero."""
    n, width = windows.shape
    following = np.zeros(width)
    for _ in range(TURNS):
        for d in range(basis.shape[0]):
            following[:] = 0.0
            for m in range(n):
                _add(following, _along(windows[m], basis[d]), windows[m])
            for e in range(d):
                _add(following, -_along(basis[e], following), basis[e])
            length = math.sqrt(_along(following, following))
            for j in range(width):
                basis[d, j] = following[j] / length if length > 1e-9 else 0.0


@njit()
def _along(a: F8, b: F8) -> float:
    """Inner product, summed in order."""
    total = 0.0
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@njit()
def _add(to: F8, share: float, what: F8) -> None:
    for j in range(to.size):
        to[j] += share * what[j]
