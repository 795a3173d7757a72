"""Bodies of Prometheus remote write 1.0 and 2.0 -> POINTS and DISTRIBUTIONS frames.

A series of 1.0 with one sample, which is what Prometheus sends, ends in that sample: when the bytes before it are
known as a complete set of labels, they are the key of the series and nothing needs to be parsed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tocsin.ingest import wire
from tocsin.ingest.decoded import REASONS, YEAR_2000_NS, Refusals, Unusable
from tocsin.ingest.identify import Identifier, Pairs
from tocsin.ingest.limits import Limits
from tocsin.ingest.native_histogram import MS, NativeColumns, is_gauge
from tocsin.ingest.prometheus_names import METADATA_TYPES, family, signal_of
from tocsin.model.arrays import I8, U1
from tocsin.model.errors import BadInput
from tocsin.model.frame import NO_VALUE, Frame, points_frame
from tocsin.model.prometheus_pb import STALE_BITS, Label, Request2, TimeSeries, TimeSeries2, WriteRequest, parse
from tocsin.model.series import Kind, Signal

if TYPE_CHECKING:
    from tocsin.ingest.wire_samples_read import SamplesReader

SOURCE = "remote_write"
OWN_REASONS = REASONS | {
    "no_name": "it has no label __name__",
    "bad_label": "it has a label without a name, or two of the same name",
    "bad_symbol": "it refers to a symbol that the request does not have",
}
_KNOWN_BYTES = 96 * 2**20
_METADATA_NAMES = 50_000
_YEAR_2000_MS = YEAR_2000_NS // MS
_NO_SAMPLE = b"\x09" + bytes(8) + b"\x10"


class BadSeries(Unusable):
    """One series that can't be taken, for a reason of `OWN_REASONS`."""

    def __init__(self, reason: str) -> None:
        BadInput.__init__(self, OWN_REASONS[reason])
        self.reason = reason


@dataclass(slots=True)
class Written:
    """What one request gave: frames, what was refused, and exemplars, which have no use here."""

    frames: list[Frame] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    samples: int = 0
    histograms: int = 0
    exemplars: int = 0

    def message(self) -> str:
        """Why rows were refused, one clause a reason."""
        parts = []
        for reason, rows in sorted(self.refusals.by_reason().items()):
            example = self.refusals.examples.get(reason)
            parts.append(f"{rows} refused: {OWN_REASONS[reason]}" + (f" (first: {example})" if example else ""))
        return "; ".join(parts)


class _UnusualTime(Exception):
    """A sample that was not parsed has a time of fewer than six bytes and something else behind it."""


