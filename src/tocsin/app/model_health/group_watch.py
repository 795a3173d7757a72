"""`GroupWatch`: once a day, whether models still treat groups as they did, told as points that monitors judge."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

import structlog

from tocsin.app.handover import Point
from tocsin.app.model_health.calendar_days import name_of
from tocsin.app.model_health.groups_over_time import RATES, RECENT, GroupsOverTime, Source, over_time
from tocsin.assess.gap_drift import gaps
from tocsin.model.clock import Clock
from tocsin.model.errors import BadInput, Overloaded
from tocsin.model.message import Message
from tocsin.selfmon.metrics import counter
from tocsin.spec.config import Config
from tocsin.spec.fairness import watched
from tocsin.spec.pack import PackSpec
from tocsin.spec.problem import nearest

Json: TypeAlias = dict[str, Any]
CHANGE: Final = "tocsin.model.gap_change"
LOOP: Final = "tocsin.model.feedback_loop"
MOST_DAYS: Final = 90
"""Days that are looked back on: as long as records are kept by default."""
_DAY_NS: Final = 86_400 * 10**9
_SETTLED_NS: Final = 3600 * 10**9
"""After the end of a day (UTC), so that its late records are in."""
_WAIT_S: Final = 30.0
_log = structlog.get_logger(__name__)
_SKIPPED: Final = counter(
    "tocsin_cold_fairness_skipped_total", "Days on which a model's groups had more records than could be counted"
)
_LOOKED: Final = counter("tocsin_cold_fairness_judged_total", "Days on which a model's groups were judged")


class Rows(Source, Protocol):
    """Where counts come from, and who has some."""

    def tagged(self, tenant: str, tags: Sequence[str], start: int, end: int) -> list[tuple[str, str]]:
        """Models and those of the tags that their records carry."""


class Kept(Protocol):
    """What the watch needs of the state store."""

    def cursor(self, name: str) -> tuple[int, bytes | None]:
        """Number and bytes kept under a name."""

    def commit(self, cursor: str, offset: int, *, messages: Sequence[Message] = (), state: bytes | None = None) -> bool:
        """Keep a number under a name."""


class GroupWatch:
    """Judges all days up to the last one that is over; each day is judged once, after a stop only the last."""

    def __init__(
        self,
        rows: Rows,
        state: Kept,
        tenants: Callable[[], Sequence[str]],
        packs: Sequence[PackSpec],
        config: Config,
        clock: Clock,
        send: Callable[[str, Sequence[Point]], None],
    ) -> None:
        self._rows, self._state, self._tenants, self._clock, self._send = rows, state, tenants, clock, send
        self._usual = [tag for pack in packs for tag in pack.groups]
        self._config = config
        self._turn = threading.Lock()

    def adopt(self, config: Config) -> None:
        """Put a configuration into force; thread-safe, for the next day."""
        self._config = config

    def step(self) -> int:
        """Judge what is due; how many models and tags that was.

        Raises
        ------
        Overloaded, Unreachable
            The store or the hot process can't answer now; the same is tried again by the next step.
        """
        day = (self._clock.now() - _SETTLED_NS) // _DAY_NS - 1
        judged = 0
        for tenant in self._tenants():
            if self._state.cursor(_cursor(tenant))[0] > day:
                continue
            points: list[Point] = []
            for model, tag in self._due(tenant, day):
                try:
                    found = self._found(tenant, model, tag, day, RECENT)
                except Overloaded as full:
                    _SKIPPED.inc()
                    _log.warning("groups are not judged today", model=model, tag=tag, reason=str(full))
                    continue
                points += _points(model, tag, found, self._clock.now())
                judged += 1
            self._send(tenant, points)
            self._state.commit(_cursor(tenant), day + 1)
        _LOOKED.inc(judged)
        return judged

    def _due(self, tenant: str, day: int) -> list[tuple[str, str]]:
        specs = self._config.fairness
        tags = list(dict.fromkeys([*self._usual, *(tag for spec in specs for tag in spec.groups)]))
        pairs = self._rows.tagged(tenant, tags, (day - MOST_DAYS + 1) * _DAY_NS, (day + 1) * _DAY_NS)
        return [(model, tag) for model, tag in pairs if tag in watched(model, specs, self._usual).groups]

    def _found(self, tenant: str, model: str, tag: str, day: int, recent: int | None) -> GroupsOverTime:
        spec = watched(model, self._config.fairness, self._usual)
        return over_time(
            self._rows, tenant, model, tag, day - MOST_DAYS + 1, day, least_change=spec.least_change,
            positive=spec.positive, recent=recent,
        )  # fmt: skip

    def shown(self, tenant: str, model: str, tag: str) -> Json:
        """The public JSON of a model's groups over time, as far as days are over; without a tag, which there are.

        Raises
        ------
        BadInput
            No record of the model carries the tag.
        Overloaded
            Others are being counted, or there is too much to count.
        """
        day = self._clock.now() // _DAY_NS - 1
        start = (day - MOST_DAYS + 1) * _DAY_NS
        spec = watched(model, self._config.fairness, self._usual)
        carried = [t for m, t in self._rows.tagged(tenant, spec.groups, start, self._clock.now()) if m == model]
        base: Json = {"model": model, "tag": tag, "watched": carried}
        if not tag and not carried:
            return {**base, "say": "No record carries a tag that is known to name groups; say which under `fairness`."}
        tag = tag or carried[0]
        if (model, tag) not in self._rows.tagged(tenant, [tag], start, self._clock.now()):
            raise BadInput(
                f"no record of this model has the tag {tag[:80]!r}{nearest(tag, carried) if carried else ''}"
            )
        if not self._turn.acquire(timeout=_WAIT_S):
            raise Overloaded("other groups are still being counted; try again in a moment")
        try:
            found = self._found(tenant, model, tag, day, None)
        finally:
            self._turn.release()
        return {**base, "tag": tag, **over_time_json(found)}


def _cursor(tenant: str) -> str:
    return f"fairness/{tenant}"


def _points(model: str, tag: str, found: GroupsOverTime, now: int) -> list[Point]:
    changed = {(rate, drift.group): drift.change.value for rate, drift in found.changed()}
    points = [
        Point(
            CHANGE, "1", {"model": model, "tag": tag, "group": drift.group, "rate": rate.name},
            changed.get((rate.name, drift.group), 0.0), now,
        )
        for rate in found.rates
        for drift in rate.drifts
    ]  # fmt: skip
    loops = [
        Point(LOOP, "1", {"model": model, "tag": tag, "group": loop.group}, float(loop.suspected), now)
        for loop in found.loops
    ]
    return points + loops


def over_time_json(found: GroupsOverTime) -> Json:
    """The public JSON of groups over time; days are dates, gaps have intervals of their own day (95 %)."""
    rates = []
    for rate in found.rates:
        part, whole = RATES[rate.name]
        shown = gaps(rate.tallies, part, whole) if rate.days else ()
        rates.append(
            {
                "rate": rate.name,
                "days": [name_of(day) for day in rate.days],
                "groups": [
                    {
                        "group": drift.group,
                        "gaps": [each.to_json() for each in days],
                        "before": drift.before.to_json(),
                        "change": drift.change.to_json(),
                        "since": None if drift.since is None else name_of(rate.days[drift.since]),
                        "last": None if drift.last is None else name_of(rate.days[drift.last]),
                        "reason": drift.reason,
                    }
                    for drift, days in zip(rate.drifts, shown, strict=True)
                ],
            }
        )
    loops = [
        {
            "group": each.group, "suspected": each.suspected, "gap_p_value": each.gap_p_value,
            "share_p_value": each.share_p_value, "reason": each.reason,
        }
        for each in found.loops
    ]  # fmt: skip
    return {"positive": found.positive, "rates": rates, "feedback_loops": loops, "say": _say(found)}


def _say(found: GroupsOverTime) -> str:
    if found.why_not:
        return f"{found.why_not[:1].upper()}{found.why_not[1:]}."
    said = [f"the {rate.replace('_', ' ')} of {drift.group[:60]}" for rate, drift in found.changed()]
    loops = [loop.group[:60] for loop in found.suspected()]
    text = f"Against the other groups changed: {', '.join(said)}." if said else "No gap is shown to have changed."
    return text + (f" Choices may feed on themselves for {', '.join(loops)}." if loops else "")
