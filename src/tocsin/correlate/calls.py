"""Who calls whom, learned from requests, and what a person says depends on what: directed, bounded.

A fault travels against the direction of calls, so that two of one caller have nothing to do with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tocsin.selfmon.metrics import counter

MAX_EDGES: Final = 4000
MAX_VISITED: Final = 128
_FORGOTTEN = counter("tocsin_correlate_calls_forgotten_total", "Edges between services no longer kept: too many")


class Calls:
    """Edges (caller, callee); of learned ones the first learned is forgotten first, stated ones stay.

    >>> calls = Calls(); calls.learn([("web", "cart"), ("cart", "db"), ("web", "ads")])
    >>> sorted(calls.reach(["db"], 2)), sorted(calls.reach(["ads"], 2))
    (['cart', 'db', 'web'], ['ads', 'web'])
    """

    def __init__(self) -> None:
        self._learned: dict[tuple[str, str], None] = {}
        self._stated: dict[tuple[str, str], None] = {}
        self._callers: dict[str, dict[str, None]] = {}
        self._callees: dict[str, dict[str, None]] = {}

    def learn(self, edges: Iterable[tuple[str, str]]) -> None:
        """Take edges in that requests show."""
        fresh = [edge for edge in edges if edge not in self._learned and edge[0] != edge[1]]
        self._learned.update(dict.fromkeys(fresh))
        while len(self._learned) > MAX_EDGES:
            del self._learned[next(iter(self._learned))]
            _FORGOTTEN.inc()
        if fresh:
            self._index()

    def state(self, edges: Iterable[tuple[str, str]]) -> None:
        """Put edges in force that a person stated, in place of those stated before."""
        self._stated = dict.fromkeys(edges)
        self._index()

    def among(self, names: Iterable[str]) -> frozenset[tuple[str, str]]:
        """Edges between two of these."""
        wanted = set(names)
        return frozenset(edge for edge in (*self._learned, *self._stated) if edge[0] in wanted and edge[1] in wanted)

    def knows(self, entity: str) -> bool:
        """Whether any edge begins or ends at an entity."""
        return entity in self._callers or entity in self._callees

    def reach(self, entities: Sequence[str], limit: int) -> dict[str, int]:
        """Entities that these call, and those by which they are called, within `limit` steps, with their distance."""
        found = dict.fromkeys(entities, 0)
        for near in (self._callers, self._callees):
            edge = list(entities)
            for distance in range(1, limit + 1):
                edge = sorted({other for each in edge for other in near.get(each, ())})
                for other in edge:
                    if len(found) < MAX_VISITED:
                        found.setdefault(other, distance)
        return found

    def callees(self, entities: Sequence[str], limit: int) -> list[str]:
        """Entities that these call within `limit` steps, themselves left out."""
        found: dict[str, None] = {}
        edge = list(entities)
        for _ in range(limit):
            edge = sorted({other for each in edge for other in self._callees.get(each, ())} - set(found))
            found.update(dict.fromkeys(edge[: max(0, MAX_VISITED - len(found))]))
        return [each for each in found if each not in entities]

    def _index(self) -> None:
        self._callers, self._callees = {}, {}
        for caller, callee in (*self._learned, *self._stated):
            self._callees.setdefault(caller, {})[callee] = None
            self._callers.setdefault(callee, {})[caller] = None

    def snapshot(self) -> list[list[str]]:
        """Learned edges, in the order they would be forgotten."""
        return [list(edge) for edge in self._learned]

    def restore(self, rows: Iterable[Sequence[str]]) -> None:
        """Take a snapshot back."""
        self._learned = {(row[0], row[1]): None for row in rows}
        self._index()