class _Rows:
    """Samples of one request: the number of each series and its sample as 16 bytes of wire format."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.refs: list[int] = []
        self.samples: list[bytes] = []
        self.starts: list[int] = []  # ms; empty while all are unknown
        self.native = NativeColumns()
        self.written = Written()

    def add(self, ref: int, sample: Any, start_ms: int) -> None:
        """Add one parsed sample, in the form that most have on the wire."""
        if not 0 <= sample.timestamp < 1 << 42:
            self.refuse("too_old" if sample.timestamp < 0 else "too_far_ahead")
            return
        if start_ms and not self.starts:
            self.starts = [0] * len(self.refs)
        time = bytes((sample.timestamp >> shift & 0x7F) | (0x80 if shift < 35 else 0) for shift in range(0, 42, 7))
        self.refs.append(ref)
        self.samples.append(b"\x09" + sample.value.to_bytes(8, "little") + b"\x10" + time)
        if self.starts or start_ms:
            self.starts.append(start_ms)

    def refuse(self, reason: str, example: str = "", rows: int = 1) -> None:
        """Count what is not taken."""
        self.written.refusals.add(SOURCE, reason, example, rows)

    def finish(self, latest_ms: int) -> Written:
        """The frames of all that was taken."""
        written = self.written
        if self.refs:
            self._points(latest_ms)
        if len(self.native):
            written.frames.append(self.native.frame(self.tenant, SOURCE))
            written.histograms = len(self.native)
        return written

    def _points(self, latest_ms: int) -> None:
        raw: U1 = np.frombuffer(b"".join(self.samples), np.uint8).reshape(-1, 16)
        if not ((raw[:, 10:15] & 0x80).all() and (raw[:, 15] < 0x80).all()):
            raise _UnusualTime
        time_ms: I8 = np.zeros(len(raw), np.int64)
        for place in range(6):
            time_ms |= (raw[:, 10 + place] & 0x7F).astype(np.int64) << (7 * place)
        good = (time_ms >= _YEAR_2000_MS) & (time_ms <= latest_ms)
        if not good.all():
            for reason, mask in (("too_old", time_ms < _YEAR_2000_MS), ("too_far_ahead", time_ms > latest_ms)):
                if rows := int(mask.sum()):
                    self.refuse(reason, rows=rows)
        bits = np.ascontiguousarray(raw[:, 1:9]).view("<u8")[:, 0]
        stale = bits == STALE_BITS
        value = np.where(stale, np.nan, bits.view("<f8"))
        starts = np.array(self.starts or np.zeros(len(raw)), np.int64) * MS
        refs = np.array(self.refs, np.int32)
        flags = (stale * NO_VALUE).astype(np.uint8)
        frame = points_frame(
            self.tenant, SOURCE, refs[good], time_ms[good] * MS, value[good], starts[good], flags[good]
        )
        self.written.samples = len(frame)
        if len(frame):
            self.written.frames.append(frame)


class RemoteWriteDecoder:
    """Decodes requests of both versions; keeps the series and metadata that it has seen."""

    def __init__(self, identifier: Identifier, limits: Limits) -> None:
        self._identifier = identifier
        self._limits = limits
        self._known: dict[str, dict[bytes, int]] = {}
        self._known_bytes = 0
        self._epoch = 0
        self._metadata: dict[tuple[str, str], tuple[str, str]] = {}
        self._reader: SamplesReader | None = None

    def decode_1(self, raw: bytes, tenant: str, received: int) -> Written:
        """Frames of one prometheus.WriteRequest; `received` in nanoseconds.

        Raises
        ------
        BadInput
            The bytes are no such message.
        """
        latest_ms = (received + self._limits.ahead_ns) // MS
        written = self._read(raw, tenant, latest_ms, second=False)
        return self._parse_1(raw, tenant, latest_ms) if written is None else written

    def _read(self, raw: bytes, tenant: str, latest_ms: int, *, second: bool) -> Written | None:
        """What the compiled reader gives, when it is there and the request is plain."""
        if self._reader is None and wire.ready():
            from tocsin.ingest.wire_samples_read import SamplesReader  # noqa: PLC0415 - imports numba: once it is ready

            self._reader = SamplesReader(SOURCE, self._new_1, self._new_2)
        found = None
        if self._reader is not None:
            found = self._reader.samples(raw, tenant, latest_ms, self._identifier.epoch, second=second)
        wire.count("samples", compiled=found is not None)
        if found is None:
            return None
        written = Written(exemplars=found.exemplars)
        if found.frame is not None:
            written.frames.append(found.frame)
            written.samples = len(found.frame)
        return written

    def _new_1(self, raw: bytes, _symbols: list[bytes], tenant: str) -> int:
        series = parse(TimeSeries, raw, "prometheus.TimeSeries")
        return self._resolve(tenant, self._pairs(series.labels), None)

    def _new_2(self, raw: bytes, symbols: list[bytes], tenant: str) -> int:
        series = parse(TimeSeries2, raw, "io.prometheus.write.v2.TimeSeries")
        return self._ref_2(series, symbols, self._series_of(tenant), tenant)

    def _parse_1(self, raw: bytes, tenant: str, latest_ms: int) -> Written:
        """Everything by upb."""
        request = parse(WriteRequest, raw, "prometheus.WriteRequest")
        for metadata in request.metadata:
            self._learn(tenant, metadata)
        try:
            return self._known_series(request, tenant).finish(latest_ms)
        except _UnusualTime:
            rows, known = _Rows(tenant), self._series_of(tenant)
            for series in request.timeseries:
                self._parse_series(series, known, rows)
            return rows.finish(latest_ms)

    def _known_series(self, request: Any, tenant: str) -> _Rows:
        """All series of a request, those that are known without parsing."""
        known = self._series_of(tenant)
        rows = _Rows(tenant)
        refs, samples = rows.refs, rows.samples
        for series in request.timeseries:
            # one sample: tag 2, 16 bytes, value, time; or, when its value is 0 and left out, tag 2, 7 bytes, time
            if series[-18:-15] == b"\x12\x10\x09" and series[-7] == 0x10:
                ref = known.get(series[:-18])
                sample = series[-16:]
            elif series[-9:-6] == b"\x12\x07\x10":
                ref = known.get(series[:-9])
                sample = _NO_SAMPLE + series[-6:]
            else:
                ref = None
            if ref is None:
                self._parse_series(series, known, rows)
            else:
                refs.append(ref)
                samples.append(sample)
        return rows

    def _series_of(self, tenant: str) -> dict[bytes, int]:
        if self._epoch != self._identifier.epoch or self._known_bytes > _KNOWN_BYTES:
            self._known, self._known_bytes, self._epoch = {}, 0, self._identifier.epoch
        return self._known.setdefault(tenant, {})

    def _parse_series(self, raw: bytes, known: dict[bytes, int], rows: _Rows) -> None:
        """A series that is new, or not in the usual form."""
        series = parse(TimeSeries, raw, "prometheus.TimeSeries")
        rows.written.exemplars += len(series.exemplars)
        count = len(series.samples) + len(series.histograms)
        if not count:
            return
        # the labels as a sender of canonical protobuf writes them: only such bytes may be a key
        key = b"".join(b"\x0a" + _varint(len(label)) + label for label in series.labels)
        ref = known.get(key)
        try:
            if ref is None or series.histograms:
                pairs = self._pairs(series.labels)
                hint = series.histograms[0] if series.histograms else None
                ref = self._resolve(rows.tenant, pairs, hint)
                if hint is None:
                    known[key] = ref
                    self._known_bytes += len(key) + 150
        except Unusable as bad:
            rows.refuse(bad.reason, key.decode("utf-8", "replace"), count)
            return
        for sample in series.samples:
            rows.add(ref, sample, 0)
        self._histograms(series.histograms, ref, rows, 0)

    def _pairs(self, labels: Any) -> Pairs:
        if sum(map(len, labels)) > self._limits.label_bytes:
            raise BadSeries("labels_too_large")
        found = []
        for raw in labels:
            try:
                label = parse(Label, raw, "prometheus.Label")
                found.append((label.name.decode(), label.value.decode()))
            except UnicodeDecodeError as bad:
                raise BadSeries("not_utf8") from bad
            except BadInput as bad:
                raise BadSeries("bad_label") from bad
        return tuple(found)

    def _resolve(self, tenant: str, pairs: Pairs, histogram: Any, told: tuple[str, str] | None = None) -> int:
        """Number of the series with these labels; `told` are type and unit from metadata."""
        labels = dict(pairs)
        if len(labels) != len(pairs) or "" in labels:
            raise BadSeries("bad_label")
        name = labels.pop("__name__", "")
        if not name:
            raise BadSeries("no_name")
        metric_type, unit = told or self._metadata_of(tenant, name)
        signal = signal_of(name, metric_type, unit)
        if histogram is not None:
            signal = Signal(name, signal.unit, Kind.HISTOGRAM, cumulative=not is_gauge(histogram))
        # an empty value is the same as no label
        kept = tuple(pair for pair in labels.items() if pair[1])
        return self._identifier.resolve(tenant, SOURCE, signal, kept)

    def _metadata_of(self, tenant: str, name: str) -> tuple[str, str]:
        for one in (name, family(name)):
            if found := self._metadata.get((tenant, one)):
                return found
        return "unknown", ""

    def _learn(self, tenant: str, metadata: Any) -> None:
        name = metadata.metric_family_name.decode("utf-8", "replace")
        if len(self._metadata) < _METADATA_NAMES and 0 <= metadata.type < len(METADATA_TYPES):
            self._metadata[tenant, name] = (
                METADATA_TYPES[metadata.type],
                metadata.unit.decode("utf-8", "replace")[:60],
            )

    def _histograms(self, histograms: Any, ref: int, rows: _Rows, start_ms: int) -> None:
        for histogram in histograms:
            try:
                if not _YEAR_2000_MS <= histogram.timestamp < 1 << 42:
                    raise BadSeries("too_old" if histogram.timestamp < _YEAR_2000_MS else "too_far_ahead")
                rows.native.append(ref, histogram, _start(histogram.start_timestamp or start_ms))
            except Unusable as bad:
                rows.refuse(bad.reason)

    def decode_2(self, raw: bytes, tenant: str, received: int) -> Written:
        """Frames of one io.prometheus.write.v2.Request; `received` in nanoseconds.

        Raises
        ------
        BadInput
            The bytes are no such message, or its first symbol is not empty.
        """
        latest_ms = (received + self._limits.ahead_ns) // MS
        written = self._read(raw, tenant, latest_ms, second=True)
        return self._parse_2(raw, tenant, latest_ms) if written is None else written

    def _parse_2(self, raw: bytes, tenant: str, latest_ms: int) -> Written:
        """Everything by upb."""
        request = parse(Request2, raw, "io.prometheus.write.v2.Request")
        symbols: list[bytes] = list(request.symbols)
        if symbols[:1] != [b""] and request.timeseries:
            raise BadInput("the first symbol of a remote write 2.0 request must be the empty text")
        known = self._series_of(tenant)
        rows = _Rows(tenant)
        for series in request.timeseries:
            self._series_2(series, symbols, known, rows)
        return rows.finish(latest_ms)

    def _series_2(self, series: Any, symbols: list[bytes], known: dict[bytes, int], rows: _Rows) -> None:
        rows.written.exemplars += len(series.exemplars)
        count = len(series.samples) + len(series.histograms)
        if not count:
            return
        try:
            ref = self._ref_2(series, symbols, known, rows.tenant)
        except Unusable as bad:
            rows.refuse(bad.reason, rows=count)
            return
        for sample in series.samples:
            rows.add(ref, sample, _start(sample.start_timestamp or series.created_timestamp))
        self._histograms(series.histograms, ref, rows, series.created_timestamp)

    def _ref_2(self, series: Any, symbols: list[bytes], known: dict[bytes, int], tenant: str) -> int:
        try:
            texts = [symbols[place] for place in series.labels_refs]
            unit = symbols[series.metadata.unit_ref]
        except IndexError as bad:
            raise BadSeries("bad_symbol") from bad
        if len(texts) % 2:
            raise BadSeries("bad_label")
        # 0xff is in no UTF-8 text: these keys can't be taken for labels of 1.0, nor two texts for one
        key = b"\xff" + b"\xff".join(texts)
        ref = known.get(key)
        if ref is not None and not series.histograms:
            return ref
        if sum(map(len, texts)) > self._limits.label_bytes:
            raise BadSeries("labels_too_large")
        try:
            pairs = tuple((name.decode(), value.decode()) for name, value in zip(texts[::2], texts[1::2], strict=True))
        except UnicodeDecodeError as bad:
            raise BadSeries("not_utf8") from bad
        told = None
        if series.HasField("metadata") and 0 < series.metadata.type < len(METADATA_TYPES):
            told = (METADATA_TYPES[series.metadata.type], unit.decode("utf-8", "replace")[:60])
        hint = series.histograms[0] if series.histograms else None
        ref = self._resolve(tenant, pairs, hint, told)
        if hint is None:
            known[key] = ref
            self._known_bytes += len(key) + 150
        return ref


def _start(start_ms: int) -> int:
    """A start in milliseconds, 0 (unknown) when it can't be one."""
    return start_ms if 0 < start_ms < 1 << 42 else 0


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
