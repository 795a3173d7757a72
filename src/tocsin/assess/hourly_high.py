"""Who has most of something in an hour, beside the highest of the hours of a week before; in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.assess.heavy_hitters import HeavyHitters

HOUR_NS: Final = 3600 * 10**9
KEPT_HOURS: Final = 7 * 24
LEAST_HOURS: Final = 24
HELD: Final = 500


@dataclass(slots=True)
class HourlyHigh:
    """Counts by name in this hour (a sketch, too low by at most `now.lost`), and the highest of each past hour."""

    hour: int = 0
    now: HeavyHitters = field(default_factory=lambda: HeavyHitters(HELD))
    past: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT_HOURS))

    def add(self, time_ns: int, name: str, count: int) -> int:
        """Take a count in; what the name has in this hour.

        >>> high = HourlyHigh()
        >>> high.add(0, "ann", 5), high.add(1, "ann", 5), high.add(HOUR_NS, "ann", 1), list(high.past)
        (5, 10, 1, [10])
        """
        hour = time_ns // HOUR_NS
        if hour > self.hour:
            if self.now.counts:
                self.past.append(self.now.held()[0][1])
            self.hour, self.now = hour, HeavyHitters(HELD)
        self.now.add({name: count})
        return self.now.counts.get(name, 0)

    def usual_high(self) -> float:
        """The highest of all past hours; infinite while fewer than a day of them are known."""
        return float(max(self.past)) if len(self.past) >= LEAST_HOURS else float("inf")

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [self.hour, dict(self.now.counts), self.now.lost, self.now.total, list(self.past)]

    @staticmethod
    def of(state: Sequence[Any]) -> HourlyHigh:
        """Back from a snapshot."""
        hour, counts, lost, total, past = state
        return HourlyHigh(hour, HeavyHitters(HELD, dict(counts), lost, total), deque(past, maxlen=KEPT_HOURS))
