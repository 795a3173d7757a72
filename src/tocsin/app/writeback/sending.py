"""Sending the board by remote write: one loop per receiver, a bounded queue, and a count of all that is lost."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from tocsin.api.ports import DestinationStatus
from tocsin.app.writeback.board import Row
from tocsin.app.writeback.text import HELP_OF_WRITTEN, METRICS, WRITTEN, samples_of
from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import Refused, Retryable
from tocsin.model.series import Labels
from tocsin.notify.base import Context
from tocsin.notify.remote_write import RemoteWriter, Sample
from tocsin.selfmon.metrics import counter, gauge
from tocsin.spec.scores import RemoteWriteTarget

QUEUE: Final = 40
"""Readings of the board that wait for a receiver that is away: ten minutes of the usual interval."""
MOST_A_REQUEST: Final = 2000
FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 60.0
HELP_TEXTS: Final = {**METRICS, WRITTEN: HELP_OF_WRITTEN}

Sleep = Callable[[float], Awaitable[None]]

_SENT = counter("tocsin_notify_remote_write_samples_total", "Samples that a receiver took", ["target"])
_DROPPED = counter(
    "tocsin_notify_remote_write_dropped_total", "Samples given up: the queue was full, or refused", ["target", "reason"]
)
_RETRIES = counter("tocsin_notify_remote_write_retries_total", "Requests to be sent again", ["target"])
_QUEUE = gauge("tocsin_notify_remote_write_queue_messages", "Readings that wait for a receiver", ["target"])
_log = structlog.get_logger(__name__)


class Scores(Protocol):
    """The board, as far as it is sent."""

    received: int

    def chosen(self, tenant: str) -> Sequence[Row]:
        """Rows that are written now."""


class ScoreSender:
    """Reads the board at an interval and sends it to one receiver, in order, each reading until it is taken."""

    def __init__(
        self, target: RemoteWriteTarget, board: Scores, clock: Clock, context: Context, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.target = target
        self._board, self._clock, self._sleep = board, clock, sleep
        self._writer = RemoteWriter(target, context, HELP_TEXTS)
        self._queue: deque[list[Sample]] = deque()
        self._waiting = asyncio.Event()
        self._last: dict[Labels, None] = {}
        self._read_at = 0
        self.dropped = 0
        self.last_ok_at = 0
        self.last_error = ""

    async def run(self) -> None:
        """Read and send until cancelled."""
        sending = asyncio.create_task(self._drain())
        try:
            while True:
                self.read()
                await self._sleep(self.target.interval / SECOND)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await self._writer.close()

    def read(self) -> None:
        """Queue what the board holds now; series that left it are ended. Without news in the log there is none."""
        now = self._board.received
        if now <= self._read_at:
            return
        self._read_at = now
        time_ms = now // 1_000_000
        fixed = self.target.labels
        found: dict[Labels, float] = {}
        for name, labels, value in samples_of(self._board.chosen(self.target.tenant)):
            found[tuple(sorted({**dict(labels), **fixed, "__name__": name}.items()))] = value
        samples = [Sample(labels, value, time_ms) for labels, value in found.items()]
        samples += [Sample(labels, None, time_ms) for labels in self._last if labels not in found]
        self._last = dict.fromkeys(found)
        for start in range(0, len(samples), MOST_A_REQUEST):
            self._queue.append(samples[start : start + MOST_A_REQUEST])
        while len(self._queue) > QUEUE:
            self._drop(self._queue.popleft(), "queue_full")
        _QUEUE.labels(self.target.name).set(len(self._queue))
        self._waiting.set()

    async def _drain(self) -> None:
        attempts = 0
        while True:
            while not self._queue:
                self._waiting.clear()
                await self._waiting.wait()
            batch = self._queue[0]
            pause = await self.attempt(batch, attempts)
            if pause:
                attempts += 1
                await self._sleep(pause)
                continue
            attempts = 0
            if self._queue and self._queue[0] is batch:  # it may have been dropped meanwhile
                self._queue.popleft()
            _QUEUE.labels(self.target.name).set(len(self._queue))

    async def attempt(self, batch: list[Sample], attempts: int = 0) -> float:
        """Send a batch once; seconds to wait before it is sent again, 0: it is settled."""
        try:
            await self._writer.send(batch)
        except Retryable as error:
            self.last_error = str(error)
            _RETRIES.labels(self.target.name).inc()
            backoff = min(FIRST_RETRY_S * 2.0 ** min(attempts, 10), LAST_RETRY_S)
            return max(backoff, min(error.retry_after_s or 0.0, LAST_RETRY_S))
        except Refused as error:
            self._drop(batch, "refused")
            self.last_error = str(error)
            _log.error("a receiver of scores refuses them", target=self.target.name, reason=str(error))
            return 0.0
        self.last_ok_at = self._clock.now()
        self.last_error = ""
        _SENT.labels(self.target.name).inc(len(batch))
        return 0.0

    def give_up(self) -> None:
        """Let go of what waits, counted: the receiver is no longer wanted."""
        while self._queue:
            self._drop(self._queue.popleft(), "target_removed")

    def _drop(self, batch: list[Sample], reason: str) -> None:
        self.dropped += len(batch)
        _DROPPED.labels(self.target.name, reason).inc(len(batch))

    def status(self) -> DestinationStatus:
        """What the status page shows: batches that wait, samples that were lost."""
        return DestinationStatus(
            name=self.target.name,
            type="remote_write",
            target="/".join(self.target.url.split("/")[:3]),  # the path or query may hold a secret
            pending=len(self._queue),
            failed=self.dropped,
            last_ok_at=self.last_ok_at or None,
            last_error=self.last_error,
        )


class Senders:
    """All receivers of a configuration, in the event loop of the process."""

    def __init__(self, targets: Sequence[RemoteWriteTarget], board: Scores, clock: Clock, context: Context) -> None:
        self._board, self._clock, self._context = board, clock, context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._senders: dict[str, ScoreSender] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._want(targets)

    def _want(self, targets: Sequence[RemoteWriteTarget]) -> None:
        """Make what is new and end what is gone; what waits for a receiver that is gone is given up."""
        wanted = {target.model_dump_json(): target for target in targets}
        for text in [text for text in self._senders if text not in wanted]:
            self._senders.pop(text).give_up()
            if text in self._tasks:
                self._tasks.pop(text).cancel()
        for text, target in wanted.items():
            if text not in self._senders:
                self._senders[text] = ScoreSender(target, self._board, self._clock, self._context)
            if self._loop is not None and text not in self._tasks:
                self._tasks[text] = self._loop.create_task(self._senders[text].run())

    async def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send until cancelled."""
        self._loop = loop
        self._want([sender.target for sender in self._senders.values()])
        try:
            await asyncio.Event().wait()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def adopt(self, targets: Sequence[RemoteWriteTarget]) -> None:
        """Put other receivers into force; those that stay the same keep what waits. Thread-safe."""
        if self._loop is None:
            self._want(targets)
        else:
            self._loop.call_soon_threadsafe(self._want, targets)

    def statuses(self, tenant: str) -> list[DestinationStatus]:
        """What the status page shows of a tenant's receivers."""
        return [sender.status() for sender in self._senders.values() if sender.target.tenant == tenant]

    def all(self) -> dict[str, list[DestinationStatus]]:
        """The same of all tenants."""
        return {tenant: self.statuses(tenant) for tenant in {each.target.tenant for each in self._senders.values()}}
