"""The page level: which log10 p a score needs, so that false pages stay within a team's weekly budget."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tocsin.model.arrays import F8

WARNING: Final = 1.5
CRITICAL: Final = 2.5
"""Severity of a finding: ratio of its score to the score that its level needs."""

EASIEST: Final = -4.0
"""However large the budget: about one step in ten thousand."""
HARDEST: Final = -15.0
"""However many the series: beyond this an extrapolated tail says nothing more."""


def level(budget_per_week: float, series: int, steps_per_week: float, episode_steps: float = 1.0) -> float:
    """Log10 p that a single score needs, so that false episodes of all series meet the budget.

    A false alarm lasts `episode_steps` steps on average (overlapping windows, autocorrelation) and pages once,
    so there are `steps_per_week / episode_steps` chances a week and series.

    >>> round(level(3, 200, 10080), 2)
    -5.83
    """
    chances = max(series, 1) * max(steps_per_week / max(episode_steps, 1.0), 1.0)
    if not budget_per_week > 0:
        return HARDEST
    return min(max(math.log10(budget_per_week / chances), HARDEST), EASIEST)


def severity_ratio(score: F8, needed: F8) -> F8:
    """Score over the score that was needed, (n,): 1 just pages; bands are `WARNING` and `CRITICAL`."""
    return score / np.maximum(needed, 1e-12)
