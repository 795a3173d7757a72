"""What is wrong between routes, people, calendars and destinations: names that nothing has, values that nothing takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tocsin.model.incident import CAUSE_KINDS, IncidentState, Severity
from tocsin.spec.problem import nearest
from tocsin.spec.routing import BOARD, LEVELS, OWNER, URGENCIES, Match, named_twice
from tocsin.spec.tree import Loc

if TYPE_CHECKING:
    from tocsin.spec.config import Config

KNOWN: Final[Mapping[str, Sequence[str]]] = {
    "severity": [each.name.lower() for each in Severity],
    "urgency": URGENCIES,
    "impact": LEVELS,
    "confidence": LEVELS[:2],
    "kind": ("anomaly", "security"),
    "cause": CAUSE_KINDS,
    "state": [each.value for each in IncidentState],
}
"""Facts of an incident that have only these values."""


def routing_faults(config: Config) -> Iterator[tuple[Loc, str]]:
    """Every such fault, with its place."""
    yield from _name_faults(config)
    yield from _person_faults(config)
    yield from _team_faults(config)
    for loc, match in _matches(config):
        for key, values in match.items():
            for index, value in enumerate(values):
                if key in KNOWN and value not in KNOWN[key]:
                    yield (*loc, key, index), f"`{value}` is no {key}{nearest(value, KNOWN[key])}"


def _name_faults(config: Config) -> Iterator[tuple[Loc, str]]:
    destinations = [each.name for each in config.destinations]
    schedules = [each.name for each in config.oncall]
    for number, name in enumerate(destinations):
        if name in (BOARD, OWNER):
            yield ("destinations", number, "name"), f"`{name}` has a meaning of its own in routes; call it otherwise"
    for key, number, name in named_twice([("destinations", [*destinations, BOARD, OWNER]), ("oncall", schedules)]):
        if key == "oncall":
            yield (key, number, "name"), f"`{name}` is taken in routes; call the schedule otherwise"
    for loc, names in _told(config):
        known = [*destinations, *(schedules if loc[0] in ("routes", "teams") else [])]
        for index, name in enumerate(names):
            if name not in known and not (loc[0] == "routes" and name in (BOARD, OWNER)):
                hint = nearest(name, known) or "; there are none yet: add it under `destinations:`"
                yield (*loc, index), f"no destination is called `{name}`{hint}"


def _person_faults(config: Config) -> Iterator[tuple[Loc, str]]:
    people = [each.name for each in config.people]
    for number, each in enumerate(config.oncall):
        for loc, name in _people(number, each.names(), len(each.rotation.people) if each.rotation else 0):
            if name not in people:
                hint = nearest(name, people) or "; there are none yet: add them under `people:`"
                yield loc, f"nobody is called `{name}`{hint}"


def _team_faults(config: Config) -> Iterator[tuple[Loc, str]]:
    teams = {team.name: team for team in config.teams}
    for number, route in enumerate(config.routes):
        for index, name in enumerate(route.match.get("team", [])):
            if name not in teams:
                yield ("routes", number, "match", "team", index), f"no team is called `{name}`{nearest(name, teams)}"
        if OWNER in route.to and not any(team.to for team in config.teams):
            yield ("routes", number, "to", route.to.index(OWNER)), "no team says with `to` where it is told"


def _people(number: int, names: Sequence[str], rotating: int) -> Iterator[tuple[Loc, str]]:
    for index, name in enumerate(names):
        if index < rotating:
            yield ("oncall", number, "rotation", "people", index), name
        else:
            yield ("oncall", number, "overrides", index - rotating, "who"), name


def _told(config: Config) -> Iterator[tuple[Loc, list[str]]]:
    for number, route in enumerate(config.routes):
        yield ("routes", number, "to"), route.to
        for level, escalate in enumerate(route.escalate):
            yield ("routes", number, "escalate", level, "to"), escalate.to
    for number, team in enumerate(config.teams):
        yield ("teams", number, "to"), team.to
    for number, person in enumerate(config.people):
        yield ("people", number, "to"), person.to
    for number, schedule in enumerate(config.oncall):
        yield ("oncall", number, "otherwise"), schedule.otherwise
    for number, ticket in enumerate(config.tickets):
        yield ("tickets", number, "to"), ticket.to
    yield ("review", "digest"), config.review.digest


def _matches(config: Config) -> Iterator[tuple[Loc, Match]]:
    for key in ("routes", "maintenance", "tickets"):
        for number, each in enumerate(getattr(config, key)):
            yield (key, number, "match"), each.match
    for number, inhibit in enumerate(config.inhibit):
        yield ("inhibit", number, "source"), inhibit.source
        yield ("inhibit", number, "target"), inhibit.target
