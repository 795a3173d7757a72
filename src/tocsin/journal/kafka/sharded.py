"""`ShardedLog`: what edges append, spread over the partitions of the log by shard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeAlias

from tocsin.journal.dictionary import SeriesTexts
from tocsin.journal.kafka.envelope import headers_of
from tocsin.journal.kafka.topics import Topics
from tocsin.journal.kafka.writer import PATIENCE_S, Parcel, TopicWriter
from tocsin.journal.messages import pack_message
from tocsin.model.frame import Frame
from tocsin.model.log import PLACE, Control, Entry, Output
from tocsin.model.place import Place
from tocsin.model.routed import ALL_SHARDS, GOODBYE
from tocsin.model.series import Catalog

Split: TypeAlias = Callable[[Frame], Sequence[tuple[int, Frame]]]
"""Divides a frame by shard."""


class ShardedLog:
    """What an edge appends to; thread-safe. Ticks and controls go to all partitions."""

    def __init__(self, topics: Topics, writer: TopicWriter, catalog: Catalog, edge: str, split: Split) -> None:
        self._topics = topics
        self._writer = writer
        self._texts = SeriesTexts(catalog)
        self._edge = edge
        self._split = split
        self._lock = threading.Lock()

    def append(self, entries: Sequence[Entry]) -> Future[int]:
        """Queue entries; the future is done once the brokers have all of them.

        Raises
        ------
        Overloaded
            The queue is full; nothing was taken.
        """
        return self.append_from(entries, None)

    def append_from(self, entries: Sequence[Entry], place: Place | None) -> Future[int]:
        """Like `append`, for what a broker's message at `place` held: its parts are numbered.

        Raises
        ------
        Overloaded
            The queue is full; nothing was taken.
        """
        parcels: list[Parcel] = []
        part = 0
        with self._lock:  # the texts of series are not for two threads
            for entry in entries:
                if isinstance(entry, Output):
                    raise TypeError("outputs have a topic of their own")
                if isinstance(entry, Control) and entry.kind == PLACE:
                    continue  # a stream's entries come in no order that a reader could know again
                if not isinstance(entry, Frame):
                    parcels += self._to_all(entry)
                    continue
                for shard, frame in self._split(entry):
                    at = None if place is None else place._replace(part=part)
                    parcels.append(self._to_one(shard, frame, at))
                    part += 1
            return self._writer.write(parcels, PATIENCE_S if place is None else None)

    def _to_all(self, entry: Entry) -> list[Parcel]:
        value, headers = pack_message(entry, self._texts), headers_of(ALL_SHARDS, self._edge, None)
        return [Parcel(self._topics.log, number, value, headers) for number in range(self._topics.partitions)]

    def _to_one(self, shard: int, frame: Frame, place: Place | None) -> Parcel:
        headers = headers_of(shard, self._edge, place)
        return Parcel(self._topics.log, shard % self._topics.partitions, pack_message(frame, self._texts), headers)

    def leave(self) -> None:
        """Say goodbye in all partitions, after all else: time waits no longer for this edge.

        Raises
        ------
        Overloaded
            The queue is full: it is missed when it is silent.
        """
        self.append([Control.of(GOODBYE, b"")])

    def close(self) -> None:
        """Flush what is queued and stop."""
        self._writer.close()
