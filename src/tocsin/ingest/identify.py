"""Identity at the edge: label pairs as received -> redacted `Series` -> number, under cardinality caps."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import structlog

from tocsin.ingest.limits import Limits
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.series import Catalog, Labels, Series, Signal, canonical
from tocsin.selfmon.metrics import counter

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Label pairs in the order in which they came."""

OVERFLOW: Labels = (("tocsin.overflow", "true"),)
_OVERFLOW_SIGNAL = Signal("tocsin.overflow")
_OVERFLOW_SIGNALS = 1_000
_CACHED = 300_000
_SAMPLED = 20_000
_OVERFLOWED = counter(
    "tocsin_ingest_overflow_points_total",
    "Points that went to an overflow series because a cardinality cap was reached",
    ["tenant", "source"],
)
_log = structlog.get_logger(__name__)


class Redactor(Protocol):
    """Takes personal data and secrets out, before anything is named, kept or logged."""

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames with their text fields redacted."""

    def labels(self, labels: Labels) -> Labels:
        """The labels with values redacted to keyed tokens, so that two series never merge."""


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A bounded map that forgets what was not asked for lately (two generations of `limit` entries).

    >>> r = Recent[str, int](1); r.put("a", 1); r.put("b", 2); r.put("c", 3)
    >>> r.get("a"), r.get("c")
    (None, 3)
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._new: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """What was put under a key, if it is still known."""
        found = self._new.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Remember a value."""
        if len(self._new) >= self._limit:
            self._old, self._new = self._new, {}
        self._new[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._old, self._new = {}, {}


@dataclass(slots=True)
class _Members:
    """Series seen in this period and in the one before it: a name that churns frees its place after two."""

    new: set[int] = field(default_factory=set)
    old: set[int] = field(default_factory=set)

    def has(self, ref: int) -> bool:
        return ref in self.new or ref in self.old

    def add(self, ref: int) -> None:
        self.old.discard(ref)
        self.new.add(ref)

    def rotate(self) -> None:
        self.old, self.new = self.new, set()

    def __len__(self) -> int:
        return len(self.new) + len(self.old)

    def __iter__(self) -> Iterator[int]:
        yield from self.new
        yield from self.old


@dataclass(frozen=True, slots=True)
class OverflowNotice:
    """A cap that was reached, and the label that made it so."""

    tenant: str
    source: str
    series: int
    signal: str
    label: str
    values: int

    def __str__(self) -> str:
        return (
            f"{self.source} has {self.series} series, the most allowed: label {self.label!r} of {self.signal!r} has at "
            f'least {self.values} values; new series go to {{tocsin.overflow="true"}}. Drop the label at its source, '
            f"or raise limits.series_per_source / limits.series_per_tenant"
        )


class Identifier:
    """Gives label pairs their series number; thread-safe."""

    def __init__(self, catalog: Catalog, redactor: Redactor, limits: Limits) -> None:
        self.epoch = 0
        self._catalog = catalog
        self._redactor = redactor
        self._limits = limits
        self._lock = threading.Lock()
        self._cache = Recent[tuple[str, str, str, Pairs, Pairs], int](_CACHED)
        self._sources: dict[tuple[str, str], _Members] = {}
        self._tenants: dict[str, _Members] = {}
        self._overflow: dict[tuple[str, str], set[int]] = {}
        self._notices: dict[tuple[str, str], OverflowNotice] = {}

    def ref(self, tenant: str, source: str, signal: Signal, resource: Pairs, attributes: Pairs) -> int:
        """Number of the series that these pairs name; point attributes win over those of the resource."""
        key = (tenant, source, signal.name, resource, attributes)
        ref = self._cache.get(key)
        if ref is None:
            with self._lock:
                ref = self._resolve(tenant, source, signal, resource + attributes)
                self._cache.put(key, ref)
        return ref

    def resolve(self, tenant: str, source: str, signal: Signal, pairs: Pairs) -> int:
        """Like `ref`, for a caller with a cache of its own; the last of equal keys wins."""
        with self._lock:
            return self._resolve(tenant, source, signal, pairs)

    def _resolve(self, tenant: str, source: str, signal: Signal, pairs: Pairs) -> int:
        series = Series.of(tenant, signal, self._redactor.labels(canonical(pairs)))
        ref = self._catalog.find(series.id)
        here = self._sources.setdefault((tenant, source), _Members())
        everywhere = self._tenants.setdefault(tenant, _Members())
        if ref is None or not here.has(ref):
            full = len(here) >= self._limits.series_per_source
            elsewhere = ref is not None and everywhere.has(ref)
            if full or (not elsewhere and len(everywhere) >= self._limits.series_per_tenant):
                return self._overflowing(tenant, source, signal, here if full else everywhere)
            ref = self._catalog.intern(series)
        here.add(ref)
        everywhere.add(ref)
        return ref

    def _overflowing(self, tenant: str, source: str, signal: Signal, full: _Members) -> int:
        known = self._overflow.setdefault((tenant, source), set())
        # a flood of signal names must not make as many overflow series
        kind = signal if len(known) < _OVERFLOW_SIGNALS else _OVERFLOW_SIGNAL
        ref = self._catalog.intern(Series.of(tenant, kind, OVERFLOW))
        known.add(ref)
        if (tenant, source) not in self._notices:
            notice = self._explain(tenant, source, full)
            self._notices[tenant, source] = notice
            _log.warning("cardinality cap reached", tenant=tenant, source=source, notice=str(notice))
        return ref

    def _explain(self, tenant: str, source: str, full: _Members) -> OverflowNotice:
        values: dict[tuple[str, str], set[str]] = {}
        for ref in islice(full, _SAMPLED):
            series = self._catalog[ref]
            for key, value in series.labels:
                values.setdefault((series.signal.name, key), set()).add(value)
        (signal, label), distinct = max(values.items(), key=lambda item: len(item[1]), default=(("", ""), set()))
        return OverflowNotice(tenant, source, len(full), signal, label, len(distinct))

    def count_overflow(self, frame: Frame) -> int:
        """Rows of a frame that belong to overflow series; counted in the metrics."""
        refs = self._overflow.get((frame.tenant, frame.source))
        if not refs or frame.kind not in {FrameKind.POINTS, FrameKind.DISTRIBUTIONS}:
            return 0
        n = int(np.isin(frame.i4("series"), np.fromiter(tuple(refs), "i4")).sum())
        if n:
            _OVERFLOWED.labels(frame.tenant, frame.source).inc(n)
        return n

    def notice(self, tenant: str, source: str) -> OverflowNotice | None:
        """The cap that a source has reached, if it has."""
        return self._notices.get((tenant, source))

    def notices(self) -> list[OverflowNotice]:
        """All caps that are reached now."""
        return list(self._notices.values())

    def rotate(self) -> None:
        """Begin a new period (a day): series not seen for two periods free their place."""
        with self._lock:
            for members in (*self._sources.values(), *self._tenants.values()):
                members.rotate()
            self._cache.clear()
            self._notices.clear()
            self.epoch += 1
