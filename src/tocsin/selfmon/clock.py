"""The one home of the machine's clock: as it is, or scaled for a world that runs faster."""

from __future__ import annotations

import time


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
