"""The output log as the engine sees it: it waits while there is no room, for what was folded can't be taken back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import structlog

from tocsin.model.errors import DiskFull, Overloaded
from tocsin.model.log import Entry, Log, LogRecord

RETRY_S = 0.5
_log = structlog.get_logger(__name__)


class PatientLog:
    """Appends until it succeeds; everything else is the log's own.

    Parameters
    ----------
    log : what is written to
    stop : ends the wait
    """

    def __init__(self, log: Log, stop: threading.Event) -> None:
        self._log = log
        self._stop = stop
        self.trouble = ""

    def append(self, entries: Sequence[Entry]) -> Future[int]:
        """Append, and again while the log has no room; the future is done.

        Raises
        ------
        DiskFull
            It was told to stop meanwhile: the engine folds the same again at the next start.
        """
        done: Future[int] = Future()
        while True:
            try:
                done.set_result(self._log.append(entries).result())
            except Overloaded as full:
                if not self.trouble:
                    _log.error("the engine waits for room in its log; findings are late", reason=str(full))
                self.trouble = str(full)
            else:
                if self.trouble:
                    _log.warning("there is room in the engine's log again")
                self.trouble = ""
                return done
            if self._stop.wait(RETRY_S):
                raise DiskFull(f"stopped while the engine waited: {self.trouble}")

    def read(self, offset: int, limit: int = 1024) -> Sequence[LogRecord]:
        """Durable records from `offset` on."""
        return self._log.read(offset, limit)

    def follow(self, offset: int) -> Iterator[LogRecord]:
        """Durable records from `offset` on, blocking for new ones."""
        return self._log.follow(offset)

    def first(self) -> int:
        """Smallest offset still kept."""
        return self._log.first()

    def end(self) -> int:
        """Offset that the next record will get."""
        return self._log.end()

    def close(self) -> None:
        """Flush what is queued and stop."""
        self._log.close()
