"""Record: how far a value lies outside everything seen so far."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tocsin.detect.array import ArrayDetector, column
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.scale import honest_sd

HIGHEST = 8.0


class Record(ArrayDetector):
    """Score = 8 tanh(3 excess / range), in [0, 8), with the running range of the past.

    A new record widens the range by at most half of itself a step, so that one freak value doesn't end its use.

    Parameters: `warmup` in steps.

    Reference: K. N. Chandler, The Distribution and Frequency of Record Values, JRSS B 1952.

    >>> d = Record(warmup=2)
    >>> for v in (0.0, 10.0, 5.0, 12.0):
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> round(z, 3)
    4.296
    """

    name: ClassVar[str] = "record"
    low: F8 = column(0.0)
    high: F8 = column(0.0)

    def __init__(self, *, warmup: float = 30) -> None:
        super().__init__(warmup=warmup)

    def _score(self, step: Step) -> F8:
        out = np.full(len(step), np.nan)
        _score(step.rows, step.value, self.low, self.high, self.seen, self.warmup, out)
        return out

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        low, high = self.low[step.rows], self.high[step.rows]
        reach = np.array([math.atanh(min(w, 7.99) / HIGHEST) / 3.0 for w in width.tolist()])
        return low - reach * (high - low), (low + high) / 2.0, high + reach * (high - low)

    def _learn(self, step: Step, weight: F8) -> None:
        _learn(step.rows, step.value, weight, self.low, self.high, self.seen, self.warmup)


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],i4[::1],i8,f8[::1])")
def _score(rows: I4, value: F8, low: F8, high: F8, seen: I4, warmup: int, out: F8) -> None:
    for i in range(rows.size):
        r = rows[i]
        if seen[r] >= warmup and math.isfinite(value[i]):
            excess = max(value[i] - high[r], low[r] - value[i], 0.0)
            span = honest_sd(high[r] - low[r], high[r], excess)
            out[i] = HIGHEST * math.tanh(3.0 * excess / span) if span > 0.0 else 0.0


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1],i4[::1],i8)")
def _learn(rows: I4, value: F8, weight: F8, low: F8, high: F8, seen: I4, warmup: int) -> None:
    for i in range(rows.size):
        r, x = rows[i], value[i]
        if seen[r] == 0:
            low[r], high[r] = x, x
        reach = math.inf
        if seen[r] >= warmup:
            reach = 0.5 * honest_sd(high[r] - low[r], high[r], x - high[r])
        above, below = min(x - high[r], reach), min(low[r] - x, reach)
        if above > 0.0:
            high[r] += weight[i] * above
        if below > 0.0:
            low[r] -= weight[i] * below
        seen[r] += 1
