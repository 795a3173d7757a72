"""What a log holds (`Frame | Control | Tick` in, `Output` out) and the `Log` port itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

from tocsin.model.frame import Frame
from tocsin.model.place import Place

SourceKey: TypeAlias = tuple[str, str]
"""(tenant, source)."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passing in the log: appended every second by ingest, idle or not.

    `received` is the clock of ingest; `watermarks` says up to which event time each source is complete:
    min(max event time, received) - lateness, moved on to received - lateness when the source falls silent.
    """

    received: int
    watermarks: dict[SourceKey, int] = field(default_factory=dict)


PLACE: Final = "place"
"""Kind of control records that say how far a broker's messages are in the log."""


@dataclass(frozen=True, slots=True)
class Control:
    """Something that changes behaviour: `spec`, `params`, `model`, `level`, `feedback`, `shed`, ..."""

    kind: str
    sha256: str
    body: bytes

    @staticmethod
    def of(kind: str, body: bytes) -> Control:
        """Make a control record, its digest computed from the body."""
        return Control(kind, hashlib.sha256(body).hexdigest(), body)


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """All that the engine had to say about the input record at offset `cause`, as one atomic record.

    `received` is the time of the latest tick the engine had folded (0 before the first), `tick` whether
    the cause was itself a tick: readers take the passing of time from here.
    """

    cause: int
    received: int
    tick: bool
    frames: tuple[Frame, ...]


Entry: TypeAlias = Frame | Control | Tick | Output


class LogRecord(NamedTuple):
    """An entry at its place; offsets are dense and count records from 0."""

    offset: int
    entry: Entry


class Sink(Protocol):
    """What entries are appended to."""

    def append(self, entries: Sequence[Entry]) -> Future[int]:
        """Queue entries as one unit; the future gives the last offset once all are durable.

        Raises
        ------
        Overloaded
            The queue or the disk budget is full; nothing was taken.
        """


class Log(Sink, Protocol):
    """An ordered, durable sequence of entries: segment files here, partitions of topics at scale."""

    def read(self, offset: int, limit: int = 1024) -> Sequence[LogRecord]:
        """Durable records from `offset` on, at most `limit`; empty when there is nothing new."""

    def follow(self, offset: int) -> Iterator[LogRecord]:
        """Durable records from `offset` on, blocking for new ones until `close`."""

    def first(self) -> int:
        """Smallest offset still kept."""

    def end(self) -> int:
        """Offset that the next record will get (all below are durable)."""

    def close(self) -> None:
        """Flush what is queued and stop."""


@runtime_checkable
class SharedLog(Protocol):
    """A log that several write: its readers know by its place what came twice."""

    def append_from(self, entries: Sequence[Entry], place: Place) -> Future[int]:
        """Like `append`, for what a broker's message at `place` held.

        Raises
        ------
        Overloaded
            The queue is full; nothing was taken.
        """
