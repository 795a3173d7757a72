"""`RestFeed`: what is left in partitions of a log that nobody writes any more, for one who folds all of them alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tocsin.journal.kafka.feed import bury_entry, read_or_bury
from tocsin.journal.kafka.reader import PlacesReader
from tocsin.journal.kafka.topics import Topics
from tocsin.journal.kafka.writer import TopicWriter
from tocsin.model.routed import Owner, Routed
from tocsin.model.series import Catalog

BATCH: Final = 500
WAIT_S: Final = 0.1
_QUIET: Final = 10
"""So many reads without a message mean the end: what a broker calls the end may lie within its last batch."""


class RestFeed:
    """All partitions at once, without a group: that nobody else folds them must be known; used by one thread."""

    def __init__(self, topics: Topics, ends: Sequence[int], dead: TopicWriter) -> None:
        self._topics = topics
        self._ends = list(ends)
        self._dead = dead
        self._at = [0] * len(ends)
        self._quiet = 0
        self._reader: PlacesReader | None = None

    @property
    def done(self) -> bool:
        """Whether all is read."""
        reached = all(at >= end for at, end in zip(self._at, self._ends, strict=True))
        return self._reader is not None and reached and self._quiet >= _QUIET

    def poll(self, owner: Owner, catalogs: Mapping[int, Catalog]) -> Sequence[tuple[int, Routed]]:
        """Entries by partition that came next; the first call gives all partitions to `owner`."""
        if self._reader is None:
            wanted = owner.assigned(range(len(self._ends)))
            self._at = [wanted[number] for number in range(len(self._ends))]
            places = {(self._topics.log, number): at for number, at in enumerate(self._at)}
            self._reader = PlacesReader(self._topics.settings, places)
        messages = self._reader.read(BATCH, WAIT_S)
        self._quiet = 0 if messages else self._quiet + 1
        found = []
        for message in messages:
            number = message.partition() or 0
            self._at[number] = (message.offset() or 0) + 1
            routed = read_or_bury(message, catalogs[number], self._topics, self._dead)
            if routed is not None:
                found.append((number, routed))
        return found

    def lease(self, offsets: Mapping[int, int]) -> bool:  # noqa: ARG002 - a group's signature
        """Nobody else has them."""
        return True

    def lag(self, partition: int, offset: int) -> int:
        """How many entries of a partition are at `offset` or above."""
        return max(0, self._ends[partition] - offset)

    def rejoin(self) -> None:
        """There is no group to join."""

    def seek(self, partition: int, offset: int) -> None:
        """Read a partition from `offset` on once more."""
        assert self._reader is not None
        self._at[partition], self._quiet = offset, 0
        self._reader.seek(self._topics.log, partition, offset)

    def bury(self, record: Routed, catalog: Catalog, origin: int, reason: str) -> None:
        """Keep an entry of partition `origin` that can't be folded in the dead topic; see `bury_entry`."""
        bury_entry(record, catalog, self._topics, self._dead, origin, reason)

    def close(self) -> None:
        """Stop reading."""
        if self._reader is not None:
            self._reader.close()
