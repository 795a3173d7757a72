"""Whom a route tells now: on-call schedules, the owning team and people turned into destinations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.model.incident import Incident
from tocsin.spec.ical import Span, spans_at
from tocsin.spec.routing import BOARD, DAY, OWNER, OnCallSpec, PersonSpec, RotationSpec, wall_ns
from tocsin.spec.team import TeamSpec, team_of

_SECOND: Final = 10**9


def owner_of(teams: Sequence[TeamSpec], incident: Incident) -> TeamSpec | None:
    """The team of the finding that founded an incident; None where no team owns it."""
    first = min(incident.findings, key=lambda each: (each.start, each.id), default=None)
    return None if first is None else team_of(teams, first.monitor, first.series.labels)


def on_turn(rotation: RotationSpec, place: str, now: int) -> str:
    """Whose turn it is at `now` (ns); handovers keep their time of day when the clocks change.

    >>> import datetime as dt
    >>> rotation = RotationSpec(people=["ann", "bob"], starts=dt.datetime(2026, 10, 19, 9), every="1w")
    >>> [on_turn(rotation, "Europe/Berlin", wall_ns(dt.datetime(2026, 10, 26, hour), "Europe/Berlin")) for hour in (8, 9)]
    ['ann', 'bob']
    """
    days = rotation.every // DAY
    local = dt.datetime.fromtimestamp(now // _SECOND, ZoneInfo(place)).replace(tzinfo=None)
    turn = (local - rotation.starts) // dt.timedelta(days=days)
    # in the hour that a change of the clocks repeats or skips, wall time alone tells the turn wrongly
    while now < wall_ns(rotation.starts + dt.timedelta(days=days * turn), place):
        turn -= 1
    while now >= wall_ns(rotation.starts + dt.timedelta(days=days * (turn + 1)), place):
        turn += 1
    return rotation.people[turn % len(rotation.people)]


class Rota:
    """The schedules, people and teams of a configuration."""

    def __init__(
        self, schedules: Sequence[OnCallSpec] = (), people: Sequence[PersonSpec] = (), teams: Sequence[TeamSpec] = ()
    ) -> None:
        self._schedules = {each.name: each for each in schedules}
        self._people = list(people)
        self._teams = list(teams)

    @property
    def schedules(self) -> list[str]:
        """Names of all schedules."""
        return list(self._schedules)

    def is_schedule(self, name: str) -> bool:
        """Whether a name in a route is that of a schedule."""
        return name in self._schedules

    def team(self, incident: Incident) -> TeamSpec | None:
        """The team that owns an incident."""
        return owner_of(self._teams, incident)

    def on_call(self, schedule: str, now: int) -> list[PersonSpec]:
        """Who is on call by a schedule at `now` (ns); nobody is an answer of a calendar with gaps."""
        spec = self._schedules[schedule]
        place = spec.time_zone
        for each in spec.overrides:
            if wall_ns(each.starts, place) <= now < wall_ns(each.ends, place):
                return self._named([each.who])
        if spec.rotation is not None:
            return self._named([on_turn(spec.rotation, place, now)])
        text = spec.ical.text if spec.ical is not None else ""
        spans = [each for each in spans_at(text, now, place) if each.holds(now)] if text else []
        return self._named([word for each in spans for word in _words(each)])

    def _named(self, words: Iterable[str]) -> list[PersonSpec]:
        wanted = {word.casefold() for word in words}
        return [each for each in self._people if wanted & {word.casefold() for word in (each.name, *each.also)}]

    def destinations(self, names: Iterable[str], incident: Incident, now: int) -> list[tuple[str, bool]]:
        """Destinations that these names of a route stand for at `now` (ns), each once, and whether by an on-call schedule.

        A calendar that names nobody that is known gives `otherwise`.
        """
        found: dict[str, bool] = {}
        for name in names:
            if name == OWNER:
                team = self.team(incident)
                for each, by_schedule in self.destinations(team.to if team is not None else (), incident, now):
                    found.setdefault(each, by_schedule)
            elif name in self._schedules:
                told = [each for person in self.on_call(name, now) for each in person.to]
                for each in told or self._schedules[name].otherwise:
                    found[each] = True
            elif name != BOARD:
                found.setdefault(name, False)
        return list(found.items())


def _words(span: Span) -> list[str]:
    """What an event may call somebody: its title, parts of it, those it invites."""
    parts = [part.strip() for mark in (":", ",", "-", "/") for part in span.name.split(mark)]
    return [span.name, *parts, *span.who]
