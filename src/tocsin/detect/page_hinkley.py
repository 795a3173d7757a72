"""Page-Hinkley: a mean that has moved from its whole past."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tocsin.detect.array import ArrayDetector, column
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.scale import honest_sd


class PageHinkley(ArrayDetector):
    """Score = how far the cumulative sum of deviations, less `delta` each, stands over its least, in sds, two-sided.

    The mean is that of all values since the last change; a sum that reaches `reset` is a change, and the mean
    starts anew there. What is learned of one value adds at most 6; the sums are forgotten by `1 - alpha` a step.

    Parameters: `delta` in sds, change that is let pass; `alpha` in (0, 1]; `reset` in sds; `warmup` in steps.

    References: E. S. Page, Continuous Inspection Schemes, Biometrika 1954; D. V. Hinkley, Inference about the
    Change-Point from Cumulative Sum Tests, Biometrika 1971; J. Gama et al., A Survey on Concept Drift
    Adaptation, ACM Computing Surveys 2014 (with forgetting).

    >>> d = PageHinkley(warmup=4)
    >>> for v in (1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 3.5, 3.5, 3.5):
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 5
    True
    """

    name: ClassVar[str] = "page_hinkley"
    mean: F8 = column(0.0)
    var: F8 = column(0.0)
    up: F8 = column(0.0)
    down: F8 = column(0.0)
    since: F8 = column(0.0)  # steps since the last change

    def __init__(self, *, delta: float = 0.2, alpha: float = 0.9999, reset: float = 100.0, warmup: float = 15) -> None:
        super().__init__(warmup=warmup)
        if not (delta >= 0 and 0 < alpha <= 1 and reset > 6):
            raise ValueError(
                f"page_hinkley: delta must be >= 0, alpha in (0, 1] and reset above 6, got {delta}, {alpha} and {reset}"
            )
        self.delta, self.alpha, self.reset = float(delta), float(alpha), float(reset)

    def _score(self, step: Step) -> F8:
        out = np.full(len(step), np.nan)
        _score(
            step.rows, step.value, self.mean, self.var, self.up, self.down, self.seen, self.delta, self.alpha,
            self.warmup, out,
        )  # fmt: skip
        return out

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        r = step.rows
        centre, sd = self.mean[r], np.sqrt(self.var[r])
        above = np.maximum(width + self.delta - self.alpha * self.up[r], 0.0)
        below = np.maximum(width + self.delta - self.alpha * self.down[r], 0.0)
        return centre - below * sd, centre, centre + above * sd

    def _learn(self, step: Step, weight: F8) -> None:
        _learn(
            step.rows, step.value, weight, self.mean, self.var, self.up, self.down, self.since, self.seen, self.delta,
            self.alpha, self.reset, self.warmup,
        )  # fmt: skip


@njit()
def sums(
    value: float, mean: float, var: float, up: float, down: float, delta: float, alpha: float, most: float
) -> tuple[float, float]:
    """Upper and lower sum over its least after one more value."""
    gap = value - mean
    sd = honest_sd(math.sqrt(var), mean, gap)
    z = min(max(gap / sd, -most), most) if sd > 0.0 else 0.0
    return max(alpha * up + z - delta, 0.0), max(alpha * down - z - delta, 0.0)


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],i4[::1],f8,f8,i8,f8[::1])")
def _score(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, mean: F8, var: F8, up: F8, down: F8, seen: I4, delta: float, alpha: float, warmup: int,
    out: F8,
) -> None:  # fmt: skip
    for i in range(rows.size):
        r = rows[i]
        if seen[r] >= warmup and math.isfinite(value[i]):
            above, below = sums(value[i], mean[r], var[r], up[r], down[r], delta, alpha, 1e6)
            out[i] = max(above, below)


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],i4[::1],f8,f8,f8,i8)")
def _learn(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, weight: F8, mean: F8, var: F8, up: F8, down: F8, since: F8, seen: I4, delta: float,
    alpha: float, reset: float, warmup: int,
) -> None:  # fmt: skip
    for i in range(rows.size):
        r = rows[i]
        gap = value[i] - mean[r]
        if seen[r] >= warmup:
            above, below = sums(value[i], mean[r], var[r], up[r], down[r], delta, alpha, 6.0)
            up[r] += weight[i] * (above - up[r])
            down[r] += weight[i] * (below - down[r])
            bound = 4.0 * honest_sd(math.sqrt(var[r]), mean[r], gap)
            gap = min(max(gap, -bound), bound)
        if max(up[r], down[r]) >= reset:
            up[r], down[r], since[r] = 0.0, 0.0, 0.0
        since[r] += weight[i]
        a = weight[i] / max(min(since[r], 1e5), 1.0)
        mean[r] += a * gap
        a = weight[i] / min(seen[r] + 1.0, 1000.0)
        var[r] = (1.0 - a) * (var[r] + a * gap * gap)
        seen[r] += 1
