"""What is replayed: verdicts elsewhere, labels, plans and drills over stored history; configurations by way of them."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from tocsin.api.access import DepsIn, Owner, Reader, ServerOperator, person
from tocsin.api.incidents import incident_of
from tocsin.api.ports import Deps
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.replay_ports import Replays
from tocsin.model.access import Access
from tocsin.model.decision import Verdict

router = APIRouter(prefix="/api", tags=["replays"], responses=RESPONSES)


def replays_of(deps: Deps) -> Replays:
    """What replays here; a problem where nothing does."""
    if deps.replays is None:
        raise HttpProblem(503, "this process can't replay", next_step="ask the server's main port", code="no_replays")
    return deps.replays


@router.get(
    "/incidents/{incident_id}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-tar": {}}, "description": "the bundle"}},
)
def export_incident(access: ServerOperator, deps: DepsIn, incident_id: str) -> StreamingResponse:
    """Stream the bundle that gives an incident's verdict again anywhere; it holds state of the whole server."""
    found = incident_of(deps, access, incident_id)
    chunks = replays_of(deps).bundle(found)
    first = next(chunks, b"")  # asked for before the answer begins, so that an error is still a problem document
    deps.state.audit(access.tenant, person(access), "export_incident", incident_id, {}, deps.clock.now())
    headers = {"content-disposition": f'attachment; filename="{found.id}.tar"'}
    return StreamingResponse(chain((first,), chunks), media_type="application/x-tar", headers=headers)


Days = Annotated[float, Field(gt=0, le=400)]


class Labelled(BaseModel):
    """What an incident was, and over how many days that is looked at."""

    verdict: Verdict
    days: Days = 14


class Text(BaseModel):
    """A text of configuration, and over how many days it is looked at."""

    text: str = Field(max_length=4_000_000)
    days: Days = 7


class Drill(BaseModel):
    """Which anomalies are planted: in so many series of each monitor, of a size in robust spreads."""

    days: Days = 7
    monitors: list[Annotated[str, Field(max_length=200)]] = Field(default=[], max_length=1000)
    per_monitor: int = Field(default=8, ge=1, le=1000)
    size: float = Field(default=8.0, gt=0, le=1000)
    seed: int = Field(default=1, ge=0, le=1 << 31)


@router.post("/incidents/{incident_id}/label/preview", response_class=Document)
def preview_label(access: ServerOperator, deps: DepsIn, incident_id: str, said: Labelled) -> Document:
    """Say what a label would change in the last days: incidents that would vanish or appear, levels before and after."""
    found = incident_of(deps, access, incident_id)
    return Document(replays_of(deps).preview(found, said.verdict, said.days))


@router.post("/incidents/{incident_id}/label", response_class=Document)
def put_label(access: ServerOperator, deps: DepsIn, incident_id: str, said: Labelled) -> Document:
    """Put a label into force: what it asks of the series of the incident holds from now on, until it is taken back."""
    found = incident_of(deps, access, incident_id)
    put = replays_of(deps).label(found, said.verdict, by=person(access))
    deps.state.add_feedback(access.tenant, found.id, said.verdict, by=person(access), at=deps.clock.now())
    return Document(put)


@router.delete("/incidents/{incident_id}/label", response_class=Document)
def take_label_back(access: ServerOperator, deps: DepsIn, incident_id: str) -> Document:
    """Take the effect of a label back; the verdict itself stays in the history of the incident."""
    found = incident_of(deps, access, incident_id)
    if not replays_of(deps).unlabel(found.id, by=person(access)):
        text = f"no label of {found.id} is in force"
        raise HttpProblem(404, text, next_step="list them at /api/labels", code="not_found")
    return Document({"incident": found.id, "taken_back": True})


@router.get("/labels", response_class=Document)
def labels(access: Reader, deps: DepsIn) -> Document:
    """List the labels in force, with what each asks for."""
    mine = [each for each in replays_of(deps).labels() if deps.state.incident(access.tenant, each["incident"])]
    return Document({"labels": mine})


@router.post("/plan", response_class=Document)
def plan(access: Owner, deps: DepsIn, asked: Text) -> Document:
    """Say what a configuration would have come to in the last days, beside the one in force; nothing is changed."""
    return Document(replays_of(deps).plan(access.tenant, asked.text, asked.days))


@router.post("/drill", response_class=Document)
def drill(access: ServerOperator, deps: DepsIn, asked: Drill) -> Document:
    """Plant anomalies into shadow copies of stored series, and say how many are found, and after how long."""
    return Document(replays_of(deps).drill(access.tenant, **asked.model_dump()))


@router.post("/config", response_class=Document)
def apply(access: Owner, deps: DepsIn, asked: Text) -> Document:
    """Put a configuration into force; it is checked first, and the one before is kept."""
    return _applied(access, deps, asked.text, "apply_config")


@router.post("/config/rollback", response_class=Document)
def rollback(access: Owner, deps: DepsIn) -> Document:
    """Put the configuration into force again that was before the one that is."""
    return _applied(access, deps, replays_of(deps).before(), "rollback_config")


def _applied(access: Access, deps: Deps, text: str, action: str) -> Document:
    if not access.key_id:
        # whoever writes the configuration may have the server run commands: being on its machine is not enough
        step = "make a key: tocsin key create --scope admin"
        raise HttpProblem(401, "a configuration is changed with a key alone", next_step=step, code="unauthenticated")
    digest = replays_of(deps).apply(text)
    deps.state.audit(access.tenant, person(access), action, digest, {}, deps.clock.now())
    return Document({"sha256": digest, "applied": True})
