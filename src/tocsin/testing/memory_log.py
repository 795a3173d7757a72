"""`MemoryLog`: the Log port without a disk, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from tocsin.model.errors import Overloaded
from tocsin.model.log import Entry, LogRecord


class MemoryLog:
    """Keeps all entries in a list and calls them durable at once, unless told to `hold` or `refuse`.

    >>> from tocsin.model.log import Tick
    >>> log = MemoryLog(); log.append([Tick(1), Tick(2)]).result()
    1
    >>> [record.offset for record in log.read(0)], log.end()
    ([0, 1], 2)
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.refuse: Overloaded | None = None
        self.hold = False
        self._held: list[tuple[Future[int], int]] = []
        self._changed = threading.Condition()
        self._closed = False

    def append(self, entries: Sequence[Entry]) -> Future[int]:
        """Queue entries as one unit; the future gives the last offset.

        Raises
        ------
        Overloaded
            The test set `refuse`.
        """
        if self.refuse is not None:
            raise self.refuse
        future: Future[int] = Future()
        with self._changed:
            self.entries.extend(entries)
            last = len(self.entries) - 1
            if self.hold:
                self._held.append((future, last))
            self._changed.notify_all()
        if not self.hold:
            future.set_result(last)
        return future

    def release(self) -> None:
        """Call durable what was held back."""
        self.hold = False
        held, self._held = self._held, []
        for future, last in held:
            future.set_result(last)

    def read(self, offset: int, limit: int = 1024) -> Sequence[LogRecord]:
        """Records from `offset` on, at most `limit`."""
        return [LogRecord(at, entry) for at, entry in enumerate(self.entries[offset : offset + limit], offset)]

    def follow(self, offset: int) -> Iterator[LogRecord]:
        """Records from `offset` on, blocking for new ones until `close`."""
        while True:
            with self._changed:
                while len(self.entries) <= offset:
                    if self._closed:
                        return
                    self._changed.wait()
                entry = self.entries[offset]
            yield LogRecord(offset, entry)
            offset += 1

    def first(self) -> int:
        """Smallest offset still kept."""
        return 0

    def end(self) -> int:
        """Offset that the next record will get."""
        return len(self.entries)

    def close(self) -> None:
        """Stop those who follow."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
