"""What people joined or parted by hand, remembered by what the findings are of, for the next time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from tocsin.selfmon.metrics import counter

MAX_PAIRS: Final = 4000
MAX_KEYS: Final = 20
"""Kinds of findings of an incident that are remembered of one decision."""
_FORGOTTEN = counter(
    "tocsin_correlate_bonds_forgotten_total", "Pairs joined or parted by hand no longer kept: too many"
)


class Bonds:
    """Pairs of kinds of findings (monitor and entity) that belong together, or apart; the latest word counts.

    >>> bonds = Bonds(); bonds.decide(["errors/shop"], ["errors/mail"], together=False)
    >>> sorted(bonds.of("errors/mail", together=False)), sorted(bonds.of("errors/mail", together=True))
    (['errors/shop'], [])
    """

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], bool] = {}
        self._of: dict[tuple[str, bool], set[str]] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def decide(self, some: Iterable[str], others: Iterable[str], *, together: bool) -> None:
        """Remember that these belong together or apart, pair by pair."""
        right = sorted(set(others))[:MAX_KEYS]
        for one in sorted(set(some))[:MAX_KEYS]:
            for other in right:
                if one != other:
                    pair = min(one, other), max(one, other)
                    self._drop(pair)  # what is said anew is forgotten last
                    self._put(pair, together=together)
        while len(self._pairs) > MAX_PAIRS:
            self._drop(next(iter(self._pairs)))
            _FORGOTTEN.inc()

    def _put(self, pair: tuple[str, str], *, together: bool) -> None:
        self._pairs[pair] = together
        for one, other in (pair, pair[::-1]):
            self._of.setdefault((one, together), set()).add(other)

    def _drop(self, pair: tuple[str, str]) -> None:
        together = self._pairs.pop(pair, None)
        for one, other in (pair, pair[::-1]) if together is not None else ():
            self._of[one, together is True].discard(other)
            if not self._of[one, together is True]:
                del self._of[one, together is True]

    def of(self, key: str, *, together: bool) -> AbstractSet[str]:
        """Kinds of findings that this one was joined with, or parted from."""
        return self._of.get((key, together), frozenset())

    def snapshot(self) -> list[list[Any]]:
        """All pairs, in the order they would be forgotten."""
        return [[*pair, together] for pair, together in self._pairs.items()]

    def restore(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take a snapshot back."""
        self._pairs, self._of = {}, {}
        for row in rows:
            self._put((row[0], row[1]), together=bool(row[2]))


def key_of(monitor: str, entities: Sequence[str]) -> str:
    """Kind of a finding: its monitor and what it is about."""
    return f"{monitor}/{entities[0] if entities else ''}"


def keys_of(members: Mapping[bytes, Any]) -> set[str]:
    """Kinds of the findings of an incident."""
    return {key_of(each.finding.monitor, each.entities) for each in members.values()}
