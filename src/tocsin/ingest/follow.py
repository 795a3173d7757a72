"""Following a file as a source: read, decode, hand in, and only then remember the place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from tocsin.ingest.decoded import Decoded
from tocsin.ingest.edge import Edge
from tocsin.ingest.tail import Tail
from tocsin.model.errors import Overloaded

_POLL_S = 0.25
_log = structlog.get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]
Decode = Callable[[Sequence[bytes], int], Decoded]


class Follow:
    """Runs one followed file until cancelled; lines may come twice after a crash, and are then the same points."""

    def __init__(self, tail: Tail, decode: Decode, edge: Edge, tenant: str, *, sleep: Sleep = asyncio.sleep) -> None:
        self._tail = tail
        self._decode = decode
        self._edge = edge
        self._tenant = tenant
        self._sleep = sleep

    async def run(self) -> None:
        """Follow the file until cancelled."""
        try:
            while True:
                if not await self.step():
                    await self._sleep(_POLL_S)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._tail.close()

    async def step(self) -> bool:
        """Take what is there now; False when there was nothing."""
        try:
            lines = await asyncio.to_thread(self._tail.poll)
        except OSError as error:
            _log.warning("a followed file can't be read", error=str(error))
            return False
        if not lines:
            return False
        found = await asyncio.to_thread(self._decode, lines, self._edge.received())
        while True:
            try:
                await self._edge.accept(found.frames)
                break
            except Overloaded as full:
                # the file keeps the lines: nothing is lost by waiting
                await self._sleep(full.retry_after_s)
        for (source, reason), rows in found.reasons.items():
            self._edge.refuse(self._tenant, source, reason, rows)
        await asyncio.to_thread(self._tail.commit)
        return True
