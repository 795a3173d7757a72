"""One-class support-vector machine: how far a shingle lies outside the region that holds nearly all of the past."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.array import column
from tocsin.detect.search import outwards
from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.rings import unroll
from tocsin.stats.scale import RIGID, honest_sd, ratio_of

EDGE: Final = 2.0
"""Score at the boundary: with the default nu one shingle in twenty lies outside, as of a normal law beyond 2 sds."""
TOLERANCE: Final = 1e-5
"""Gap between decisions at the best and the worst place for more weight at which a solution is taken."""
TINY: Final = 1e-12
MOVES_MOST: Final = 20
"""Moves of weight per shingle after which it is taken anyway."""
FLATTEST: Final = 0.1
"""Least logarithm of the densest decision over that at the boundary: few distinct values are all alike dense."""
GAMMA, EDGE_LOG, TOP_LOG = 0, 1, 2
"""What a fit holds besides weights: the kernel's gamma, logarithms of rho and of the densest decision."""


class OneClassSvm(Shingled):
    """Score = 2 at the boundary of the one-class machine, 0 where the past is densest, growing with the distance.

    The machine is Schoelkopf's with a Gaussian kernel, solved exactly (SMO) on the shingles of the last `kept` values
    every `every` steps; at most a share `nu` of them lies outside. The score is sqrt(log(densest / f) /
    log(densest / rho)) of its decision f and offset rho: far away f is next to 0 and ranks nothing, its logarithm does.

    Parameters: `window` in steps, values of a shingle; `nu` in (0, 1); `kept` values; `every` steps a fit;
    `warmup` in steps. The kernel's gamma is 1 / (window variance), as usual.

    References: B. Schoelkopf et al., Estimating the Support of a High-Dimensional Distribution, Neural Computation
    2001; C.-C. Chang and C.-J. Lin, LIBSVM, ACM TIST 2011 (the choice of pairs).

    >>> from tocsin.model.detection import Step
    >>> d = OneClassSvm(window=1, warmup=40)
    >>> for k in range(60):
    ...     v = [1.0, 1.1, 9.0, 9.3][k % 4] + 0.01 * (k % 7) if k < 59 else 5.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 2  # 5 lies between the values, and outside of what is usual
    True
    """

    name: ClassVar[str] = "one_class_svm"
    least_unit: ClassVar[float] = 1.0
    past: F8 = column(np.nan, shape=(1,))  # the values of the last fit
    held: I4 = column(0, "i4")  # how many they are
    alpha: F8 = column(0.0, shape=(1,))  # weight of each of their shingles; the weights sum to 1
    fit: F8 = column(0.0, shape=(3,))

    def __init__(
        self, *, window: float = 3, nu: float = 0.05, kept: float = 96, every: float = 32, warmup: float = 40
    ) -> None:
        self.window, self.nu, self.every = int(window), float(nu), int(every)
        if not (self.window >= 1 and 0.0 < nu < 1.0 and every >= 1 and kept >= self.window + 8):
            raise ValueError(
                f"one_class_svm: window and every must be at least 1, nu between 0 and 1 and kept at least the window "
                f"and 8, got {window:g}, {every:g}, {nu:g} and {kept:g}"
            )
        shape = (int(kept),)
        super().__init__(kept=int(kept), warmup=warmup, least=self.window + 8, past=shape, alpha=shape)

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        _scores(
            rows, value, self.ring, self.seen, self.level, self.past, self.held, self.alpha, self.fit, self.window, out
        )
        return out

    def _unit(self, rows: I4, gap: F8) -> F8:
        del gap
        return np.ones(rows.size)

    def _reach(self, rows: I4, radius: F8) -> tuple[F8, F8, F8]:
        """As for any other, but sought in units of the kernel's width: the score has none."""
        centre = self._centre(rows)
        gamma = self.fit[rows, GAMMA] * self.window
        usual = np.where(gamma > 0.0, np.sqrt(1.0 / np.where(gamma > 0.0, gamma, 1.0)), RIGID * np.abs(centre))
        unit = np.maximum(np.maximum(usual, np.abs(centre) * 1e-6), 1e-12)
        low, high = outwards(self._raw, rows, centre, unit, radius)
        return low, centre, high

    def _train(self, step: Step, weight: F8) -> None:
        del weight
        after = self.seen[step.rows] + 1 - self.warmup
        rows = step.rows[(after >= 0) & (after % self.every == 0)]
        if rows.size:
            _fits(rows, self.ring, self.seen, self.past, self.held, self.alpha, self.fit, self.window, self.nu)


@njit()
def kernel_matrix(past: F8, window: int, gamma: float, into: F8) -> int:
    """Gaussian kernel of every two shingles of `past`, (n, n); how many there are."""
    found = past.size - window + 1
    for a in range(found):
        into[a, a] = 1.0
        for b in range(a + 1, found):
            square = 0.0
            for j in range(window):
                gap = past[a + j] - past[b + j]
                square += gap * gap
            into[a, b] = into[b, a] = math.exp(-gamma * square)
    return found


