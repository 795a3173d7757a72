"""What holds a notice back, and why: silences, maintenance, inhibition, flapping, the phase of the rollout."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast
from zoneinfo import ZoneInfo

from tocsin.incident.matching import Facts, facts, matches, silenced_by
from tocsin.model.decision import Silence
from tocsin.model.incident import Incident
from tocsin.spec.destination import RouteSpec
from tocsin.spec.ical import spans_at
from tocsin.spec.routing import (
    DAY,
    FlappingSpec,
    InhibitSpec,
    MaintenanceSpec,
    Phase,
    RolloutSpec,
    TicketSpec,
    wall_ns,
)
from tocsin.spec.team import TeamSpec

Reason: TypeAlias = Literal["silence", "maintenance", "inhibition", "flapping", "rollout", "review"]
LAST_PHASE: Final = 3
_SECOND: Final = 10**9


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nobody is told (yet): `key` tells one cause from another, `words` say it."""

    reason: Reason
    key: str
    words: str


@dataclass(frozen=True, slots=True)
class PhaseSaid:
    """The phase that a person put Tocsin in at `at` (ns)."""

    phase: Phase
    at: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What stands between an incident and its destinations; `pagers` are names of those that wake somebody up."""

    routes: Sequence[RouteSpec] = ()
    maintenance: Sequence[MaintenanceSpec] = ()
    inhibit: Sequence[InhibitSpec] = ()
    flapping: FlappingSpec = field(default_factory=FlappingSpec)
    tickets: Sequence[TicketSpec] = ()
    rollout: RolloutSpec | None = None
    teams: Sequence[TeamSpec] = ()
    pagers: frozenset[str] = field(default_factory=frozenset)

    def facts(self, incident: Incident) -> Facts:
        """What routes and rules match on."""
        return facts(incident, self.teams)

    def phase(self, said: PhaseSaid | None, now: int) -> Phase:
        """The phase of the rollout at `now` (ns): the word of a person holds until a later day."""
        if self.rollout is None:
            return LAST_PHASE
        by_day = 1
        for phase in (2, 3):
            begins = self.rollout.begins(phase)
            if begins is not None and begins <= now and (said is None or begins > said.at):
                by_day = phase
        return cast("Phase", max(by_day, said.phase if said is not None else 1))


def held(
    incident: Incident,
    rules: Rules,
    others: Iterable[Incident],
    silences: Sequence[Silence],
    now: int,
    planned: Sequence[MaintenanceSpec] = (),
) -> Hold | None:
    """What keeps all news of an incident from everybody at `now` (ns).

    `others` are the incidents that are not over, `planned` the windows that people of its tenant planned.
    """
    known = rules.facts(incident)
    silence = silenced_by(incident, silences, now, known)
    if silence is not None:
        return Hold("silence", silence.id, f"silenced by {silence.id}")
    for each in (*rules.maintenance, *planned):
        if matches(each.match, known) and under_maintenance(each, now):
            return Hold("maintenance", each.name, f"maintenance {each.name}")
    source = _inhibited(incident, known, rules, others) if rules.inhibit else None
    if source is not None:
        return Hold("inhibition", source.id, f"held back while {source.id} is open")
    return None


def under_maintenance(spec: MaintenanceSpec, now: int) -> bool:
    """Whether a maintenance window holds at `now` (ns); it keeps its time of day when the clocks change."""
    return maintenance_ends(spec, now) is not None


def maintenance_ends(spec: MaintenanceSpec, now: int) -> int | None:
    """When (ns) the window that holds at `now` ends; None: none holds."""
    place = spec.time_zone
    if spec.ical is not None:
        spans = spans_at(spec.ical.text, now, place) if spec.ical.text else ()
        return max((each.end for each in spans if each.holds(now)), default=None)
    assert spec.starts is not None
    assert spec.lasts is not None
    if now < wall_ns(spec.starts, place):
        return None
    turns = [spec.starts]
    if spec.step_days:
        local = dt.datetime.fromtimestamp(now // _SECOND, ZoneInfo(place)).replace(tzinfo=None)
        turn = (local - spec.starts) // dt.timedelta(days=spec.step_days)
        turns = [spec.starts + dt.timedelta(days=spec.step_days * (turn + k)) for k in (-1, 0, 1)]
    ends = [(start := wall_ns(each, place), start + spec.lasts) for each in turns]
    return max((end for start, end in ends if start <= now < end), default=None)


def _inhibited(incident: Incident, known: Facts, rules: Rules, others: Iterable[Incident]) -> Incident | None:
    """The incident because of which another is told nobody.

    References
    ----------
    Alertmanager, inhibit.go: what is like source and target alike is not held back by what is so, too
    """
    for rule in rules.inhibit:
        if not matches(rule.target, known):
            continue
        both = matches(rule.source, known)
        for other in others:
            if other.id == incident.id or other.tenant != incident.tenant:
                continue
            theirs = rules.facts(other)
            if matches(rule.source, theirs) and _alike(rule.equal, known, theirs):
                if both and matches(rule.target, theirs):
                    continue
                return other
    return None


def _alike(labels: Iterable[str], one: Facts, other: Facts) -> bool:
    return all(
        (one.get(label, set()) & other.get(label, set())) or not (one.get(label) or other.get(label))
        for label in labels
    )


def flapping(openings: Sequence[int], spec: FlappingSpec, now: int) -> Hold | None:
    """Whether something that opened at these times (ns) comes and goes so often that it is told only when it stays."""
    recent = [at for at in openings if now - at <= spec.within]
    if len(recent) < spec.times or now - recent[-1] >= spec.hold:
        return None
    minutes = spec.hold // (60 * _SECOND)
    return Hold(
        "flapping", "flapping", f"it comes and goes ({len(recent)} times): told when it has been open for {minutes} min"
    )


def of_phase(incident: Incident, rules: Rules, phase: Phase, *, wakes: bool) -> Hold | None:
    """What the rollout keeps from a destination in this phase; `wakes` is whether that is a pager or by on-call."""
    if rules.rollout is None or phase >= LAST_PHASE:
        return None
    if phase == 1 and not rules.rollout.is_first(incident):
        return Hold("rollout", "phase 2", "rollout: told from phase 2 on")
    return Hold("rollout", "phase 3", "rollout: on-call is told from phase 3 on") if wakes else None


def openings_of(kept: Mapping[str, Sequence[int]], key: str, now: int) -> list[int]:
    """Times (ns) that an incident opened at within the day before `now`, with this one."""
    return [*(at for at in kept.get(key, ()) if now - at < DAY), now][-100:]
