"""What estimates without truth were off by, once truth came, and what later ones are corrected by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tocsin.assess.intervals import Measure, quantile

HALF_LIFE: Final = 10.0
"""Chunks after which what a chunk showed counts for half."""
PRIOR_CHUNKS: Final = 3.0
"""The correction is shrunk as if so many chunks had shown none."""


@dataclass(slots=True)
class EstimateError:
    """The running error of one estimated measure; it learns of a chunk after that was estimated, never before.

    Attributes
    ----------
    weight, gap, square : decayed number of chunks with truth, sum of realised - estimated, and of its square
    chunks, absolute : number of chunks with truth, and the sum of absolute gaps, never decayed
    """

    weight: float = 0.0
    gap: float = 0.0
    square: float = 0.0
    chunks: int = 0
    absolute: float = 0.0

    def learn(self, estimated: float, realised: float) -> None:
        """Take in a chunk whose truth has come; what is not defined teaches nothing."""
        gap = realised - estimated
        if not math.isfinite(gap):
            return
        keep = 0.5 ** (1 / HALF_LIFE)
        self.weight = keep * self.weight + 1
        self.gap = keep * self.gap + gap
        self.square = keep * self.square + gap * gap
        self.chunks += 1
        self.absolute += abs(gap)

    @property
    def mean_absolute(self) -> float:
        """Mean distance of estimates from what was realised; NaN before any truth."""
        return self.absolute / self.chunks if self.chunks else math.nan

    @property
    def correction(self) -> float:
        """What to add to an estimate: the mean gap of recent chunks, shrunk towards none."""
        return self.gap / (self.weight + PRIOR_CHUNKS)

    def corrected(self, estimate: Measure, confidence: float = 0.95) -> Measure:
        """The estimate moved by the correction; its interval is widened where past ones proved too narrow.

        An estimate without a value is given back as it is.

        >>> error = EstimateError()
        >>> for _ in range(20): error.learn(0.8, 0.7)
        >>> round(error.corrected(Measure(0.8, 0.78, 0.82, 100)).value, 2)
        0.72
        """
        if not estimate.defined or not self.chunks:
            return estimate
        value = estimate.value + self.correction
        half = (estimate.high - estimate.low) / 2
        mean = self.gap / self.weight
        seen = quantile(confidence) * math.sqrt(max(self.square / self.weight - mean * mean, 0.0))
        trust = self.weight / (self.weight + PRIOR_CHUNKS)
        half = max(half, trust * seen + (1 - trust) * half)
        unit = estimate.low >= 0 and estimate.high <= 1 and 0 <= estimate.value <= 1
        low, high = value - half, value + half
        if unit:
            value, low, high = min(max(value, 0.0), 1.0), max(low, 0.0), min(high, 1.0)
        return Measure(value, low, high, estimate.n)