@njit()
def solve(kernel: F8, nu: float, alpha: F8, decision: F8) -> float:
    """Weights (n,) that sum to 1, none above 1 / (nu n), and least alpha' K alpha; decisions K alpha; the offset rho.

    Weight moves between the two shingles that gain most by it, until nothing gains more than the tolerance.
    """
    n = alpha.size
    cap = 1.0 / (nu * n)
    left = 1.0
    for i in range(n):
        alpha[i] = min(cap, left)
        left -= alpha[i]
    for i in range(n):
        decision[i] = 0.0
        for j in range(n):
            decision[i] += kernel[i, j] * alpha[j]
    for _ in range(MOVES_MOST * n):
        to, away = -1, -1
        for i in range(n):
            if alpha[i] < cap - TINY and (to < 0 or decision[i] < decision[to]):
                to = i
            if alpha[i] > TINY and (away < 0 or decision[i] > decision[away]):
                away = i
        if to < 0 or decision[away] - decision[to] < TOLERANCE:
            break
        bend = max(kernel[to, to] + kernel[away, away] - 2.0 * kernel[to, away], TINY)
        moved = min((decision[away] - decision[to]) / bend, cap - alpha[to], alpha[away])
        alpha[to] += moved
        alpha[away] -= moved
        for i in range(n):
            decision[i] += moved * (kernel[i, to] - kernel[i, away])
    return offset(alpha, decision, cap)


@njit()
def offset(alpha: F8, decision: F8, cap: float) -> float:
    """Decision at the boundary: that of shingles whose weight is neither 0 nor at its cap, else between these."""
    total, free = 0.0, 0
    low, high = -math.inf, math.inf
    for i in range(alpha.size):
        if alpha[i] <= TINY:
            high = min(high, decision[i])
        elif alpha[i] >= cap - TINY:
            low = max(low, decision[i])
        else:
            total += decision[i]
            free += 1
    if free:
        return total / free
    return low if math.isinf(high) else (high if math.isinf(low) else (low + high) / 2.0)


@njit("void(i4[::1],f8[:,::1],i4[::1],f8[:,::1],i4[::1],f8[:,::1],f8[:,::1],i8,f8)")
def _fits(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, ring: F8, seen: I4, past: F8, held: I4, alpha: F8, fit: F8, window: int, nu: float
) -> None:
    kept = ring.shape[1]
    kernel, decision = np.empty((kept, kept)), np.empty(kept)
    for r in rows:
        held[r] = unroll(ring[r], seen[r], past[r])
        values = past[r, : held[r]]
        n = held[r] - window + 1
        spread = float(np.var(values))
        alpha[r, :] = 0.0
        fit[r, :] = 0.0
        if spread <= (1e-6 * float(np.mean(values))) ** 2:
            continue  # nothing moved: there is no region
        fit[r, GAMMA] = 1.0 / (window * spread)
        kernel_matrix(values, window, fit[r, GAMMA], kernel)
        rho = solve(kernel[:n, :n], nu, alpha[r, :n], decision[:n])
        fit[r, EDGE_LOG] = math.log(rho)
        fit[r, TOP_LOG] = max(math.log(np.max(decision[:n])), fit[r, EDGE_LOG] + FLATTEST)


@njit()
def log_decision(newest: F8, values: F8, alpha: F8, gamma: float, window: int) -> float:
    """Logarithm of the decision on a shingle (window,), exact however far it is."""
    nearest = math.inf
    for pass_ in range(2):
        total = 0.0
        for s in range(values.size - window + 1):
            if alpha[s] <= TINY:
                continue
            square = 0.0
            for j in range(window):
                gap = newest[j] - values[s + j]
                square += gap * gap
            if pass_ == 0:
                nearest = min(nearest, square)
            else:
                total += alpha[s] * math.exp(-gamma * (square - nearest))
    return math.log(total) - gamma * nearest


@njit("void(i4[::1],f8[::1],f8[:,::1],i4[::1],f8[::1],f8[:,::1],i4[::1],f8[:,::1],f8[:,::1],i8,f8[::1])")
def _scores(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, ring: F8, seen: I4, level: F8, past: F8, held: I4, alpha: F8, fit: F8, window: int, out: F8
) -> None:
    kept, newest = ring.shape[1], np.empty(window)
    for i in range(rows.size):
        r = rows[i]
        if held[r] == 0:
            continue
        if fit[r, GAMMA] == 0.0:
            gap = value[i] - level[r]
            out[i] = ratio_of(gap, honest_sd(0.0, level[r], gap))
            continue
        for j in range(window - 1):
            newest[j] = ring[r, (seen[r] - window + 1 + j) % kept]
        newest[window - 1] = value[i]
        found = log_decision(newest, past[r, : held[r]], alpha[r], fit[r, GAMMA], window)
        beyond = (fit[r, TOP_LOG] - found) / (fit[r, TOP_LOG] - fit[r, EDGE_LOG])
        out[i] = min(EDGE * math.sqrt(max(beyond, 0.0)), 1e6)
