"""Tails of the beta, binomial, Student and Kendall distributions, and the exact intervals that follow from them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

_TINY: Final = 1e-300
_STEPS: Final = 400
_NEWTON: Final = 80
EXACT_KENDALL: Final = 60


def beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function, by Lentz's continued fraction (Press et al., Numerical Recipes, 6.4).

    >>> round(beta_cdf(0.5, 2.0, 3.0), 4)
    0.6875
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1) / (a + b + 2):
        return math.exp(front) * _fraction(x, a, b) / a
    return 1 - math.exp(front) * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _kept(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _kept(1 + term * d)
            c = _kept(1 + term / c)
            found *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return found


def _kept(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def clopper_pearson(successes: int, n: int, level: float) -> tuple[float, float]:
    """Exact interval of a share: holds it but for a share of at most `level` of samples, at every n.

    Clopper and Pearson 1934, Biometrika 26, 404. Nothing of nothing says nothing.

    >>> [round(end, 4) for end in clopper_pearson(8, 10, 0.05)], clopper_pearson(0, 0, 0.05)
    ([0.4439, 0.9748], (0.0, 1.0))
    """
    if n == 0:
        return 0.0, 1.0
    lower = beta_quantile(level / 2, successes, n - successes + 1) if successes > 0 else 0.0
    upper = beta_quantile(1 - level / 2, successes + 1, n - successes) if successes < n else 1.0
    return lower, upper


def beta_quantile(share: float, a: float, b: float) -> float:
    """Where the regularised incomplete beta function is `share`: Newton's steps, halved where they leave the bracket.

    >>> round(beta_quantile(0.6875, 2.0, 3.0), 6)
    0.5
    """
    low, high, x = 0.0, 1.0, a / (a + b)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    for _ in range(_NEWTON):
        off = beta_cdf(x, a, b) - share
        low, high = (x, high) if off < 0 else (low, x)
        slope = math.exp(min(700.0, scale + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x)))
        step = x - off / slope if slope > 0 else math.nan
        before, x = x, step if low < step < high else (low + high) / 2
        if abs(x - before) <= 1e-12 * x or not 0 < x < 1:
            break
    return x


def student_tail(t: float, freedom: float) -> float:
    """Chance that Student's t with so many degrees of freedom is at least `t`.

    >>> round(student_tail(2.228, 10), 4)
    0.025
    """
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    half = beta_cdf(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
    return half if t >= 0 else 1 - half


@lru_cache(maxsize=64)
def _inversions(n: int) -> tuple[float, ...]:
    """How probable each number of inversions of a random order of n things is."""
    found = [1.0]
    for size in range(2, n + 1):
        wider = [0.0] * (len(found) + size - 1)
        for at, share in enumerate(found):
            for more in range(size):
                wider[at + more] += share / size
        found = wider
    return tuple(found)


def kendall_tail(values: tuple[float, ...]) -> float:
    """Chance that values in random order rise as clearly as these do (Mann 1945, Econometrica 13, 245; one-sided).

    Exact without ties; with ties, or beyond 60 values, by Kendall's normal approximation.

    >>> kendall_tail((1.0, 2.0, 3.0, 4.0, 5.0)) == 1 / 120
    True
    """
    n = len(values)
    if n < 2:
        return 1.0
    rises = sum((later > sooner) - (later < sooner) for k, sooner in enumerate(values) for later in values[k + 1 :])
    ties = [values.count(value) for value in set(values)]
    if max(ties) == 1 and n <= EXACT_KENDALL:
        falls = (n * (n - 1) // 2 - rises) // 2
        return math.fsum(_inversions(n)[: falls + 1])
    spread = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    return 0.5 * math.erfc((rises - 1) / math.sqrt(2 * spread)) if spread > 0 else 1.0
