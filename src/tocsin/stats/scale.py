"""Scales that stay honest when a past has none of its own."""

from __future__ import annotations

from typing import Final

from tocsin.stats.jit import njit

RIGID: Final = 0.03
"""Scale of a series that never moved, as a share of its level."""


@njit()
def honest_sd(sd: float, level: float, gap: float) -> float:
    """The sd, or for a constant past a share of its level; of a constant zero nothing is known: the gap itself.

    >>> honest_sd(2.0, 100.0, 7.0), honest_sd(0.0, 100.0, 7.0), honest_sd(0.0, 0.0, 7.0)
    (2.0, 3.0, 7.0)
    """
    if sd > 1e-6 * abs(level):
        return sd
    return RIGID * abs(level) if level != 0.0 else abs(gap)


@njit()
def ratio_of(gap: float, sd: float) -> float:
    """|gap| in sds, finite."""
    return min(abs(gap) / sd, 1e6) if sd > 0.0 else 0.0
