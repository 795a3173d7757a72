"""What every answer and every call is held to: headers, the host name, and no calls from other sites."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.api.origin import HEADERS, from_elsewhere, host_name
from tocsin.api.problem import problem

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI layer around the whole application."""

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str] | None) -> None:
        self._app = app
        self._allowed = allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse foreign hosts and foreign sites, and put the headers on every answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        host = host_name(headers.get("host", ""))
        if self._allowed is not None and host not in self._allowed:
            text = f"this server does not answer to the host name {host[:80]!r}"
            step = "call it as 127.0.0.1 or localhost, or bind it to an address with a key"
            await problem(421, text, code="host", next_step=step)(scope, receive, sender)
        elif scope["method"] not in _SAFE and from_elsewhere(headers):
            text = "a page of another site tried to change something here"
            step = "make this call from the pages of this server, or from a program"
            await problem(403, text, code="cross_site", next_step=step)(scope, receive, sender)
        else:
            await self._app(scope, receive, sender)
