"""Whether a chunk's performance, estimated or realised, is worse than the reference's by more than chance and custom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import NormalDist
from typing import Final

import numpy as np

from tocsin.assess.intervals import Measure, normal_of_t, quantile

FALSE_RATE: Final = 0.001
"""Chance that a chunk as good as the reference raises an alarm, over all its measures together."""
LEAST_BLOCKS: Final = 10
MOST_BLOCKS: Final = 50
LEAST_FALL: Final[Mapping[str, float]] = {
    "accuracy": 0.01,
    "auc": 0.01,
    "precision": 0.02,
    "recall": 0.02,
    "f1": 0.02,
    "ndcg": 0.01,
}
"""Shares: a smaller fall is nothing to act on, however sure it is."""
LEAST_DROP: Final[Mapping[str, float]] = {"click_through_rate": 0.05}
"""Rare shares: a smaller fall, as a share of the reference's, is nothing to act on."""
LEAST_RISE: Final[Mapping[str, float]] = {"mae": 0.1, "rmse": 0.1}
"""Errors: the same, as a share of the reference's."""


@dataclass(frozen=True, slots=True)
class Fall:
    """A measure that is worse than it may be by chance: `z` normal deviates below the reference's."""

    measure: str
    value: float
    reference: float
    z: float

    def said(self, kind: str) -> str:
        """In words.

        >>> Fall("accuracy", 0.8, 0.83, -5.2).said("estimated")
        'estimated accuracy 0.8 is 0.03 below the 0.83 of the reference (z = -5.2)'
        """
        way = "below" if self.value < self.reference else "above"
        gap = abs(self.value - self.reference)
        return (
            f"{kind} {self.measure} {self.value:.4g} is {gap:.2g} {way} the {self.reference:.4g} of the reference "
            f"(z = {self.z:.1f})"
        )


def blocks_of(rows: int, chunk_rows: int) -> list[slice]:
    """The reference cut like the chunks, into 10 to 50 blocks on end: how much equals differ is seen in them.

    >>> len(blocks_of(60_000, 5_000)), len(blocks_of(1_000, 5_000)), len(blocks_of(10_000, 10))
    (12, 10, 50)
    """
    count = min(max(rows // max(chunk_rows, 1), LEAST_BLOCKS), MOST_BLOCKS)
    ends = np.linspace(0, rows, count + 1).astype("i8").tolist()
    return [slice(start, end) for start, end in pairwise(ends) if end > start]


def excess(values: Sequence[float], errors: Sequence[float]) -> float:
    """How many times wider (n,) measures of equals vary than their standard errors say; at least 1.

    >>> excess([0.0, 1.0, 0.0, 1.0], [0.5, 0.5, 0.5, 0.5]) > 1
    True
    """
    kept = [(v, e) for v, e in zip(values, errors, strict=True) if math.isfinite(v) and math.isfinite(e) and e > 0]
    if len(kept) < 2:
        return 1.0
    value, error = np.array(kept).T
    weight = 1 / error**2
    centre = float((weight * value).sum() / weight.sum())
    return max(1.0, math.sqrt(float((weight * (value - centre) ** 2).sum()) / (len(kept) - 1)))


@dataclass(frozen=True, slots=True)
class PerformanceNorm:
    """What performance the reference has, and how far blocks of it lie apart.

    Attributes
    ----------
    reference : measures of the reference as a whole
    excess : by measure, how many times its standard error it varies between blocks of the reference
    blocks : how many blocks that was seen in
    errors : by measure, the standard error of a block
    """

    reference: Mapping[str, Measure]
    excess: Mapping[str, float]
    blocks: int
    errors: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(
        reference: Mapping[str, Measure], values: Sequence[Mapping[str, float]], errors: Sequence[Mapping[str, float]]
    ) -> PerformanceNorm:
        """From the reference's measures and those of its blocks with their standard errors."""
        nan = math.nan
        wider = {
            name: excess([each.get(name, nan) for each in values], [each.get(name, nan) for each in errors])
            for name in reference
        }
        usual = {name: _typical([each.get(name, nan) for each in errors]) for name in reference}
        return PerformanceNorm(dict(reference), wider, len(values), usual)

    def falls(self, values: Mapping[str, float], errors: Mapping[str, float], shared_by: int = 1) -> list[Fall]:
        """Measures of a chunk that fell, most telling ones first; the false rate is shared by measures and by `shared_by` parts.

        Each is a one-sided t test against the reference with the variance of its blocks, and a least effect.
        """
        watched = [name for name in (*LEAST_FALL, *LEAST_DROP, *LEAST_RISE) if self._comparable(name, values, errors)]
        if not watched:
            return []
        bar = NormalDist().inv_cdf(FALSE_RATE / len(watched) / shared_by)
        found = [self._fall(name, values[name], errors[name]) for name in watched]
        return [each for each in found if each.z < bar and self._matters(each)]

    def _comparable(self, name: str, values: Mapping[str, float], errors: Mapping[str, float]) -> bool:
        known = self.reference.get(name)
        value, error = values.get(name, math.nan), errors.get(name, math.nan)
        return known is not None and known.defined and math.isfinite(value) and math.isfinite(error)

    def _fall(self, name: str, value: float, error: float) -> Fall:
        known = self.reference[name]
        own = error_of(known)
        spread, df = self._spread(name, error, own if math.isfinite(own) else 0.0)
        worse = known.value - value if name in LEAST_RISE else value - known.value
        t = worse / spread if spread > 0 else math.copysign(math.inf, worse) if worse else 0.0
        z = normal_of_t(t, df) if self.blocks > 1 and math.isfinite(t) else t
        return Fall(name, value, known.value, z)

    def _spread(self, name: str, error: float, own: float) -> tuple[float, float]:
        """Standard error of the gap to the reference, and its degrees of freedom.

        What blocks vary beyond their own error comes on top of the chunk's own, and is estimated from few blocks, so it
        has few degrees of freedom. Where a chunk has fewer labels than a block, its own error is the larger part, and
        known: the uncertain part is diluted (Welch 1947, Satterthwaite 1946). A chunk larger than a block holds several
        of them, and varies less.
        """
        wider, block = self.excess.get(name, 1.0), min(self.errors.get(name, error), error)
        spread = math.sqrt(error**2 + (wider**2 - 1) * block**2 + (wider * own) ** 2)
        seen = wider * math.hypot(block, own)
        return spread, (self.blocks - 1) * max(spread / seen, 1.0) ** 4 if seen > 0 else self.blocks - 1

    @staticmethod
    def _matters(fall: Fall) -> bool:
        if fall.measure in LEAST_FALL:
            return fall.reference - fall.value >= LEAST_FALL[fall.measure]
        if fall.measure in LEAST_DROP:
            return fall.reference - fall.value >= LEAST_DROP[fall.measure] * fall.reference
        return fall.value - fall.reference >= LEAST_RISE[fall.measure] * fall.reference


def _typical(errors: Sequence[float]) -> float:
    """Root of the mean square of standard errors, infinite where there is none."""
    held = [each for each in errors if math.isfinite(each)]
    return math.sqrt(sum(each**2 for each in held) / len(held)) if held else math.inf


def error_of(measure: Measure, confidence: float = 0.95) -> float:
    """Standard error that a measure's interval stands for; NaN if it has none."""
    return (measure.high - measure.low) / (2 * quantile(confidence))
