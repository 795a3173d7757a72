"""What every answer and every call is held to: headers, the host name, and no calls from other sites."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.api.problem import problem

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
)
CONTENT_SECURITY_POLICY = "; ".join(_POLICY)
HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def host_name(header: str) -> str:
    """Host without its port, in lower case.

    >>> host_name("LocalHost:8642"), host_name("[::1]:80"), host_name("evil.example")
    ('localhost', '[::1]', 'evil.example')
    """
    text = header.strip().lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0]


def from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site caused this call (Sec-Fetch-Site, else Origin against Host).

    Programs send neither header and pass: they hold a key, or are on a machine that is open to them.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


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
