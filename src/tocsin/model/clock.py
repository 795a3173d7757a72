"""The only way to know what time it is: a clock that is handed in."""

from __future__ import annotations

from typing import Protocol

SECOND = 1_000_000_000


class Clock(Protocol):
    """Wall time for the edge and the cold side; the hot side takes its time from ticks."""

    def now(self) -> int:
        """Nanoseconds since the Unix epoch."""


class ManualClock:
    """A clock that stands still until it is told to move (tests).

    >>> c = ManualClock(5); c.advance(2); c.now()
    7
    """

    def __init__(self, now: int = 0) -> None:
        self._now = now

    def now(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return self._now

    def advance(self, ns: int) -> None:
        """Move on by `ns` nanoseconds."""
        self._now += ns
