"""OTLP metrics -> POINTS and DISTRIBUTIONS frames by compiled kernels; what is not plain is left to upb."""

from __future__ import annotations

import os
import threading
from typing import TypeAlias

import numpy as np

from tocsin.ingest.decoded import YEAR_2000_NS, Unusable
from tocsin.ingest.identify import Identifier, Pairs
from tocsin.ingest.limits import Limits
from tocsin.ingest.otlp_metrics import SourceName, metric_signal
from tocsin.ingest.otlp_values import Values
from tocsin.ingest.wire_columns import distributions_batch, points_batch, source_frames
from tocsin.ingest.wire_metrics import (
    EARLIEST,
    HISTOGRAMS,
    LATEST,
    MONOTONIC,
    N_HISTOGRAMS,
    N_METRICS,
    N_NUMBERS,
    N_RESOURCES,
    NAME,
    NAME_END,
    NUMBERS,
    OF_RESOURCE,
    RESOURCE,
    RESOURCE_END,
    TEMPORALITY,
    UNIT,
    UNIT_END,
    WHICH,
    Tables,
    tables_for,
    walk_metrics,
)
from tocsin.ingest.wire_points import ATTRIBUTES, ATTRIBUTES_END, METRIC
from tocsin.ingest.wire_points import HISTOGRAM as HISTOGRAM_KIND
from tocsin.ingest.wire_table import ByteTable
from tocsin.model.arrays import I4, I8, U1
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.rows import grown
from tocsin.model.series import Signal

_WHICH = ("gauge", "sum", "histogram", "exponential_histogram")
_MOST_SERIES = 300_000
_MOST_BYTES = 128 << 20
_KEPT_BYTES = 512 << 10

_MetricKey: TypeAlias = tuple[int, bytes, bytes, int]


