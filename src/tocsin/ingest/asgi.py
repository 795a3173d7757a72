"""The few parts of ASGI that the edge speaks: reading a bounded body, sending an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from tocsin.ingest.limits import Reservation
from tocsin.ingest.response import Response
from tocsin.model.errors import BadInput, TocsinError, TooLarge

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_DISCARDED_BODIES = 4


class Gone(TocsinError):
    """The client went away before its request was complete; nobody waits for an answer."""

    code = "client_gone"


class TooSlow(BadInput):
    """The body did not come in time (HTTP 408)."""

    code = "too_slow"


class BodyReader:
    """Reads one request body with the limit applied while reading, its bytes reserved in a budget."""

    def __init__(self, receive: Receive, held: Reservation, limit_bytes: int, timeout_s: float) -> None:
        self._receive = receive
        self._held = held
        self._limit = limit_bytes
        self._timeout_s = timeout_s
        self._deadline = asyncio.get_running_loop().time() + timeout_s
        self._seen = 0
        self.complete = False

    async def read(self, stated_bytes: int | None) -> bytes:
        """The whole body; `stated_bytes` is its content length, if it was said.

        Raises
        ------
        TooLarge
            It is, or says that it is, over the limit.
        Overloaded
            The budget is full.
        TooSlow
            It did not come in time.
        Gone
            The client went away.
        """
        if stated_bytes is not None and stated_bytes > self._limit:
            raise self._too_large()
        pieces: list[bytes] = []
        while not self.complete:
            piece = await self._next()
            if self._seen > self._limit:
                raise self._too_large()
            self._held.take(len(piece))
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is over {self._limit} bytes; send smaller batches or raise limits.body_bytes")

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as late:
            raise TooSlow(f"the body did not come within {self._timeout_s:g} s") from late
        if message["type"] == "http.disconnect":
            raise Gone("the client went away before its request was complete")
        piece: bytes = message.get("body", b"")
        self._seen += len(piece)
        self.complete = not message.get("more_body", False)
        return piece

    async def discard(self) -> None:
        """Read on and throw away, a bounded while: a client that still sends would not see the answer."""
        try:
            while not self.complete and self._seen <= _DISCARDED_BODIES * self._limit:
                await self._next()
        except (Gone, TooSlow):
            return


async def send_response(send: Send, response: Response, *, head: bool = False, close: bool = False) -> None:
    """Send an answer, without its body for HEAD."""
    headers = [*response.headers, (b"content-length", str(len(response.body)).encode())]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else response.body})


async def lifespan(receive: Receive, send: Send) -> None:
    """Answer the server's start and stop messages."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
