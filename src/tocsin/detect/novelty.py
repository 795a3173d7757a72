"""Novelty: records of a series at several time scales, and windows unlike any before."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.array import ArrayDetector, column
from tocsin.detect.novelty_kernels import (
    FEATURES,
    HELD,
    HIGHEST,
    KNOWN,
    SHAPE_BINS,
    VALUE,
    WEIGHTS,
    Rows,
    learn_rows,
    score_rows,
)
from tocsin.model.arrays import F8
from tocsin.model.detection import Step
from tocsin.stats.past import BINS


class Novelty(ArrayDetector):
    """Score >= 0: how far a value, a short level or a short variation lies outside all that was seen, and its shape.

    The sum of 8 tanh(3 excess / range) for the value (weight 2.5), the variation of 48 steps (1), mean, median and
    variation of 12 steps (1/2 each), each with the running range of its own past; and of half the decades by which
    the distribution of the last 48 values is rarer than usual, as relative entropy to the nearest one known.
    A new record widens a range by at most its own width. About 1.5 is worth a look.

    Parameters: `warmup` in steps.

    References: K. N. Chandler, The Distribution and Frequency of Record Values, JRSS B 1952;
    C. Wang et al., Statistical Techniques for Online Anomaly Detection in Data Centers, IM 2011.

    >>> d = Novelty()
    >>> for k in range(200):
    ...     v = 30.0 if k == 199 else float(k * 7 % 10)
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 10
    True
    """

    name: ClassVar[str] = "novelty"
    ring: F8 = column(np.nan, shape=(HELD,))
    low: F8 = column(0.0, shape=(FEATURES,))
    high: F8 = column(0.0, shape=(FEATURES,))
    span: F8 = column(0.0, shape=(2,))
    shapes: F8 = column(0.0, shape=(KNOWN, SHAPE_BINS))
    windows: F8 = column(0.0, shape=(KNOWN,))
    past: NDArray[np.float32] = column(0.0, "f4", (BINS,))

    def __init__(self, *, warmup: float = 30) -> None:
        super().__init__(warmup=warmup)

    def _rows(self) -> Rows:
        return Rows(*(getattr(self, name) for name in Rows._fields))

    def _score(self, step: Step) -> F8:
        out = np.full(len(step), np.nan)
        score_rows(step.rows, step.value, self.warmup, self._rows(), out)
        return out

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        """Where the value alone, as a record, scores at most `width`."""
        low, high = self.low[step.rows, VALUE], self.high[step.rows, VALUE]
        most = WEIGHTS[VALUE] * HIGHEST
        reach = np.array([math.atanh(min(w / most, 0.999)) / 3.0 for w in width.tolist()])
        return low - reach * (high - low), (low + high) / 2.0, high + reach * (high - low)

    def _learn(self, step: Step, weight: F8) -> None:
        learn_rows(step.rows, step.value, weight, self._rows())
