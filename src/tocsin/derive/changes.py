"""Change events that nobody announced: a value of a field that an entity has not shown before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.derive.fields import FieldReader
from tocsin.model.frame import Frame
from tocsin.spec.pack import PackSpec

FORGET_NS = 24 * 3600 * 10**9
MAX_ENTITIES = 10_000
MAX_VALUES = 64


@dataclass(frozen=True, slots=True, order=True)
class Sighting:
    """An entity showed a value of a watched field at a time."""

    time: int
    tenant: str
    spec: int
    entity: str
    value: str


@dataclass(frozen=True, slots=True)
class Found:
    """A change that was found: since when, of what kind, on whom, from which values to which."""

    time: int
    tenant: str
    kind: str
    entity: str
    field: str
    old: tuple[str, ...]
    new: str
    seen: int


class Changes:
    """Known values per (tenant, watched field, entity); sightings come in order of time."""

    def __init__(self, packs: Sequence[PackSpec], fields: FieldReader) -> None:
        self._specs = [spec for pack in packs for spec in pack.changes]
        self._fields = fields
        # (tenant, spec, entity) -> value -> [first, last, count, settled]
        self._known: dict[tuple[str, int, str], dict[str, list[int]]] = {}

    def sight(self, frame: Frame) -> list[Sighting]:
        """Sightings in a frame of spans, in no particular order."""
        if not self._specs or not len(frame):
            return []
        wanted = sorted({s.field for s in self._specs} | {s.entity for s in self._specs})
        columns = self._fields.columns(frame.batch, wanted)
        times = frame.i8("start").tolist()  # a version was in force when the work began, not when it ended
        return [
            Sighting(times[n], frame.tenant, i, entity, value)
            for i, spec in enumerate(self._specs)
            for n, (entity, value) in enumerate(zip(columns[spec.entity], columns[spec.field], strict=True))
            if entity and value
        ]

    def fold(self, sightings: Sequence[Sighting]) -> Iterator[Found]:
        """Take sightings, sorted by time, and give the changes that they settle."""
        for s in sorted(sightings):
            key = (s.tenant, s.spec, s.entity)
            values = self._known.get(key)
            if values is None:
                if len(self._known) >= MAX_ENTITIES:
                    continue
                values = self._known[key] = {}
            entry = values.get(s.value)
            if entry is None or s.time - entry[1] > FORGET_NS:
                if len(values) >= MAX_VALUES:
                    del values[min(values, key=lambda v: (values[v][1], v))]
                entry = values[s.value] = [s.time, s.time, 0, 0]
            entry[1] = max(entry[1], s.time)
            entry[2] += 1
            found = self._settle(s, values, entry)
            if found is not None:
                yield found

    def _settle(self, s: Sighting, values: dict[str, list[int]], entry: list[int]) -> Found | None:
        spec = self._specs[s.spec]
        if entry[3] or entry[2] < spec.settle:
            return None
        entry[3] = 1
        old = sorted((v for v, e in values.items() if e[3] and v != s.value), key=lambda v: (-values[v][1], v))
        if not old:
            return None
        return Found(entry[0], s.tenant, spec.kind, s.entity, spec.field, tuple(old[:3]), s.value, entry[2])

    def snapshot(self) -> list[list[Any]]:
        """Copy of all state, as JSON can hold it."""
        return [[*key, {value: list(entry) for value, entry in values.items()}] for key, values in self._known.items()]

    def restore(self, state: list[list[Any]]) -> None:
        """Take a snapshot back."""
        self._known = {
            (tenant, spec, entity): {value: list(entry) for value, entry in values.items()}
            for tenant, spec, entity, values in state
        }
