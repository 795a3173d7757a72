"""`DayBook`: once a day the health of every model and service, kept, told as points, and sent as a digest."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from tocsin.app.handover import Point
from tocsin.app.model_health.calendar_days import last_settled, name_of, span_of
from tocsin.app.model_health.daily import LOOK_BACK, Days, Entity, Source
from tocsin.app.model_health.digest import messages, words
from tocsin.assess.health import Health
from tocsin.model.clock import Clock
from tocsin.model.message import Message
from tocsin.selfmon.metrics import counter
from tocsin.spec.config import Config
from tocsin.spec.health import WindowTermSpec
from tocsin.spec.pack import PackSpec

Json: TypeAlias = dict[str, Any]
SCORE: Final = "tocsin.health.score"
MOST_KEPT: Final = 31
MOST_MISSED: Final = 7
"""Days that are judged after a stop; older ones stay blank."""
MOST_ENTITIES: Final = 500
_JUDGED: Final = counter("tocsin_cold_health_judged_total", "Days of a tenant whose health was judged")
_LEFT: Final = counter(
    "tocsin_cold_health_left_out_total", f"Models and services beyond {MOST_ENTITIES} a day that were not judged"
)


class Rows(Source, Protocol):
    """Where days come from, and whose they are."""

    def tenants(self) -> list[str]:
        """Tenants that ever had a series."""


class Kept(Protocol):
    """What the book needs of the state store."""

    def cursor(self, name: str) -> tuple[int, bytes | None]:
        """Number and bytes kept under a name."""

    def commit(self, cursor: str, offset: int, *, messages: Sequence[Message] = (), state: bytes | None = None) -> bool:
        """Keep bytes and queue messages at once, or nothing if `offset` was reached before."""


class DayBook:
    """Judges each day once it is over and settled; what is kept and what is sent are one transaction.

    A day is not judged, and nothing sent, twice, whatever stops or restarts; after a stop of some days each of the
    last seven is judged, and the digest is of the last of them only.
    """

    def __init__(
        self,
        rows: Rows,
        state: Kept,
        packs: Sequence[PackSpec],
        config: Config,
        clock: Clock,
        send: Callable[[str, Sequence[Point]], None],
    ) -> None:
        self._rows, self._state, self._clock, self._send = rows, state, clock, send
        self._windows: list[WindowTermSpec] = [term for pack in packs for term in pack.health]
        self._config = config

    def adopt(self, config: Config) -> None:
        """Put a configuration into force; thread-safe, for the next day that is judged."""
        self._config = config

    def tenants(self) -> list[str]:
        """Tenants that ever had a series."""
        return self._rows.tenants()

    def step(self) -> int:
        """Judge what is due; how many days of tenants that was.

        Raises
        ------
        Overloaded, Unreachable
            The store or the hot process can't answer now; the same is tried again by the next step.
        """
        config = self._config
        zone, now = config.health.time_zone, self._clock.now()
        last = last_settled(now, zone, config.health.after_midnight_s)
        judged = 0
        for tenant in self._rows.tenants():
            done, raw = self._state.cursor(_cursor(tenant))
            # the number kept is that of the day after the last one judged; a first look is at one day only
            first = max(done, last - MOST_MISSED + 1) if raw is not None else last
            for day in range(first, last + 1):
                missed = last - first if day == last else 0
                self._judge(tenant, day, config, tell=day == last, missed=missed)
                judged += 1
        return judged

    def _judge(self, tenant: str, day: int, config: Config, *, tell: bool, missed: int) -> None:
        zone, now = config.health.time_zone, self._clock.now()
        spans = [span_of(each, zone) for each in range(day - LOOK_BACK, day + 1)]
        days = Days(self._rows, self._windows, config.health.terms)
        found = days.judge(tenant, spans)
        _LEFT.inc(max(0, len(found) - MOST_ENTITIES))
        found = found[:MOST_ENTITIES]
        kept = _opened(self._state.cursor(_cursor(tenant))[1])
        document = {
            "day": name_of(day),
            "entities": [entity.to_json() for entity in found],
            "judged_at": now,
        }
        sent: list[Message] = []
        if tell and found:
            before = {(e.kind, e.name): e.judged()[0] for e in days.judge(tenant, spans[:-1])} if len(found) else {}
            said = words(name_of(day), found, before, missed)
            sent = messages(tenant, name_of(day), said, config.digest_to(), now, dry_run=config.dry_run)
        self._send(tenant, _points(found, now))
        body = zlib.compress(json.dumps([*kept, document][-MOST_KEPT:]).encode())
        if self._state.commit(_cursor(tenant), day + 1, messages=sent, state=body):
            _JUDGED.inc()

    def days(self, tenant: str) -> list[Json]:
        """All days that are kept, the oldest first; each with `day`, `judged_at` (ns) and `entities`."""
        return _opened(self._state.cursor(_cursor(tenant))[1])


def _cursor(tenant: str) -> str:
    return f"health/{tenant}"


def _opened(raw: bytes | None) -> list[Json]:
    found: list[Json] = json.loads(zlib.decompress(raw)) if raw else []
    return found


def _points(entities: Sequence[Entity], now: int) -> list[Point]:
    key = {"service": "service.name", "model": "model"}
    found: list[tuple[Entity, Health]] = [(entity, entity.judged()[0]) for entity in entities]
    return [
        Point(SCORE, "1", {key.get(entity.kind, "name"): entity.name}, health.score, now)
        for entity, health in found
        if not math.isnan(health.score)
    ]
