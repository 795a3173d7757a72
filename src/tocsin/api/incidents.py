"""Incidents: the inbox, one incident with all its evidence, and what people do about it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from tocsin.api.access import DepsIn, Operator, Reader, person
from tocsin.api.examples import example_document, examples_of, services_of
from tocsin.api.ports import Action, Deps, Line
from tocsin.api.present import Document, feedback_document, line_document, silence_document, summary, whole
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.review_board import place_document
from tocsin.api.silences import silencing
from tocsin.api.times import NS, parse_time_ns
from tocsin.incident.rota import owner_of
from tocsin.model.access import Access
from tocsin.model.codec import Json, change_to_json
from tocsin.model.decision import Verdict
from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident, IncidentState, Severity
from tocsin.model.summary import summary_to_json
from tocsin.model.times import time_to_json
from tocsin.model.transition import Regroup

router = APIRouter(prefix="/api/incidents", tags=["incidents"], responses=RESPONSES)
_BEFORE_NS = 45 * 60 * NS
_AFTER_NS = 15 * 60 * NS
_MAX_LINES = 24
ALL_STATES = frozenset(IncidentState)
ACTIVE = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED})


class Note(BaseModel):
    """What a person wants to say with an action."""

    note: str = Field(default="", max_length=2000)


class Said(Note):
    """What a person says of an incident afterwards."""

    verdict: Verdict


class Into(BaseModel):
    """The incident that takes another one over."""

    into: str = Field(min_length=1, max_length=100)


class Parted(BaseModel):
    """Ids of the findings that are another incident."""

    findings: list[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]] = Field(min_length=1, max_length=200)


def states_of(text: str) -> frozenset[IncidentState]:
    """States named in a text, joined by commas; all when it is empty.

    Raises
    ------
    BadInput
        One of them is none.
    """
    names = [name for name in text.split(",") if name]
    try:
        return frozenset(IncidentState(name) for name in names) or ALL_STATES
    except ValueError as error:
        raise BadInput(f"{error}; states are {', '.join(each.value for each in IncidentState)}") from error


@router.get("", response_class=Document)
def incidents(
    access: Reader,
    deps: DepsIn,
    state: Annotated[str, Query(description="states, joined by commas; all when empty")] = "",
    severity: Annotated[str, Query(description="least severity: info, warning, error, critical")] = "info",
    search: Annotated[str, Query(max_length=200)] = "",
    since: Annotated[str | None, Query(description="RFC 3339 or seconds since 1970")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Document:
    """List incidents, newest first."""
    if severity.upper() not in Severity.__members__:
        raise BadInput(f"{severity[:40]!r} is no severity; write one of info, warning, error, critical")
    start = parse_time_ns(since) if since else 0
    least = Severity[severity.upper()]
    found = deps.state.incidents(access.tenant, states_of(state), start, limit)
    word = search.casefold()
    kept = [
        each
        for each in found
        if each.severity >= least
        and (not word or any(word in text.casefold() for text in (each.title, each.id, *each.entities)))
    ]
    held = silencing(deps, access.tenant, kept)
    return Document({"incidents": [summary(each, held.get(each.id)) for each in kept]})


def incident_of(deps: Deps, access: Access, incident_id: str) -> Incident:
    """An incident of the caller's tenant.

    Raises
    ------
    HttpProblem
        There is none.
    """
    found = deps.state.incident(access.tenant, incident_id)
    if found is None:
        text = f"there is no incident {incident_id[:60]!r} here"
        raise HttpProblem(404, text, next_step="list them at /api/incidents", code="not_found")
    return found


def runbooks_of(incident: Incident) -> list[str]:
    """Addresses of runbooks that the monitors of its findings name, each once."""
    told = (each.evidence.get("runbook") for each in incident.findings)
    return list(dict.fromkeys(each for each in told if isinstance(each, str) and each))


def _next_level(deps: Deps, incident: Incident) -> Json | None:
    """Who is told next of what nobody acknowledges."""
    found = None if deps.routing is None else deps.routing.next_level(incident)
    return None if found is None else {**found, "at": time_to_json(found["at"])}


def _whole(deps: Deps, access: Access, incident: Incident) -> Document:
    pages = deps.state.pages(access.tenant, incident.id)
    events = deps.state.incident_events(access.tenant, incident.id)
    silence = silencing(deps, access.tenant, [incident]).get(incident.id)
    said = deps.state.feedback(access.tenant, incident.id)
    team = owner_of(deps.teams(), incident)
    return Document(
        {
            **whole(incident, pages, events, deps.grade_finding),
            **place_document(incident),
            "team": None if team is None else team.name,
            "route": "" if deps.routing is None else deps.routing.route(incident),
            "escalation": _next_level(deps, incident),
            "monitor_runbooks": runbooks_of(incident),
            "silenced": None if silence is None else silence_document(silence),
            "feedback": [feedback_document(each) for each in said],
            "now": time_to_json(deps.clock.now()),
        }
    )


@router.get("/{incident_id}", response_class=Document)
def incident(access: Reader, deps: DepsIn, incident_id: str) -> Document:
    """Give one incident: findings, causes with evidence, changes, timeline, what was sent."""
    return _whole(deps, access, incident_of(deps, access, incident_id))


@router.get("/{incident_id}/summary", response_class=Document)
def incident_summary(access: Reader, deps: DepsIn, incident_id: str) -> Document:
    """Say what happened, why, and what to do next: sentences, each with the evidence that it stands on."""
    found = incident_of(deps, access, incident_id)
    return Document({"id": found.id, "title": found.title, **summary_to_json(deps.summarise(found))})


def _act(deps: Deps, access: Access, incident_id: str, action: Action, note: Note | None) -> Document:
    text = note.note if note is not None else ""
    found = deps.state.act(access.tenant, incident_id, action, by=person(access), note=text, at=deps.clock.now())
    if found is None:
        incident_of(deps, access, incident_id)
        raise HttpProblem(404, f"incident {incident_id[:60]!r} is gone", code="not_found")
    return _whole(deps, access, found)


@router.post("/{incident_id}/ack", response_class=Document)
def acknowledge(access: Operator, deps: DepsIn, incident_id: str, note: Note | None = None) -> Document:
    """Say that somebody looks after it; pages about it stop escalating."""
    return _act(deps, access, incident_id, "ack", note)


@router.post("/{incident_id}/resolve", response_class=Document)
def resolve(access: Operator, deps: DepsIn, incident_id: str, note: Note | None = None) -> Document:
    """Say that it is over."""
    return _act(deps, access, incident_id, "resolve", note)


@router.post("/{incident_id}/merge", response_class=Document)
def merge(access: Operator, deps: DepsIn, incident_id: str, to: Into) -> Document:
    """Make it part of another incident that is not over; what is of both stays together from now on."""
    found, into = (incident_of(deps, access, each) for each in (incident_id, to.into))
    if found.id == into.id:
        raise BadInput("an incident can't be merged into itself; name another one as `into`")
    for each in (found, into):
        if each.state is IncidentState.RESOLVED:
            raise HttpProblem(409, f"incident {each.id} is over: nothing can be merged with it", code="conflict")
    change = Regroup("merge", into=into.id)
    deps.state.regroup(access.tenant, found.id, change, by=person(access), at=deps.clock.now())
    return _whole(deps, access, found)


@router.post("/{incident_id}/split", response_class=Document)
def split(access: Operator, deps: DepsIn, incident_id: str, off: Parted) -> Document:
    """Make some of its findings another incident; what is of both stays apart from now on."""
    found = incident_of(deps, access, incident_id)
    known = {each.id.hex() for each in found.findings}
    strange = sorted(set(off.findings) - known)
    if strange:
        raise BadInput(f"{strange[0]} is no finding of this incident; they are at /api/incidents/{found.id}")
    if known <= set(off.findings):
        raise BadInput("all of its findings can't be split off; leave one at least")
    if found.state is IncidentState.RESOLVED:
        raise HttpProblem(409, f"incident {found.id} is over: nothing can be split off", code="conflict")
    change = Regroup("split", findings=tuple(sorted(set(off.findings))))
    deps.state.regroup(access.tenant, found.id, change, by=person(access), at=deps.clock.now())
    return _whole(deps, access, found)


@router.post("/{incident_id}/feedback", response_class=Document)
def feedback(access: Operator, deps: DepsIn, incident_id: str, said: Said) -> Document:
    """Say whether it was a real problem or a false alarm; it changes no incident, it is kept beside it."""
    found = incident_of(deps, access, incident_id)
    deps.state.add_feedback(
        access.tenant, incident_id, said.verdict, by=person(access), at=deps.clock.now(), note=said.note
    )
    return _whole(deps, access, found)


@router.get("/{incident_id}/signals", response_class=Document)
def incident_signals(
    access: Reader,
    deps: DepsIn,
    incident_id: str,
    start: Annotated[str | None, Query(alias="from")] = None,
    end: Annotated[str | None, Query(alias="to")] = None,
    max_points: Annotated[int, Query(ge=10, le=5000)] = 600,
) -> Document:
    """Give the signals of its findings with their expected bands, from before the first until after the last."""
    found = incident_of(deps, access, incident_id)
    first = min((each.start for each in found.findings), default=found.opened_at) - _BEFORE_NS
    last = max((each.end for each in found.findings), default=found.updated_at) + _AFTER_NS
    first = parse_time_ns(start) if start else first
    last = min(parse_time_ns(end) if end else last, deps.clock.now() + NS)
    if first >= last:
        raise BadInput("the span of time is empty: `from` must be before `to`")
    lines = _lines(deps, access, found, first, last, max_points)
    return Document(
        {
            "from": first / NS,
            "to": last / NS,
            "signals": lines,
            "left_out": max(0, len({(each.monitor, each.series.id) for each in found.findings}) - _MAX_LINES),
            "changes": [change_to_json(each) for each in found.changes],
        }
    )


@router.get("/{incident_id}/traces", response_class=Document)
def incident_traces(access: Reader, deps: DepsIn, incident_id: str) -> Document:
    """Give example traces: the slowest, one that failed, a typical one since it began and a typical one before."""
    found = incident_of(deps, access, incident_id)
    examples = () if deps.traces is None else examples_of(deps.traces, found)
    return Document({"services": services_of(found), "traces": [example_document(each) for each in examples]})


def _lines(deps: Deps, access: Access, found: Incident, first: int, last: int, max_points: int) -> list[object]:
    spans: dict[tuple[str, bytes], list[list[float]]] = {}
    lines: list[object] = []
    for each in found.findings:
        spans.setdefault((each.monitor, each.series.id), []).append([each.start / NS, each.end / NS])
    for each in found.findings:
        out = spans.pop((each.monitor, each.series.id), None)
        if out is None or len(lines) >= _MAX_LINES:
            continue
        series_id = each.series.id.hex()
        got = list(deps.telemetry.panes(access.tenant, each.monitor, series_id, first, last, max_points))
        if not got:
            signal = each.series.signal.name
            got = list(deps.telemetry.points(access.tenant, signal, {}, first, last, max_points, series_id))
        unit = each.series.signal.unit
        line = got[0] if got else Line(series_id, each.series.signal.name, unit, dict(each.series.labels), (), ())
        document = line_document(line)
        document.update(monitor=each.monitor, unit=unit, findings=out, direction=each.direction)
        lines.append(document)
    return lines
