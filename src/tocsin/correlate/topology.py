"""Which things telemetry is about, and which of them belong together, learned from labels seen together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from tocsin.selfmon.metrics import counter
from tocsin.spec.entity_key import read_key
from tocsin.spec.pack import PackSpec

MAX_NODES = 4096
MAX_NEIGHBOURS = 64
HUB = 24
"""Something related to more things than this (a job of 500 hosts) says nothing about any two of them."""
MAX_VISITED = 128

CALLER = "service.name"

_FORGOTTEN = counter("tocsin_correlate_topology_forgotten_total", "Relations not kept: the graph is full", ["reason"])


class EntityKeys:
    """Reads entities off labels by the keys that packs name.

    A key `a+b` needs both labels and names `a/b`; `key~host` is the host part of an address.
    """

    def __init__(self, packs: Iterable[PackSpec]) -> None:
        named = sorted(packs, key=lambda pack: pack.name)
        kinds: dict[tuple[str, ...], None] = {}
        for pack in named:
            kinds.update((tuple(keys), None) for keys in pack.entities)
        self._kinds = list(kinds)
        self._pairs = sorted({(pair[0], pair[1]) for pack in named for pair in pack.relations})
        keys = {key for kind in self._kinds for key in kind} | {key for pair in self._pairs for key in pair}
        self._label_of = {key: key.split("+")[0].removesuffix("~host") for key in keys}

    def _read(self, labels: Mapping[str, str], key: str) -> str:
        """What a key names; most name nothing, for want of a label, and cost one look."""
        return read_key(labels, key) if self._label_of[key] in labels or key in labels else ""

    @property
    def callers(self) -> tuple[str, ...]:
        """Keys of resources by which the ends of requests are named: those of services."""
        return next((keys for keys in self._kinds if CALLER in keys), ())

    @property
    def related(self) -> tuple[str, ...]:
        """Keys that pairs of related entities are read from."""
        return tuple(sorted({self._label_of[key] for pair in self._pairs for key in pair}))

    def entities(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Entities that labels name, most specific first, each once."""
        found: dict[str, None] = {}
        for keys in self._kinds:
            value = next((value for key in keys if (value := self._read(labels, key))), "")
            if value:
                found[value] = None
        return tuple(found)

    def pairs(self, labels: Mapping[str, str]) -> list[tuple[str, str]]:
        """Pairs of entities that these labels show to be related."""
        found = []
        for first, second in self._pairs:
            one = self._read(labels, first)
            other = self._read(labels, second) if one else ""
            if other and one != other:
                found.append((one, other))
        return found


class Topology:
    """A bounded, undirected graph of entities; what was learned first is forgotten first."""

    def __init__(self) -> None:
        self._edges: dict[str, dict[str, None]] = {}

    @property
    def full(self) -> bool:
        """Whether no more entities fit without forgetting others."""
        return len(self._edges) >= MAX_NODES

    def relate(self, first: str, second: str) -> None:
        """Take in that two entities belong together."""
        for one, other in ((first, second), (second, first)):
            near = self._edges.setdefault(one, {})
            if other in near:
                continue
            if len(near) >= MAX_NEIGHBOURS:
                _FORGOTTEN.labels("neighbours").inc()
                continue
            near[other] = None
        while len(self._edges) > MAX_NODES:
            oldest = next(iter(self._edges))
            for other in self._edges.pop(oldest):
                self._edges.get(other, {}).pop(oldest, None)
            _FORGOTTEN.labels("nodes").inc()

    def knows(self, entity: str) -> bool:
        """Whether anything is known to be related to an entity."""
        return entity in self._edges

    def among(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """Pairs of these that belong together, each once."""
        wanted = set(names)
        return [
            (one, other)
            for one in sorted(wanted)
            for other in self._edges.get(one, ())
            if one < other and other in wanted
        ]

    def is_hub(self, entity: str) -> bool:
        """Whether an entity is related to so many that sharing it means nothing."""
        return len(self._edges.get(entity, ())) > HUB

    def around(self, entities: Sequence[str], limit: int) -> dict[str, int]:
        """Entities within `limit` relations of any of these, with their distance, nearest first."""
        found = {entity: 0 for entity in entities if entity == entities[0] or not self.is_hub(entity)}
        queue = deque(found)
        while queue and len(found) < MAX_VISITED:
            entity = queue.popleft()
            if found[entity] >= limit or self.is_hub(entity):
                continue
            for other in sorted(self._edges.get(entity, ())):
                if other not in found and not self.is_hub(other):
                    found[other] = found[entity] + 1
                    queue.append(other)
        return found

    def snapshot(self) -> list[list[str]]:
        """All relations, in the order they would be forgotten."""
        return [[entity, *near] for entity, near in self._edges.items()]

    def restore(self, rows: Iterable[Sequence[str]]) -> None:
        """Take a snapshot back."""
        self._edges = {row[0]: dict.fromkeys(row[1:]) for row in rows}
