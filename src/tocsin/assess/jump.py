"""A jump between calls before a moment and calls since: its ranks, its size, and what such series do by themselves."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

BLOCK_CALLS: Final = 50
MOST_BLOCKS: Final = 40
LEAST_BLOCKS: Final = 4
"""So many blocks of the past must be known: how a series jumps by itself is learned from it."""
LEAST_ASKED: Final = 10
"""Values of one asker before, and since, to say how they moved."""
MOST_OTHERS: Final = 1 / 3
"""So large a share of askers may see nothing of a jump: what is the same for all of them made it, not their own work."""
_PRIOR_JUMPS: Final = 6
"""Calls that are independent of each other are believed in as if so many jumps had shown them."""


def rank_deviates(before: Sequence[float], after: Sequence[float]) -> float:
    """How far values since lie above those before by their ranks, in standard deviations.

    Mann and Whitney 1947, with Lehmann's correction for ties; normal from about twenty values on each side.

    >>> round(rank_deviates([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]), 2)
    2.31
    >>> rank_deviates([1.0, 1.0], [1.0, 1.0])
    0.0
    """
    m, n = len(before), len(after)
    both = sorted([(value, 0) for value in before] + [(value, 1) for value in after])
    total, ties, done = 0.0, 0.0, 0
    for _, group in groupby(both, key=lambda pair: pair[0]):
        same = [side for _, side in group]
        t = len(same)
        total += sum(same) * (done + (t + 1) / 2)
        ties += t**3 - t
        done += t
    size = m + n
    variance = m * n / 12 * (size + 1 - ties / (size * (size - 1))) if size > 1 else 0.0
    return (total - n * (size + 1) / 2) / math.sqrt(variance) if variance > 0 else 0.0


Asked = tuple[str, float]
"""Who asked, and a value of the call."""


def within(before: Sequence[Asked], after: Sequence[Asked], least: float) -> tuple[list[float], list[float]] | None:
    """Values less the mean before of whoever asked, so that another mix of askers is no jump.

    Askers with fewer than ten values on either side are left out. None where those left made less than half of the
    calls since, or where more than a third of them did not rise by half of `least`.

    >>> one, two = [("a", 1.0)] * 40 + [("b", 5.0)] * 10, [("a", 1.0)] * 10 + [("b", 5.0)] * 40
    >>> within(one, two, 0.3), within(one, [(who, value + 0.5) for who, value in two], 0.3)[1][0]
    (None, 0.5)
    """
    usual: dict[str, float] = {}
    rises = []
    for asker in sorted({who for who, _ in after}):
        mine, now = ([value for who, value in side if who == asker] for side in (before, after))
        if min(len(mine), len(now)) >= LEAST_ASKED:
            usual[asker] = math.fsum(mine) / len(mine)
            rises.append(math.fsum(now) / len(now) - usual[asker])
    if sum(each < least / 2 for each in rises) > MOST_OTHERS * len(rises):
        return None
    one, two = ([value - usual[who] for who, value in side if who in usual] for side in (before, after))
    return (one, two) if len(two) >= len(after) / 2 else None


@dataclass(slots=True)
class Blocks:
    """Means of the past, fifty values each, in order; and the spread within them."""

    means: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_BLOCKS))
    within: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_BLOCKS))
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def add(self, value: float) -> None:
        """Take a value in."""
        sums = self.sums
        sums[0] += 1
        gap = value - sums[1]
        sums[1] += gap / sums[0]
        sums[2] += gap * (value - sums[1])
        if sums[0] >= BLOCK_CALLS:
            self.means.append(sums[1])
            self.within.append(sums[2] / (BLOCK_CALLS - 1))
            self.sums = [0.0, 0.0, 0.0]

    def usual(self, blocks: int) -> tuple[float, int] | None:
        """Standard deviation of jumps from so many blocks to as many next ones, and what it is worth.

        None where too little is known. Jumps overlap, so their number is taken for as many as fit side by side.
        """
        means = list(self.means)
        if len(means) < max(LEAST_BLOCKS, 2 * blocks):
            return None
        averages = [math.fsum(means[k : k + blocks]) / blocks for k in range(len(means) - blocks + 1)]
        jumps = [two - one for one, two in zip(averages, averages[blocks:], strict=False)]
        seen = len(means) // blocks - 1
        drawn = 2 * math.fsum(self.within) / len(self.within) / (blocks * BLOCK_CALLS)
        mean_square = math.fsum(each * each for each in jumps) / len(jumps)
        worth = seen + _PRIOR_JUMPS
        return math.sqrt((seen * max(mean_square, drawn) + _PRIOR_JUMPS * drawn) / worth), worth

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [list(self.means), list(self.within), list(self.sums)]

    @staticmethod
    def restored(state: Sequence[Any]) -> Blocks:
        """Blocks back from a snapshot."""
        means, within, sums = state
        return Blocks(deque(means, maxlen=MOST_BLOCKS), deque(within, maxlen=MOST_BLOCKS), list(sums))
