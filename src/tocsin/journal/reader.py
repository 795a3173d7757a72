"""`SegmentReader`: reads a log's segment files, from the process that writes them or from another one."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

from tocsin.journal.mark import DurableMark
from tocsin.journal.segment import Segment, segment_firsts, segment_path
from tocsin.model.errors import Corrupt
from tocsin.model.log import LogRecord
from tocsin.model.series import Catalog

_POLL_S = 0.02
_OPEN_SEGMENTS = 4


class SegmentReader:
    """The reading half of the `Log` port; safe to use from several threads.

    Records are given only once the writer has said that they are durable. Offsets are dense, but for a gap that
    retention (at the start) or a damaged disk left: reading inside it gives the first record behind it.
    """

    def __init__(self, path: Path, catalog: Catalog) -> None:
        self._path = path
        self._catalog = catalog
        self._mark: DurableMark | None = None
        self._end = 0
        self._segments: OrderedDict[int, Segment] = OrderedDict()
        self._firsts: list[int] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def read(self, offset: int, limit: int = 1024) -> Sequence[LogRecord]:
        """Durable records from `offset` on, at most `limit`; empty when there is nothing new.

        Raises
        ------
        Corrupt
            A record that was once durable can't be read; the message names file and record.
        """
        with self._lock:
            end = self.end()
            found: list[LogRecord] = []
            fresh = False  # whether the list of segments was read just now
            while offset < end and len(found) < limit and not self._closed.is_set():
                records, after = self._read_segment(offset, end, limit - len(found))
                found.extend(records)
                if after > offset:
                    offset, fresh = after, False
                elif fresh:
                    break
                else:
                    self._firsts, fresh = segment_firsts(self._path), True
            return found

    def _read_segment(self, offset: int, end: int, limit: int) -> tuple[list[LogRecord], int]:
        """Records of one segment and where to go on; no progress means that the list of segments is too old."""
        at = max(bisect.bisect_right(self._firsts, offset), 1)
        if at > len(self._firsts):
            return [], offset
        first = self._firsts[at - 1]
        stop = self._firsts[at] if at < len(self._firsts) else end
        try:
            segment = self._segment(first)
        except FileNotFoundError:  # retention was here
            return [], offset
        records = segment.read(max(offset, first), stop, limit)
        if records:
            return records, records[-1].offset + 1
        if not segment.whole:
            raise Corrupt(f"{segment.path}: record {max(offset, first)} fails its checksum, though it was durable once")
        # a whole file without this record: the gap that mending a damaged disk left, or a newer segment has it
        return [], stop if at < len(self._firsts) else offset

    def follow(self, offset: int) -> Iterator[LogRecord]:
        """Durable records from `offset` on, blocking for new ones until `close`."""
        while not self._closed.is_set():
            records = self.read(offset)
            for record in records:
                yield record
                offset = record.offset + 1
            if not records:
                self._closed.wait(_POLL_S)

    def first(self) -> int:
        """Smallest offset still kept."""
        firsts = segment_firsts(self._path)
        return firsts[0] if firsts else self.end()

    def end(self) -> int:
        """Offset that the next record will get (all below are durable)."""
        if self._mark is None:
            try:
                self._mark = DurableMark(self._path, writable=False)
            except (FileNotFoundError, ValueError):  # the writer has not made it yet
                return 0
        end = self._mark.get()
        if end is not None:
            self._end = end
        return self._end

    def close(self) -> None:
        """Let followers end, and give the files up."""
        self._closed.set()
        with self._lock:
            for segment in self._segments.values():
                segment.close()
            self._segments.clear()

    def _segment(self, first: int) -> Segment:
        segment = self._segments.get(first)
        if segment is None:
            segment = self._segments[first] = Segment(segment_path(self._path, first), self._catalog)
            while len(self._segments) > _OPEN_SEGMENTS:
                self._segments.popitem(last=False)[1].close()
        self._segments.move_to_end(first)
        return segment
