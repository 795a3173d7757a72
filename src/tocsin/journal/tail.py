"""The newest records in memory, so that the process that wrote them need not decode them again."""

from __future__ import annotations

from tocsin.model.log import LogRecord, Tick

_SLACK = 256
_GONE = LogRecord(-1, Tick(0))


class Tail:
    """Records with consecutive offsets, the oldest dropped beyond a size; not safe for threads by itself."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._records: list[LogRecord] = []
        self._sizes: list[int] = []
        self._start = 0  # records before this index are dropped
        self._held_bytes = 0

    def append(self, record: LogRecord, size_bytes: int) -> None:
        """Add the next record."""
        self._records.append(record)
        self._sizes.append(size_bytes)
        self._held_bytes += size_bytes
        while self._held_bytes > self._limit_bytes and self._start < len(self._records):
            self._held_bytes -= self._sizes[self._start]
            self._records[self._start] = _GONE  # the place goes later, with many others; what it held goes now
            self._start += 1
        if self._start > _SLACK and 2 * self._start > len(self._records):
            del self._records[: self._start], self._sizes[: self._start]
            self._start = 0

    def read(self, offset: int, limit: int) -> list[LogRecord] | None:
        """At most `limit` records from `offset` on; None if they are not here."""
        if self._start == len(self._records):
            return None
        at = offset - self._records[self._start].offset
        if at < 0:
            return None
        return self._records[self._start + at : self._start + at + limit]
