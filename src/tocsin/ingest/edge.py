"""`Edge`: the one way into the input log - redact, count, append, acknowledge when durable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

from prometheus_client import Counter, Gauge

from tocsin.ingest.identify import Identifier, Redactor
from tocsin.ingest.limits import Budget, Limits
from tocsin.ingest.watermark import Watermarks
from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import Overloaded
from tocsin.model.frame import Frame
from tocsin.model.log import Control, Entry, SharedLog, Sink, Tick
from tocsin.model.place import Place
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import counter, gauge

_ROTATE_NS = 24 * 3600 * SECOND
_SOURCE_CHARS = 100
_ACCEPTED = counter("tocsin_ingest_accepted_rows_total", "Rows appended to the input log", ["tenant", "source", "kind"])
_ACCEPTED_BYTES = counter("tocsin_ingest_accepted_bytes_total", "Bytes of columns appended", ["tenant", "source"])
_REFUSED = counter("tocsin_ingest_refused_rows_total", "Rows refused, by reason", ["tenant", "source", "reason"])
_OVERLOADED = counter("tocsin_ingest_overloaded_total", "Batches sent back because the log was full", ["tenant"])
_LAG = gauge("tocsin_ingest_lag_seconds", "Clock minus latest event time, at the latest batch", ["tenant", "source"])
_IN_FLIGHT = gauge("tocsin_ingest_in_flight_bytes", "Bytes reserved by requests in flight")


class Edge:
    """Takes frames in from every wire; thread-safe."""

    def __init__(self, log: Sink, catalog: Catalog, clock: Clock, redactor: Redactor, limits: Limits) -> None:
        self.limits = limits
        self.identifier = Identifier(catalog, redactor, limits)
        self.budget = Budget(limits.in_flight_bytes)
        self._log = log
        self._clock = clock
        self._redactor = redactor
        self._lock = threading.RLock()
        self._watermarks = Watermarks(limits)
        self._received = 0
        self._rotated = 0
        self._names: dict[tuple[str, str, str], str] = {}
        self._named: dict[tuple[str, str], set[str]] = {}
        self._counting: dict[tuple[str, str, str], tuple[Counter, Counter, Gauge]] = {}

    def received(self) -> int:
        """The clock of ingest in nanoseconds, which never goes back."""
        with self._lock:
            self._received = max(self._received, self._clock.now())
            return self._received

    def source_name(self, tenant: str, wire: str, name: str) -> str:
        """Bounded, redacted and printable name of a source, `wire/name`; `wire` alone beyond the cap."""
        key = (tenant, wire, name)
        found = self._names.get(key)
        if found is not None:
            return found
        ((_, safe),) = self._redactor.labels((("service.name", name),))
        safe = "".join(char for char in safe if char.isprintable())[:_SOURCE_CHARS]
        with self._lock:
            named = self._named.setdefault((tenant, wire), set())
            if not safe or (safe not in named and len(named) >= self.limits.sources_per_tenant):
                return wire
            named.add(safe)
            if len(self._names) < 10 * self.limits.sources_per_tenant:
                self._names[key] = f"{wire}/{safe}"
        return f"{wire}/{safe}"

    def submit(self, frames: Sequence[Frame], place: Control | Place | None = None) -> Future[int]:
        """Redact, count and append; the future resolves when all is durable.

        `place` says up to where a broker's messages are in these frames: it is durable with them or not at all.
        On a shared log it is the one message that they are of.

        Raises
        ------
        Overloaded
            The log is full; nothing was taken.
        """
        clean = self.redacted(frames)
        if not clean:
            done: Future[int] = Future()
            done.set_result(-1)
            return done
        latest = [int(frame.i8("time").max()) for frame in clean]
        # under one lock with the ticks: a watermark must not enter the log before the records it covers
        with self._lock:
            try:
                future = self._append(clean, place)
            except Overloaded:
                _OVERLOADED.labels(clean[0].tenant).inc()
                raise
            received = self.received()
            for frame, max_event in zip(clean, latest, strict=True):
                self._watermarks.note((frame.tenant, frame.source), max_event, received)
        for frame, max_event in zip(clean, latest, strict=True):
            self._count(frame, received - max_event)
        return future

    def redacted(self, frames: Sequence[Frame]) -> list[Frame]:
        """What is appended of frames: without what must not be written, and without those that have no rows."""
        return [frame for frame in self._redactor.frames(frames) if len(frame)]

    @property
    def shared(self) -> SharedLog | None:
        """The log, where several edges write it."""
        return self._log if isinstance(self._log, SharedLog) else None

    def _count(self, frame: Frame, lag_ns: int) -> None:
        key = (frame.tenant, frame.source, frame.kind.value)
        counting = self._counting.get(key)
        if counting is None:  # looking children up by their labels costs more than counting
            own = key[:2]
            counting = _ACCEPTED.labels(*key), _ACCEPTED_BYTES.labels(*own), _LAG.labels(*own)
            if len(self._counting) < 10 * self.limits.sources_per_tenant:
                self._counting[key] = counting
        rows, size_bytes, lag = counting
        rows.inc(len(frame))
        size_bytes.inc(frame.size_bytes)
        lag.set(lag_ns / SECOND)
        self.identifier.count_overflow(frame)

    def _append(self, frames: Sequence[Frame], place: Control | Place | None) -> Future[int]:
        if isinstance(place, Place):
            assert self.shared is not None
            return self.shared.append_from(frames, place)
        return self._log.append(frames if place is None else [*frames, place])

    def refuse(self, tenant: str, source: str, reason: str, rows: int = 1) -> None:
        """Count rows that were not taken, by a reason from a bounded set."""
        _REFUSED.labels(tenant, source, reason).inc(rows)

    async def accept(self, frames: Sequence[Frame]) -> None:
        """Take frames in; returns when they are durable.

        Raises
        ------
        Overloaded
            The log is full; nothing was taken.
        """
        await asyncio.wrap_future(self.submit(frames))

    def tick(self) -> Tick:
        """What is to be said now about the passing of time."""
        with self._lock:
            received = self.received()
            if received - self._rotated >= _ROTATE_NS:
                if self._rotated:
                    self.identifier.rotate()
                self._rotated = received
            _IN_FLIGHT.set(self.budget.used_bytes)
            return Tick(received, self._watermarks.at(received))

    def append_tick(self) -> Future[int]:
        """Append a tick; call every second, idle or not.

        Raises
        ------
        Overloaded
            The log is full; the next tick will say the same and more.
        """
        with self._lock:
            return self._log.append([self.tick()])

    def control(self, control: Control) -> Future[int]:
        """Append a control record.

        Raises
        ------
        Overloaded
            The log is full; nothing was taken.
        """
        with self._lock:
            return self._log.append([control])

    def recover(self, entries: Iterable[Entry]) -> None:
        """Take up clock and watermarks from the tail of the log, after a restart; call before any input."""
        with self._lock:
            for entry in entries:
                if isinstance(entry, Tick):
                    self._received = max(self._received, entry.received)
                    for key, watermark in entry.watermarks.items():
                        self._watermarks.recall(key, watermark)
                elif isinstance(entry, Frame) and len(entry):
                    max_event = int(entry.i8("time").max())
                    self._watermarks.note((entry.tenant, entry.source), max_event, self._received)
            self._watermarks.resume(self.received())
