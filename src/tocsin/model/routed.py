"""`Routed`: an entry of a log that many write and many read, and what its message says beside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple, Protocol

from tocsin.model.log import Entry
from tocsin.model.place import Place

ALL_SHARDS: Final = -1
"""Shard of what is meant for all: ticks and controls."""
GOODBYE: Final = "goodbye"
"""Kind of the control that an edge says last when it stops in good order."""
GROWN: Final = "grown"
"""Kind of the control that begins a partition which was made later: up to where the older ones go before it."""


class LeaseLost(Exception):
    """The group has given the partitions to another worker: nothing may be written for them."""


class Owner(Protocol):
    """Who folds partitions, as the group's feed sees it."""

    def assigned(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Take partitions over; gives the offset that each is wanted from."""

    def revoked(self, partitions: Collection[int]) -> None:
        """Hand partitions over in good order."""

    def lost(self, partitions: Collection[int]) -> None:
        """Forget partitions: another worker has them already."""


class Routed(NamedTuple):
    """An entry at its offset in one partition; `edge` names who wrote it."""

    offset: int
    entry: Entry
    shard: int = ALL_SHARDS
    edge: str = ""
    place: Place | None = None


class Seen:
    """Which parts of brokers' messages a partition has; what comes again is known.

    One member of a group sends the parts of a topic's partition in their order, and so does the member after it from
    some earlier place on: one number per partition tells everything.

    >>> seen = Seen()
    >>> [seen.first_time(Place("bus", "points", 0, at)) for at in (4, 5, 4, 5, 6)]
    [True, True, False, False, True]
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, int], tuple[int, int]] = {}

    def first_time(self, place: Place) -> bool:
        """Whether this part was not there yet; from now on it is."""
        key, at = (place.source, place.topic, place.partition), (place.offset, place.part)
        if at <= self._last.get(key, (-1, 0)):
            return False
        self._last[key] = at
        return True

    def snapshot(self) -> list[list[object]]:
        """All of it, as JSON."""
        return [[*key, *at] for key, at in sorted(self._last.items())]

    def restore(self, state: list[list[object]]) -> None:
        """Take a snapshot back."""
        for source, topic, partition, offset, part in state:
            self._last[str(source), str(topic), int(str(partition))] = (int(str(offset)), int(str(part)))