def pieces(raw: bytes) -> tuple[bytes, ...]:
    r"""What the fields of a run, each of one tag byte and a length, hold.

    >>> pieces(b"\x3a\x01a\x3a\x02bc")
    (b'a', b'bc')
    """
    found = []
    at = 0
    while at < len(raw):
        at += 1
        size, shift = 0, 0
        while True:
            byte = raw[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        found.append(raw[at : at + size])
        at += size
    return tuple(found)


class _Known:
    """Resources, metrics and series that were seen in this period, numbered; tables find them by their bytes."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        seed = int.from_bytes(os.urandom(7), "little")
        self.resource_table, self.metric_table, self.series_table = ByteTable(seed), ByteTable(seed), ByteTable(seed)
        self.tenants: dict[str, int] = {}
        self.resource_ids: dict[tuple[str, bytes], int] = {}
        self.resources: list[tuple[str, Pairs, int]] = []  # source, attributes, number of the source
        self.sources: dict[tuple[str, str], int] = {}
        self.source_names: list[str] = []
        self.metric_ids: dict[_MetricKey, int] = {}
        self.metrics: list[tuple[Signal, int]] = []  # and its resource
        self.source_of: I4 = np.empty(64, np.int32)
        self.spilt: dict[tuple[int, bytes], int] = {}  # series that their table would not take

    def full(self) -> bool:
        held = sum(table.held_bytes for table in (self.resource_table, self.metric_table, self.series_table))
        return len(self.series_table) + len(self.metrics) + len(self.spilt) > _MOST_SERIES or held > _MOST_BYTES


class MetricsReader:
    """Reads bodies of `/v1/metrics` that are plain and of which nothing is refused; thread-safe."""

    def __init__(self, identifier: Identifier, source_name: SourceName, limits: Limits) -> None:
        self._identifier = identifier
        self._source_name = source_name
        self._limits = limits
        self._values = Values(limits.label_bytes)
        self._known = _Known(identifier.epoch)
        self._lock = threading.Lock()
        self._local = threading.local()

    def frames(self, body: bytes, tenant: str, received: int) -> list[Frame] | None:
        """All frames of a request, or None when upb must read it; `received` in nanoseconds."""
        raw: U1 = np.frombuffer(body, np.uint8)
        tables = self._tables(raw.size)
        if not walk_metrics(raw, tables):
            return None
        used = tables[0].tolist()
        rows = used[N_NUMBERS] + used[N_HISTOGRAMS]
        if rows and not YEAR_2000_NS <= used[EARLIEST] <= used[LATEST] <= received + self._limits.ahead_ns:
            return None
        known = self._known
        if known.epoch != self._identifier.epoch or known.full():
            known = self._known = _Known(self._identifier.epoch)
        try:
            metric_ids = self._metrics(body, raw, tables, tenant, known)
            numbers, histograms = self._series(body, raw, tables, tenant, known, metric_ids)
        except Unusable:
            return None
        return self._framed(raw, tables, tenant, known.source_of[metric_ids], known.source_names, numbers, histograms)

    def _tables(self, size_bytes: int) -> Tables:
        """Tables of this thread, kept because fresh memory costs more than what is written to it."""
        room, tables = getattr(self._local, "tables", (0, None))
        if tables is None or room < size_bytes:
            room, tables = max(size_bytes, 1 << 16), tables_for(max(size_bytes, 1 << 16))
            if room <= _KEPT_BYTES:
                self._local.tables = room, tables
        return tables

    def _resources(self, body: bytes, raw: U1, tables: Tables, tenant: str, known: _Known) -> I4:
        """Number of each resource of a request, (n,)."""
        of_tenant = known.tenants.get(tenant)
        if of_tenant is None:
            with self._lock:
                of_tenant = known.tenants.setdefault(tenant, len(known.tenants))
        n, table = int(tables[0][N_RESOURCES]), tables[1]
        word = np.full(n, of_tenant, np.int64)
        ids = known.resource_table.find(raw, word, table, (RESOURCE, RESOURCE_END, RESOURCE_END, RESOURCE_END))
        for r in (ids < 0).nonzero()[0].tolist():
            of_resource = body[table[RESOURCE, r] : table[RESOURCE_END, r]]
            with self._lock:
                ids[r] = self._resource(of_resource, tenant, of_tenant, known)
        return ids

    def _resource(self, raw: bytes, tenant: str, of_tenant: int, known: _Known) -> int:
        found = known.resource_ids.get((tenant, raw))
        if found is not None:
            return found
        pairs = self._values.resource(raw)
        service = next((value for key, value in pairs if key == "service.name"), "")
        source = self._source_name(tenant, "otlp", service)
        number = known.sources.setdefault((tenant, source), len(known.sources))
        if number == len(known.source_names):
            known.source_names.append(source)
        found = known.resource_ids[tenant, raw] = len(known.resources)
        known.resources.append((source, pairs, number))
        known.resource_table.add(of_tenant, raw, b"", found)
        return found

    def _metrics(self, body: bytes, raw: U1, tables: Tables, tenant: str, known: _Known) -> I4:
        """Number of each metric of a request, (n,)."""
        resource_ids = self._resources(body, raw, tables, tenant, known)
        n, table = int(tables[0][N_METRICS]), tables[2]
        kind = table[WHICH, :n] << 3 | table[TEMPORALITY, :n] << 1 | table[MONOTONIC, :n]
        word = resource_ids[table[OF_RESOURCE, :n]].astype(np.int64) << 5 | kind
        ids = known.metric_table.find(raw, word, table, (NAME, NAME_END, UNIT, UNIT_END))
        for m in (ids < 0).nonzero()[0].tolist():
            name = body[table[NAME, m] : table[NAME_END, m]]
            unit = body[table[UNIT, m] : table[UNIT_END, m]]
            with self._lock:
                ids[m] = self._metric(int(word[m]), name, unit, known)
        return ids

    @staticmethod
    def _metric(word: int, name: bytes, unit: bytes, known: _Known) -> int:
        key = (word, name, unit, 0)
        found = known.metric_ids.get(key)
        if found is not None:
            return found
        which = _WHICH[word >> 3 & 3]
        signal = metric_signal(name, unit, which, word >> 1 & 3, monotonic=bool(word & 1))
        found = known.metric_ids[key] = len(known.metrics)
        known.source_of = grown(known.source_of, found + 1, 0)  # type: ignore[assignment]  # of the same dtype
        known.source_of[found] = known.resources[word >> 5][2]
        known.metrics.append((signal, word >> 5))
        known.metric_table.add(word, name, unit, found)
        return found

    def _series(
        self, body: bytes, raw: U1, tables: Tables, tenant: str, known: _Known, metric_ids: I4
    ) -> tuple[I4, I4]:
        """Number of the series of each point and each histogram of a request."""
        used, _, _, *kinds = tables
        found: list[I4] = []
        unknown: list[tuple[int, int, int]] = []
        for kind, (n, table) in enumerate(zip(used[N_NUMBERS : N_HISTOGRAMS + 1].tolist(), kinds, strict=True)):
            word = metric_ids[table[METRIC, :n]].astype(np.int64)
            refs = known.series_table.find(
                raw, word, table, (ATTRIBUTES, ATTRIBUTES_END, ATTRIBUTES_END, ATTRIBUTES_END)
            )
            unknown += [(int(table[METRIC, i]), kind, i) for i in (refs < 0).nonzero()[0].tolist()]
            found.append(refs)
        for m, kind, i in sorted(unknown):
            attributes = body[kinds[kind][ATTRIBUTES, i] : kinds[kind][ATTRIBUTES_END, i]]
            found[kind][i] = self._ref(int(metric_ids[m]), attributes, tenant, known)
        return found[0], found[1]

    def _ref(self, metric: int, attributes: bytes, tenant: str, known: _Known) -> int:
        """Number of a series that its table did not find."""
        found = known.spilt.get((metric, attributes))
        if found is not None:
            return found
        signal, of_resource = known.metrics[metric]
        source, resource, _ = known.resources[of_resource]
        found = self._identifier.resolve(tenant, source, signal, resource + self._values.labels(pieces(attributes)))
        if not known.series_table.add(metric, attributes, b"", found):
            known.spilt[metric, attributes] = found
        return found

    @staticmethod
    def _framed(
        raw: U1, tables: Tables, tenant: str, source: I4, names: list[str], numbers: I4, histograms: I4
    ) -> list[Frame]:
        _, _, metrics, number_table, histogram_table = tables
        frames: list[Frame] = []
        which: I8 = metrics[WHICH, : source.size]
        many = which >= HISTOGRAM_KIND
        if numbers.size:
            batch = points_batch(number_table, numbers)
            begin = metrics[NUMBERS, : source.size][~many]
            frames += source_frames(FrameKind.POINTS, tenant, batch, source[~many], begin, names)
        if histograms.size:
            batch = distributions_batch(raw, histogram_table, histograms, which)
            begin = metrics[HISTOGRAMS, : source.size][many]
            frames += source_frames(FrameKind.DISTRIBUTIONS, tenant, batch, source[many], begin, names)
        return frames
