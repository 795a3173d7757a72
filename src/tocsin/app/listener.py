"""One listening address inside a process that may have several."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from tocsin.app.wire import BoundedHttp

DRAIN_S = 5


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the process decides when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class Listener:
    """Serves an ASGI app on an inherited socket (`fd`) or a Unix socket path; does nothing with neither."""

    def __init__(self, app: Any, *, fd: int | None = None, uds: Path | None = None) -> None:
        self._sockets = [socket.socket(fileno=os.dup(fd))] if fd is not None else None
        self._server: _Server | None = None
        if fd is None and uds is None:
            return
        config = uvicorn.Config(
            app,
            uds=str(uds) if uds is not None else None,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
            lifespan="on",
            http=BoundedHttp,
            proxy_headers=False,
            loop="uvloop",
            backlog=1024,
        )
        self._server = _Server(config)

    async def run(self) -> None:
        """Serve until `stop`."""
        if self._server is not None:
            await self._server.serve(self._sockets)

    async def listening(self) -> None:
        """Wait until connections are taken."""
        if self._server is not None:
            await self._server.up.wait()

    def stop(self) -> None:
        """Take no new connections, finish what is under way, end."""
        if self._server is not None:
            self._server.should_exit = True
