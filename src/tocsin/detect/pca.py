"""Principal components of shingles, a linear autoencoder: what a few directions of the past can't rebuild."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.array import column
from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.moments import robust_moments

MEMORY: Final = 1000.0


class Pca(Shingled):
    """Score = what the leading `components` leave of the shingle, root mean square, over what is usual.

    Components are learned one shingle at a time (CCIPCA) about the mean of the last 1,000 values or so; a value
    counts up to 4 sds.

    Parameters: `window` in steps, values of a shingle; `components`, fewer than these; `warmup` in steps.

    Reference: J. Weng, Y. Zhang and W.-S. Hwang, Candid Covariance-Free Incremental Principal Component Analysis,
    IEEE PAMI 2003; the score: J. E. Jackson and G. S. Mudholkar, Control Procedures for Residuals Associated with
    Principal Component Analysis, Technometrics 1979.

    >>> from tocsin.model.detection import Step
    >>> d = Pca(window=8, components=2, warmup=30)
    >>> for k in range(200):
    ...     v = float(np.sin(k / 3) + 0.01 * (k % 7)) if k < 199 else 1.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3  # 1 is an ordinary value, but not on this way
    True
    """

    name: ClassVar[str] = "pca"
    mean: F8 = column(0.0)
    var: F8 = column(0.0)
    parts: F8 = column(0.0, shape=(1, 1))  # components, each as long as the variance along it

    def __init__(self, *, window: float = 10, components: float = 3, warmup: float = 40) -> None:
        size, few = int(window), int(components)
        if not 1 <= few < size:
            raise ValueError(f"pca: components must be at least 1 and fewer than the window, got {few} and {size}")
        super().__init__(kept=size - 1, warmup=warmup, least=2 * size, parts=(few, size))

    def _raw(self, rows: I4, value: F8) -> F8:
        fit = self._quadratic(rows)
        gap = value - self.mean[rows]
        out: F8 = np.sqrt(np.maximum(fit[:, 0] * gap * gap + 2.0 * fit[:, 1] * gap + fit[:, 2], 0.0))
        return out

    def _reach(self, rows: I4, radius: F8) -> tuple[F8, F8, F8]:
        """Where the square of what is left, a quadratic in the newest value, is small enough."""
        fit = self._quadratic(rows)
        steep = np.maximum(fit[:, 0], 1e-12)
        best = -fit[:, 1] / steep
        least = fit[:, 2] - fit[:, 1] ** 2 / steep
        half = np.sqrt(np.maximum(radius * radius - least, 0.0) / steep)
        centre = self.mean[rows] + best
        return centre - half, centre, centre + half

    def _quadratic(self, rows: I4) -> F8:
        out = np.full((rows.size, 3), np.nan)
        _quadratics(rows, self.ring, self.mean, self.parts, self.seen, out)
        return out

    def _train(self, step: Step, weight: F8) -> None:
        _train(step.rows, step.value, weight, self.ring, self.mean, self.var, self.parts, self.seen)


@njit()
def shingle(ring: F8, seen: int, mean: float, into: F8) -> None:
    """The last values, oldest first, about the mean; the newest is left to the caller, as zero."""
    kept = ring.size
    for j in range(kept):
        into[j] = ring[(seen + j) % kept] - mean
    into[kept] = 0.0


@njit()
def take_away(left: F8, part: F8) -> None:
    """Take from `left` what lies along `part`."""
    square, along = 0.0, 0.0
    for j in range(part.size):
        square += part[j] * part[j]
        along += part[j] * left[j]
    if square > 0.0:
        for j in range(part.size):
            left[j] -= along / square * part[j]


@njit()
def upright(parts: F8, into: F8) -> None:
    """The components made exactly orthogonal, one after the other."""
    for c in range(parts.shape[0]):
        into[c] = parts[c]
        for earlier in range(c):
            take_away(into[c], into[earlier])


@njit("void(i4[::1],f8[:,::1],f8[::1],f8[:,:,::1],i4[::1],f8[:,::1])")
def _quadratics(rows: I4, ring: F8, mean: F8, parts: F8, seen: I4, out: F8) -> None:
    """Mean square of what is left, as a t^2 + 2 b t + c in the newest value's distance t from the mean."""
    size = ring.shape[1] + 1
    fixed, newest, basis = np.empty(size), np.empty(size), np.empty((parts.shape[1], size))
    for i in range(rows.size):
        r = rows[i]
        if seen[r] < 2 * size - 1:
            continue
        shingle(ring[r], seen[r], mean[r], fixed)
        newest[:] = 0.0
        newest[size - 1] = 1.0
        upright(parts[r], basis)
        for c in range(basis.shape[0]):
            take_away(fixed, basis[c])
            take_away(newest, basis[c])
        out[i, :] = 0.0
        for j in range(size):
            out[i, 0] += newest[j] * newest[j] / size
            out[i, 1] += newest[j] * fixed[j] / size
            out[i, 2] += fixed[j] * fixed[j] / size


@njit("void(i4[::1],f8[::1],f8[::1],f8[:,::1],f8[::1],f8[::1],f8[:,:,::1],i4[::1])")
def _train(rows: I4, value: F8, weight: F8, ring: F8, mean: F8, var: F8, parts: F8, seen: I4) -> None:
    size, few = ring.shape[1] + 1, parts.shape[1]
    left = np.empty(size)
    for i in range(rows.size):
        r = rows[i]
        if seen[r] >= size - 1:
            shingle(ring[r], seen[r], mean[r], left)
            left[size - 1] = value[i] - mean[r]
            bound = 4.0 * math.sqrt(var[r])
            for j in range(size):
                left[j] = min(max(left[j], -bound), bound)
            n = min(seen[r] - size + 2.0, MEMORY)
            for c in range(min(few, seen[r] - size + 2)):
                learn_part(parts[r, c], left, weight[i] / n, n <= c + 1.0)
        mean[r], var[r] = robust_moments(
            mean[r], var[r], value[i], weight[i] / min(seen[r] + 1.0, MEMORY), seen[r] >= 15
        )


@njit()
def learn_part(part: F8, left: F8, share: float, first: bool) -> None:
    """Turn one component towards what is left, by its share; then take from that what lies along it."""
    square = 0.0
    for j in range(part.size):
        square += part[j] * part[j]
    if first or square == 0.0:
        part[:] = left
    else:
        along = 0.0
        for j in range(part.size):
            along += part[j] * left[j]
        along /= math.sqrt(square)
        for j in range(part.size):
            part[j] += share * (along * left[j] - part[j])
    take_away(left, part)
