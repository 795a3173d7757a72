"""uvicorn's HTTP protocol with bounds it lacks: on the size of a head, and on the time it may take to arrive."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tocsin.selfmon.metrics import counter

MAX_HEAD_BYTES = 96 << 10
HEAD_S = 30.0
_CUT = counter(
    "tocsin_front_cut_connections_total", "Connections closed before their request could be read.", ["reason"]
)
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request line and headers are too large or too slow; give it to uvicorn as `http`."""

    head_s = HEAD_S
    _head_bytes = 0
    _in_head = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head before it is complete."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._cut("head_too_large", _TOO_LARGE)

    def on_message_begin(self) -> None:
        """A new head begins, maybe on a connection that was kept open."""
        super().on_message_begin()
        if self._timer is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._in_head = False
        self._head_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next bytes are a new head's."""
        self._in_head = True
        super().on_message_complete()

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.head_s, self._cut, "head_too_slow", b"")

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self, reason: str, answer: bytes) -> None:
        _CUT.labels(reason).inc()
        self._stop_waiting()
        transport: Any = self.transport
        if answer:
            transport.write(answer)
        transport.close()
