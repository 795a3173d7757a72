"""Watermarks: up to which event time each source is complete, decided only at ticks."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.ingest.limits import Limits
from tocsin.model.log import SourceKey

NEVER = -(2**63)


@dataclass(slots=True)
class SourceClock:
    """What is known of the time of one source; all in nanoseconds."""

    lateness: int
    max_event: int = NEVER
    arrived: int = NEVER
    watermark: int = NEVER


class Watermarks:
    """min(max event time, received) - lateness per source, never moving back; not thread-safe.

    A source that was near real time and sends nothing for 30 s is taken to be complete up to now; one that
    replays history gets five minutes, since its next record may be of any time.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._clocks: dict[SourceKey, SourceClock] = {}

    def _clock(self, key: SourceKey) -> SourceClock:
        clock = self._clocks.get(key)
        if clock is None:
            clock = self._clocks[key] = SourceClock(self._limits.lateness_of(key[1]))
        return clock

    def note(self, key: SourceKey, max_event: int, received: int) -> None:
        """A source delivered records up to `max_event` at `received`."""
        clock = self._clock(key)
        clock.max_event = max(clock.max_event, max_event)
        clock.arrived = received

    def recall(self, key: SourceKey, watermark: int) -> None:
        """Take up a watermark from the log after a restart."""
        clock = self._clock(key)
        clock.watermark = max(clock.watermark, watermark)
        clock.max_event = max(clock.max_event, watermark + clock.lateness)

    def resume(self, received: int) -> None:
        """Start all patience anew: while this process was down nobody could deliver."""
        for clock in self._clocks.values():
            clock.arrived = received

    def at(self, received: int) -> dict[SourceKey, int]:
        """Watermarks as of now, for a tick."""
        for clock in self._clocks.values():
            until = min(clock.max_event, received)
            live = clock.arrived - clock.max_event < self._limits.lag_ns
            patience = self._limits.silent_ns if live else self._limits.lagging_silent_ns
            if received - clock.arrived >= patience:
                until = received
            clock.watermark = max(clock.watermark, until - clock.lateness)
        return {key: clock.watermark for key, clock in self._clocks.items()}

    def lag(self, key: SourceKey, received: int) -> int:
        """How far the latest event of a source is behind the clock."""
        return received - self._clock(key).max_event
