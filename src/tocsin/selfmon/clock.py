"""The one home of the machine's clock: as it is, or scaled for a world that runs faster."""

from __future__ import annotations

import time
from pathlib import Path


class SystemClock:
    """Wall time of this machine."""

    def now(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()  # noqa: TID251 - this is the clock that is handed to everything else


class ScaledClock:
    """Event time that passes `speed` times as fast as wall time: origin + (wall - wall at origin) * speed."""

    def __init__(self, origin_ns: int, wall_ns: int, speed: float) -> None:
        self._origin_ns = origin_ns
        self._wall_ns = wall_ns
        self._speed = speed

    def now(self) -> int:
        """Nanoseconds since the Unix epoch, in event time."""
        wall_ns = time.time_ns()  # noqa: TID251 - this is the clock that is handed to everything else
        return self._origin_ns + round((wall_ns - self._wall_ns) * self._speed)


class PendingClock:
    """Stands at `origin_ns` until a file says since when it goes, then passes `speed` times as fast.

    The file holds the wall time (ns) at which it was started; who replays history writes it when that is done.
    Once event time has caught up with the wall clock it goes on as the wall clock does.
    """

    def __init__(self, origin_ns: int, speed: float, started: Path) -> None:
        self._origin_ns = origin_ns
        self._speed = speed
        self._started = started
        self._since_ns: int | None = None

    def now(self) -> int:
        """Nanoseconds since the Unix epoch, in event time."""
        if self._since_ns is None:
            try:
                self._since_ns = int(self._started.read_text())
            except (OSError, ValueError):
                return self._origin_ns
        wall_ns = time.time_ns()  # noqa: TID251 - this is the clock that is handed to everything else
        scaled_ns = self._origin_ns + round((wall_ns - self._since_ns) * self._speed)
        return min(scaled_ns, max(wall_ns, self._origin_ns))
