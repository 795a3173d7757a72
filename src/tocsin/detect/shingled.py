"""`Shingled`: what detectors share that judge a value together with the values before it, its shingle."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.array import ArrayDetector, column
from tocsin.detect.search import outwards
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.rings import robust_mean, tamed
from tocsin.stats.scale import honest_sd

SD_OF_MEAN_ABS: Final = 1.2533
"""sqrt(pi / 2): sd of a normal law over its mean size."""
MEMORY: Final = 1000.0
"""Steps over which the usual distance is averaged."""


class Shingled(ArrayDetector):
    """Score = raw distance of the shingle over its usual one; the usual distance has a memory of 1,000 steps.

    Subclasses give `_raw`, a distance in the signal's unit that is known once `warmup` values were kept, and
    where they can `_reach`. A value of weight below one half is not kept and not counted.

    Parameters: `kept` last values of each row.
    """

    least_unit: ClassVar[float] = 0.0
    """Of a raw distance without a unit: the least that it is measured in."""
    ring: F8 = column(np.nan, shape=(1,))
    usual: F8 = column(0.0)
    level: F8 = column(0.0)
    low: F8 = column(0.0)  # range of the values kept; it shrinks by a thousandth a step
    high: F8 = column(0.0)

    def __init__(self, *, kept: int, warmup: float, least: int, **shapes: tuple[int, ...]) -> None:
        super().__init__(warmup=warmup, ring=(kept,), **shapes)
        if warmup < least:
            raise ValueError(f"{self.name}: with these parameters warmup must be at least {least} steps, got {warmup}")
        self.kept = kept

    def _raw(self, rows: I4, value: F8) -> F8:
        """Raw distance of each row's shingle with this newest value, (n,); NaN where too little was seen."""
        raise NotImplementedError

    def _train(self, step: Step, weight: F8) -> None:
        """Learn the model, before the values enter the ring."""

    def _centre(self, rows: I4) -> F8:
        """Expected values, (n,)."""
        return self.level[rows]

    def _reach(self, rows: I4, radius: F8) -> tuple[F8, F8, F8]:
        """Lowest value, centre and highest value at raw distance `radius` (n,), searched outwards from the centre."""
        centre = self._centre(rows)
        unit = np.maximum(np.maximum(self._unit(rows, np.zeros(rows.size)), np.abs(centre) * 1e-6), 1e-12)
        low, high = outwards(self._raw, rows, centre, unit, radius)
        return low, centre, high

    def _unit(self, rows: I4, gap: F8) -> F8:
        if self.least_unit:
            return np.maximum(SD_OF_MEAN_ABS * self.usual[rows], self.least_unit)
        out = np.empty(rows.size)
        _units(rows, gap, self.usual, self.level, out)
        return out

    def _score(self, step: Step) -> F8:
        finite = np.isfinite(step.value)
        raw = self._raw(step.rows, np.where(finite, step.value, 0.0))
        raw[~finite | (self.seen[step.rows] < self.warmup)] = np.nan
        unit = self._unit(step.rows, raw)
        given = np.isfinite(raw) & (unit > 0.0)
        ratio = np.divide(raw, unit, out=np.zeros(len(step)), where=given)
        return np.where(np.isfinite(raw), np.minimum(ratio, 1e6), np.nan)

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        low, centre, high = self._reach(step.rows, width * self._unit(step.rows, np.zeros(len(step))))
        centre = np.array(centre)
        return np.fmin(low, centre), centre, np.fmax(high, centre)

    def _learn(self, step: Step, weight: F8) -> None:
        whole = weight >= 0.5
        if not whole.all():
            step, weight = step.take(whole), weight[whole]
        if not len(step):
            return
        _note(step.rows, self._raw(step.rows, step.value), self.usual, self.seen)
        value = np.empty(len(step))
        _tame(step.rows, step.value, self.low, self.high, self.seen, self.warmup, value)
        self._train(Step(step.rows, step.time, value), weight)
        _keep(step.rows, value, self.ring, self.level, self.low, self.high, self.seen)


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],f8[::1])")
def _units(rows: I4, gap: F8, usual: F8, level: F8, out: F8) -> None:
    """What a raw distance is measured in: the usual one, as if it were the size of something normal."""
    for i in range(rows.size):
        r = rows[i]
        out[i] = honest_sd(SD_OF_MEAN_ABS * usual[r], level[r], gap[i])


@njit("void(i4[::1],f8[::1],f8[::1],i4[::1])")
def _note(rows: I4, raw: F8, usual: F8, seen: I4) -> None:
    for i in range(rows.size):
        r = rows[i]
        if math.isfinite(raw[i]):
            usual[r] = raw[i] if usual[r] == 0.0 else robust_mean(usual[r], raw[i], 1.0 / min(seen[r] + 1.0, MEMORY))


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],i4[::1],i8,f8[::1])")
def _tame(rows: I4, value: F8, low: F8, high: F8, seen: I4, warmup: int, out: F8) -> None:
    for i in range(rows.size):
        r = rows[i]
        out[i] = tamed(low[r], high[r], value[i]) if seen[r] >= warmup else value[i]


@njit("void(i4[::1],f8[::1],f8[:,::1],f8[::1],f8[::1],f8[::1],i4[::1])")
def _keep(rows: I4, value: F8, ring: F8, level: F8, low: F8, high: F8, seen: I4) -> None:
    kept = ring.shape[1]
    for i in range(rows.size):
        r, x = rows[i], value[i]
        if seen[r] == 0:
            low[r], high[r] = x, x
        ring[r, seen[r] % kept] = x
        seen[r] += 1
        level[r] += (x - level[r]) / min(float(seen[r]), 30.0)
        low[r] = min(low[r] + (level[r] - low[r]) / MEMORY, x)
        high[r] = max(high[r] + (level[r] - high[r]) / MEMORY, x)
