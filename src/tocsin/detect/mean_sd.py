"""`MeanSd`: what detectors share that score by the distance from a mean in standard deviations."""

from __future__ import annotations

import math

import numpy as np

from tocsin.detect.array import ArrayDetector, column
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.scale import honest_sd, ratio_of


class MeanSd(ArrayDetector):
    """Score = |value - mean| / sd; how mean and variance are learned is the subclass's."""

    mean: F8 = column(0.0)
    var: F8 = column(0.0)

    def _score(self, step: Step) -> F8:
        out = np.full(len(step), np.nan)
        _score(step.rows, step.value, self.mean, self.var, self.seen, self.warmup, out)
        return out

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        centre = self.mean[step.rows]
        half = width * np.sqrt(self.var[step.rows])
        return centre - half, centre, centre + half


@njit("void(i4[::1],f8[::1],f8[::1],f8[::1],i4[::1],i8,f8[::1])")
def _score(rows: I4, value: F8, mean: F8, var: F8, seen: I4, warmup: int, out: F8) -> None:
    for i in range(rows.size):
        r = rows[i]
        if seen[r] >= warmup and math.isfinite(value[i]):
            gap = value[i] - mean[r]
            out[i] = ratio_of(gap, honest_sd(math.sqrt(var[r]), mean[r], gap))
