"""Maintenance windows: what is planned, by whom, and what holds now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from tocsin.api.access import DepsIn, Operator, Reader, person
from tocsin.api.ports import Deps
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.routing_ports import Maintenance
from tocsin.model.codec import Json
from tocsin.model.times import time_to_json

router = APIRouter(prefix="/api/maintenance", tags=["maintenance"], responses=RESPONSES)
_Text = Annotated[str, Field(min_length=1, max_length=500)]


class NewWindow(BaseModel):
    """A time in which incidents that match are told nobody."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    match: dict[Annotated[str, Field(min_length=1, max_length=200)], Annotated[list[_Text], Field(max_length=20)]] = (
        Field(
            min_length=1,
            max_length=20,
            description="as in routes: labels, or entity, monitor, signal, severity, team, ...",
        )
    )
    starts: str = Field(max_length=40, description="a local time of `time_zone`, such as 2026-11-25T22:00")
    lasts: str = Field(max_length=40, description="such as 2h")
    time_zone: str = Field(default="UTC", max_length=64)
    every: Literal["day", "week"] | None = None
    note: str = Field(default="", max_length=2000)


def _windows(deps: Deps) -> Maintenance:
    if deps.maintenance is None:
        raise HttpProblem(
            503, "this process plans no maintenance", next_step="ask the server that `tocsin serve` starts"
        )
    return deps.maintenance


def _document(row: Mapping[str, Any]) -> Json:
    lasts, ends = row["lasts_ns"], row["ends_at"]
    rest = {key: value for key, value in row.items() if key not in ("lasts_ns", "ends_at")}
    return {
        **rest,
        "lasts_s": None if lasts is None else lasts / 1e9,
        "ends_at": None if ends is None else time_to_json(ends),
        "planned": bool(row["id"]),
    }


@router.get("", response_class=Document)
def windows(access: Reader, deps: DepsIn) -> Document:
    """List windows that are not over: those that people planned, then those of the configuration (without an `id`)."""
    rows = () if deps.maintenance is None else deps.maintenance.all(access.tenant, deps.clock.now())
    return Document({"windows": [_document(each) for each in rows], "now": time_to_json(deps.clock.now())})


@router.post("", response_class=Document, status_code=201)
def plan(access: Operator, deps: DepsIn, wanted: NewWindow) -> Document:
    """Plan a window; incidents that match are seen, written down, and told afterwards if they still hold."""
    given = wanted.model_dump(exclude={"note"}, exclude_none=True)
    made = _windows(deps).add(access.tenant, given, by=person(access), note=wanted.note, at=deps.clock.now())
    return Document(_document(made), 201)


@router.delete("/{window_id}", response_class=Document)
def end(access: Operator, deps: DepsIn, window_id: Annotated[str, Path(max_length=64)]) -> Document:
    """End a window now, or call off what is planned; one of the configuration is ended there."""
    if not _windows(deps).end(access.tenant, window_id, by=person(access), at=deps.clock.now()):
        text = f"nobody planned a window {window_id[:60]!r} here"
        raise HttpProblem(404, text, next_step="list them at /api/maintenance", code="not_found")
    return Document({"id": window_id, "ended": True})
