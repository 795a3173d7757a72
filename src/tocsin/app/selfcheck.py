"""The server looks at itself: every few seconds, a gauge for each thing looked at, a line when one changes.

It only tells. What can't go on without being started anew ends by itself and is started by the supervisor; whatever
is found here ends nothing.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from tocsin.app.internal import fetch_health
from tocsin.app.settings import ServeSettings
from tocsin.model.clock import SECOND
from tocsin.model.series import MAIN_TENANT
from tocsin.selfmon.metrics import counter, gauge

if TYPE_CHECKING:  # the hot process opens no store
    from tocsin.api.ports import DestinationStatus
    from tocsin.app.stumbles import Stumbles
    from tocsin.store.state import StateStore
    from tocsin.store.telemetry import TelemetryStore

Look: TypeAlias = Callable[[], str]
"""Gives why something is not well, in words; empty when it is."""

LATE_S: Final = 30.0
"""What should go on and has not for so long is not well."""
LEAST_BYTES: Final = 1 << 30
"""Less room than this on the disk of the data directory is too little."""
_WELL = gauge("tocsin_process_check_up", "1 while what this process looks at in itself is well", ["check"])
_ROUNDS = counter("tocsin_process_check_rounds_total", "Times that this process looked at itself")
_log = structlog.get_logger(__name__)


class SelfCheck:
    """Looks at several things again and again.

    Parameters
    ----------
    looks : by the name of what is looked at
    interval_ns : time between two rounds; asked before each
    stop : ends it
    """

    def __init__(self, looks: Mapping[str, Look], interval_ns: Callable[[], int], stop: threading.Event) -> None:
        self._looks = dict(looks)
        self._interval_ns = interval_ns
        self._stop = stop
        self.found: dict[str, str] = {}

    def run(self) -> None:
        """Look until told to stop."""
        if not self._stop.is_set():
            self.step()
        while not self._stop.wait(self._interval_ns() / SECOND):
            self.step()

    def step(self) -> None:
        """Look at all once."""
        found = {name: _looked(look) for name, look in self._looks.items()}
        for name, reason in found.items():
            _WELL.labels(name).set(not reason)
            before = self.found.get(name, "")
            if reason and not before:
                _log.warning("a health check fails", check=name, reason=reason)
            elif before and not reason:
                _log.info("a health check is well again", check=name)
        self.found = found
        _ROUNDS.inc()


def _looked(look: Look) -> str:
    try:
        return look()
    except Exception as error:  # noqa: BLE001  what can't be looked at is not well, and nothing ends for it
        return str(error) or repr(error)


def told(*found: Mapping[str, str]) -> str:
    r"""What `/healthz` says of checks, without reasons: anybody may ask.

    >>> told({"engine": "", "disk": "0.5 GiB free"}, {"store": ""})
    'degraded\nengine ok\ndisk failing\nstore ok\n'
    >>> told()
    'ok\n'
    """
    together = {name: reason for each in found for name, reason in each.items()}
    lines = [f"{name} {'failing' if reason else 'ok'}" for name, reason in together.items()]
    return "\n".join(["degraded" if any(together.values()) else "ok", *lines, ""])


def steady(since_s: Callable[[], float]) -> Look:
    """Looks whether a loop goes on; `since_s` says how long ago its last good step was.

    >>> steady(lambda: 45.0)(), steady(lambda: 2.0)()
    ('no step succeeded for 45 s', '')
    """

    def look() -> str:
        since = since_s()
        return f"no step succeeded for {since:.0f} s" if since >= LATE_S else ""

    return look


class Behind:
    """Looks how far the last tick that was folded lies behind.

    Parameters
    ----------
    received : time of the last tick folded, ns of event time; 0 where nothing is folded
    now : event time
    speed : seconds of event time in one of the wall clock
    """

    def __init__(self, received: Callable[[], int], now: Callable[[], int], speed: float) -> None:
        self._received, self._now, self._speed = received, now, speed

    def __call__(self) -> str:
        """Why it is not well."""
        received = self._received()
        if not received:
            return ""
        behind_s = (self._now() - received) / SECOND / self._speed
        return "" if behind_s < LATE_S else f"the last tick that was folded is {behind_s:.0f} s old"


def disk(path: Path) -> str:
    """Why the disk under a path has too little room."""
    free = shutil.disk_usage(path).free
    return "" if free >= LEAST_BYTES else f"{free / 2**30:.2f} GiB free; free some, or lower `limits.retention`"


def failing(destinations: Sequence[DestinationStatus]) -> str:
    """Which destinations failed the last time, and why."""
    return "; ".join(f"{each.name}: {each.last_error}" for each in destinations if each.last_error)


class Other:
    """Looks whether the other process answers, and keeps what it says of itself.

    Once it may miss an answer: it starts, or is started anew.
    """

    def __init__(self, socket: Path, settings: ServeSettings) -> None:
        self._fetch = partial(fetch_health, socket, settings.internal_secret)
        self.found: Mapping[str, str] = {}
        self._missed = 0

    def __call__(self) -> str:
        """Why it is not well."""
        found = self._fetch()
        self.found = found or {}
        self._missed = 0 if found is not None else self._missed + 1
        return "it does not answer" if self._missed > 1 else ""


def looks_of_stores(telemetry: TelemetryStore, state: StateStore) -> dict[str, Look]:
    """Whether both stores answer."""

    def telemetry_answers() -> str:
        telemetry.db.query("SELECT 1")
        return ""

    def state_answers() -> str:
        state.cursor("health")
        return ""

    return {"telemetry": telemetry_answers, "state": state_answers}


def looks_of_cold(
    settings: ServeSettings,
    telemetry: TelemetryStore,
    state: StateStore,
    stumbles: Stumbles,
    destinations: Callable[[str], Sequence[DestinationStatus]],
) -> dict[str, Look]:
    """What the cold process looks at in itself."""
    return {
        "hot": Other(settings.hot_socket, settings),
        **looks_of_stores(telemetry, state),
        "storing": steady(partial(stumbles.since_s, "store")),
        "correlating": steady(partial(stumbles.since_s, "correlate")),
        "destinations": lambda: failing(destinations(MAIN_TENANT)),
    }
