"""Seasonal exponential smoothing: how far a value is from its forecast."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.array import ArrayDetector, column
from tocsin.model.arrays import F8, I4, I8
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.rings import robust_mean, unroll
from tocsin.stats.scale import honest_sd, ratio_of

LEVEL, TREND, ERROR, PERIOD = 0, 1, 2, 3  # columns of a row's `core`
LATEST, PACE, INDEX = 0, 1, 2  # columns of a row's `clock`: last time, time of a step, steps since the first value
DAMPING: Final = 0.98
SOUGHT_EVERY: Final = 64
LIKE: Final = 0.4
"""Least autocorrelation of a season, and least rise of it out of the valley before."""
SD_OF_MEAN_ABS: Final = 1.2533
FARTHEST: Final = 100
"""Steps ahead after which the damped trend has said what it had to say."""


class HoltWinters(ArrayDetector):
    """Score = |value - forecast| in sds of the forecast errors; level, damped trend and additive season.

    Without `period` the season is sought in the autocorrelation of the last 2 x `longest` values. An error counts
    up to 3 sds. A step that was missed moves the season on, by the usual time between steps.

    Parameters: `level`, `trend` and `season` in (0, 1], weights of the newest error; `period` in steps, 0: found;
    `longest` in steps, season that can be found; `warmup` in steps.

    References: P. R. Winters, Forecasting Sales by Exponentially Weighted Moving Averages, Management Science
    1960; the damped trend: E. S. Gardner and E. McKenzie, Forecasting Trends in Time Series, Management Science
    1985; bounded errors: S. Gelper, R. Fried and C. Croux, Robust Forecasting with Exponential and Holt-Winters
    Smoothing, Journal of Forecasting 2010.

    >>> d = HoltWinters(period=4, warmup=12)
    >>> for k in range(200):
    ...     v = float(k % 4) + 0.01 * (k % 7) if k < 199 else 1.0
    ...     s = Step(np.zeros(1, "i4"), np.array([k]), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 5
    True
    """

    name: ClassVar[str] = "holt_winters"
    core: F8 = column(0.0, shape=(4,))
    clock: I8 = column(0, "i8", (3,))
    season: F8 = column(0.0, shape=(1,))
    ring: F8 = column(0.0, shape=(1,))

    def __init__(
        self, *, level: float = 0.1, trend: float = 0.01, season: float = 0.2, period: float = 0,
        longest: float = 256, warmup: float = 30,
    ) -> None:  # fmt: skip
        told, most = int(period), int(longest)
        size, kept = (told, 1) if told else (most, 2 * most)
        super().__init__(warmup=warmup, season=(max(size, 1),), ring=(max(kept, 1),))
        if not (0 < level <= 1 and 0 < trend <= 1 and 0 < season <= 1):
            raise ValueError(f"holt_winters: level, trend and season must be in (0, 1], got {level}, {trend}, {season}")
        if told < 0 or told == 1 or most < 2:
            raise ValueError(f"holt_winters: a season has at least 2 steps, got period {told} and longest {most}")
        self._gains = np.array([level, trend, season, float(told)])

    def _score(self, step: Step) -> F8:
        out = np.full(len(step), np.nan)
        found = self._forecast(step)
        _scores(step.rows, step.value, found, self.core, self.seen, self.warmup, out)
        return out

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        centre = self._forecast(step)
        half = width * SD_OF_MEAN_ABS * self.core[step.rows, ERROR]
        return centre - half, centre, centre + half

    def _forecast(self, step: Step) -> F8:
        out = np.empty(len(step))
        _forecasts(step.rows, step.time, self.core, self.clock, self.season, out)
        return out

    def _learn(self, step: Step, weight: F8) -> None:
        _learn(
            step.rows, step.time, step.value, weight, self.core, self.clock, self.season, self.ring, self.seen,
            self._gains, self.warmup,
        )  # fmt: skip


@njit()
def ahead_of(time: int, clock: I8) -> int:
    """How many steps `time` is ahead of the last one learned, at least 1."""
    if clock[PACE] <= 0:
        return 1
    ahead: int = round((time - clock[LATEST]) / clock[PACE])
    return max(ahead, 1)


@njit()
def forecast(ahead: int, core: F8, clock: I8, season: F8) -> float:
    """Level, damped trend and season so many steps ahead."""
    damped = DAMPING * (1.0 - DAMPING ** min(ahead, FARTHEST)) / (1.0 - DAMPING)
    found: float = core[LEVEL] + damped * core[TREND]
    period = int(core[PERIOD])
    if period:
        found += season[(clock[INDEX] + ahead) % period]
    return found


@njit("void(i4[::1],i8[::1],f8[:,::1],i8[:,::1],f8[:,::1],f8[::1])")
def _forecasts(rows: I4, time: I8, core: F8, clock: I8, season: F8, out: F8) -> None:
    for i in range(rows.size):
        r = rows[i]
        out[i] = forecast(ahead_of(time[i], clock[r]), core[r], clock[r], season[r])


@njit("void(i4[::1],f8[::1],f8[::1],f8[:,::1],i4[::1],i8,f8[::1])")
def _scores(rows: I4, value: F8, expected: F8, core: F8, seen: I4, warmup: int, out: F8) -> None:
    for i in range(rows.size):
        r = rows[i]
        if seen[r] >= warmup and math.isfinite(value[i]):
            gap = value[i] - expected[i]
            out[i] = ratio_of(gap, honest_sd(SD_OF_MEAN_ABS * core[r, ERROR], core[r, LEVEL], gap))


@njit("void(i4[::1],i8[::1],f8[::1],f8[::1],f8[:,::1],i8[:,::1],f8[:,::1],f8[:,::1],i4[::1],f8[::1],i8)")
def _learn(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, time: I8, value: F8, weight: F8, core: F8, clock: I8, season: F8, ring: F8, seen: I4, gains: F8,
    warmup: int,
) -> None:  # fmt: skip
    past = np.empty(ring.shape[1])
    for i in range(rows.size):
        r = rows[i]
        c, t = core[r], clock[r]
        if seen[r] == 0:
            c[LEVEL], c[PERIOD] = value[i], gains[3]
            t[LATEST] = time[i]
        else:
            ahead = ahead_of(time[i], t)
            gap = value[i] - forecast(ahead, c, t, season[r])
            if seen[r] >= warmup:
                bound = 3.0 * honest_sd(SD_OF_MEAN_ABS * c[ERROR], c[LEVEL], gap)
                gap = min(max(gap, -bound), bound)
            move(gap, ahead, weight[i], c, t, season[r], gains, seen[r])
            if time[i] > t[LATEST]:
                # a missed or a doubled step moves the pace by a little, which the next ordinary one undoes
                news = time[i] - t[LATEST] - t[PACE]
                t[PACE] += news if t[PACE] == 0 else min(max(news, -(t[PACE] // 32)), t[PACE] // 32)
            t[LATEST] = time[i]
        ring[r, seen[r] % ring.shape[1]] = value[i]
        seen[r] += 1
        if gains[3] == 0.0 and seen[r] % SOUGHT_EVERY == 0:
            seek(past[: unroll(ring[r], seen[r], past)], c, t, season[r])


@njit()
def move(gap: float, ahead: int, weight: float, core: F8, clock: I8, season: F8, gains: F8, seen: int) -> None:
    """Take the error of one forecast in; while few errors are known, each counts more."""
    clock[INDEX] += ahead
    period = int(core[PERIOD])
    damped = DAMPING * (1.0 - DAMPING ** min(ahead, FARTHEST)) / (1.0 - DAMPING)
    core[LEVEL] += damped * core[TREND] + weight * max(gains[0], 1.0 / (seen + 1.0)) * gap
    core[TREND] = DAMPING ** min(ahead, FARTHEST) * core[TREND] + weight * gains[0] * gains[1] * gap
    if period:
        cycles = clock[INDEX] // period
        season[clock[INDEX] % period] += weight * max(gains[2], 1.0 / (cycles + 1.0)) * (1.0 - gains[0]) * gap
    core[ERROR] = robust_mean(core[ERROR], abs(gap), weight * max(0.01, 1.0 / seen))


@njit()
def autocorrelation(past: F8, mean: float, lag: int) -> float:
    """Covariance of values that lie `lag` apart, over their variance."""
    both, square = 0.0, 0.0
    for j in range(past.size - lag):
        both += (past[j] - mean) * (past[j + lag] - mean)
        square += (past[j] - mean) ** 2 + (past[j + lag] - mean) ** 2
    return 2.0 * both / square if square > 0.0 else 0.0


@njit()
def strongest(past: F8, current: int) -> int:
    """Season of the values: the shortest lag whose autocorrelation is a peak, and near the highest; 0: none."""
    mean = float(np.mean(past))
    lags = past.size // 3
    found = np.empty(lags + 2)
    for lag in range(1, lags + 2):
        found[lag] = autocorrelation(past, mean, lag)
    valley, best, highest = found[1], 0, 0.0
    for lag in range(2, lags + 1):
        valley = min(valley, found[lag])
        peak = found[lag] >= found[lag - 1] and found[lag] >= found[lag + 1]
        if peak and found[lag] > LIKE and found[lag] - valley > LIKE and found[lag] > highest + 0.1:
            best, highest = lag, found[lag]
    if 2 <= current <= lags and found[current] > highest - 0.1 and found[current] > LIKE / 2.0:
        return current
    return best


@njit()
def seek(past: F8, core: F8, clock: I8, season: F8) -> None:
    """Find the season; of a new one, begin with the mean of each of its steps."""
    period = strongest(past, int(core[PERIOD]))
    if period == int(core[PERIOD]) or period > season.size:
        return
    core[PERIOD] = float(period)
    season[:] = 0.0
    if period == 0:
        return
    whole = past.size // period * period
    core[LEVEL] = np.mean(past[past.size - whole :])
    core[TREND] = 0.0
    for j in range(whole):
        place = (clock[INDEX] - j) % period
        season[place] += (past[past.size - 1 - j] - core[LEVEL]) * period / whole
