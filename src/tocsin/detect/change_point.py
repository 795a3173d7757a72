"""Bayesian change point: how surely the series has lately become another one."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.array import ArrayDetector, column
from tocsin.detect.search import outwards
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.scale import honest_sd

RUNS: Final = 64
"""Run lengths that are told apart; longer ones are one, which knows the last 63 values."""
KAPPA: Final = 0.05
"""Weight of the prior mean, in values: a new segment's mean lies about 4.5 sds from the old one."""
ALPHA: Final = 1.0
LN10: Final = math.log(10.0)
SURPRISE: Final = 8.0
"""Nats by which one learned value may speak against a run: one freak value is no change."""


class ChangePoint(ArrayDetector):
    """Score = log10 of the odds that the last `recent` steps hold a change, over the odds before any value, >= 0.

    Each run length has a normal law of unknown mean and variance; a run begins with probability `hazard` a step,
    with the prior of the series' long past (1,000 steps).

    Parameters: `hazard` in (0, 0.5); `recent` in steps, 1 to 32; `warmup` in steps.

    Reference: R. P. Adams and D. J. C. MacKay, Bayesian Online Changepoint Detection, arXiv:0710.3742, 2007.

    >>> d = ChangePoint(warmup=15)
    >>> for v in [1.0, 2.0, 3.0, 2.0] * 10 + [6.0, 5.0, 6.0, 7.0]:
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3  # a thousand to one
    True
    """

    name: ClassVar[str] = "change_point"
    mean: F8 = column(0.0)
    var: F8 = column(0.0)
    share: F8 = column(0.0, shape=(RUNS,))  # probability that the run has this length
    centre: F8 = column(0.0, shape=(RUNS,))
    beta: F8 = column(0.0, shape=(RUNS,))

    def __init__(self, *, hazard: float = 0.004, recent: float = 8, warmup: float = 15) -> None:
        super().__init__(warmup=warmup)
        if not (0 < hazard < 0.5 and 1 <= recent <= RUNS // 2):
            raise ValueError(
                f"change_point: hazard must be in (0, 0.5) and recent in 1 to {RUNS // 2} steps, "
                f"got {hazard} and {recent}"
            )
        self.hazard, self.recent = float(hazard), int(recent)
        alpha = ALPHA + 0.5 * np.arange(RUNS)
        self._norm = np.array([math.lgamma(a + 0.5) - math.lgamma(a) - 0.5 * math.log(2 * math.pi * a) for a in alpha])

    def _odds(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        _odds(
            rows, value, self.mean, self.var, self.share, self.centre, self.beta, self.seen, self._norm, self.hazard,
            self.recent, self.warmup, out,
        )  # fmt: skip
        return out

    def _score(self, step: Step) -> F8:
        return self._odds(step.rows, step.value)

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        rows = step.rows
        centre = np.array([self.centre[r, int(np.argmax(self.share[r]))] for r in rows.tolist()])
        unit = np.maximum(np.maximum(np.sqrt(self.var[rows]), 1e-6 * np.abs(centre)), 1e-12)
        low, high = outwards(self._odds, rows, centre, unit, width)
        return low, centre, high

    def _learn(self, step: Step, weight: F8) -> None:
        _learn(
            step.rows, step.value, weight, self.mean, self.var, self.share, self.centre, self.beta, self.seen,
            self._norm, self.hazard,
        )  # fmt: skip


@njit()
def log_likelihoods(value: float, centre: F8, beta: F8, mean: float, var: float, norm: F8, into: F8) -> None:
    """Log density of a value as the first of a new run, into[0], and as the next of each run, Student's t."""
    for r in range(RUNS):
        # a run of length r has learned r values; into[r] is for the run that has r before this value
        k, a = KAPPA + r, ALPHA + 0.5 * r
        m, b = (mean, ALPHA * var) if r == 0 else (centre[r - 1], beta[r - 1])
        square = b * (k + 1.0) / (a * k)
        into[r] = norm[r] - 0.5 * math.log(square) - (a + 0.5) * math.log1p((value - m) ** 2 / (2.0 * a * square))


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[:,::1],f8[:,::1],f8[:,::1],i4[::1],f8[::1],f8,i8,i8,f8[::1])")
def _odds(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, mean: F8, var: F8, share: F8, centre: F8, beta: F8, seen: I4, norm: F8, hazard: float,
    recent: int, warmup: int, out: F8,
) -> None:  # fmt: skip
    logs = np.empty(RUNS)
    usual = 1.0 - (1.0 - hazard) ** recent
    for i in range(rows.size):
        r = rows[i]
        if seen[r] < warmup or not math.isfinite(value[i]):
            continue
        square = honest_sd(math.sqrt(var[r]), mean[r], value[i] - mean[r]) ** 2
        if square == 0.0:
            out[i] = 0.0
            continue
        log_likelihoods(value[i], centre[r], np.maximum(beta[r], 1e-6 * square), mean[r], square, norm, logs)
        young, old = math.log(hazard) + logs[0], -math.inf
        for n in range(RUNS):
            if share[r, n] > 0.0:
                # the longest runs stay among the longest
                news = math.log(share[r, n] * (1.0 - hazard)) + logs[min(n + 1, RUNS - 1)]
                if n + 2 <= recent:
                    young = np.logaddexp(young, news)
                else:
                    old = np.logaddexp(old, news)
        odds = (young - old) / LN10 - math.log10(usual / (1.0 - usual))
        out[i] = min(max(odds, 0.0), 1e6)


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[:,::1],f8[:,::1],f8[:,::1],i4[::1],f8[::1],f8)")
def _learn(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, weight: F8, mean: F8, var: F8, share: F8, centre: F8, beta: F8, seen: I4, norm: F8,
    hazard: float,
) -> None:  # fmt: skip
    logs = np.empty(RUNS)
    for i in range(rows.size):
        r, x = rows[i], value[i]
        if seen[r] == 0:
            mean[r] = x
        sd = honest_sd(math.sqrt(var[r]), mean[r], x - mean[r])
        if seen[r] >= 15:
            x = min(max(x, mean[r] - 10.0 * sd), mean[r] + 10.0 * sd)
        if sd > 0.0:
            log_likelihoods(x, centre[r], np.maximum(beta[r], 1e-6 * sd * sd), mean[r], sd * sd, norm, logs)
            follow(x, weight[i], logs, share[r], centre[r], beta[r], mean[r], sd * sd, hazard)
        gap, bound = x - mean[r], 4.0 * sd
        if seen[r] >= 15:
            gap = min(max(gap, -bound), bound)
        a = weight[i] / min(seen[r] + 1.0, 1000.0)
        mean[r] += a * gap
        var[r] = (1.0 - a) * (var[r] + a * gap * gap)
        seen[r] += 1


@njit()
def follow(  # noqa: PLR0917 - a kernel takes its columns
    x: float, weight: float, logs: F8, share: F8, centre: F8, beta: F8, mean: float, var: float, hazard: float
) -> None:
    """Move every run on by one value; index n holds runs of n + 1 values."""
    most = logs[0]
    for n in range(1, RUNS):
        if share[n - 1] > 0.0:
            most = max(most, logs[n])
    for n in range(RUNS):
        logs[n] = math.exp(weight * min(max(logs[n] - most, -SURPRISE), 0.0))
    total, last = 0.0, RUNS - 1
    born = hazard * logs[0] if np.any(share > 0.0) else 1.0
    ended = share[last] * (1.0 - hazard) * logs[last]
    for n in range(last, -1, -1):
        k = KAPPA + n
        m, b = (mean, ALPHA * var) if n == 0 else (centre[n - 1], beta[n - 1])
        part = born if n == 0 else share[n - 1] * (1.0 - hazard) * logs[n]
        share[n] = part + ended if n == last else part
        centre[n] = m + (x - m) / (k + 1.0)
        beta[n] = b + k * (x - m) ** 2 / (2.0 * (k + 1.0))
        total += share[n]
    for n in range(RUNS):
        share[n] /= total
