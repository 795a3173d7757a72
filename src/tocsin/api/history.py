"""What was done to this server: the audit trail, and the configurations that were in force."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from tocsin.api.access import Admin, DepsIn, Owner, Reader
from tocsin.api.present import Document, rows_document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.times import parse_time_ns
from tocsin.model.codec import Json
from tocsin.model.decision import Applied, TrailPart
from tocsin.model.errors import Corrupt
from tocsin.model.times import time_to_json

router = APIRouter(prefix="/api", tags=["history"], responses=RESPONSES)
Limit = Annotated[int, Query(ge=1, le=1000)]
Part = Annotated[str, Query(max_length=300)]
Time = Annotated[str | None, Query(alias="from", max_length=60, description="RFC 3339, or seconds since 1970")]
TimeTo = Annotated[str | None, Query(alias="to", max_length=60, description="excluded")]


@router.get("/audit", response_class=Document)
def audit(
    access: Admin,
    deps: DepsIn,
    *,
    limit: Limit = 100,
    actor: Part = "",
    action: Annotated[str, Query(max_length=300, description="whole, or how it begins: remed*")] = "",
    subject: Part = "",
    start: Time = None,
    end: TimeTo = None,
    before: Annotated[int | None, Query(ge=1, le=1 << 62, description="only entries numbered below this")] = None,
) -> Document:
    """List what people did, newest first: who, what, to what, when; each entry carries the digest of the one before.

    `next` is what `before` has to be for the entries that come after these; null: there are none.
    """
    first, last = (None if text is None else parse_time_ns(text) for text in (start, end))
    part = TrailPart(actor, action, subject, first, last, before)
    found = rows_document(deps.state.audit_trail(access.tenant, limit + 1, part))
    shown = found[:limit]
    more = shown[-1]["seq"] if len(found) > limit else None
    return Document({"entries": shown, "next": more, "actions": list(deps.state.audit_actions(access.tenant))})


@router.get("/audit/verify", response_class=Document)
def verify(access: Admin, deps: DepsIn) -> Document:
    """Check the chain of the whole trail: that nothing was changed, removed or put in between."""
    assert access.tenant
    try:
        return Document({"sound": True, "entries": deps.state.verify_audit(), "reason": ""})
    except Corrupt as error:
        return Document({"sound": False, "entries": None, "reason": str(error)})


def _head(each: Applied) -> Json:
    return {"time": time_to_json(each.time), "sha256": each.sha256, "by": each.by, "size_bytes": len(each.body)}


@router.get("/config/history", response_class=Document)
def configurations(access: Reader, deps: DepsIn, limit: Limit = 10) -> Document:
    """List the configurations that were in force, newest first; the first is in force now."""
    assert access.tenant
    return Document({"configurations": [_head(each) for each in deps.state.configurations(limit)]})


@router.get("/config/history/{sha256}", response_class=Document)
def configuration(access: Owner, deps: DepsIn, sha256: Annotated[str, Path(max_length=64)]) -> Document:
    """Give the text of one of them, as it was in its file."""
    assert access.tenant
    for each in deps.state.configurations(1000):
        if each.sha256 == sha256:
            return Document({**_head(each), "text": each.body.decode(errors="replace")})
    text = f"no configuration {sha256[:12]!r} was in force here"
    raise HttpProblem(404, text, next_step="list them at /api/config/history", code="not_found")
