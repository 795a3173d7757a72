"""`SegmentTallies`: tallies of votes or grades by whom they are of and by segment, bounded, in a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

MOST_TALLIES: Final = 1_000
Of: TypeAlias = tuple[str, str, str]
"""Tenant, service or model, name of the vote."""
Segment: TypeAlias = tuple[str, str]
"""Attribute and value."""
WHOLE: Final[Segment] = ("", "")


class Kept(Protocol):
    """What a tally has for a snapshot."""

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""


T = TypeVar("T", bound=Kept)


class SegmentTallies(Generic[T]):
    """Tallies, made by `make` when first asked for; of segments beyond `MOST_TALLIES` it is only counted how often.

    >>> from tocsin.assess.votes import Tally
    >>> tallies = SegmentTallies(Tally)
    >>> tallies.at(("main", "bot", "thumbs"), WHOLE) is tallies.at(("main", "bot", "thumbs"), WHOLE)
    True
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._tallies: dict[Of, dict[Segment, T]] = {}
        self._size = 0
        self.left_out = 0

    def at(self, of: Of, segment: Segment) -> T | None:
        """The tally of a segment; None: there is no room for it, which is counted."""
        found = self._tallies.get(of, {}).get(segment)
        if found is None:
            if self._size >= MOST_TALLIES:
                self.left_out += 1
                return None
            self._size += 1
            found = self._tallies.setdefault(of, {})[segment] = self._make()
        return found

    def of(self, of: Of) -> Mapping[Segment, T]:
        """All tallies of one, by segment; none if nothing is kept of it."""
        return self._tallies.get(of, {})

    def forget(self, of: Of) -> None:
        """Let go of all tallies of one."""
        self._size -= len(self._tallies.pop(of, {}))

    def snapshot(self) -> list[list[Any]]:
        """All state, as a tree."""
        return [
            [*of, *segment, tally.snapshot()]
            for of, tallies in self._tallies.items()
            for segment, tally in tallies.items()
        ]

    def restore(self, state: Sequence[Sequence[Any]], read: Callable[[Sequence[Any]], T]) -> None:
        """Take a snapshot back, each tally by `read`."""
        self._tallies, self._size = {}, len(state)
        for tenant, service, name, key, value, told in state:
            self._tallies.setdefault((tenant, service, name), {})[key, value] = read(told)
