"""Who is on call, and the phase of the rollout: to see, and to change by a person's word."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tocsin.api.access import DepsIn, Reader, ServerOperator, person
from tocsin.api.ports import Deps
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES
from tocsin.model.codec import Json
from tocsin.model.errors import BadInput
from tocsin.model.series import MAIN_TENANT
from tocsin.model.times import time_to_json

router = APIRouter(prefix="/api", tags=["routing"], responses=RESPONSES)
PHASES = {
    1: "incidents of latency, errors and volume are told; all others, and on-call, are only written down",
    2: "all incidents are told; on-call and escalation are only written down",
    3: "all incidents are told, and on-call is called",
}


class Entering(BaseModel):
    """The phase to go to."""

    phase: Annotated[Literal[1, 2, 3], Field(description="1 latency, errors, volume; 2 everything; 3 also on-call")]


def rollout_document(deps: Deps) -> Json:
    """The phase of the rollout in words, who said so and when the next begins."""
    found = {"phase": 3} if deps.routing is None else dict(deps.routing.rollout(deps.clock.now()))
    times = {key: time_to_json(found[key]) for key in ("since", "second", "third") if found.get(key)}
    configured = "second" in found
    return {**found, **times, "configured": configured, "words": PHASES[int(found["phase"])]}


@router.get("/rollout", response_class=Document)
def rollout(access: Reader, deps: DepsIn) -> Document:
    """Give the phase of the rollout: what is told now, and what is only written down."""
    del access
    return Document(rollout_document(deps))


@router.post("/rollout", response_class=Document)
def enter(access: ServerOperator, deps: DepsIn, wanted: Entering) -> Document:
    """Go to a phase of the rollout; it holds until a later day of the configuration begins another."""
    if deps.routing is None:
        raise BadInput("there is no rollout here")
    deps.routing.enter(wanted.phase, by=person(access), at=deps.clock.now())
    return Document(rollout_document(deps))


@router.get("/oncall", response_class=Document)
def on_call(access: Reader, deps: DepsIn) -> Document:
    """List who is on call now by each schedule, and where they are told."""
    own = access.tenant == MAIN_TENANT  # who is called is the server's own, as are its destinations
    rows = deps.routing.on_call(deps.clock.now()) if deps.routing is not None and own else ()
    return Document({"oncall": list(rows)})
