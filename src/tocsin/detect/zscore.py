"""z-score against the moments of a sliding window: the rule of three sigmas, without its pitfalls."""

from __future__ import annotations

import math
from typing import ClassVar

from tocsin.detect.array import column
from tocsin.detect.mean_sd import MeanSd
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.scale import honest_sd


class Zscore(MeanSd):
    """Score = |value - mean| / sd over about the last `window` steps; deviations count up to 4 sd.

    A value is tested before it is learned; the window forgets exponentially, so that no buffer is kept.

    Parameters: `window` in steps, at least 2; `warmup` in steps.

    Reference: B. P. Welford, Note on a Method for Calculating Corrected Sums of Squares, Technometrics 1962.

    >>> import numpy as np
    >>> d = Zscore(warmup=4)
    >>> for v in (1.0, 2.0, 1.0, 2.0, 9.0):
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z
    15.0
    """

    name: ClassVar[str] = "zscore"
    mass: F8 = column(0.0)

    def __init__(self, *, window: float = 500, warmup: float = 15) -> None:
        super().__init__(warmup=warmup)
        if not window >= 2:
            raise ValueError(f"zscore: window must be at least 2 steps, got {window}")
        self.window = float(window)

    def _learn(self, step: Step, weight: F8) -> None:
        _learn(step.rows, step.value, weight, self.mean, self.var, self.mass, self.seen, self.window)


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],i4[::1],f8)")
def _learn(rows: I4, value: F8, weight: F8, mean: F8, var: F8, mass: F8, seen: I4, window: float) -> None:
    for i in range(rows.size):
        r = rows[i]
        gap = value[i] - mean[r]
        if seen[r] >= 8:
            bound = 4.0 * honest_sd(math.sqrt(var[r]), mean[r], gap)
            gap = min(max(gap, -bound), bound)
        mass[r] = min(mass[r] + weight[i], window)
        a = weight[i] / mass[r]
        mean[r] += a * gap
        var[r] = (1.0 - a) * (var[r] + a * gap * gap)
        seen[r] += 1
