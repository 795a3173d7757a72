"""Grades of the last hour beside the week before: how far their mean fell, and a rank test of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

CELL_NS: Final = 15 * 60 * 10**9
HOUR_CELLS: Final = 4
KEPT_CELLS: Final = 7 * 24 * HOUR_CELLS
LEAST_GRADES: Final = 20
LEAST_PAST: Final = 100
_FAR: Final = -30.0
"""Below, the tail is too small for a float."""


class Fall(NamedTuple):
    """How far the mean fell, as a share of the scale, of how many grades, the means, and log10 of p."""

    fall_ratio: float
    n: int
    mean: float
    usual: float
    log10_p: float


@dataclass(slots=True)
class GradeTally:
    """Counts of grades in cells of a quarter of an hour, for seven days."""

    cells: dict[int, dict[float, int]] = field(default_factory=dict)
    last: int = 0

    def add(self, time_ns: int, value: float) -> None:
        """Take a grade in."""
        cell = time_ns // CELL_NS
        self.last = max(self.last, cell)
        if cell <= self.last - KEPT_CELLS:
            return
        counts = self.cells.setdefault(cell, {})
        counts[value] = counts.get(value, 0) + 1
        while (oldest := next(iter(self.cells))) <= self.last - KEPT_CELLS:
            del self.cells[oldest]

    def counts(self) -> Counter[float]:
        """How often each value was given in all that is kept."""
        return _sum(self.cells.values())

    def recent(self, last: int) -> Counter[float]:
        """How often each value was given in the hour up to the cell `last`."""
        return _sum(self.cells.get(last - each, {}) for each in range(HOUR_CELLS))

    def fall(self, scale: tuple[float, float], last: int, whole: GradeTally | None = None) -> Fall | None:
        """The hour up to the cell `last` beside what was before; None for too few grades on either side.

        What is too new to have a past, such as a version of a prompt, is compared with that of the `whole`.
        """
        recent = self.recent(last)
        past = self.counts() - recent
        if past.total() < LEAST_PAST and whole is not None:
            past = whole.counts() - whole.recent(last)
        n = recent.total()
        if n < LEAST_GRADES or past.total() < LEAST_PAST:
            return None
        mean, usual = _mean(recent), _mean(past)
        return Fall((usual - mean) / (scale[1] - scale[0]), n, mean, usual, log10_lower(recent, past))

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [self.last, [[cell, [list(pair) for pair in counts.items()]] for cell, counts in self.cells.items()]]

    @staticmethod
    def of(state: Sequence[Any]) -> GradeTally:
        """A tally back from a snapshot."""
        last, cells = state
        return GradeTally({cell: dict(counts) for cell, counts in cells}, last)


def _sum(cells: Iterable[Mapping[float, int]]) -> Counter[float]:
    found: Counter[float] = Counter()
    for counts in cells:
        found.update(counts)
    return found


def _mean(counts: Mapping[float, int]) -> float:
    return math.fsum(value * count for value, count in counts.items()) / sum(counts.values())


def log10_lower(recent: Mapping[float, int], past: Mapping[float, int]) -> float:
    """log10 of the probability that ranks as low as the recent ones come by chance, ties taken into account.

    The rank-sum test of F. Wilcoxon (1945) by its normal approximation, from counts of values.

    >>> round(log10_lower({1.0: 10, 5.0: 10}, {5.0: 200}), 1), log10_lower({5.0: 9}, {5.0: 90})
    (-24.0, 0.0)
    """
    n, m = sum(recent.values()), sum(past.values())
    total, below, ranks, ties = n + m, 0, 0.0, 0.0
    for value in sorted({*recent, *past}):
        here = recent.get(value, 0) + past.get(value, 0)
        ranks += recent.get(value, 0) * (below + (here + 1) / 2)
        ties += here**3 - here
        below += here
    spread = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if spread <= 0:
        return 0.0
    z = (ranks + 0.5 - n * (total + 1) / 2) / math.sqrt(spread)
    return min(_log10_normal(z), 0.0)


def _log10_normal(z: float) -> float:
    """log10 of the lower tail of the normal distribution; far out by its leading terms."""
    if z > _FAR:
        return math.log10(0.5 * math.erfc(-z / math.sqrt(2)))
    return (-z * z / 2 - math.log(-z * math.sqrt(2 * math.pi)) + math.log1p(-1 / (z * z))) / math.log(10)
