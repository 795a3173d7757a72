"""How many cells a number of inputs covers, beside as many drawn from all others: who sweeps a space covers more."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from tocsin.model.arrays import F8

LEAST_DRAWN: Final = 200
"""Inputs below which coverage is not compared."""


class Coverage(NamedTuple):
    """Cells that `drawn` inputs cover, as many of the others' would, and the distance in standard deviations."""

    drawn: int
    covered: float
    expected: float
    deviates: float

    @property
    def ratio(self) -> float:
        """Covered over expected."""
        return self.covered / self.expected if self.expected > 0 else 0.0


def rarefied(counts: F8, drawn: int) -> tuple[F8, F8]:
    """Cells that `drawn` of the inputs counted in squares of cells (s, c) cover on average, and the variance, (s,) each.

    Hurlbert 1971, The Nonconcept of Species Diversity, Ecology 52 (with replacement); occupied cells are negatively
    associated, so the sum of their variances bounds that of their number.

    >>> [float(each[0].round(2)) for each in rarefied(np.array([[5.0, 5.0]]), 2)]
    [1.5, 0.38]
    """
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros_like(counts, "f8"), where=totals > 0)
    empty = (1.0 - share) ** drawn
    held = np.where(share > 0, 1.0 - empty, 0.0)
    return held.sum(axis=1), (held * (1.0 - held)).sum(axis=1)


def compared(own: F8, others: F8) -> Coverage | None:
    """Coverage of one's own inputs beside that of others, both counted in squares of cells (s, c); None for too few.

    Both are brought to the same number of inputs, at most half of what the others have. Squares share their inputs, so
    their deviations are added up as if they were one.
    """
    drawn = int(min(own.sum(axis=1).max(initial=0), others.sum(axis=1).max(initial=0) // 2))
    if drawn < LEAST_DRAWN:
        return None
    covered, _ = rarefied(own, drawn)
    expected, variance = rarefied(others, drawn)
    spread = float(np.sqrt(variance).sum()) + 1.0
    return Coverage(drawn, float(covered.sum()), float(expected.sum()), float(covered.sum() - expected.sum()) / spread)
