"""Change events that nobody announced: a value of a field that an entity has not shown before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from tocsin.derive.fields import Coded
from tocsin.model.frame import Frame, FrameKind
from tocsin.spec.pack import PackSpec

FORGET_NS = 24 * 3600 * 10**9
MAX_ENTITIES = 10_000
MAX_VALUES = 64


class ByField(Protocol):
    """Columns by the name of their field."""

    def __getitem__(self, field: str) -> Coded:
        """One field of all rows."""


class Sighting(NamedTuple):
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

    def __init__(self, packs: Sequence[PackSpec]) -> None:
        self._specs = [spec for pack in packs for spec in pack.changes]
        # (tenant, spec, entity) -> value -> [first, last, count, settled]
        self._known: dict[tuple[str, int, str], dict[str, list[int]]] = {}

    def sight(self, frames: Sequence[Frame], fields: ByField) -> list[list[Sighting]]:
        """Sightings in frames of spans or records of one tenant, by frame, in no particular order."""
        found: list[list[Sighting]] = [[] for _ in frames]
        if not self._specs:
            return found
        number = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
        # a version was in force when the work began, not when it ended
        began = "start" if frames[0].kind is FrameKind.SPANS else "time"
        times = np.concatenate([frame.i8(began) for frame in frames])
        tenant = frames[0].tenant
        for i, spec in enumerate(self._specs):
            entity, value = fields[spec.entity], fields[spec.field]
            at = np.flatnonzero((entity.code >= 0) & (value.code >= 0))
            for n, time, e, v in zip(
                number[at].tolist(), times[at].tolist(), entity.code[at].tolist(), value.code[at].tolist(), strict=True
            ):
                if entity.texts[e] and value.texts[v]:
                    found[n].append(Sighting(time, tenant, i, entity.texts[e], value.texts[v]))
        return found

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
