"""Requests and resources of the last while, read again from the input log when an incident asks; no state of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from tocsin.correlate.requests import LEAST_SAMPLE, Seen, compact, resources, seen, thinned
from tocsin.correlate.topology import EntityKeys
from tocsin.model.errors import Corrupt
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.log import LogRecord, Tick
from tocsin.selfmon.metrics import counter

MAX_RECORDS: Final = 20_000
"""Records of the log that are read back at most."""
MAX_SPANS: Final = 100_000
"""Spans of a tenant that are kept at most: beyond, of every two requests one is left out, by its id."""
MAX_RESOURCES: Final = 5000
MAX_READ: Final = 1_000_000
"""Spans that are read at most while any incident is young: of what comes after nothing is looked at."""
LINES: Final = 128
"""Log lines of a frame whose resources are looked at, at even distances: senders say the same of each line."""
MAX_LINES: Final = 200_000
"""Log lines looked at altogether while any incident is young."""
_READ: Final = 256
_AT_ONCE: Final = 50_000
_PROBE: Final = 4096
_UNREAD = counter("tocsin_correlate_requests_unread_total", "Times that requests of the log could not be read")
_LEFT_OUT = counter("tocsin_correlate_spans_sampled_out_total", "Spans of requests not looked at for causes: too many")


class Reader(Protocol):
    """The reading half of the input log."""

    def read(self, offset: int, limit: int = 1024) -> Sequence[LogRecord]:
        """Durable records from `offset` on."""

    def first(self) -> int:
        """Smallest offset still kept."""


class Past:
    """Reads spans of all tenants, and resources of theirs and of log lines, from where they are wanted up to an offset, and keeps them until `forget`.

    What is given depends on the log, the offset and the time asked for alone.
    """

    def __init__(self, reader: Reader, keys: EntityKeys) -> None:
        self._keys, self._named = keys.callers, keys.related
        self._reader = reader
        self._next = self._since = self._read_rows = self._read_lines = 0
        self._kept: dict[str, list[pa.Table]] = {}
        self._mask: dict[str, int] = {}
        self._resources: dict[str, set[tuple[tuple[str, str], ...]]] = {}

    def adopt(self, keys: EntityKeys) -> None:
        """Name the ends of requests by other keys from now on."""
        if (keys.callers, keys.related) != (self._keys, self._named):
            self._keys, self._named = keys.callers, keys.related
            self.forget()

    def forget(self) -> None:
        """Let go of all that was read."""
        self._next = self._since = self._read_rows = self._read_lines = 0
        self._kept, self._mask, self._resources = {}, {}, {}

    def spans(self, tenant: str, upto: int, since: int) -> Seen | None:
        """Spans of a tenant in records up to offset `upto` (included), received from `since` (ns) on; None: none."""
        try:
            if not self._next or upto < self._next - 1 or since < self._since:
                self.forget()
                self._since = since
                self._next = self._begin(upto, since)
            self._read(upto)
        except Corrupt:  # causes without requests are better than none, and whoever stores them says what is broken
            _UNREAD.inc()
            self.forget()
            return None
        kept = self._kept.get(tenant)
        return seen(pa.concat_tables(kept)) if kept else None

    def resources(self, tenant: str) -> list[tuple[tuple[str, str], ...]]:
        """What told apart who did the work, or spoke, in the spans and log lines read so far: the keys that name entities."""
        return sorted(self._resources.get(tenant, ()))

    def _begin(self, upto: int, since: int) -> int:
        """First offset whose records were received from a time on, by the ticks between them."""
        low, high = max(self._reader.first(), upto - MAX_RECORDS, 0), upto
        while low < high:
            middle = (low + high) // 2
            tick = next((each.entry for each in self._records(middle, high) if isinstance(each.entry, Tick)), None)
            if tick is None or tick.received >= since:
                high = middle
            else:
                low = middle + 1
        return low

    def _records(self, offset: int, upto: int) -> Iterator[LogRecord]:
        stop = min(upto, offset + _PROBE)
        while offset <= stop:
            records = self._reader.read(offset, _READ)
            if not records:
                return
            yield from (record for record in records if record.offset <= stop)
            offset = records[-1].offset + 1

    def _read(self, upto: int) -> None:
        found: dict[str, list[Frame]] = {}
        said: dict[str, list[Frame]] = {}
        rows = 0
        while self._next <= upto and self._read_rows < MAX_READ:
            records = self._reader.read(self._next, _READ)
            if not records:
                break
            for record in records:
                entry = record.entry
                if record.offset > upto or not isinstance(entry, Frame):
                    continue
                if entry.kind is FrameKind.SPANS:
                    found.setdefault(entry.tenant, []).append(entry)
                    rows += len(entry)
                    self._read_rows += len(entry)
                elif entry.kind is FrameKind.LOGS and self._read_lines < MAX_LINES:
                    said.setdefault(entry.tenant, []).append(thinned(entry, LINES))
                    self._read_lines += min(len(entry), LINES)
            self._next = min(records[-1].offset, upto) + 1
            if rows >= _AT_ONCE:
                self._take(found)
                found, rows = {}, 0
        self._take(found)
        for tenant, frames in said.items():
            self._relate(tenant, frames)

    def _take(self, found: dict[str, list[Frame]]) -> None:
        for tenant, frames in found.items():
            self._keep(tenant, compact(frames, self._keys))
            self._relate(tenant, frames)

    def _relate(self, tenant: str, frames: Sequence[Frame]) -> None:
        known = self._resources.setdefault(tenant, set())
        for resource in sorted(resources(frames, self._named)):
            if len(known) < MAX_RESOURCES:
                known.add(resource)

    def _keep(self, tenant: str, table: pa.Table) -> None:
        mask = self._mask.setdefault(tenant, 0)
        kept = self._kept.setdefault(tenant, [])
        kept.append(_sampled(table, mask))
        while sum(each.num_rows for each in kept) > MAX_SPANS and mask < LEAST_SAMPLE:
            mask = 2 * mask + 1
            before = sum(each.num_rows for each in kept)
            kept[:] = [_sampled(each, mask) for each in kept]
            _LEFT_OUT.inc(before - sum(each.num_rows for each in kept))
        self._mask[tenant] = mask


def _sampled(table: pa.Table, mask: int) -> pa.Table:
    """Requests whose id has zeros at the bits of the mask: all of them for 0."""
    if not mask:
        return table
    column = table.column("trace_id").combine_chunks()
    raw = np.frombuffer(column.buffers()[1], "u1")[column.offset * 16 : (column.offset + len(column)) * 16]
    return table.filter(pa.array((raw.reshape(-1, 16)[:, 15] & mask) == 0))
