"""`SegmentLog`: the writing half of the `Log` port on segment files, with group commit."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from tocsin.journal.errors import LogFailed
from tocsin.journal.files import DiskFiles, Files
from tocsin.journal.mark import DurableMark
from tocsin.journal.reader import SegmentReader
from tocsin.journal.recovery import recover
from tocsin.journal.tail import Tail
from tocsin.journal.writer import SegmentWriter
from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import DiskFull, Overloaded
from tocsin.model.frame import SCHEMAS, Frame
from tocsin.model.log import Control, Entry, LogRecord, Output
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import counter, gauge, histogram

_MIB = 1 << 20
_GROUP_BYTES = _MIB
_GROUP_S = 0.002
_ENTRY_BYTES = 256  # what a small entry costs besides its arrays
_FULL_RETRY_S = 1.0
_RECORDS = counter("tocsin_journal_records_total", "Records made durable", ["log"])
_BYTES = counter("tocsin_journal_written_bytes_total", "Bytes written to segment files", ["log"])
_REFUSED = counter("tocsin_journal_refused_units_total", "Appends refused", ["log", "reason"])
_COMMIT = histogram("tocsin_journal_commit_seconds", "Encode, write and fdatasync of one commit group", ["log"])
_QUEUED = gauge("tocsin_journal_queue_bytes", "Bytes taken and not yet durable", ["log"])
_DISK = gauge("tocsin_journal_disk_bytes", "Bytes of segment files", ["log"])


class _Unit(NamedTuple):
    entries: Sequence[Entry]
    size_bytes: int
    future: Future[int]


def _frame_bytes(frame: Frame) -> int:
    return _ENTRY_BYTES + frame.size_bytes


def entry_bytes(entry: Entry) -> int:
    """Estimate of what an entry holds in memory, which bounds the queue."""
    if isinstance(entry, Frame):
        return _frame_bytes(entry)
    if isinstance(entry, Output):
        return _ENTRY_BYTES + sum(map(_frame_bytes, entry.frames))
    if isinstance(entry, Control):
        return _ENTRY_BYTES + len(entry.body)
    return _ENTRY_BYTES + 128 * len(entry.watermarks)


def _check(entry: Entry) -> None:
    """Refuse in the caller's thread what the writer could not write."""
    for frame in (entry,) if isinstance(entry, Frame) else entry.frames if isinstance(entry, Output) else ():
        if not frame.batch.schema.equals(SCHEMAS[frame.kind]):
            raise ValueError(
                f"columns of a {frame.kind.value} frame are not those of its kind: {frame.batch.schema.names}"
            )


