"""`StoreWriter`: carries both logs into the telemetry store, nothing missing and nothing twice.

A batch is a cut of one log, written down and synced before the first insert. After a crash the same cut is made
again; its rows are looked up by the stamp they carry, partition by partition, and only what is missing is inserted.
The engine's own deduplication (by token) is a second guard: chDB writes its log before the part becomes visible, so
alone it could take a batch for stored that is not. On a cluster it is the first and only one: there the token is
written in the transaction that makes the part visible, so the same rows are sent again with the same token.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from tocsin.model.clock import Clock
from tocsin.model.errors import Corrupt, DiskFull, Overloaded, TocsinError, Unreachable
from tocsin.model.frame import Frame
from tocsin.model.log import LogRecord, Output
from tocsin.model.room import room_for
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import counter, gauge
from tocsin.store.batch import Batch, partitions_of
from tocsin.store.cuts import Cut
from tocsin.store.genai import SpanMapper
from tocsin.store.naming import SeriesNames
from tocsin.store.schema import BY_NAME
from tocsin.store.telemetry import TelemetryStore

INPUT, OUTPUT = "input", "output"
MAX_PARTITIONS = 50
_READ = 256
_MS = 1_000_000
_ROLL_EVERY_NS = 600 * 10**9

STORED = counter("tocsin_store_rows_total", "Rows stored, by table.", ("table",))
DEAD = counter("tocsin_store_dead_rows_total", "Rows the engine refused twice, kept in dead letters.", ("table",))
LOST = counter("tocsin_store_lost_records_total", "Log records gone before they were stored.", ("log",))
LAG = gauge("tocsin_store_lag_records", "Log records not yet stored.", ("log",))


class Reader(Protocol):
    """The reading half of the `Log` port."""

    def read(self, offset: int, limit: int = 1024) -> Sequence[LogRecord]:
        """Durable records from `offset` on."""

    def first(self) -> int:
        """Smallest offset still kept."""

    def end(self) -> int:
        """Offset that the next record will get."""


class StoreWriter:
    """Reads both logs and fills the store; used by one thread.

    Parameters
    ----------
    store : the telemetry store
    input_reader, output_reader : both logs; their frames are numbered by `catalog`
    catalog : series of both readers
    mapper : canonical fields of spans, from packs
    clock : stamps batches (retention counts from it)
    max_rows, max_bytes : a batch is cut when it holds as many
    """

    def __init__(
        self,
        store: TelemetryStore,
        input_reader: Reader,
        output_reader: Reader,
        catalog: Catalog,
        mapper: SpanMapper,
        clock: Clock,
        *,
        max_rows: int = 200_000,
        max_bytes: int = 64 << 20,
    ) -> None:
        self._store = store
        self._exact = store.db.exact_tokens
        self._readers = {INPUT: input_reader, OUTPUT: output_reader}
        self._names = SeriesNames(catalog)
        self._mapper = mapper
        self._clock = clock
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._dead_letters = store.path / "dead"
        applied = {log: store.applied(log) for log in (INPUT, OUTPUT)}
        self._next = {log: found[0] for log, found in applied.items()}
        self._dead_rows = {log: found[2] for log, found in applied.items()}
        self._stamp = max([found[1] for found in applied.values()] + [store.applied("rollup")[1]])
        self._rolled_at = clock.now()
        self._touched: dict[str, int] = {}
        self._interrupted = False
        self._retries = 0
        self._recover()
        self._first_stamp = self._stamp

    def offset(self, log: str) -> int:
        """All records of `log` ("input", "output") below this offset are stored: retention may pass it."""
        return self._next[log]

    def touched(self, table: str) -> int:
        """Stamp (ms) of the last whole batch that gave a table rows; after a start that of the last batch at all."""
        return self._touched.get(table, self._first_stamp)

    def step(self) -> int:
        """Store what both logs have, at most one batch of each; the number of log records stored, 0 when caught up.

        Raises
        ------
        TocsinError
            The store can't write now (disk full, ...); the same batch is tried again by the next step.
        """
        if self._interrupted:
            with room_for("the telemetry store"):
                self._recover()
            self._interrupted = False
        return self._step_log(INPUT) + self._step_log(OUTPUT) + self._roll()

    def drain(self) -> int:
        """Step until both logs are stored; the number of records."""
        total = 0
        while done := self.step():
            total += done
        return total

    def _step_log(self, log: str) -> int:
        records = self._cut(log)
        LAG.labels(log).set(self._readers[log].end() - self._next[log] - len(records))
        if not records:
            return 0
        self._stamp = max(self._stamp + 1, self._clock.now() // _MS)
        cut = Cut(log, records[0].offset, records[-1].offset, self._stamp)
        self._interrupted = True
        with self._store.db.writing(), room_for("the telemetry store"):
            self._store.cuts.note(cut)
            self._apply(cut, records, recovering=False)
        self._interrupted = False
        return len(records)

    def _cut(self, log: str) -> list[LogRecord]:
        """Records of the next batch: bounded by rows and bytes, at least one record."""
        found: list[LogRecord] = []
        rows = size = 0
        offset = self._next[log]
        while rows < self._max_rows and size < self._max_bytes:
            records = self._readers[log].read(offset, _READ)
            if not records:
                break
            if not found and records[0].offset > self._next[log]:
                LOST.labels(log).inc(records[0].offset - self._next[log])
            for record in records:
                found.append(record)
                for frame in _frames(record):
                    rows += len(frame)
                    size += frame.size_bytes
                if rows >= self._max_rows or size >= self._max_bytes:
                    break
            offset = found[-1].offset + 1
        return found

    def _recover(self) -> None:
        """Finish the batch that was under way when the process ended."""
        cut = self._store.cuts.noted()
        if cut is None:
            return
        if cut.log not in self._next:
            raise Corrupt(f"the note of a batch under way is of a log {cut.log!r} that nobody has; restore a backup")
        self._stamp = max(self._stamp, cut.stamp)
        if cut.last < self._next[cut.log]:
            return
        records: list[LogRecord] = []
        offset = cut.first
        while offset <= cut.last:
            more = self._readers[cut.log].read(offset, min(_READ, cut.last - offset + 1))
            more = [record for record in more if record.offset <= cut.last]
            if not more:
                break
            records.extend(more)
            offset = more[-1].offset + 1
        if len(records) < cut.last - cut.first + 1:
            LOST.labels(cut.log).inc(cut.last - cut.first + 1 - len(records))
        with self._store.db.writing():
            self._apply(cut, records, recovering=True)

    def _apply(self, cut: Cut, records: Sequence[LogRecord], *, recovering: bool) -> None:
        batch = Batch(self._names, self._mapper, cut.stamp)
        for record in records:
            batch.add(record)
        rows = 0
        tables = batch.tables()
        self._retries += recovering
        for name, table in tables.items():
            rows += self._store_table(cut, name, table, recovering=recovering)
        self._store.record(cut.log, cut.last + 1, rows, self._dead_rows[cut.log], cut.stamp)
        batch.confirm()
        self._next[cut.log] = cut.last + 1
        for name, table in tables.items():
            STORED.labels(name).inc(table.num_rows)
        self._touched.update(dict.fromkeys(tables, cut.stamp))

    def _store_table(self, cut: Cut, name: str, rows: pa.Table, *, recovering: bool) -> int:
        """Insert rows, at most `MAX_PARTITIONS` partitions a time; the number of rows now stored."""
        partitions = partitions_of(name, rows)
        again = recovering and not self._exact
        present = self._store.partitions_with(name, cut.stamp) if again and not BY_NAME[name].replacing else set()
        wanted = np.unique(partitions)
        for start in range(0, len(wanted), MAX_PARTITIONS):
            chunk = [each for each in wanted[start : start + MAX_PARTITIONS].tolist() if each not in present]
            if not chunk:
                continue
            part = rows if len(chunk) == len(wanted) else rows.filter(pa.array(np.isin(partitions, chunk)))
            token = f"{name}:{cut.log}:{cut.first}:{cut.last}:{cut.stamp}:{chunk[0]}"
            self._insert(cut, name, part, token + (f":again{self._retries}" if again else ""))
        return int(rows.num_rows)

    def _insert(self, cut: Cut, name: str, rows: pa.Table, token: str) -> None:
        passing = (Overloaded, Unreachable) if self._exact else (DiskFull,)
        try:
            self._store.insert(name, rows, token)
        except passing:
            raise
        except TocsinError:
            if not self._exact:
                # several partitions are several parts: some may be in
                if not BY_NAME[name].replacing:
                    present = self._store.partitions_with(name, cut.stamp)
                    rows = rows.filter(pa.array(~np.isin(partitions_of(name, rows), list(present))))
                token += ":2"
            try:
                self._store.insert(name, rows, token)
            except passing:
                raise
            except TocsinError as error:
                self._bury(cut, name, rows, str(error))

    def _bury(self, cut: Cut, name: str, rows: pa.Table, reason: str) -> None:
        """Keep rows that the engine refused twice in a file of their own, so that they don't block the queue."""
        self._dead_letters.mkdir(exist_ok=True)
        file = self._dead_letters / f"{name}-{cut.log}-{cut.first}-{cut.last}.arrow"
        note = {"reason": reason, "table": name, "log": cut.log, "first": str(cut.first), "last": str(cut.last)}
        kept = rows.replace_schema_metadata(note)
        with file.open("wb") as sink:
            with pa.ipc.new_file(sink, kept.schema) as writer:
                writer.write_table(kept)
            sink.flush()
            os.fsync(sink.fileno())
        self._dead_rows[cut.log] += rows.num_rows
        DEAD.labels(name).inc(rows.num_rows)

    def _roll(self) -> int:
        if self._clock.now() - self._rolled_at >= _ROLL_EVERY_NS:
            self._rolled_at = self._clock.now()
            self._store.roll(self._stamp)
        return 0


def _frames(record: LogRecord) -> Sequence[Frame]:
    if isinstance(record.entry, Output):
        return record.entry.frames
    return (record.entry,) if isinstance(record.entry, Frame) else ()
