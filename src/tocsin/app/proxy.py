"""A streaming reverse proxy, to a process behind a Unix socket or elsewhere: what comes goes through as it is, both ways."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import httpx2
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import Receive, Scope, Send

from tocsin.api.origin import HEADERS
from tocsin.app.internal import SECRET_HEADER
from tocsin.selfmon.metrics import counter

MAX_BODY_BYTES = 64 << 20
RETRY_AFTER_S = 2
_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
FORWARDED = frozenset(
    {"forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", SECRET_HEADER, "expect"}
)
"""Headers that a caller may not speak with to what is behind us."""
_THEIRS = frozenset({"date", "server"})
_PROXIED = counter("tocsin_front_proxied_requests_total", "Requests handed to the cold process.", ["outcome"])


def forgive_cancelled_waits(loop: asyncio.AbstractEventLoop) -> None:
    """Keep one kind of harmless news out of the log of a loop.

    anyio waits for a Unix socket with `add_reader(socket, future.set_result, None)`; when a caller hangs up just as the
    socket gets ready, the future is cancelled already, and asyncio reports that as an error with a stack trace.
    """

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        late = isinstance(context.get("exception"), asyncio.InvalidStateError)
        if not (late and "Future.set_result" in str(context.get("message"))):
            loop.default_exception_handler(context)

    loop.set_exception_handler(report)


class _ClientGone(Exception):
    """The caller hung up."""


class _BodyTooLarge(Exception):
    """The caller sent more than it may."""


class _UpstreamGone(Exception):
    """Who should answer did not."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Passing(ABC):
    """ASGI application that hands requests to one place, streaming both ways; `read_s` bounds each wait for its answer."""

    read_s: ClassVar[float | None] = None

    def __init__(self, transport: httpx2.AsyncHTTPTransport, max_body_bytes: int) -> None:
        self._transport = transport
        self._max_body = max_body_bytes

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    @abstractmethod
    def _place(self, raw_path: bytes) -> httpx2.URL:
        """The address there of what was asked for here."""

    @abstractmethod
    async def _unavailable(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer instead of the place that can't be reached, or does not answer."""

    @abstractmethod
    def _count(self, outcome: str) -> None:
        """Count a request by what became of it."""

    def _dropped(self) -> frozenset[str]:
        """Headers of callers that are not handed on, besides those between two machines."""
        return FORWARDED

    def _added(self) -> list[tuple[bytes, bytes]]:
        """Headers that are added to those of callers."""
        return []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; ends the upstream request as soon as the caller hangs up."""
        inbound = _Inbound(receive, self._max_body)
        passing = asyncio.create_task(self._pass(scope, inbound, send))
        watching = asyncio.create_task(inbound.until_gone())
        try:
            await asyncio.wait({passing, watching}, return_when=asyncio.FIRST_COMPLETED)
            outcome = await passing if passing.done() else "client_gone"
        except _ClientGone:
            outcome = "client_gone"
        except _BodyTooLarge:
            outcome = "too_large"
            text = f"the body is over {self._max_body} bytes"
            await JSONResponse({"title": text, "status": 413}, 413)(scope, receive, send)
        except _UpstreamGone as gone:
            outcome = "unavailable"
            await self._unavailable(gone.error, scope, receive, send)
        finally:
            for task in (passing, watching):
                task.cancel()
            await asyncio.gather(passing, watching, return_exceptions=True)
        self._count(outcome)

    async def _pass(self, scope: Scope, inbound: _Inbound, send: Send) -> str:
        try:
            answer = await self._transport.handle_async_request(self._request(scope, inbound))
        except (_ClientGone, _BodyTooLarge):
            raise
        except httpx2.TransportError as error:
            raise _UpstreamGone(error) from error
        try:
            headers = [
                (name.lower(), value)
                for name, value in answer.headers.raw
                if name.decode("latin-1").lower() not in _HOP | _THEIRS
            ]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            assert isinstance(answer.stream, httpx2.AsyncByteStream)
            async for chunk in answer.stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx2.TransportError:
            return "cut"  # the answer is left incomplete, so that the caller can see that it is
        finally:
            with contextlib.suppress(httpx2.TransportError):
                await answer.aclose()
        await send({"type": "http.response.body", "body": b""})
        return "passed"

    def _request(self, scope: Scope, inbound: _Inbound) -> httpx2.Request:
        given = Headers(scope=scope)
        dropped = _HOP | self._dropped() | {part.strip().lower() for part in given.get("connection", "").split(",")}
        headers = [(name, value) for name, value in scope["headers"] if name.decode("latin-1").lower() not in dropped]
        if scope.get("client"):
            headers.append((b"x-forwarded-for", str(scope["client"][0]).encode()))
        headers.append((b"x-forwarded-proto", str(scope.get("scheme", "http")).encode()))
        headers += self._added()
        has_body = "content-length" in given or "transfer-encoding" in given
        inbound.expects(given.get("content-length"), has_body=has_body)
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope.get("query_string", b"")
        return httpx2.Request(
            scope["method"],
            self._place(raw_path + (b"?" + query if query else b"")),
            headers=headers,
            content=inbound.chunks() if has_body else None,
            extensions=_timeouts(self.read_s),
        )


class Proxy(Passing):
    """ASGI application that hands requests to the process behind `socket`."""

    def __init__(
        self,
        socket: Path,
        *,
        name: str = "store",
        max_body_bytes: int = MAX_BODY_BYTES,
        trouble: Callable[[], str] = str,
    ) -> None:
        limits = httpx2.Limits(max_connections=512, max_keepalive_connections=32, keepalive_expiry=4.0)
        no_roots = ssl.SSLContext(
            ssl.PROTOCOL_TLS_CLIENT
        )  # nothing is encrypted here; reading all roots takes a third of a second
        transport = httpx2.AsyncHTTPTransport(verify=no_roots, uds=str(socket), limits=limits, trust_env=False)
        super().__init__(transport, max_body_bytes)
        self._name = name
        self._trouble = trouble

    def _place(self, raw_path: bytes) -> httpx2.URL:
        return httpx2.URL(scheme="http", host="localhost", raw_path=raw_path)

    def _count(self, outcome: str) -> None:
        _PROXIED.labels(outcome).inc()

    async def get(
        self, path: str, *, headers: dict[str, str] | None = None, timeout_s: float = 2.0
    ) -> tuple[int, bytes]:
        """Status and body of a small page behind the socket; (0, b"") when nobody answers."""
        request = httpx2.Request("GET", f"http://localhost{path}", headers=headers, extensions=_timeouts(timeout_s))
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._transport.handle_async_request(request)
                try:
                    return answer.status_code, await answer.aread()
                finally:
                    await answer.aclose()
        except (httpx2.TransportError, TimeoutError):
            return 0, b""

    async def _unavailable(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        del error
        trouble = self._trouble()
        received = f"Nothing is taken in now: {trouble}. " if trouble else "Telemetry is still received and judged. "
        text = (
            f"The {self._name} process of Tocsin does not answer right now; it is started again by itself. "
            f"{received}Nothing that was acknowledged is lost."
        )
        headers = {**HEADERS, "retry-after": str(RETRY_AFTER_S), "cache-control": "no-store"}
        if "text/html" in Headers(scope=scope).get("accept", ""):
            page = (
                '<!doctype html><html lang="en"><meta charset="utf-8"><title>Tocsin: one moment</title>'
                f'<meta http-equiv="refresh" content="{RETRY_AFTER_S}"><h1>One moment</h1><p>{escape(text)}</p></html>'
            )
            await HTMLResponse(page, 503, headers)(scope, receive, send)
        else:
            body = {"title": "unavailable", "status": 503, "detail": text, "code": "unavailable"}
            await JSONResponse(body, 503, headers)(scope, receive, send)


class _Inbound:
    """The caller's side of one request: its body, then the news that it hung up."""

    def __init__(self, receive: Receive, max_body_bytes: int) -> None:
        self._receive = receive
        self._max = max_body_bytes
        self._read = asyncio.Event()

    def expects(self, content_length: str | None, *, has_body: bool) -> None:
        """What the headers say about the body."""
        if content_length is not None and content_length.isdigit() and int(content_length) > self._max:
            raise _BodyTooLarge
        if not has_body:
            self._read.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, as it comes."""
        total, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            chunk: bytes = message.get("body", b"")
            total += len(chunk)
            if total > self._max:
                raise _BodyTooLarge
            more = message.get("more_body", False)
            if chunk:
                yield chunk
        self._read.set()

    async def until_gone(self) -> None:
        """Return when the caller has hung up."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _timeouts(read_s: float | None) -> dict[str, dict[str, float | None]]:
    return {"timeout": {"connect": 5.0, "read": read_s, "write": 30.0, "pool": 5.0}}
