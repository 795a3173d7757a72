"""What stands between an incident and a page: on-call, maintenance, inhibition, flapping, tickets, the rollout in phases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from tocsin.model.incident import Incident
from tocsin.spec.calendar import Day, zone
from tocsin.spec.destination import NAME
from tocsin.spec.ical import IcalField
from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs
from tocsin.spec.text import Texts

MINUTE: Final = 60 * SECOND
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
BOARD: Final = "review"
"""In `to:` of a route: nobody is told, the review board lists it."""
OWNER: Final = "owner"
"""In `to:` of a route: what the team that owns the incident names as its own `to`."""
ON_CALL_TYPES: Final = ("pagerduty", "opsgenie", "jira_service_management")
"""Kinds of destinations that wake somebody up."""
TICKET_TYPES: Final = ("jira", "linear")
URGENCIES: Final = ("page", "chat", "ticket", "review")
LEVELS: Final = ("high", "low", "unknown")
Phase = Literal[1, 2, 3]

Match = dict[str, Texts]
Name = Annotated[str, Field(pattern=NAME, max_length=100)]
Zone = Annotated[str, AfterValidator(zone)]


def _local(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        found = value
    elif isinstance(value, dt.date):
        found = dt.datetime.combine(value, dt.time())
    else:
        try:
            found = dt.datetime.fromisoformat(str(value))
        except ValueError:
            raise ValueError(f"{str(value)[:40]!r} is no time; write it like 2026-11-02T09:00") from None
    if found.tzinfo is not None:
        raise ValueError("write a local time, like 2026-11-02T09:00; `time_zone` says where")
    return found


LocalTime = Annotated[dt.datetime, BeforeValidator(_local), PlainSerializer(dt.datetime.isoformat, str)]
"""Pydantic field: a wall-clock time without a zone."""


def wall_ns(at: dt.datetime, place: str) -> int:
    """A wall-clock time of a place as ns; a time that the clock skips or repeats is the one before the change.

    >>> wall_ns(dt.datetime(2026, 10, 26, 9), "Europe/Berlin") - wall_ns(dt.datetime(2026, 10, 25, 0), "Europe/Berlin")
    122400000000000
    """
    return round(at.replace(tzinfo=ZoneInfo(place), fold=0).timestamp()) * SECOND


class PersonSpec(Spec):
    """Somebody who is on call: where they are told, and what else calendars call them (`also`: mail, full name)."""

    name: Name
    to: Texts = Field(min_length=1)
    also: Texts = []


class RotationSpec(Spec):
    """People who take turns: the first from `starts` on, the next after `every`, at the same time of day."""

    people: Texts = Field(min_length=1)
    starts: LocalTime
    every: DurationNs = Field(default=7 * DAY, ge=DAY)

    @model_validator(mode="after")
    def _whole_days(self) -> RotationSpec:
        if self.every % DAY:
            raise ValueError("`every` must be whole days, such as 1d or 1w")
        return self


class OverrideSpec(Spec):
    """Somebody who stands in for a while."""

    who: str
    starts: LocalTime
    ends: LocalTime

    @model_validator(mode="after")
    def _in_order(self) -> OverrideSpec:
        if self.starts >= self.ends:
            raise ValueError("`ends` must be after `starts`")
        return self


class OnCallSpec(Spec):
    """Who is on call: a `rotation`, or the events of an iCalendar file (`ical`), and who stands in (`overrides`).

    Routes name it like a destination. `otherwise` are destinations that are told when the calendar names nobody.
    """

    name: Name
    time_zone: Zone = "UTC"
    rotation: RotationSpec | None = None
    ical: IcalField | None = None
    overrides: list[OverrideSpec] = []
    otherwise: Texts = []

    @model_validator(mode="after")
    def _one_way(self) -> OnCallSpec:
        if (self.rotation is None) == (self.ical is None):
            raise ValueError("needs either `rotation` or `ical`")
        if self.ical is not None and not self.otherwise:
            raise ValueError("needs `otherwise`: who is told when the calendar names nobody")
        return self

    def names(self) -> list[str]:
        """People that it names itself."""
        return [*(self.rotation.people if self.rotation else []), *(each.who for each in self.overrides)]


class MaintenanceSpec(Spec):
    """Incidents that `match` are told nobody in this time: from `starts` for `lasts` (again each day or week), or by `ical`."""

    name: Name
    match: Match = Field(min_length=1)
    time_zone: Zone = "UTC"
    starts: LocalTime | None = None
    lasts: DurationNs | None = Field(default=None, ge=MINUTE, le=31 * DAY)
    every: Literal["day", "week"] | None = None
    ical: IcalField | None = None

    @model_validator(mode="after")
    def _one_way(self) -> MaintenanceSpec:
        if (self.starts is None) == (self.ical is None):
            raise ValueError("needs either `starts` and `lasts`, or `ical`")
        if (self.starts is None) != (self.lasts is None):
            raise ValueError("`starts` and `lasts` go together")
        if self.every is not None and self.lasts is not None and self.lasts > self.step_days * DAY:
            raise ValueError(f"`lasts` must not be longer than the {self.every} it comes again after")
        return self

    @property
    def step_days(self) -> int:
        """Days until it comes again, 0 for once."""
        return {None: 0, "day": 1, "week": 7}[self.every]


class InhibitSpec(Spec):
    """While an incident like `source` is open, one like `target` is told nobody, if they have `equal` labels alike.

    As in Alertmanager: labels that both lack are alike, and what is like both is not held back by what is like both.
    """

    source: Match = Field(min_length=1)
    target: Match = Field(min_length=1)
    equal: Texts = []


class FlappingSpec(Spec):
    """What opens `times` within a time is told again only when it has been open for `hold`."""

    times: int = Field(default=4, ge=2, le=100)
    within: DurationNs = Field(default=HOUR, ge=MINUTE, le=DAY)
    hold: DurationNs = Field(default=15 * MINUTE, ge=MINUTE, le=DAY)


class TicketSpec(Spec):
    """Opens a ticket in a backlog for a confirmed cause: of at least `score`, and called real by a person where asked.

    The same cause opens none again for `again`; the ticket outlives the incident.
    """

    name: Name
    match: Match = {}
    to: Texts = Field(min_length=1)
    score: float = Field(default=0.8, ge=0, le=1)
    confirmed_by: Literal["person", "score"] = "person"
    again: DurationNs = Field(default=30 * DAY, ge=HOUR)


LATENCY_ERRORS_VOLUME: Final = (
    "*duration*", "*latency*", "*response_time*", "*time_to_*", "*time_per_*", "*error*", "*fail*", "*5xx*",
    "*availability*", "*request.count*", "*requests", "*requests_total", "*_count", "*throughput*", "*log.records*",
)  # fmt: skip
"""Signals, and names of monitors, that the first phase of a rollout is about."""


class RolloutSpec(Spec):
    """Tocsin put to work in phases: latency, errors and volume first; everything else from phase 2, on-call from phase 3.

    A phase begins with its day; without days, when somebody says so (`tocsin rollout 2`), which counts until a later day.
    """

    second: Day | None = None
    third: Day | None = None
    time_zone: Zone = "UTC"
    first: list[str] = list(LATENCY_ERRORS_VOLUME)

    @model_validator(mode="after")
    def _in_order(self) -> RolloutSpec:
        if self.second is not None and self.third is not None and self.third < self.second:
            raise ValueError("phase 3 (`third`) can't begin before phase 2 (`second`)")
        return self

    def begins(self, phase: int) -> int | None:
        """When a phase begins by its day, ns."""
        day = {2: self.second, 3: self.third}.get(phase)
        return None if day is None else wall_ns(dt.datetime.combine(day, dt.time()), self.time_zone)

    def is_first(self, incident: Incident) -> bool:
        """Whether an incident is of what the first phase is about."""
        found = {name.lower() for each in incident.findings for name in (each.monitor, each.series.signal.name)}
        return any(fnmatchcase(name, glob.lower()) for name in found for glob in self.first)


class ReviewSpec(Spec):
    """The digest of what paged nobody, once a week: by route, on `day` at `at`, to these destinations."""

    digest: Texts = []
    day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "monday"
    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "09:00"
    time_zone: Zone = "UTC"


def named_twice(groups: Iterable[tuple[str, Sequence[str]]]) -> list[tuple[str, int, str]]:
    """Names of different lists that are written in one place: list, number and name of each that was there before."""
    seen: set[str] = set()
    found = []
    for key, names in groups:
        found += [(key, number, name) for number, name in enumerate(names) if name in seen]
        seen |= set(names)
    return found
