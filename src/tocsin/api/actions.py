"""Actions: what is done about incidents, what waits for approval, and the switch that stops it all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, get_args

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from tocsin.api.access import DepsIn, Operator, Owner, Reader, ServerOperator, person
from tocsin.api.action_ports import Actions, Word
from tocsin.api.ports import Deps
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.times import NS
from tocsin.model.codec import Json
from tocsin.model.errors import BadInput
from tocsin.model.remedy import ACTIVE, STATES, UNDOABLE, Remedy, RemedyState, Switch
from tocsin.model.times import time_to_json
from tocsin.spec.playbook import PlaybookSpec, action_fields

router = APIRouter(prefix="/api/actions", tags=["actions"], responses=RESPONSES)
RemedyId = Annotated[str, Path(max_length=64)]


class Note(BaseModel):
    """What a person wants to say with it."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(default="", max_length=1000)


class Proposal(Note):
    """Which playbook is proposed for which incident."""

    incident: str = Field(min_length=1, max_length=64)
    playbook: str = Field(min_length=1, max_length=100)


def remedy_document(remedy: Remedy) -> Json:
    """The public JSON of a remedy."""
    return {
        "id": remedy.id,
        "incident": remedy.incident_id,
        "playbook": remedy.playbook,
        "action": remedy.kind,
        "target": remedy.target,
        "state": remedy.state,
        "active": remedy.state in ACTIVE,
        "undoable": remedy.state in UNDOABLE and bool(remedy.plan.get("undo")),
        "conclusion": remedy.conclusion,
        "proposer": remedy.proposer,
        "approver": remedy.approver,
        "created_at": time_to_json(remedy.created_at),
        "updated_at": time_to_json(remedy.updated_at),
        "begun_at": time_to_json(remedy.begun_at) if remedy.begun_at else None,
        "judged_at": time_to_json(remedy.judge_at) if remedy.judge_at else None,
        "checks": [{"name": each.name, "ok": each.ok, "said": each.said} for each in remedy.checks],
        "plan": dict(remedy.plan),
        "context": dict(remedy.context),
        "log": [{"time": time_to_json(each.time), "by": each.by, "what": each.what} for each in remedy.log],
    }


def _switch(switch: Switch) -> Json:
    return {
        "stopped": switch.stopped,
        "since": time_to_json(switch.time) if switch.time else None,
        "by": switch.by,
        "note": switch.note,
    }


def _playbook(spec: PlaybookSpec) -> Json:
    verify = spec.verify
    judged: Json = {} if verify is None else {"after": f"{verify.after / NS:g}s", "else": verify.else_}
    if verify is not None and verify.control:
        judged |= {"control": dict(verify.control), "better_by": verify.better_by}
    return {
        "name": spec.name,
        "approved": spec.approved,
        "action": action_fields(spec.action),
        "conclusion": spec.conclusion,
        "when": spec.when.model_dump(mode="json", exclude_defaults=True),
        "require": [each.model_dump(mode="json", exclude_defaults=True) for each in spec.require],
        "verify": judged or None,
    }


def _actions(deps: Deps) -> Actions:
    if deps.actions is None:
        raise HttpProblem(
            503, "this process does no remediation", next_step="ask the server that `tocsin serve` starts"
        )
    return deps.actions


def _state(deps: Deps) -> Json:
    found = _actions(deps)
    return {"enabled": found.enabled, "dry_run": found.dry_run, "switch": _switch(found.switch())}


@router.get("", response_class=Document)
def actions(
    access: Reader,
    deps: DepsIn,
    state: Annotated[str, Query(description="states, joined by commas; all when empty")] = "",
    incident: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Document:
    """List actions, the last changed first, with the switches and the playbooks in force."""
    wanted: set[RemedyState] = {each for each in STATES if each in state.split(",")}
    unknown = [name for name in state.split(",") if name and name not in STATES]
    if unknown:
        raise BadInput(f"{unknown[0][:40]!r} is no state; states are {', '.join(get_args(RemedyState))}")
    found = _actions(deps).all(access.tenant, wanted or None, incident or None, limit)
    playbooks = [_playbook(each) for each in _actions(deps).playbooks(access.tenant)]
    return Document({**_state(deps), "playbooks": playbooks, "actions": [remedy_document(each) for each in found]})


@router.post("", response_class=Document, status_code=201)
def propose(access: Operator, deps: DepsIn, wanted: Proposal) -> Document:
    """Propose what a playbook does about an incident; who proposes can't approve it."""
    found = _actions(deps).propose(access.tenant, wanted.incident, wanted.playbook, by=person(access), note=wanted.note)
    if found is None:
        text = f"there is no incident {wanted.incident!r} that playbooks are for here"
        raise HttpProblem(404, text, next_step="list them at /api/incidents", code="not_found")
    return Document(remedy_document(found), 201)


@router.post("/stop", response_class=Document)
def stop(access: ServerOperator, deps: DepsIn, note: Note | None = None) -> Document:
    """Stop all remediation now, until it is resumed; what a person asks to be taken back still is."""
    _actions(deps).stop(stopped=True, by=person(access), note=note.note if note else "")
    return Document(_state(deps))


@router.post("/resume", response_class=Document)
def resume(access: Owner, deps: DepsIn, note: Note | None = None) -> Document:
    """Let remediation go on; it takes more to start than to stop."""
    _actions(deps).stop(stopped=False, by=person(access), note=note.note if note else "")
    return Document(_state(deps))


@router.get("/{remedy_id}", response_class=Document)
def action(access: Reader, deps: DepsIn, remedy_id: RemedyId) -> Document:
    """Give one action: its conditions with their arithmetic, its plan and its log."""
    return _found(_actions(deps).one(access.tenant, remedy_id), remedy_id)


def _found(remedy: Remedy | None, remedy_id: str) -> Document:
    if remedy is None:
        text = f"there is no action {remedy_id[:60]!r} here"
        raise HttpProblem(404, text, next_step="list them at /api/actions", code="not_found")
    return Document(remedy_document(remedy))


def _says(word: Word, doc: str) -> Callable[..., Document]:
    def say(access: Operator, deps: DepsIn, remedy_id: RemedyId, note: Note | None = None) -> Document:
        text = note.note if note is not None else ""
        return _found(_actions(deps).say(access.tenant, remedy_id, word, by=person(access), note=text), remedy_id)

    say.__name__, say.__doc__ = word, doc
    return say


_WORDS: tuple[tuple[Word, str], ...] = (
    ("approve", "Approve what waits; who proposed it can't."),
    ("reject", "Say no to what has not begun."),
    ("undo", "Take back what was done, now, whatever is stopped."),
)
for _word, _doc in _WORDS:
    router.post(f"/{{remedy_id}}/{_word}", response_class=Document)(_says(_word, _doc))
