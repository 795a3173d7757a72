"""What operators and admins do: test a destination, take everything out, take a backup."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from tocsin.api.access import DepsIn, Owner, Reader, ServerOperator, person
from tocsin.api.ports import DestinationStatus, ExportFormat
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.signals import From, To, WhereQuery, where_of
from tocsin.api.times import parse_time_ns
from tocsin.model.codec import Json
from tocsin.model.errors import BadInput
from tocsin.model.series import MAIN_TENANT
from tocsin.model.times import time_to_json

router = APIRouter(prefix="/api", tags=["operate"], responses=RESPONSES)
_MEDIA = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "sql": "application/sql",
}
ExportKind = Literal[
    "points", "distributions", "spans", "logs", "records", "events", "scores", "states", "findings", "incidents"
]


def _destination(each: DestinationStatus, *, own: bool) -> Json:
    # where they lead and what they answer is the server's own: it may hold names of other tenants' machines
    return {
        "name": each.name,
        "type": each.type,
        "target": each.target if own else "",
        "dry_run": each.dry_run,
        "pending": each.pending,
        "failed": each.failed,
        "last_ok_at": None if each.last_ok_at is None else time_to_json(each.last_ok_at),
        "last_error": each.last_error if own else "",
    }


@router.get("/destinations", response_class=Document)
def destinations(access: Reader, deps: DepsIn) -> Document:
    """List where incidents are sent, with what waits and what failed; no credentials."""
    own = access.tenant == MAIN_TENANT
    return Document({"destinations": [_destination(each, own=own) for each in deps.destinations.all(access.tenant)]})


@router.post("/destinations/{name}/test", response_class=Document)
def test_destination(access: ServerOperator, deps: DepsIn, name: Annotated[str, Path(max_length=200)]) -> Document:
    """Send a test message now and wait for the answer."""
    names = [each.name for each in deps.destinations.all(access.tenant)]
    if name not in names:
        step = f"there are: {', '.join(names)}" if names else "none is configured: add `destinations:` to tocsin.yaml"
        raise HttpProblem(404, f"no destination is called {name[:80]!r}", next_step=step, code="not_found")
    deps.state.audit(access.tenant, person(access), "test_destination", name, {}, deps.clock.now())
    return Document({"name": name, "result": deps.destinations.test(access.tenant, name)})


@router.get(
    "/export/{kind}",
    response_class=StreamingResponse,
    responses={200: {"content": {media: {} for media in _MEDIA.values()}, "description": "rows"}},
)
def export(
    access: Reader,
    deps: DepsIn,
    kind: ExportKind,
    signal: Annotated[str, Query(max_length=500)] = "",
    where: WhereQuery = None,
    start: From = None,
    end: To = None,
    form: Annotated[ExportFormat, Query(alias="format")] = "jsonl",
) -> StreamingResponse:
    """Stream everything stored of one kind."""
    first = parse_time_ns(start) if start else 0
    last = parse_time_ns(end) if end else (1 << 62)
    if first >= last:
        raise BadInput("the span of time is empty: `from` must be before `to`")
    chunks = deps.telemetry.export(
        kind, access.tenant, signal=signal, where=where_of(where), start=first, end=last, form=form
    )
    taken = {"from": first, "to": last, "signal": signal, "where": where or [], "format": form}
    deps.state.audit(access.tenant, person(access), "export", kind, taken, deps.clock.now())
    name = f"tocsin-{kind}.{form}"
    return StreamingResponse(
        _begun(chunks), media_type=_MEDIA[form], headers={"content-disposition": f'attachment; filename="{name}"'}
    )


def _begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    # the first chunk is asked for before the answer begins, so that an error is still a problem document
    first = next(chunks, b"")
    return chain((first,), chunks)


@router.post("/backup", response_class=StreamingResponse)
def backup(access: Owner, deps: DepsIn) -> StreamingResponse:
    """Stream a backup of everything as one tar file."""
    if deps.backup is None:
        raise HttpProblem(503, "this process can't take a backup", next_step="use tocsin backup FILE --data DIR")
    deps.state.audit(access.tenant, person(access), "backup", "everything", {}, deps.clock.now())
    headers = {"content-disposition": 'attachment; filename="tocsin-backup.tar"'}
    return StreamingResponse(_begun(deps.backup()), media_type="application/x-tar", headers=headers)
