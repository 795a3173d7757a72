"""Steps of a loop that fail are tried again: told once, slower and slower while the disk is full, told when it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import DiskFull, TocsinError
from tocsin.selfmon.metrics import counter

RETRY_S = 1.0
LAST_RETRY_S = 15.0
OVER_NS = 60 * SECOND
"""So long without a full disk, and it is said to be over."""
_STUMBLES = counter("tocsin_cold_stumbles_total", "Steps of a loop that failed and were tried again", ["loop"])
_log = structlog.get_logger(__name__)


class Stumbles:
    """Guards the loops of the cold process; each loop has its own thread.

    Parameters
    ----------
    stop : ends every wait
    clock : tells how long ago the disk was full last: with a little room some steps succeed and others do not
    seconds : of a clock that never goes back; tells how long ago a loop's last good step was
    retry_s : wait after a failed step; on a full disk the first of waits that double up to `LAST_RETRY_S`
    """

    def __init__(
        self,
        stop: threading.Event,
        clock: Clock,
        retry_s: float = RETRY_S,
        *,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._begun_s = seconds()
        self._good_s: dict[str, float] = {}
        self._stop = stop
        self._clock = clock
        self._retry_s = retry_s
        self._waits: dict[str, float] = {}
        self._full_at: dict[str, int] = {}

    def attempt(self, loop: str, step: Callable[[], int]) -> int:
        """Make a step; 0 if it failed, after a wait."""
        try:
            done = step()
        except DiskFull as full:
            _STUMBLES.labels(loop).inc()
            if loop not in self._waits:
                _log.error(
                    "the disk is full; nothing is lost, it goes on when there is room", loop=loop, reason=str(full)
                )
            wait = min(2 * self._waits.get(loop, self._retry_s / 2), LAST_RETRY_S)
            self._waits[loop], self._full_at[loop] = wait, self._clock.now()
            self._stop.wait(wait)
            return 0
        except TocsinError as error:
            _STUMBLES.labels(loop).inc()
            _log.error("a step failed and will be tried again", loop=loop, reason=str(error))
            self._stop.wait(self._retry_s)
            return 0
        self._good_s[loop] = self._seconds()
        if loop in self._waits and self._clock.now() - self._full_at[loop] >= OVER_NS:
            del self._waits[loop]
            _log.warning("there is room on the disk again", loop=loop)
        return done

    def keep(self, loop: str, step: Callable[[], int], every_s: float) -> None:
        """Make a step every so often, until the end."""
        while not self._stop.wait(every_s):
            self.attempt(loop, step)

    def since_s(self, loop: str) -> float:
        """How long ago the last good step of a loop was; from the start where there was none."""
        return self._seconds() - self._good_s.get(loop, self._begun_s)

    def notices(self) -> list[str]:
        """What waits for room on the disk now, in words."""
        if not self._waits:
            return []
        return ["the disk is full: what comes in is not stored, and incidents wait, until there is room"]
