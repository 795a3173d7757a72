"""EWMA control chart: how far a value is from its own recent past."""

from __future__ import annotations

import math
from typing import ClassVar

from tocsin.detect.mean_sd import MeanSd
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.scale import honest_sd


class Ewma(MeanSd):
    """Score = |value - mean| / sd of the exponentially weighted past; deviations count up to 4 sd.

    Parameters: `alpha` in (0, 1], weight of the newest value; `warmup` in steps.

    Reference: S. W. Roberts, Control Chart Tests Based on Geometric Moving Averages, Technometrics 1959.

    >>> import numpy as np
    >>> d = Ewma(alpha=0.5, warmup=2)
    >>> for v in (1.0, 2.0, 1.0, 9.0):
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     print(round(float(d.score(s).value[0]), 2))
    ...     d.learn(s, np.ones(1))
    nan
    nan
    1.0
    17.9
    """

    name: ClassVar[str] = "ewma"

    def __init__(self, *, alpha: float = 0.05, warmup: float = 15) -> None:
        super().__init__(warmup=warmup)
        if not 0 < alpha <= 1:
            raise ValueError(f"ewma: alpha must be in (0, 1], got {alpha}")
        self.alpha = float(alpha)

    def _learn(self, step: Step, weight: F8) -> None:
        _learn(step.rows, step.value, weight, self.mean, self.var, self.seen, self.alpha, self.warmup)


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1],i4[::1],f8,i8)")
def _learn(rows: I4, value: F8, weight: F8, mean: F8, var: F8, seen: I4, alpha: float, warmup: int) -> None:
    for i in range(rows.size):
        r = rows[i]
        if seen[r] == 0:
            mean[r] = value[i]
        gap = value[i] - mean[r]
        if seen[r] >= warmup:
            bound = 4.0 * honest_sd(math.sqrt(var[r]), mean[r], gap)
            gap = min(max(gap, -bound), bound)
        a = weight[i] * alpha
        mean[r] += a * gap
        var[r] = (1.0 - a) * (var[r] + a * gap * gap)
        seen[r] += 1
