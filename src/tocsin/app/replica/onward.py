"""What a replica can't answer goes on to control: all that changes something, and what only its processes know.

It is no open forwarder. Only addresses of this API are handed on, only to the one address of control, and only for a
caller whose key allows the call here already: control may be bound where it asks nobody for a key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final, NamedTuple, TypeAlias

import httpx2
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from tocsin.api import access
from tocsin.api.app import calls
from tocsin.api.problem import problem, problem_of
from tocsin.app.front import VERDICT_PATH
from tocsin.app.proxy import FORWARDED, Passing
from tocsin.model.access import Access
from tocsin.model.errors import TocsinError
from tocsin.selfmon.metrics import counter

HOP_HEADER: Final = "x-tocsin-replica"
"""Set on what a replica hands on: another replica does not hand it on again."""
HERE: Final = "/api/session"
"""Who is signed in is kept in the state store, by every process."""
ELSEWHERE: Final = frozenset({"/api/incidents/{incident_id}/export"})
"""Calls that change nothing and need control's log."""
EVENTS: Final = "/api/events"
MAX_BODY_BYTES: Final = 64 << 20
MOST: Final = 64
RETRY_AFTER_S: Final = 5
AGAIN: Final = "try again in a few seconds"
_CHANGES_NOTHING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NEVER_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_OF_BROWSERS: Final = frozenset(
    {"host", "origin", "referer", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user", HOP_HEADER}
)
"""Headers by which a browser says where it comes from: that was looked at here, and control is asked by a program."""
_HANDED: Final = counter(
    "tocsin_replica_forwarded_requests_total", "Requests handed on to control, by outcome", ["outcome"]
)

Needed: TypeAlias = Callable[[Request], Awaitable[Access]]
"""Finds out whether a caller may; raises a problem if not."""
_NEEDS: Final[frozenset[Needed]] = frozenset(
    {access.reader, access.operator, access.admin, access.owner, access.server_operator}
)


class Call(NamedTuple):
    """A call that control answers, and what it needs."""

    route: APIRoute
    needs: Needed


def is_elsewhere(route: APIRoute) -> bool:
    """Whether control answers a call of the API: it changes something, or needs what only control has."""
    changes = not (route.methods or set()) <= _CHANGES_NOTHING
    return (changes and route.path != HERE) or route.path in ELSEWHERE


def calls_elsewhere() -> list[Call]:
    """All of them; each asks for a scope."""
    found = []
    for route in calls():
        if is_elsewhere(route):
            (needs,) = (each.call for each in route.dependant.dependencies if each.call in _NEEDS)
            found.append(Call(route, needs))
    return found


class Onward(Passing):
    """ASGI application that hands on what control answers, and leaves the rest to `app`.

    Parameters
    ----------
    app : the pages and the API of this process
    control : where control is, such as `http://control:8642`
    transport : the connections to it; by default each request has one of its own, so that what could not be sent is
        told from what may have been done
    """

    read_s: ClassVar[float | None] = 600.0  # a plan is judged over weeks

    def __init__(
        self,
        app: FastAPI,
        control: str,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        transport: httpx2.AsyncHTTPTransport | None = None,
    ) -> None:
        limits = httpx2.Limits(max_connections=MOST, max_keepalive_connections=0)
        super().__init__(transport or httpx2.AsyncHTTPTransport(limits=limits, trust_env=False), max_body_bytes)
        self._app = app
        self._base = httpx2.URL(control)
        self._calls = calls_elsewhere()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request here or there."""
        needs = self._needs(scope) if scope["type"] == "http" else None
        if needs is None:
            refused = _unknown(scope) if scope["type"] == "http" else None
            await (refused or self._app)(scope, receive, send)
            return
        refused = await self._refused(scope, needs)
        if refused is not None:
            _HANDED.labels("refused").inc()
            await refused(scope, receive, send)
            return
        await super().__call__(scope, receive, send)

    def _needs(self, scope: Scope) -> Needed | None:
        """What the caller needs for a call that is answered by control; None where it is answered here."""
        method, path = scope["method"], scope["path"]
        if {".", ".."} & set(path.split("/")):
            return None  # it would lead elsewhere than it says
        if method in ("GET", "HEAD") and path.startswith(VERDICT_PATH):
            return access.reader
        if method == "POST" and path == EVENTS:
            return access.sender
        for call in self._calls:
            if call.route.matches(scope)[0] is Match.FULL:
                return call.needs
        return None

    async def _refused(self, scope: Scope, needs: Needed) -> Response | None:
        """Why a call is not handed on; None: it is."""
        if HOP_HEADER in Headers(scope=scope):
            text = "control's address leads to a replica, which is not control"
            return problem(508, text, code="loop", next_step="name control's own address with --control URL")
        try:
            await needs(Request({**scope, "app": self._app}))
        except TocsinError as error:
            return problem_of(error)
        return None

    def _place(self, raw_path: bytes) -> httpx2.URL:
        return self._base.copy_with(raw_path=raw_path)

    def _dropped(self) -> frozenset[str]:
        return FORWARDED | _OF_BROWSERS

    def _added(self) -> list[tuple[bytes, bytes]]:
        return [(HOP_HEADER.encode(), b"1")]  # its host is added by the client

    def _count(self, outcome: str) -> None:
        _HANDED.labels(outcome).inc()

    async def _unavailable(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(error, _NEVER_SENT):
            text = "control does not answer, and only control can do this; nothing was done. Reading goes on meanwhile."
            answer = problem(503, text, code="control_away", next_step=AGAIN, retry_after_s=RETRY_AFTER_S)
        elif scope["method"] in _CHANGES_NOTHING:
            text = "control broke off before it answered, and only control knows this"
            answer = problem(503, text, code="control_away", next_step=AGAIN, retry_after_s=RETRY_AFTER_S)
        else:
            text = "control broke off before it answered: it may have done this or not"
            answer = problem(502, text, code="control_broke_off", next_step="look whether it was done, then try again")
        await answer(scope, receive, send)


def _unknown(scope: Scope) -> Response | None:
    """Refuses what would change something and is none of the calls that are known: nothing here may."""
    if scope["method"] in _CHANGES_NOTHING or scope["path"] == HERE:
        return None
    text = f"a replica takes nothing at {scope['path'][:200]}"
    step = "telemetry goes to `tocsin worker`; see /openapi.json for the addresses there are"
    return problem(404, text, code="not_found", next_step=step)
