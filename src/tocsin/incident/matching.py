"""What routes and silences match on: the facts of an incident."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from tocsin.model.decision import Silence
from tocsin.model.incident import Incident
from tocsin.model.security import kinds_of
from tocsin.spec.team import TeamSpec, team_of

Facts: TypeAlias = dict[str, set[str]]


def facts(incident: Incident, teams: Sequence[TeamSpec] = ()) -> Facts:
    """All that a route or silence can match on: labels of its findings, and what the incident is.

    Keys `severity`, `urgency` (page, chat, ticket, review), `impact`, `confidence`, `state`, `kind` (`security` or
    `anomaly`), `monitor`, `signal`, `entity`, `cause`, `team`, `tenant` and `incident` (its id) are the incident's own.
    """
    found: dict[str, set[str]] = {}
    for finding in incident.findings:
        for key, value in finding.series.labels:
            found.setdefault(key, set()).add(value)
    own = {
        "severity": {incident.severity.name.lower()},
        "state": {incident.state.value},
        "kind": kinds_of(incident.findings),
        "monitor": {finding.monitor for finding in incident.findings},
        "signal": {finding.series.signal.name for finding in incident.findings},
        "entity": set(incident.entities),
        "cause": {cause.kind for cause in incident.causes[:1]},
        "tenant": {incident.tenant},
        "incident": {incident.id},
        "team": {team.name for each in incident.findings if (team := team_of(teams, each.monitor, each.series.labels))},
    }
    return found | own | _place(incident)


def _place(incident: Incident) -> Facts:
    """Its place in the 2x2 of impact and confidence, once it was graded."""
    quadrant = str(incident.impact.get("quadrant", ""))
    if not quadrant:
        return {}
    impact, _, confidence = quadrant.partition(" impact, ")
    return {
        "urgency": {str(incident.impact.get("urgency", ""))},
        "impact": {impact},
        "confidence": {confidence.removesuffix(" confidence")},
    }


def matches(match: Mapping[str, Iterable[str]], known: Mapping[str, set[str]]) -> bool:
    """Whether every key of a matcher has one of its values among the facts."""
    return all(known.get(key, set()) & set(values) for key, values in match.items())


def silenced_by(
    incident: Incident, silences: Iterable[Silence], now: int, known: Facts | None = None
) -> Silence | None:
    """The silence that holds back pages about an incident at `now` (ns); the first that does.

    A silence holds from when it is known: `now` is the log's time, which lags behind that of who asked for silence. `known` are
    its facts, where they were gathered already.
    """
    known = facts(incident) if known is None else known
    for silence in silences:
        wanted = {key: [value] for key, value in silence.matchers.items()}
        in_force = silence.tenant == incident.tenant and now < silence.ends_at
        if in_force and matches(wanted, known):
            return silence
    return None
