"""Silences: what pages nobody for a while, who said so, and its end."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from tocsin.api.access import DepsIn, Operator, Reader, person
from tocsin.api.ports import Deps
from tocsin.api.present import Document, silence_document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.incident.matching import silenced_by
from tocsin.model.codec import Json
from tocsin.model.decision import Silence
from tocsin.model.errors import BadInput
from tocsin.model.incident import CAUSE_KINDS, Incident, IncidentState, Severity
from tocsin.spec.problem import nearest
from tocsin.spec.quantity import parse_duration_ns

router = APIRouter(prefix="/api/silences", tags=["silences"], responses=RESPONSES)
LONGEST_NS = 366 * 86_400 * 10**9
_NAME_CHARS = 200
_VALUE_CHARS = 500
_ACTIVE = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED})
_FIXED: Mapping[str, Sequence[str]] = {
    "severity": [each.name.lower() for each in Severity],
    "cause": CAUSE_KINDS,
    "state": [each.value for each in IncidentState],
}


class NewSilence(BaseModel):
    """What shall page nobody, and for how long."""

    model_config = ConfigDict(extra="forbid")

    matchers: dict[str, str] = Field(
        min_length=1,
        max_length=20,
        description="what an incident must carry, all of it: a label of a finding, or "
        "entity, monitor, signal, severity, cause, incident (its id)",
    )
    length: str | float = Field(alias="for", description="such as 30m, 2h or 7d; a bare number is seconds")
    note: str = Field(default="", max_length=2000)


def silencing(deps: Deps, tenant: str, incidents: Sequence[Incident]) -> dict[str, Silence]:
    """Which of these incidents page nobody now, by their ids, with the silence that ends last."""
    now = deps.clock.now()
    silences = list(reversed(deps.state.silences(tenant, now)))
    found = {each.id: silenced_by(each, silences, now) for each in incidents} if silences else {}
    return {incident: silence for incident, silence in found.items() if silence is not None}


def in_force(deps: Deps, tenant: str) -> list[Json]:
    """Silences in force, each with how many incidents that are not over it matches."""
    now = deps.clock.now()
    silences = deps.state.silences(tenant, now)
    active = deps.state.incidents(tenant, _ACTIVE, 0, 200) if silences else ()
    return [_document(each, active, now) for each in silences]


def _document(silence: Silence, active: Sequence[Incident], now: int) -> Json:
    held = sum(silenced_by(incident, [silence], now) is not None for incident in active)
    return {**silence_document(silence, now), "incidents": held}


@router.get("", response_class=Document)
def silences(
    access: Reader,
    deps: DepsIn,
    *,
    past: Annotated[bool, Query(description="also those that are over, the latest first")] = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Document:
    """List the silences in force, the one that ends first before the others."""
    now = deps.clock.now()
    over = deps.state.past_silences(access.tenant, now, limit) if past else ()
    return Document({"silences": in_force(deps, access.tenant) + [_document(each, (), now) for each in over]})


@router.post("", response_class=Document, status_code=201)
def add(access: Operator, deps: DepsIn, wanted: NewSilence) -> Document:
    """Page nobody about incidents that carry all of the matchers, from now on for a while; they stay visible."""
    now = deps.clock.now()
    silence = Silence(
        id=f"sil-{secrets.token_hex(6)}",
        tenant=access.tenant,
        matchers=_matchers(wanted.matchers),
        starts_at=now,
        ends_at=now + _length_ns(wanted.length),
        by=person(access),
        note=wanted.note,
    )
    deps.state.add_silence(silence)
    active = deps.state.incidents(access.tenant, _ACTIVE, 0, 200)
    return Document(_document(silence, active, now), 201)


@router.delete("/{silence_id}", response_class=Document)
def end(access: Operator, deps: DepsIn, silence_id: Annotated[str, Path(max_length=200)]) -> Document:
    """End a silence now: incidents that it held back and that are not over are told at once."""
    now = deps.clock.now()
    found = deps.state.end_silence(access.tenant, silence_id, by=person(access), at=now)
    if found is None:
        text = f"there is no silence {silence_id[:60]!r} here"
        raise HttpProblem(404, text, next_step="list them at /api/silences", code="not_found")
    return Document(_document(found, (), now))


def _length_ns(text: str | float) -> int:
    try:
        length = parse_duration_ns(text)
    except (ValueError, OverflowError) as error:
        raise BadInput(str(error)) from None
    if not 0 < length <= LONGEST_NS:
        raise BadInput(f"a silence holds for more than nothing and at most 366d, not {text!r}")
    return length


def _matchers(given: Mapping[str, str]) -> dict[str, str]:
    for key, value in given.items():
        if not key or not value or len(key) > _NAME_CHARS or len(value) > _VALUE_CHARS:
            raise BadInput(f"{key[:40]!r}={value[:40]!r} matches nothing; give a label and its value")
        known = _FIXED.get(key)
        if known is not None and value not in known:
            raise BadInput(f"{value[:40]!r} is no {key}{nearest(value, list(known))}")
    return dict(given)
