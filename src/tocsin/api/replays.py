"""What is replayed: the verdict of an incident, elsewhere."""

from __future__ import annotations

from itertools import chain

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from tocsin.api.access import DepsIn, ServerOperator, person
from tocsin.api.ports import Deps
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.replay_ports import Replays

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
    found = deps.state.incident(access.tenant, incident_id)
    if found is None:
        text = f"there is no incident {incident_id[:60]!r} here"
        raise HttpProblem(404, text, next_step="list them at /api/incidents", code="not_found")
    chunks = replays_of(deps).bundle(found)
    first = next(chunks, b"")  # asked for before the answer begins, so that an error is still a problem document
    deps.state.audit(access.tenant, person(access), "export_incident", incident_id, {}, deps.clock.now())
    headers = {"content-disposition": f'attachment; filename="{found.id}.tar"'}
    return StreamingResponse(chain((first,), chunks), media_type="application/x-tar", headers=headers)
