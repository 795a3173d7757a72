"""Evidence about the mean of bounded values that may be looked at whenever one likes: a betting e-process.

For x >= -1 and any 0 <= s < 1, `exp(s x - psi(s) x^2) <= 1 + s x` with `psi(s) = -log(1 - s) - s` (Fan, Grama and Liu
2015, Electron. J. Probab. 20, lemma 4.1). So each stake s has a fortune that can't be expected to grow while the mean
is at most 0, and neither can a weighted mean of fortunes: by Ville's inequality it ever passes 1/level with
probability at most `level`, for any distribution, at any stop (Howard, Ramdas, McAuliffe and Sekhon 2021, Ann. Stat.
49, 1055; Waudby-Smith and Ramdas 2024, J. R. Stat. Soc. B 86, 1). Only n, the sum and the sum of squares are needed,
so shards merge by adding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np

from tocsin.model.arrays import F8

STAKES: Final = 128
_SPREAD: Final = 0.5
_VARIANCES: Final = ((0.3, 0.7), (0.03, 0.2), (0.001, 0.1))
"""Variances of one value for which stakes are made, and their weights; the range is about 1."""
_HALVINGS: Final = 45


@lru_cache(maxsize=64)
def stakes(plan: int) -> tuple[F8, F8]:
    """Stakes (k,) in (0, 1) and the logarithms of their weights; they gain most when about `plan` values are in."""
    stake = np.exp(np.linspace(math.log(1e-7), math.log(0.95), STAKES))
    weight = np.zeros(STAKES)
    for variance, share in _VARIANCES:
        best = min(math.sqrt(_drift(0.05) / (variance * plan)), 0.5)
        bump = np.exp(-((np.log(stake / best) / _SPREAD) ** 2) / 2)
        weight += share * bump / bump.sum()
    return stake, np.log(weight)


def _drift(level: float) -> float:
    """The information times squared scale at which a normal mixture is tightest (Howard et al. 2021, eq. 26)."""
    return 2 * math.log(1 / level) + math.log(1 + 2 * math.log(1 / level))


def tightest(level: float) -> float:
    """The same, by name for others: about 7.9 at a level of 0.05.

    >>> round(tightest(0.05), 2)
    7.94
    """
    return _drift(level)


def log_evidence(total: F8, squares: F8, plan: int) -> F8:
    """Logarithm of the evidence that the mean is above 0, for sums (...) of values >= -1 and of their squares.

    >>> log_evidence(np.array([0.0, 400.0]), np.array([5000.0, 5000.0]), 10_000).round(1).tolist()
    [-3.4, 13.7]
    """
    stake, weight = stakes(plan)
    psi = -np.log1p(-stake) - stake
    terms = weight + stake * np.asarray(total)[..., None] - psi * np.asarray(squares)[..., None]
    most = terms.max(axis=-1)
    found: F8 = most + np.log(np.exp(terms - most[..., None]).sum(axis=-1))
    return found


def mean_interval(n: int, total: float, squares: float, level: float, plan: int) -> tuple[float, float]:
    """Interval that always, at all n at once, holds the mean of values in [-1, 1] but for a share `level` of runs.

    >>> lower, upper = mean_interval(1000, 100.0, 250.0, 0.05, 1000)
    >>> round(lower, 3), round(upper, 3)
    (0.049, 0.151)
    >>> mean_interval(1, 1.0, 1.0, 0.05, 100)
    (-1.0, 1.0)
    """
    if n == 0:
        return -1.0, 1.0
    needed = math.log(2 / level)

    def above(mean: float) -> bool:
        return bool(log_evidence(np.array(total - n * mean), np.array(squares), plan) >= needed)

    def below(mean: float) -> bool:
        return bool(log_evidence(np.array(n * mean - total), np.array(squares), plan) >= needed)

    middle = total / n
    return border(above, -1.0, middle), border(below, 1.0, middle)


def border(refused: Callable[[float], bool], far: float, near: float) -> float:
    """Where refusal ends on the way from `far` to `near`, by halving; `far` itself when it is not refused."""
    if not refused(far):
        return far
    for _ in range(_HALVINGS):
        middle = (far + near) / 2
        if refused(middle):
            far = middle
        else:
            near = middle
    return far
