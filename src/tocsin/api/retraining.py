"""Models of monitors that are due to be trained again: to see why, to put off, and to take up again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from tocsin.api.access import DepsIn, Reader, ServerOperator, person
from tocsin.api.ports import Deps
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.retraining_ports import ModelStanding
from tocsin.model.codec import Json
from tocsin.model.times import time_to_json

router = APIRouter(prefix="/api", tags=["retraining"], responses=RESPONSES)
Monitor = Annotated[str, Path(max_length=200)]


def standings(deps: Deps, tenant: str) -> list[Json]:
    """Models of monitors with what is held against them, those that are due first."""
    return [] if deps.retraining is None else [_document(each) for each in deps.retraining.models(tenant)]


def _document(each: ModelStanding) -> Json:
    return {
        "monitor": each.monitor,
        "model": each.path,
        "sha256": each.sha256,
        "in_force_since": time_to_json(each.in_force_since),
        "due": each.due_at is not None,
        "due_at": None if each.due_at is None else time_to_json(each.due_at),
        "reasons": [{"at": time_to_json(at), "text": text} for at, text in each.reasons],
        "false_alarms": each.false_alarms,
        "judged": each.judged,
        "missed": each.missed,
        "real": each.real,
        "foreign_share": each.foreign_share,
        "put_off_at": None if each.put_off_at is None else time_to_json(each.put_off_at),
        "put_off_by": each.put_off_by,
    }


@router.get("/retraining", response_class=Document)
def retraining(access: Reader, deps: DepsIn) -> Document:
    """List models that drive monitors: which are due to be trained again, since when and why, by what was counted."""
    return Document({"models": standings(deps, access.tenant)})


@router.delete("/retraining/{monitor}", response_class=Document)
def put_off(access: ServerOperator, deps: DepsIn, monitor: Monitor) -> Document:
    """Take the flag of a monitor's model down: what is counted for it begins anew from now on."""
    at = deps.clock.now()
    if deps.retraining is None or not deps.retraining.put_off(access.tenant, monitor, by=person(access), at=at):
        raise _nothing(monitor)
    return Document({"models": standings(deps, access.tenant)})


@router.post("/retraining/{monitor}", response_class=Document)
def take_up(access: ServerOperator, deps: DepsIn, monitor: Monitor) -> Document:
    """Take back that the flag was taken down: all counts since the model is in force."""
    at = deps.clock.now()
    if deps.retraining is None or not deps.retraining.take_up(access.tenant, monitor, by=person(access), at=at):
        raise _nothing(monitor)
    return Document({"models": standings(deps, access.tenant)})


def _nothing(monitor: str) -> HttpProblem:
    text = f"no model drives a monitor {monitor[:80]!r}"
    return HttpProblem(404, text, next_step="list them at /api/retraining", code="not_found")
