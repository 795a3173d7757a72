"""Shares of yes and no in the last hour beside the week before, by an exact test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

CELL_NS: Final = 5 * 60 * 10**9
HOUR_CELLS: Final = 12
KEPT_CELLS: Final = 7 * 24 * HOUR_CELLS
LEAST_VOTES: Final = 20
LEAST_PAST: Final = 100


class Share(NamedTuple):
    """Share of no in the last hour, of how many, the share before (NaN if too little is known), and log10 of p."""

    bad_ratio: float
    n: int
    usual_ratio: float
    log10_p: float


@dataclass(slots=True)
class Tally:
    """Votes in cells of five minutes, for seven days."""

    cells: dict[int, list[int]] = field(default_factory=dict)
    last: int = 0
    votes: int = 0
    bad: int = 0

    def add(self, time_ns: int, *, bad: bool) -> None:
        """Take a vote in."""
        cell = time_ns // CELL_NS
        self.last = max(self.last, cell)
        if cell <= self.last - KEPT_CELLS:
            return
        count = self.cells.setdefault(cell, [0, 0])
        count[0] += 1
        count[1] += bad
        self.votes += 1
        self.bad += bad
        while (oldest := next(iter(self.cells))) <= self.last - KEPT_CELLS:
            gone = self.cells.pop(oldest)
            self.votes -= gone[0]
            self.bad -= gone[1]

    def share(self, limit: float) -> Share | None:
        """The last hour beside what was before; None for too few votes.

        Where little is known of before, `limit` stands for what is usual.
        """
        recent = [self.cells.get(self.last - each, (0, 0)) for each in range(HOUR_CELLS)]
        n, bad = sum(count[0] for count in recent), sum(count[1] for count in recent)
        if n < LEAST_VOTES:
            return None
        past, past_bad = self.votes - n, self.bad - bad
        usual = past_bad / past if past >= LEAST_PAST else math.nan
        against = min(max(limit, 1e-6), 0.999)
        if past >= LEAST_PAST:  # what is usual is not known exactly: one standard error more
            rate = (past_bad + 1) / (past + 2)
            against = min(rate + math.sqrt(rate * (1 - rate) / past), 0.999)
        return Share(bad / n, n, usual, log10_tail(bad, n, against))

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [self.last, [[cell, *count] for cell, count in self.cells.items()]]

    @staticmethod
    def of(state: Sequence[Any]) -> Tally:
        """A tally back from a snapshot."""
        last, cells = state
        votes, no = sum(each[1] for each in cells), sum(each[2] for each in cells)
        return Tally({cell: [n, bad] for cell, n, bad in cells}, last, votes, no)


def log10_tail(k: int, n: int, p: float) -> float:
    """log10 of the probability of at least k of n where each has probability p.

    >>> round(10 ** log10_tail(2, 3, 0.5), 6), log10_tail(0, 9, 0.1)
    (0.5, 0.0)
    """
    if k <= 0:
        return 0.0
    first = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    )
    total, term, at = 1.0, 1.0, k
    while at < n:
        term *= (n - at) / (at + 1) * p / (1 - p)
        total += term
        at += 1
        if at > n * p and term < 1e-9 * total:
            break
    return min((first + math.log(total)) / math.log(10), 0.0)
