"""OTLP metrics -> POINTS and DISTRIBUTIONS frames: by compiled readers where they can, by protobuf's upb elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tocsin.ingest import wire
from tocsin.ingest.decoded import YEAR_2000_NS, Decoded, Refusals, Unusable, decoded
from tocsin.ingest.identify import Identifier, Pairs
from tocsin.ingest.limits import Limits
from tocsin.ingest.metric_columns import DistributionColumns, PointColumns
from tocsin.ingest.otlp_values import Values, utf8
from tocsin.ingest.otlp_wire import MetricsRequest, parse
from tocsin.model.frame import NO_VALUE, Frame
from tocsin.model.series import Kind, Signal

if TYPE_CHECKING:
    from tocsin.ingest.wire_metrics_read import MetricsReader

_DELTA, _CUMULATIVE = 1, 2
_MAX_SCALE, _MIN_SCALE = 20, -10  # data model of OpenTelemetry, exponential histograms
_CACHED = 300_000
NAME_BYTES = 1024
"""Longest name and unit of a metric: OpenTelemetry allows 255 characters of an instrument."""

SourceName = Callable[[str, str, str], str]


@dataclass(slots=True)
class _Measured:
    """One metric of one resource: its signal and the numbers of its series by raw attributes."""

    tenant: str
    source: str
    resource: Pairs
    signal: Signal
    refs: dict[tuple[bytes, ...], int] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    """What one request has given so far."""

    tenant: str
    latest: int
    refusals: Refusals = field(default_factory=Refusals)
    points: dict[str, PointColumns] = field(default_factory=dict)
    distributions: dict[str, DistributionColumns] = field(default_factory=dict)

    def points_of(self, source: str) -> PointColumns:
        return self.points.setdefault(source, PointColumns())

    def distributions_of(self, source: str) -> DistributionColumns:
        return self.distributions.setdefault(source, DistributionColumns())


def _points_in(metric: Any) -> Sequence[Any]:
    which = metric.WhichOneof("data")
    return getattr(metric, which).data_points if which else ()


def _quantile(value: float) -> str:
    return repr(int(value)) if value.is_integer() else repr(value)


class MetricsDecoder:
    """Decodes bodies of `/v1/metrics`; thread-safe, keeps a cache of known attributes."""

    def __init__(self, identifier: Identifier, source_name: SourceName, limits: Limits) -> None:
        self._identifier = identifier
        self._source_name = source_name
        self._limits = limits
        self._values = Values(limits.label_bytes)
        self._known: dict[tuple[str, str, bytes], dict[tuple[bytes, bytes, str, int, bool], _Measured]] = {}
        self._cached = 0
        self._epoch = 0
        self._reader: MetricsReader | None = None

    def decode(self, body: bytes, tenant: str, received: int) -> Decoded:
        """Frames of one ExportMetricsServiceRequest in protobuf; `received` in nanoseconds.

        Raises
        ------
        BadInput
            The body is no such message.
        """
        frames = self._read(body, tenant, received)
        wire.count("metrics", compiled=frames is not None)
        return self._parse(body, tenant, received) if frames is None else Decoded(tuple(frames))

    def _read(self, body: bytes, tenant: str, received: int) -> list[Frame] | None:
        """Frames by the compiled reader, when it is there and the request is plain."""
        if self._reader is None:
            if not wire.ready():
                return None
            from tocsin.ingest.wire_metrics_read import MetricsReader  # noqa: PLC0415 - imports numba: once it is ready

            self._reader = MetricsReader(self._identifier, self._source_name, self._limits)
        return self._reader.frames(body, tenant, received)

    def _parse(self, body: bytes, tenant: str, received: int) -> Decoded:
        """Frames and refusals by upb, which reads everything."""
        if self._cached > _CACHED or self._epoch != self._identifier.epoch:
            self._known, self._cached, self._epoch = {}, 0, self._identifier.epoch
        request = parse(MetricsRequest, body)
        batch = _Batch(tenant, received + self._limits.ahead_ns)
        for of_resource in request.resource_metrics:
            self._resource(of_resource, batch)
        frames = [columns.frame(tenant, source) for source, columns in batch.points.items() if len(columns)]
        frames += [columns.frame(tenant, source) for source, columns in batch.distributions.items() if len(columns)]
        return decoded(frames, batch.refusals)

    def _resource(self, of_resource: Any, batch: _Batch) -> None:
        raw = b"".join(of_resource.resource)
        try:
            resource = self._values.resource(raw)
        except Unusable as bad:
            rows = sum(len(_points_in(metric)) for scope in of_resource.scope_metrics for metric in scope.metrics)
            batch.refusals.add("otlp", bad.reason, "its resource", rows)
            return
        service = next((value for key, value in resource if key == "service.name"), "")
        source = self._source_name(batch.tenant, "otlp", service)
        known = self._known.setdefault((batch.tenant, source, raw), {})
        for scope in of_resource.scope_metrics:
            for metric in scope.metrics:
                which = metric.WhichOneof("data")
                if which is None:
                    continue
                try:
                    self._metric(metric, which, known, source, resource, batch)
                except Unusable as bad:
                    example = metric.name.decode("utf-8", "replace")
                    batch.refusals.add(source, bad.reason, example, len(_points_in(metric)))

    def _metric(
        self,
        metric: Any,
        which: str,
        known: dict[tuple[bytes, bytes, str, int, bool], _Measured],
        source: str,
        resource: Pairs,
        batch: _Batch,
    ) -> None:
        data = getattr(metric, which)
        temporality = data.aggregation_temporality if which not in {"gauge", "summary"} else 0
        monotonic = which == "sum" and data.is_monotonic
        key = (metric.name, metric.unit, which, temporality, monotonic)
        measured = known.get(key)
        if measured is None:
            signal = metric_signal(metric.name, metric.unit, which, temporality, monotonic=monotonic)
            measured = known[key] = _Measured(batch.tenant, source, resource, signal)
            self._cached += 1
        if which in {"gauge", "sum"}:
            self._numbers(data.data_points, measured, batch)
        elif which == "summary":
            self._summaries(data.data_points, known, key, measured, batch)
        else:
            self._histograms(data.data_points, which == "exponential_histogram", measured, batch)

    def _ref(self, measured: _Measured, raw: tuple[bytes, ...], extra: Pairs = ()) -> int:
        """Number of a series that the cache does not have yet."""
        pairs = measured.resource + self._values.labels(raw) + extra
        ref = self._identifier.resolve(measured.tenant, measured.source, measured.signal, pairs)
        self._cached += 1
        return ref

    def _numbers(self, points: Sequence[Any], measured: _Measured, batch: _Batch) -> None:
        add = batch.points_of(measured.source).add
        refs, latest = measured.refs, batch.latest
        for point in points:
            time = point.time_unix_nano
            if not YEAR_2000_NS <= time <= latest:
                self._refuse_time(measured, time, batch)
                continue
            # 0.0 is also what reading the other member of the oneof gives
            value = point.as_double
            if value == 0.0:
                whole = point.as_int
                if whole:
                    value = float(whole)
                elif point.WhichOneof("value") is None and not point.flags & NO_VALUE:
                    batch.refusals.add(measured.source, "no_number", measured.signal.name)
                    continue
            raw = tuple(point.attributes)
            ref = refs.get(raw)
            if ref is None:
                try:
                    ref = refs[raw] = self._ref(measured, raw)
                except Unusable as bad:
                    batch.refusals.add(measured.source, bad.reason, measured.signal.name)
                    continue
            add((ref, time, value, point.start_time_unix_nano, point.flags))

    def _histograms(self, points: Sequence[Any], exponential: bool, measured: _Measured, batch: _Batch) -> None:
        out = batch.distributions_of(measured.source)
        for point in points:
            time = point.time_unix_nano
            if not YEAR_2000_NS <= time <= batch.latest:
                self._refuse_time(measured, time, batch)
                continue
            try:
                if exponential:
                    _check_exponential(point)
                else:
                    _check_explicit(point)
                raw = tuple(point.attributes)
                ref = measured.refs.get(raw)
                if ref is None:
                    ref = measured.refs[raw] = self._ref(measured, raw)
            except Unusable as bad:
                batch.refusals.add(measured.source, bad.reason, measured.signal.name)
                continue
            out.append(ref, point, exponential=exponential)

    def _summaries(
        self,
        points: Sequence[Any],
        known: dict[tuple[bytes, bytes, str, int, bool], _Measured],
        key: tuple[bytes, bytes, str, int, bool],
        measured: _Measured,
        batch: _Batch,
    ) -> None:
        parts = []
        for suffix, unit in (("_count", "1"), ("_sum", measured.signal.unit)):
            part_key = (key[0] + suffix.encode(), *key[1:])
            part = known.get(part_key)
            if part is None:
                signal = Signal(measured.signal.name + suffix, unit, Kind.SUM, monotonic=True, cumulative=True)
                part = known[part_key] = _Measured(measured.tenant, measured.source, measured.resource, signal)
            parts.append(part)
        count, total = parts
        add = batch.points_of(measured.source).add
        for point in points:
            time = point.time_unix_nano
            if not YEAR_2000_NS <= time <= batch.latest:
                self._refuse_time(measured, time, batch)
                continue
            raw = tuple(point.attributes)
            rows: list[tuple[_Measured, Pairs, float]] = [
                (measured, (("quantile", _quantile(entry.quantile)),), entry.value) for entry in point.quantile_values
            ]
            rows += [(count, (), float(point.count)), (total, (), point.sum)]
            try:
                found = [(self._part(part, raw, extra), value) for part, extra, value in rows]
            except Unusable as bad:
                batch.refusals.add(measured.source, bad.reason, measured.signal.name)
                continue
            for ref, value in found:
                add((ref, time, value, point.start_time_unix_nano, point.flags))

    def _part(self, part: _Measured, raw: tuple[bytes, ...], extra: Pairs) -> int:
        # no raw attribute is as short as one byte: the added label can't be taken for one of them
        key = (*raw, b"\0", extra[0][1].encode()) if extra else raw
        ref = part.refs.get(key)
        if ref is None:
            ref = part.refs[key] = self._ref(part, raw, extra)
        return ref

    @staticmethod
    def _refuse_time(measured: _Measured, time: int, batch: _Batch) -> None:
        reason = "too_old" if time < YEAR_2000_NS else "too_far_ahead"
        batch.refusals.add(measured.source, reason, measured.signal.name)


def metric_signal(raw_name: bytes, raw_unit: bytes, which: str, temporality: int, *, monotonic: bool) -> Signal:
    """Signal of a metric; `which` is the member of its oneof.

    Raises
    ------
    Unusable
        Its texts are not UTF-8 or too long, or it lacks its name or temporality.
    """
    if max(len(raw_name), len(raw_unit)) > NAME_BYTES:
        raise Unusable("name_too_long")
    name, unit = utf8(raw_name), utf8(raw_unit)
    if not name:
        raise Unusable("no_name")
    if which in {"gauge", "summary"}:
        return Signal(name, unit, Kind.GAUGE)
    if temporality not in {_DELTA, _CUMULATIVE}:
        raise Unusable("no_temporality")
    kind = Kind.SUM if which == "sum" else Kind.HISTOGRAM
    return Signal(name, unit, kind, monotonic=monotonic, cumulative=temporality == _CUMULATIVE)


def _check_explicit(point: Any) -> None:
    bounds, counts = point.explicit_bounds, point.bucket_counts
    if len(counts) != len(bounds) + 1 and (counts or bounds):
        raise Unusable("bad_histogram")
    if not all(low < high for low, high in pairwise(bounds)) or (bounds and not math.isfinite(bounds[0])):
        raise Unusable("bad_histogram")


def _check_exponential(point: Any) -> None:
    if not _MIN_SCALE <= point.scale <= _MAX_SCALE:
        raise Unusable("bad_histogram")