class SegmentLog:
    """An ordered, durable sequence of entries in segment files; one process writes, any may read.

    One thread encodes and commits what callers queue: a group is closed after 2 ms or 1 MiB, written, synced by
    fdatasync, and only then acknowledged. If the disk is full or over budget, `append` refuses; if a write or
    sync fails otherwise, all waiting futures fail, `on_fatal` is called once, and nothing is taken any more.
    """

    def __init__(
        self,
        path: Path,
        catalog: Catalog,
        clock: Clock,
        *,
        segment_bytes: int = 64 * _MIB,
        queue_bytes: int = 64 * _MIB,
        disk_budget_bytes: int = 16 << 30,
        retention_bytes: int | None = None,
        retention_ns: int = 7 * 24 * 3600 * SECOND,
        cache_bytes: int = 64 * _MIB,
        versions: Mapping[str, str] | None = None,
        files: Files | None = None,
        on_fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._name = path.name
        files = files or DiskFiles()
        self._mark = DurableMark(path, writable=True)
        kept, end = recover(path, files, self._mark.get() or 0)
        self._mark.set(end)
        self._end = end
        self._writer = SegmentWriter(path, catalog, clock, files, kept, end, segment_bytes, dict(versions or {}))
        self._reader = SegmentReader(path, catalog)
        self._tail = Tail(cache_bytes)
        self._clock = clock
        self._limits = (queue_bytes, disk_budget_bytes)
        self._retention = (retention_bytes or disk_budget_bytes * 4 // 5, retention_ns)
        self._retain_from = 0
        self._on_fatal = on_fatal
        self._queue: deque[_Unit] = deque()
        self._queued_bytes = 0
        self._full_until_s = 0.0
        self._failure: BaseException | None = None
        self._closing = False
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._news = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._run, name=f"journal-{self._name}", daemon=True)
        self._thread.start()

    def append(self, entries: Sequence[Entry]) -> Future[int]:
        """Queue entries as one unit; the future gives the last offset once all are durable.

        Raises
        ------
        Overloaded
            The queue or the disk budget is full; nothing was taken.
        LogFailed
            The log failed or is closed.
        ValueError
            A frame has not the columns of its kind.
        """
        for entry in entries:
            _check(entry)
        size_bytes = sum(map(entry_bytes, entries))
        future: Future[int] = Future()
        with self._lock:
            if self._failure is not None:
                raise LogFailed(f"the log {self._name} takes nothing more: {self._failure}") from self._failure
            if self._closing:
                raise LogFailed(f"the log {self._name} is closed")
            reason = self._refusal(size_bytes)
            if reason is not None:
                _REFUSED.labels(self._name, reason).inc()
                raise Overloaded(f"the log {self._name} can't take more now: {reason}", retry_after_s=1.0)
            self._queue.append(_Unit(entries, size_bytes, future))
            self._queued_bytes += size_bytes
            self._work.notify()
        return future

    def read(self, offset: int, limit: int = 1024) -> Sequence[LogRecord]:
        """Durable records from `offset` on, at most `limit`; empty when there is nothing new."""
        with self._lock:
            if offset >= self._end:
                return []
            found = self._tail.read(offset, min(limit, self._end - offset))
        return self._reader.read(offset, limit) if found is None else found

    def follow(self, offset: int) -> Iterator[LogRecord]:
        """Durable records from `offset` on, blocking for new ones until `close`."""
        while True:
            with self._lock:
                while self._end <= offset:
                    if self._closing or self._failure is not None:
                        return
                    self._news.wait()
            for record in self.read(offset):
                yield record
                offset = record.offset + 1

    def first(self) -> int:
        """Smallest offset still kept."""
        with self._lock:
            return self._writer.kept[0].first if self._writer.kept else self._end

    def end(self) -> int:
        """Offset that the next record will get (all below are durable)."""
        with self._lock:
            return self._end

    def retain_from(self, offset: int) -> None:
        """Allow retention to remove records below `offset`: snapshot, store and correlation are all past them."""
        with self._lock:
            self._retain_from = max(self._retain_from, offset)

    def close(self) -> None:
        """Flush what is queued and stop."""
        with self._lock:
            self._closing = True
            self._work.notify()
            self._news.notify_all()
        self._thread.join()
        self._writer.close()
        self._reader.close()
        self._mark.close()

    def _refusal(self, size_bytes: int) -> str | None:
        queue_bytes, disk_budget_bytes = self._limits
        if self._queued_bytes and self._queued_bytes + size_bytes > queue_bytes:
            return "queue_full"
        if self._writer.disk_bytes + self._queued_bytes > disk_budget_bytes:
            self._work.notify()  # what is kept may have become removable meanwhile
            return "disk_budget"
        if time.monotonic() < self._full_until_s:
            return "disk_full"
        return None

    def _run(self) -> None:
        """Commit groups until closed; a failure is final."""
        begun_s = 0.0
        while True:
            with self._lock:
                self._work.wait_for(lambda: self._queue or self._closing, timeout=1.0)
                # under load a group is at least 2 ms wide; a lone append goes at once
                while self._queue and not self._closing and self._queued_bytes < _GROUP_BYTES:
                    wait_s = begun_s + _GROUP_S - time.monotonic()
                    if wait_s <= 0:
                        break
                    self._work.wait(wait_s)
                group = self._take()
                if not group and self._closing:
                    return
            begun_s = time.monotonic()
            try:
                if group:
                    self._commit(group)
                self._expire()
            except (OSError, LogFailed, ValueError, TypeError, KeyError, IndexError) as e:
                self._fail(group, e)
                return

    def _take(self) -> list[_Unit]:
        group: list[_Unit] = []
        size_bytes = 0
        while self._queue and (not group or size_bytes < _GROUP_BYTES):
            unit = self._queue.popleft()
            size_bytes += unit.size_bytes
            group.append(unit)
        return group

    def _commit(self, group: list[_Unit]) -> None:
        begun_s = time.monotonic()
        try:
            records, written_bytes = self._writer.write([unit.entries for unit in group])
        except DiskFull as e:
            self._give_back(group, e)
            return
        with self._lock:
            end = self._end = records[-1].offset + 1 if records else self._end
            self._mark.set(end)
            for record in records:
                self._tail.append(record, entry_bytes(record.entry))
            self._queued_bytes -= sum(unit.size_bytes for unit in group)
            self._news.notify_all()
        _COMMIT.labels(self._name).observe(time.monotonic() - begun_s)
        _RECORDS.labels(self._name).inc(len(records))
        _BYTES.labels(self._name).inc(written_bytes)
        _QUEUED.labels(self._name).set(self._queued_bytes)
        last = end - len(records) - 1
        for unit in group:
            last += len(unit.entries)
            unit.future.set_result(last)

    def _give_back(self, group: list[_Unit], cause: DiskFull) -> None:
        """Refuse a group for which the disk had no room."""
        with self._lock:
            self._full_until_s = time.monotonic() + _FULL_RETRY_S
            self._queued_bytes -= sum(unit.size_bytes for unit in group)
        for unit in group:
            _REFUSED.labels(self._name, "disk_full").inc()
            unit.future.set_exception(
                Overloaded(f"the log {self._name} has no room: {cause}", retry_after_s=_FULL_RETRY_S)
            )

    def _fail(self, group: list[_Unit], cause: BaseException) -> None:
        with self._lock:
            self._failure = cause
            waiting = [*group, *self._queue]
            self._queue.clear()
            self._news.notify_all()
        failure = LogFailed(f"the log {self._name} could not make records durable: {cause}")
        for unit in waiting:
            if not unit.future.done():
                unit.future.set_exception(failure)
        if self._on_fatal is not None:
            self._on_fatal(cause)

    def _expire(self) -> None:
        """Remove segments that are too old or too many, never past what others still need."""
        retention_bytes, retention_ns = self._retention
        with self._lock:
            gone = self._writer.expired(self._retain_from, retention_bytes, self._clock.now() - retention_ns)
        self._writer.remove(gone)
        _DISK.labels(self._name).set(self._writer.disk_bytes)
