"""Server-sent events: what happened to incidents, in order, so that a reader that was away misses nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from tocsin.api.access import DepsIn, Reader
from tocsin.api.incidents import ACTIVE
from tocsin.api.ports import Deps, IncidentEvent
from tocsin.api.present import clean, summary
from tocsin.api.problem import RESPONSES
from tocsin.api.silences import in_force, silencing
from tocsin.model.errors import Overloaded, TocsinError
from tocsin.selfmon.metrics import gauge

router = APIRouter(prefix="/api", tags=["stream"], responses=RESPONSES)
STREAMS = gauge("tocsin_api_streams", "Open event streams")
_BATCH = 100


class Places:
    """How many event streams may be open at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0
        self.over = False

    def end(self) -> None:
        """Let all streams end, as the process does: their readers come back."""
        self.over = True

    def ask(self) -> None:
        """Make sure that there is a place.

        Raises
        ------
        Overloaded
            All are taken.
        """
        if self._open >= self._most:
            raise Overloaded(f"{self._most} event streams are open already; close one", retry_after_s=30)

    def take(self) -> None:
        """Take one place."""
        self._open += 1
        STREAMS.set(self._open)

    def free(self) -> None:
        """Give one back."""
        self._open -= 1
        STREAMS.set(self._open)


def message(event: str, document: object, number: int | None = None) -> bytes:
    r"""One server-sent event; JSON on one line, so that no text can break out of it.

    >>> message("incident", {"title": "a\nb"}, 3)
    b'id: 3\nevent: incident\ndata: {"title":"a\\nb"}\n\n'
    """
    head = b"" if number is None else b"id: %d\n" % number
    body = json.dumps(clean(document), separators=(",", ":")).encode()
    return head + b"event: " + event.encode() + b"\ndata: " + body + b"\n\n"


def _news(deps: Deps, tenant: str, events: list[IncidentEvent]) -> list[bytes]:
    found = []
    for event in events:
        incident = deps.state.incident(tenant, event.incident_id)
        if incident is not None:
            silence = silencing(deps, tenant, [incident]).get(incident.id)
            found.append(message("incident", {"kind": event.kind, **summary(incident, silence)}, event.seq))
    return found


def _overview(deps: Deps, tenant: str) -> dict[str, object]:
    return {
        "open": len(deps.state.incidents(tenant, ACTIVE, 0, 200)),
        "states": dict(deps.telemetry.states(tenant)),
        "silences": [each["id"] for each in in_force(deps, tenant)],
        "not_ready": list(deps.ready()),
    }


async def _follow(deps: Deps, tenant: str, seq: int, request: Request, places: Places) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    yield b"retry: 2000\n\n"
    yield message("hello", {"seq": seq, "version": deps.version}, seq)
    seen: dict[str, object] = {}
    quiet_since = looked_at = loop.time()
    while not (places.over or await request.is_disconnected()):
        try:
            events = list(await run_in_threadpool(deps.state.events_after, tenant, seq, _BATCH))
            chunks = await run_in_threadpool(_news, deps, tenant, events) if events else []
            state = seen
            if events or not seen or loop.time() - looked_at >= max(10.0, deps.poll_s):
                looked_at = loop.time()
                state = await run_in_threadpool(_overview, deps, tenant)
        except TocsinError:
            return  # who reads comes back, and is told then what is wrong
        if events:
            seq = events[-1].seq
        if state != seen:
            seen = state
            chunks.append(message("overview", state, seq))
        for chunk in chunks:
            yield chunk
        if chunks:
            quiet_since = loop.time()
        elif loop.time() - quiet_since >= deps.heartbeat_s:
            quiet_since = loop.time()
            yield message("heartbeat", {"seq": seq})
        if len(events) < _BATCH:
            await asyncio.sleep(deps.poll_s)


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "events"}},
)
async def stream(
    access: Reader,
    deps: DepsIn,
    request: Request,
    last_event_id: Annotated[str | None, Header(description="resume after this event")] = None,
) -> StreamingResponse:
    """Follow incidents as they change; `Last-Event-ID` resumes without a gap."""
    known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
    newest = await run_in_threadpool(deps.state.last_seq, access.tenant)
    seq = min(int(last_event_id[:18]), newest) if known and last_event_id is not None else newest
    places: Places = request.app.state.places
    places.ask()

    async def body() -> AsyncIterator[bytes]:
        # taken only once the answer flows: a caller that hung up before would never give it back
        places.take()
        try:
            async for chunk in _follow(deps, access.tenant, seq, request, places):
                yield chunk
        finally:
            places.free()

    return StreamingResponse(body(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})
