"""Relative entropy: whether the values of a window are distributed as in any window known so far."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.array import column
from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.scale import honest_sd

EDGES: Final = (-6.0, -3.0, -1.5, -0.5, 0.5, 1.5, 3.0, 6.0)
"""Bounds of the bins, in sds from the mean of about the last 1,000 values."""
BINS: Final = len(EDGES) + 1
KNOWN: Final = 8
LEAST_SHARES: Final = (1e-7, 1e-3, 1e-2, 1e-2, 1e-2, 1e-2, 1e-2, 1e-3, 1e-7)
"""Share of values that a known distribution grants to each bin though it never saw it filled."""
ALIKE: Final = 20.09
"""99 % quantile of chi-square with 8 degrees of freedom: what is below is taken for the same distribution."""


class RelativeEntropy(Shingled):
    """Score = relative entropy of the last window to the nearest known distribution, 2 W KL, over what is usual.

    Up to 8 distributions are known. Windows alike one are averaged into it; what has been unlike all of them for half a
    window becomes one, in place of the least seen.

    Parameters: `window` in steps; `warmup` in steps, at least a window.

    Reference: C. Wang et al., Statistical Techniques for Online Anomaly Detection in Data Centers, IM 2011.

    >>> from tocsin.model.detection import Step
    >>> d = RelativeEntropy(window=20, warmup=20)
    >>> for k in range(108):
    ...     v = float(k * 7 % 10) if k < 100 else 4.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3  # 4 is no strange value, but eight of them are
    True
    """

    name: ClassVar[str] = "relative_entropy"
    least_unit: ClassVar[float] = 1.0
    mean: F8 = column(0.0)
    var: F8 = column(0.0)
    shares: F8 = column(0.0, shape=(KNOWN, BINS))
    windows: F8 = column(0.0, shape=(KNOWN,))  # how many windows each known distribution averages; 0: free
    strange: F8 = column(0.0)  # windows in a row that are unlike all of these

    def __init__(self, *, window: float = 52, warmup: float = 60) -> None:
        if not window >= 8:
            raise ValueError(f"relative_entropy: window must be at least 8 steps, got {window}")
        super().__init__(kept=int(window) - 1, warmup=warmup, least=int(window))

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        _distances(rows, value, self.ring, self.mean, self.var, self.shares, self.windows, self.seen, out)
        return out

    def _centre(self, rows: I4) -> F8:
        centre: F8 = self.mean[rows]
        return centre

    def _reach(self, rows: I4, radius: F8) -> tuple[F8, F8, F8]:
        """Where the bins are that a value may fall into; the outermost end at 12 sds."""
        mean, sd = self.mean[rows], np.sqrt(self.var[rows])
        bounds = np.array([-12.0, *EDGES, 12.0])
        calm = np.array([self._raw(rows, mean + sd * middle) for middle in (bounds[:-1] + bounds[1:]) / 2.0]) <= radius
        first, last = np.argmax(calm, axis=0), BINS - 1 - np.argmax(calm[::-1], axis=0)
        some = calm.any(axis=0)
        low = np.where(some, mean + sd * bounds[first], mean)
        high = np.where(some, mean + sd * bounds[last + 1], mean)
        return low, np.clip(mean, low, high), high

    def _train(self, step: Step, weight: F8) -> None:
        _train(
            step.rows, step.value, weight, self.ring, self.mean, self.var, self.shares, self.windows, self.strange,
            self.seen,
        )  # fmt: skip


@njit()
def bin_of(z: float) -> int:
    """Number of the bin of a value in sds."""
    k = 0
    for edge in EDGES:
        if z > edge:
            k += 1
    return k


@njit()
def spread(value: float, ring: F8, mean: float, var: float, into: F8) -> None:
    """Shares of the bins in a full ring and one more value."""
    into[:] = 0.0
    sd = math.sqrt(var)
    for j in range(ring.size + 1):
        x = ring[j] if j < ring.size else value
        unit = honest_sd(sd, mean, x - mean)
        into[bin_of((x - mean) / unit if unit > 0.0 else 0.0)] += 1.0 / (ring.size + 1.0)


@njit()
def nearest(found: F8, shares: F8, windows: F8, size: int) -> tuple[float, int]:
    """Twice the window times the relative entropy to the nearest known distribution, and which; infinite: none."""
    best, which = math.inf, -1
    for h in range(windows.size):
        if windows[h] > 0.0:
            far = 0.0
            for k in range(found.size):
                if found[k] > 0.0:
                    far += found[k] * math.log(found[k] / max(shares[h, k], LEAST_SHARES[k]))
            far = max(2.0 * size * far, 0.0)
            if far < best:
                best, which = far, h
    return best, which


@njit("void(i4[::1],f8[::1],f8[:,::1],f8[::1],f8[::1],f8[:,:,::1],f8[:,::1],i4[::1],f8[::1])")
def _distances(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, ring: F8, mean: F8, var: F8, shares: F8, windows: F8, seen: I4, out: F8
) -> None:
    found = np.empty(BINS)
    size = ring.shape[1] + 1
    for i in range(rows.size):
        r = rows[i]
        if seen[r] >= size and math.isfinite(value[i]):
            spread(value[i], ring[r], mean[r], var[r], found)
            out[i] = nearest(found, shares[r], windows[r], size)[0]


@njit()
def compare(found: F8, shares: F8, windows: F8, size: int, strange: float) -> float:
    """Learn the distribution of one window; how many in a row were unlike all that is known."""
    far, which = nearest(found, shares, windows, size)
    if far >= ALIKE:
        if which >= 0 and strange + 1.0 < size / 2.0:
            return strange + 1.0
        which = int(np.argmin(windows))
        windows[which] = 0.0
    windows[which] = min(windows[which] + 1.0, 1000.0)
    for k in range(BINS):
        shares[which, k] += (found[k] - shares[which, k]) / windows[which]
    return 0.0


@njit("void(i4[::1],f8[::1],f8[::1],f8[:,::1],f8[::1],f8[::1],f8[:,:,::1],f8[:,::1],f8[::1],i4[::1])")
def _train(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, weight: F8, ring: F8, mean: F8, var: F8, shares: F8, windows: F8, strange: F8, seen: I4
) -> None:
    found = np.empty(BINS)
    size = ring.shape[1] + 1
    for i in range(rows.size):
        r = rows[i]
        if seen[r] >= size - 1:
            spread(value[i], ring[r], mean[r], var[r], found)
            strange[r] = compare(found, shares[r], windows[r], size, strange[r])
        gap = value[i] - mean[r]
        if seen[r] >= 15:
            bound = 4.0 * honest_sd(math.sqrt(var[r]), mean[r], gap)
            gap = min(max(gap, -bound), bound)
        a = weight[i] / min(seen[r] + 1.0, 1000.0)
        mean[r] += a * gap
        var[r] = (1.0 - a) * (var[r] + a * gap * gap)
