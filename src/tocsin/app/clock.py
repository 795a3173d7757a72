"""The clock that a process of the server goes by."""

from __future__ import annotations

from tocsin.app.settings import ServeSettings
from tocsin.model.clock import Clock
from tocsin.selfmon.clock import PendingClock, SystemClock


def clock_of(settings: ServeSettings) -> Clock:
    """Wall time, or the scaled time of a demo world."""
    scaled = settings.clock
    return SystemClock() if scaled is None else PendingClock(scaled.origin_ns, scaled.speed, scaled.started)
