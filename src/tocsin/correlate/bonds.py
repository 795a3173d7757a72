"""What people joined or parted by hand, remembered by what the findings are of, for the next time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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
    >>> bonds.apart("errors/mail", ["errors/shop", "slow/shop"]), bonds.partners("errors/mail")
    (True, [])
    """

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], bool] = {}

    def decide(self, some: Iterable[str], others: Iterable[str], *, together: bool) -> None:
        """Remember that these belong together or apart, pair by pair."""
        right = sorted(set(others))[:MAX_KEYS]
        for one in sorted(set(some))[:MAX_KEYS]:
            for other in right:
                if one != other:
                    pair = min(one, other), max(one, other)
                    self._pairs.pop(pair, None)  # what is said anew is forgotten last
                    self._pairs[pair] = together
        while len(self._pairs) > MAX_PAIRS:
            del self._pairs[next(iter(self._pairs))]
            _FORGOTTEN.inc()

    def apart(self, key: str, others: Collection[str]) -> bool:
        """Whether this kind of finding was parted from one of the others."""
        return bool(self._pairs) and any(self._pairs.get((min(key, o), max(key, o))) is False for o in others)

    def partners(self, key: str) -> list[str]:
        """Kinds of findings that this one was joined with."""
        return [b if a == key else a for (a, b), together in self._pairs.items() if together and key in (a, b)]

    def snapshot(self) -> list[list[Any]]:
        """All pairs, in the order they would be forgotten."""
        return [[*pair, together] for pair, together in self._pairs.items()]

    def restore(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take a snapshot back."""
        self._pairs = {(row[0], row[1]): bool(row[2]) for row in rows}


def key_of(monitor: str, entities: Sequence[str]) -> str:
    """Kind of a finding: its monitor and what it is about."""
    return f"{monitor}/{entities[0] if entities else ''}"


def keys_of(members: Mapping[bytes, Any]) -> set[str]:
    """Kinds of the findings of an incident."""
    return {key_of(each.finding.monitor, each.entities) for each in members.values()}
