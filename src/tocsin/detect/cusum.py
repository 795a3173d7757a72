"""Two-sided CUSUM: small shifts that last."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tocsin.detect.array import ArrayDetector, column
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.scale import honest_sd


class Cusum(ArrayDetector):
    """Score = the larger of the upper and lower cumulative sums, in sds; what is learned of one value adds at most 6.

    The reference mean and sd follow with a memory of `window` steps, slower than the sums grow.

    Parameters: `slack` in sds, half the shift to be found; `window` and `warmup` in steps.

    Reference: E. S. Page, Continuous Inspection Schemes, Biometrika 1954.

    >>> d = Cusum(warmup=4)
    >>> for v in (1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 3.5, 3.5, 3.5):
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 5
    True
    """

    name: ClassVar[str] = "cusum"
    mean: F8 = column(0.0)
    var: F8 = column(0.0)
    up: F8 = column(0.0)
    down: F8 = column(0.0)

    def __init__(self, *, slack: float = 0.5, window: float = 1000, warmup: float = 15) -> None:
        super().__init__(warmup=warmup)
        if not (slack >= 0 and window >= 2):
            raise ValueError(f"cusum: slack must be >= 0 and window at least 2, got {slack} and {window}")
        self.slack, self.window = float(slack), float(window)

    def _score(self, step: Step) -> F8:
        out = np.full(len(step), np.nan)
        _score(step.rows, step.value, self.mean, self.var, self.up, self.down, self.seen, self.slack, self.warmup, out)
        return out

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        r = step.rows
        centre, sd = self.mean[r], np.sqrt(self.var[r])
        above = np.maximum(width + self.slack - self.up[r], 0.0)
        below = np.maximum(width + self.slack - self.down[r], 0.0)
        return centre - below * sd, centre, centre + above * sd

    def _learn(self, step: Step, weight: F8) -> None:
        _learn(
            step.rows, step.value, weight, self.mean, self.var, self.up, self.down, self.seen, self.slack,
            self.window, self.warmup,
        )  # fmt: skip


@njit()
def sums(
    value: float, mean: float, var: float, up: float, down: float, slack: float, reach: float
) -> tuple[float, float]:
    """Upper and lower sum after one more value."""
    gap = value - mean
    sd = honest_sd(math.sqrt(var), mean, gap)
    z = min(max(gap / sd, -reach), reach) if sd > 0.0 else 0.0
    return min(max(up + z - slack, 0.0), 1e3), min(max(down - z - slack, 0.0), 1e3)


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],i4[::1],f8,i8,f8[::1])")
def _score(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, mean: F8, var: F8, up: F8, down: F8, seen: I4, slack: float, warmup: int, out: F8
) -> None:
    for i in range(rows.size):
        r = rows[i]
        if seen[r] >= warmup and math.isfinite(value[i]):
            above, below = sums(value[i], mean[r], var[r], up[r], down[r], slack, 1e3)
            out[i] = max(above, below)


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],i4[::1],f8,f8,i8)")
def _learn(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, weight: F8, mean: F8, var: F8, up: F8, down: F8, seen: I4, slack: float, window: float,
    warmup: int,
) -> None:  # fmt: skip
    for i in range(rows.size):
        r = rows[i]
        gap = value[i] - mean[r]
        if seen[r] >= warmup:
            above, below = sums(value[i], mean[r], var[r], up[r], down[r], slack, 6.0)
            up[r] += weight[i] * (above - up[r])
            down[r] += weight[i] * (below - down[r])
            bound = 4.0 * honest_sd(math.sqrt(var[r]), mean[r], gap)
            gap = min(max(gap, -bound), bound)
        a = weight[i] / min(seen[r] + 1.0, window)
        mean[r] += a * gap
        var[r] = (1.0 - a) * (var[r] + a * gap * gap)
        seen[r] += 1
