"""Two arms against each other: evidence that their means differ, or stand in another ratio, and intervals for both."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tocsin.assess.bounded_mean import border, log_evidence, tightest
from tocsin.model.arrays import F8

LEAST_CLT: Final = 100
"""Rows in each arm below which nothing is said by `clt`: its level holds for large n only."""
_MOST_RATIO: Final = 1e4
_CLEARLY_POSITIVE: Final = 4.0
_NOTHING: Final = (math.nan, math.nan)


@dataclass(slots=True)
class Moments:
    """Number of values, their mean and sum of squared distances from it; merged by Chan's formula."""

    n: int = 0
    mean: float = 0.0
    spread: float = 0.0

    def add(self, values: F8) -> None:
        """Take values (n,) in."""
        if not values.size:
            return
        mean = float(values.mean())
        spread = float(((values - mean) ** 2).sum())
        n, gap = self.n + values.size, mean - self.mean
        self.spread += spread + gap * gap * self.n * values.size / n
        self.mean += gap * values.size / n
        self.n = n

    @property
    def variance(self) -> float:
        """Of the values; NaN below two."""
        return self.spread / (self.n - 1) if self.n > 1 else math.nan


@dataclass(slots=True)
class Pairs:
    """Sums over pairs of (control, treatment), scaled to [0, 1]; rows that still wait for their partner."""

    shares: tuple[int, int]
    n: int = 0
    a: float = 0.0
    b: float = 0.0
    aa: float = 0.0
    bb: float = 0.0
    ab: float = 0.0
    waiting: list[F8] = field(default_factory=lambda: [np.empty(0), np.empty(0)])

    def add(self, control: F8, treatment: F8) -> None:
        """Take rows in; as many pairs are made as can be, in order of coming."""
        rows = [np.concatenate(both) for both in zip(self.waiting, (control, treatment), strict=True)]
        made = min(part.size // share for part, share in zip(rows, self.shares, strict=True))
        blocks = [part[: made * share].reshape(made, share) for part, share in zip(rows, self.shares, strict=True)]
        self.waiting = [part[made * share :] for part, share in zip(rows, self.shares, strict=True)]
        a, b = (block.mean(axis=1) for block in blocks)
        self.n += made
        self.a += float(a.sum())
        self.b += float(b.sum())
        self.aa += float((a * a).sum())
        self.bb += float((b * b).sum())
        self.ab += float((a * b).sum())


@dataclass(frozen=True, slots=True)
class ExactContrast:
    """Bets on `b - ratio * a` of pairs; `plan` is the number of pairs at which they are sharpest."""

    pairs: Pairs
    bounds: tuple[float, float]
    plan: int

    def evidence(self, ratio: float, mean: float) -> tuple[float, float]:
        """Logarithms of the evidence that the mean of `b - ratio * a`, both scaled to [0, 1], is above and below."""
        pairs, reach = self.pairs, max(1.0, ratio)
        total = (pairs.b - ratio * pairs.a - pairs.n * mean) / reach
        squares = (pairs.bb - 2 * ratio * pairs.ab + ratio * ratio * pairs.aa) / (reach * reach)
        up, down = log_evidence(np.array([total, -total]), np.array([squares, squares]), self.plan)
        return float(up), float(down)

    def difference(self, level: float) -> tuple[float, float]:
        """Interval of the difference of the means, in the metric's unit."""
        span = self.bounds[1] - self.bounds[0]
        if self.pairs.n == 0:
            return -span, span
        needed, middle = math.log(2 / level), (self.pairs.b - self.pairs.a) / self.pairs.n
        lower = border(lambda mean: self.evidence(1.0, mean)[0] >= needed, -1.0, middle)
        upper = border(lambda mean: self.evidence(1.0, mean)[1] >= needed, 1.0, middle)
        return lower * span, upper * span

    def lift(self, level: float) -> tuple[float, float]:
        """Interval of the ratio of the means less 1; NaN where the metric can be below 0."""
        low, high = self.bounds
        if low < 0 or not self.pairs.n:
            return _NOTHING
        control, treatment = (low + (high - low) * part / self.pairs.n for part in (self.pairs.a, self.pairs.b))
        if control <= 0:
            return _NOTHING
        needed = math.log(2 / level)

        def against(ratio: float) -> tuple[float, float]:
            return self.evidence(ratio, low * (ratio - 1) / (high - low))

        lower = border(lambda ratio: against(ratio)[0] >= needed, 0.0, treatment / control)
        upper = border(lambda ratio: against(ratio)[1] >= needed, _MOST_RATIO, treatment / control)
        return lower - 1, upper - 1 if upper < _MOST_RATIO else math.inf


@dataclass(frozen=True, slots=True)
class CltContrast:
    """The normal mixture over differences, sharpest at `planned` rows of (control, treatment).

    Information is counted in units of that plan, so that the metric's own scale plays no part; early on only large
    differences count, which also covers for variances that are not known well yet.
    """

    control: Moments
    treatment: Moments
    planned: tuple[float, float]
    level: float

    def _variances(self, ratio: float) -> tuple[float, float]:
        """Of `mean(b) - ratio * mean(a)`: now, and at the plan; NaN while too few rows are in, or all are alike."""
        a, b = self.control, self.treatment
        if min(a.n, b.n) < LEAST_CLT or a.variance + b.variance <= 0:
            return _NOTHING
        now = b.variance / b.n + ratio * ratio * a.variance / a.n
        planned = b.variance / self.planned[1] + ratio * ratio * a.variance / self.planned[0]
        return now, planned

    def evidence(self, ratio: float, mean: float) -> tuple[float, float]:
        """As of `ExactContrast`, in the metric's unit: what both sides share is given to the one that gained."""
        now, planned = self._variances(ratio)
        if math.isnan(now):
            return -math.inf, -math.inf
        gap = self.treatment.mean - ratio * self.control.mean - mean
        t = tightest(self.level) * planned / now
        found = math.log(2) - math.log1p(t) / 2 + gap * gap / now * t / (1 + t) / 2
        return (found, -math.inf) if gap > 0 else (-math.inf, found)

    def difference(self, level: float) -> tuple[float, float]:
        """Interval of the difference of the means, in the metric's unit."""
        now, planned = self._variances(1.0)
        if math.isnan(now):
            return -math.inf, math.inf
        t = tightest(self.level) * planned / now
        half = math.sqrt(now * (1 + 1 / t) * (math.log1p(t) + 2 * math.log(1 / level)))
        middle = self.treatment.mean - self.control.mean
        return middle - half, middle + half

    def lift(self, level: float) -> tuple[float, float]:
        """Interval of the ratio of the means less 1; NaN where the control's mean is not clearly above 0."""
        a = self.control
        if math.isnan(self._variances(1.0)[0]) or a.mean <= _CLEARLY_POSITIVE * math.sqrt(a.variance / a.n):
            return _NOTHING
        needed, middle = math.log(2 / level), self.treatment.mean / a.mean
        lower = border(lambda ratio: self.evidence(ratio, 0.0)[0] >= needed, -_MOST_RATIO, middle)
        upper = border(lambda ratio: self.evidence(ratio, 0.0)[1] >= needed, _MOST_RATIO, middle)
        return max(lower, -_MOST_RATIO) - 1, upper - 1 if upper < _MOST_RATIO else math.inf
