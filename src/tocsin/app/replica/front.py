"""The port of a replica: own health is answered here, what is too large or speaks for others is kept out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from tocsin.api.access import reader
from tocsin.api.guard import Guard
from tocsin.api.problem import problem, problem_of
from tocsin.app.front import refused
from tocsin.app.proxy import FORWARDED
from tocsin.app.replica.onward import Onward
from tocsin.model.errors import TocsinError
from tocsin.model.series import MAIN_TENANT
from tocsin.selfmon.metrics import exposition

MAX_OWN_BODY_BYTES: Final = 16 << 10
"""All that is sent to a replica itself is a key to sign in with."""


class ReplicaFront:
    """ASGI application of a replica's port.

    Parameters
    ----------
    app : pages and API
    onward : the same, with what control answers handed on
    allowed_hosts : host names that it answers to on a loopback bind, None for any
    waiting : what is still waited for before it is ready, in words
    health : what `/healthz` says
    """

    def __init__(
        self,
        app: FastAPI,
        onward: Onward,
        *,
        allowed_hosts: frozenset[str] | None,
        waiting: Callable[[], Sequence[str]],
        health: Callable[[], str],
    ) -> None:
        self._app, self._onward, self._allowed = app, onward, allowed_hosts
        self._guarded = Guard(onward, allowed_hosts)
        self._waiting, self._health = waiting, health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        kept = [(name, value) for name, value in scope["headers"] if name.decode("latin-1").lower() not in FORWARDED]
        scope = {**scope, "headers": kept}
        answer = refused(scope, self._allowed) or _too_long(scope) or await self._own(scope)
        await (answer or self._guarded)(scope, receive, send)

    async def _own(self, scope: Scope) -> Response | None:
        """The answer to what a replica says of itself."""
        path = scope["path"]
        if path not in ("/healthz", "/readyz", "/metrics") or scope["method"] not in ("GET", "HEAD"):
            return None
        if path == "/healthz":
            return PlainTextResponse(self._health())  # 200 whatever is found: a restart would not mend it
        if path == "/readyz":
            waiting = list(self._waiting())
            body = {"ready": not waiting, "waiting_for": waiting}
            return JSONResponse(body, 503 if waiting else 200, {"retry-after": "1"} if waiting else {})
        try:
            access = await reader(Request({**scope, "app": self._app}))
        except TocsinError as error:
            return problem_of(error)
        own = exposition().decode() if access.tenant == MAIN_TENANT else ""  # it names tenants of the whole server
        return PlainTextResponse(own, media_type="text/plain; version=0.0.4")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._onward.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _too_long(scope: Scope) -> Response | None:
    """Refuses a body for the replica itself that is longer than any key, or does not say how long it is."""
    if scope["path"] != "/api/session":
        return None
    given = Headers(scope=scope)
    length = given.get("content-length", "0")
    if "transfer-encoding" in given or not length.isdigit() or int(length) > MAX_OWN_BODY_BYTES:
        text = f"the body is over {MAX_OWN_BODY_BYTES} bytes, or of unknown length"
        return problem(413, text, code="too_large")
    return None
