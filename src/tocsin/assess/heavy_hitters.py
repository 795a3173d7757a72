"""The most frequent values of a tag in bounded memory, however many different ones there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OTHER = "(other)"
"""What all values that are not held are called together."""


@dataclass(slots=True)
class HeavyHitters:
    """At most `capacity` values with a count each, which is too low by at most `lost`.

    Misra and Gries 1982, Sci. Comput. Program. 2, 143; merged as by Agarwal et al. 2012 (PODS, "Mergeable summaries"):
    after any batches and merges, `lost <= total / (capacity + 1)`, so a value with more than that is surely held.

    >>> seen = HeavyHitters(2)
    >>> seen.add({"eu": 50, "us": 30, "x1": 1, "x2": 1})
    >>> seen.held(), seen.lost, seen.total
    ([('eu', 49), ('us', 29)], 1, 82)
    """

    capacity: int
    counts: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    total: int = 0

    def add(self, counts: Mapping[str, int]) -> None:
        """Take counts of values in; a value with none is not seen."""
        for value, count in counts.items():
            if count > 0:
                self.counts[value] = self.counts.get(value, 0) + count
                self.total += count
        self._cut()

    def merge(self, other: HeavyHitters) -> None:
        """Take in what another one saw; it stays as it is."""
        for value, count in other.counts.items():
            self.counts[value] = self.counts.get(value, 0) + count
        self.total += other.total
        self.lost += other.lost
        self._cut()

    def _cut(self) -> None:
        if len(self.counts) <= self.capacity:
            return
        least = sorted(self.counts.values(), reverse=True)[self.capacity]
        self.counts = {value: count - least for value, count in self.counts.items() if count > least}
        self.lost += least

    def held(self) -> list[tuple[str, int]]:
        """Values with their counts, which lie at most `lost` below the truth; the most frequent first, then by name."""
        return sorted(self.counts.items(), key=lambda each: (-each[1], each[0]))

    def label(self, value: str) -> str:
        """The value if it is held, else what stands for all others: so labels never outnumber the capacity by two.

        >>> HeavyHitters(1, {"eu": 5}).label("x")
        '(other)'
        """
        return value if value in self.counts else OTHER
