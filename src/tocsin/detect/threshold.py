"""Fixed limits: a breach test without state, and the same as a detector."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tocsin.detect.array import ArrayDetector
from tocsin.model.arrays import F8, Mask
from tocsin.model.detection import Step


def breach(value: F8, above: F8, below: F8) -> Mask:
    """Whether values (n,) lie beyond either limit (n,); infinite limits bind nothing, NaN is no breach.

    >>> import numpy as np
    >>> breach(np.array([1.0, 5.0, np.nan]), np.full(3, 4.0), np.full(3, -np.inf)).tolist()
    [False, True, False]
    """
    found: Mask = (value > above) | (value < below)
    return found


class Threshold(ArrayDetector):
    """Score = 0 within the limits; beyond one, 1 + the distance as a share of that limit (of 1, if it is 0).

    Parameters: `above` and `below` in the signal's unit, at least one of them.

    Reference: W. A. Shewhart, Economic Control of Quality of Manufactured Product, 1931 (specification limits).

    >>> d = Threshold(above=200.0)
    >>> s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([300.0]))
    >>> d.learn(s, np.ones(1))
    >>> d.score(s).value.tolist()
    [1.5]
    """

    name: ClassVar[str] = "threshold"

    def __init__(self, *, above: float = math.inf, below: float = -math.inf) -> None:
        super().__init__(warmup=1)
        if not (math.isfinite(above) or math.isfinite(below)):
            raise ValueError("threshold: give `above`, `below` or both")
        self.above, self.below = float(above), float(below)

    def _score(self, step: Step) -> F8:
        finite = np.isfinite(step.value)
        x = np.where(finite, step.value, 0.0)
        up = np.where(x > self.above, 1.0 + (x - self.above) / self._unit(self.above), 0.0)
        down = np.where(x < self.below, 1.0 + (self.below - x) / self._unit(self.below), 0.0)
        known = finite & (self.seen[step.rows] >= self.warmup)
        found: F8 = np.where(known, np.minimum(np.maximum(up, down), 1e6), np.nan)
        return found

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:  # noqa: ARG002 - fixed limits know no time
        low, high = np.full_like(width, self.below), np.full_like(width, self.above)
        return low, np.full_like(width, min(max(0.0, self.below), self.above)), high

    def _learn(self, step: Step, weight: F8) -> None:
        self.seen[step.rows] += weight > 0

    @staticmethod
    def _unit(limit: float) -> float:
        return abs(limit) if math.isfinite(limit) and limit != 0.0 else 1.0
