"""Confidence intervals in closed form, and a measured value with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

from tocsin.model.arrays import F8

NONE: Final = math.nan


@dataclass(frozen=True, slots=True)
class Measure:
    """A value and where it lies with the stated confidence; NaN where it is not defined, and `note` says why."""

    value: float
    low: float = NONE
    high: float = NONE
    n: int = 0
    note: str = ""

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    def to_json(self) -> dict[str, Any]:
        """All fields, null for what is not defined."""
        shown = {"value": number(self.value), "low": number(self.low), "high": number(self.high), "n": self.n}
        return {**shown, "note": self.note} if self.note else shown


def number(value: float) -> float | None:
    """A float as JSON knows it: null for NaN and infinities.

    >>> number(math.nan) is None, number(0.5)
    (True, 0.5)
    """
    return float(value) if math.isfinite(value) else None


def undefined(why: str, n: int = 0) -> Measure:
    """A measure without a value."""
    return Measure(NONE, n=n, note=why)


def quantile(confidence: float) -> float:
    """How many standard errors a two-sided interval reaches.

    >>> round(quantile(0.95), 3)
    1.96
    """
    return NormalDist().inv_cdf((1 + confidence) / 2)


def normal_of_t(t: float, df: float) -> float:
    """The normal deviate with nearly the tail of Student's t.

    Wallace (1959), "Bounds on normal approximations to Student's and the chi-square distributions", eq. 4: off by
    less than 2 % from 3 degrees of freedom on.

    >>> round(normal_of_t(2.2281, 10), 2)   # the 97.5 % quantile with 10 degrees of freedom
    1.96
    """
    if df <= 0:
        return 0.0
    size = math.sqrt(df * math.log1p(t * t / df)) * (8 * df + 1) / (8 * df + 3)
    return math.copysign(size, t)


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a rate, inside [0, 1] at every n; (0, 1) for n = 0.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference"; found to keep its level at
    small n by Brown, Cai, DasGupta (2001). `n` may be an effective size.

    >>> [round(x, 3) for x in wilson(8, 10)]
    [0.49, 0.943]
    """
    if n <= 0:
        return 0.0, 1.0
    z2 = quantile(confidence) ** 2
    rate = successes / n
    middle = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(max(0.0, z2 * (rate * (1 - rate) / n + z2 / (4 * n * n)))) / (1 + z2 / n)
    low = 0.0 if successes <= 0 else middle - half
    high = 1.0 if successes >= n else middle + half
    return max(0.0, low), min(1.0, high)


def rate_of(successes: float, n: int, confidence: float, empty: str) -> Measure:
    """A rate by Wilson; `empty` says why there is none for n = 0."""
    if n <= 0:
        return undefined(empty)
    low, high = wilson(successes, n, confidence)
    return Measure(successes / n, low, high, n)


def mean_of(values: F8, confidence: float, empty: str = "no rows") -> Measure:
    """Mean of (n,) values with its interval by the central limit theorem; none from a single row."""
    n = int(values.size)
    if n == 0:
        return undefined(empty)
    value = float(values.mean())
    if n == 1:
        return Measure(value, n=1, note="one row gives no interval")
    half = quantile(confidence) * float(values.std(ddof=1)) / math.sqrt(n)
    return Measure(value, value - half, value + half, n)


def within_unit(value: float, error: float, confidence: float) -> tuple[float, float]:
    """Interval of a share from its standard error, on the logit scale so that it stays inside (0, 1).

    >>> [round(x, 3) for x in within_unit(0.9, 0.05, 0.95)]
    [0.752, 0.964]
    """
    if not 0 < value < 1:
        return value, value
    place = math.log(value / (1 - value))
    half = quantile(confidence) * error / (value * (1 - value))
    return _logistic(place - half), _logistic(place + half)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
