"""Requests bent at random, read by the compiled readers and by upb: both must say the same."""

import os
import random
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import prometheus_wire
from ingest_world import NOW, World, set_pairs
from tocsin.ingest import wire
from tocsin.ingest.otlp_json import protobuf_of
from tocsin.ingest.otlp_logs import LogsDecoder
from tocsin.ingest.otlp_metrics import MetricsDecoder
from tocsin.ingest.otlp_traces import TracesDecoder
from tocsin.ingest.remote_write_decode import RemoteWriteDecoder, Written
from tocsin.model.clock import SECOND
from tocsin.model.errors import BadInput

TEXTS = ["", "a", "cpu", "http.method", "GET", "grün", "\U0001f600", "x" * 40, "region"]
NUMBERS = [0.0, -0.0, 1.5, float("nan"), float("inf"), -3.0, 1e300]
TIMES = [NOW, NOW - SECOND, NOW + 1, NOW + 599 * SECOND]


def some_pairs(rng, most=4):
    values = [*TEXTS, 7, -1, 2**40, True, False, 2.5, b"raw", 1e22]
    keys = TEXTS if rng.random() < 0.02 else TEXTS[1:]
    return {rng.choice(keys): rng.choice(values) for _ in range(rng.randint(0, most))}


def random_metrics(rng):
    """A request with everything that a metric can be."""
    request = ExportMetricsServiceRequest()
    for _ in range(rng.randint(0, 3)):
        of_resource = request.resource_metrics.add(schema_url=rng.choice(["", "url"]))
        if rng.random() < 0.9:
            set_pairs(of_resource.resource.attributes, {"service.name": rng.choice("abc")} | some_pairs(rng, 2))
        for _ in range(rng.randint(0, 2)):
            scope = of_resource.scope_metrics.add()
            if rng.random() < 0.5:
                scope.scope.name = "scope"
            for _ in range(rng.randint(0, 4)):
                _metric(rng, scope.metrics.add(name=rng.choice(TEXTS[1:]), unit=rng.choice(["", "1", "ms"])))
    return request.SerializeToString()


def _metric(rng, metric):
    if rng.random() < 0.2:
        metric.description = "what it is"
    which = rng.choice(["gauge", "sum", "histogram", "exponential_histogram", "gauge", "sum"])
    if rng.random() < 0.03:
        which = "summary"
    data = getattr(metric, which)
    data.SetInParent()
    if which not in {"gauge", "summary"}:
        data.aggregation_temporality = rng.choice([1, 2]) if rng.random() < 0.97 else 0
    if which == "sum":
        data.is_monotonic = rng.random() < 0.5
    for _ in range(rng.randint(0, 4)):
        time = rng.choice(TIMES) if rng.random() < 0.98 else rng.choice([0, 5, NOW * 2, 2**63 + 5])
        point = data.data_points.add(time_unix_nano=time)
        set_pairs(point.attributes, some_pairs(rng))
        if rng.random() < 0.3:
            point.start_time_unix_nano = rng.choice([1, NOW, 2**64 - 1])
        if rng.random() < 0.1:
            point.flags = rng.choice([1, 2, 3, 2**32 - 1])
        {"gauge": _number, "sum": _number, "summary": _summary}.get(which, _histogram)(rng, point)


def _number(rng, point):
    if rng.random() < 0.05:
        point.exemplars.add(as_double=1.0)
    match rng.randint(0, 40):
        case 0:
            return
        case pick if pick < 20:
            point.as_int = rng.choice([0, 1, -1, 2**53 + 1, -(2**63)])
        case _:
            point.as_double = rng.choice(NUMBERS)


def _summary(rng, point):
    point.count = 3
    point.quantile_values.add(quantile=0.5, value=rng.choice(NUMBERS))


def _histogram(rng, point):
    point.count = rng.choice([0, 3, 2**64 - 1])
    for name in ("sum", "min", "max"):
        if rng.random() < 0.5:
            setattr(point, name, rng.choice(NUMBERS))
    if hasattr(point, "scale"):
        point.scale = rng.choice([0, 3, 20, -10]) if rng.random() < 0.97 else 21
        point.zero_count = rng.choice([0, 5])
        for side in (point.positive, point.negative):
            side.offset = rng.choice([0, -3, 1000])
            side.bucket_counts.extend(rng.choice([0, 1, 300, 2**50]) for _ in range(rng.randint(0, 4)))
    elif rng.random() < 0.8:
        bounds = sorted({rng.choice([0.1, 1.0, 2.0, 5.0, -1.0]) for _ in range(rng.randint(0, 4))})
        if rng.random() < 0.05:
            bounds += [rng.choice([0.0, float("inf"), float("nan")])]
        point.explicit_bounds.extend(bounds)
        point.bucket_counts.extend(rng.choice([0, 1, 2**60]) for _ in range(len(bounds) + 1))


def bent(rng, raw):
    """The request with a few of its bytes changed, taken away, put in or moved."""
    body = bytearray(raw)
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(body))
        match rng.randint(0, 5):
            case 0:
                body[at : at + 1] = bytes([rng.randint(0, 255)])
            case 1:
                del body[at : at + rng.randint(1, 9)]
            case 2:
                body[at:at] = rng.randbytes(rng.randint(1, 9))
            case 3 if at < len(body):
                body[at] ^= 1 << rng.randint(0, 7)
            case 4:
                body[at:at] = body[at : at + rng.randint(1, 40)]
            case _:
                del body[at:]
    return bytes(body)


def fixtures(make):
    """The published examples of a signal, where the data sets are."""
    datasets = os.environ.get("TOCSIN_DATASETS")
    name, signal = EXAMPLES.get(make, ("", ""))
    if not datasets or not name:
        return []
    text = (Path(datasets) / "otlp_examples" / name).read_bytes()
    return [protobuf_of(text, signal, 100)]


def inputs(rng, make, share_bent=0.6):
    """Endless requests, whole and bent."""
    examples = fixtures(make)
    while True:
        raw = rng.choice(examples) if examples and rng.random() < 0.1 else make(rng)
        yield raw
        while rng.random() < share_bent:
            yield bent(rng, raw)


def random_traces(rng):
    """A request with everything that a span can have."""
    request = ExportTraceServiceRequest()
    for _ in range(rng.randint(0, 3)):
        of_resource = request.resource_spans.add(schema_url=rng.choice(["", "url"]))
        if rng.random() < 0.9:
            set_pairs(of_resource.resource.attributes, {"service.name": rng.choice("abc")} | some_pairs(rng, 2))
        for _ in range(rng.randint(0, 2)):
            scope = of_resource.scope_spans.add()
            if rng.random() < 0.7:
                scope.scope.name = rng.choice(TEXTS)
            for _ in range(rng.randint(0, 3)):
                _span(rng, scope.spans.add(name=rng.choice(TEXTS), kind=rng.randint(0, 7)))
    return request.SerializeToString()


def _span(rng, span):
    span.trace_id = rng.randbytes(16) if rng.random() < 0.99 else rng.choice([b"", b"short", bytes(16)])
    span.span_id = rng.randbytes(8) if rng.random() < 0.99 else rng.choice([b"", b"short", bytes(8)])
    span.parent_span_id = rng.choice([b"", rng.randbytes(8), bytes(8)])
    span.start_time_unix_nano, span.end_time_unix_nano = rng.choice(TIMES), rng.choice(TIMES)
    if rng.random() < 0.01:
        span.end_time_unix_nano = rng.choice([0, 2**63 + 1])
    set_pairs(span.attributes, some_pairs(rng))
    if rng.random() < 0.5:
        span.status.code = rng.randint(0, 3)
        span.status.message = rng.choice(TEXTS)
    if rng.random() < 0.2:
        span.flags, span.trace_state, span.dropped_attributes_count = 257, "a=b", 300
        span.links.add(trace_id=bytes(16))
    if rng.random() < 0.2:
        event = span.events.add(name=rng.choice(TEXTS), time_unix_nano=rng.choice(TIMES))
        set_pairs(event.attributes, some_pairs(rng, 2))
    if rng.random() < 0.1:
        span.attributes.add(key="list").value.array_value.values.add().int_value = 3
        span.attributes.add(key="none")


def random_logs(rng):
    """A request with everything that a log record can have."""
    request = ExportLogsServiceRequest()
    for _ in range(rng.randint(0, 3)):
        of_resource = request.resource_logs.add()
        if rng.random() < 0.9:
            set_pairs(of_resource.resource.attributes, {"service.name": rng.choice("abc")} | some_pairs(rng, 2))
        for _ in range(rng.randint(0, 2)):
            records = of_resource.scope_logs.add().log_records
            for _ in range(rng.randint(0, 3)):
                _record(rng, records.add())
    return request.SerializeToString()


def _record(rng, record):
    times = TIMES if rng.random() < 0.98 else [5, 2**63 + 1]
    record.time_unix_nano, record.observed_time_unix_nano = rng.choice([0, *times]), rng.choice([0, *times])
    record.severity_number, record.severity_text = rng.randint(0, 24), rng.choice(["", "WARN", "grün"])
    record.event_name = rng.choice(["", "event"])
    record.trace_id = rng.choice([b"", rng.randbytes(16)])
    record.span_id = rng.choice([b"", rng.randbytes(8)]) if rng.random() < 0.99 else b"short"
    if rng.random() < 0.8:
        record.body.string_value = rng.choice(TEXTS)
    elif rng.random() < 0.5:
        set_pairs(record.body.kvlist_value.values, some_pairs(rng))
    if rng.random() < 0.2:
        record.flags, record.dropped_attributes_count = 1, 3
    set_pairs(record.attributes, some_pairs(rng))


def random_writes(rng):
    """A request of remote write: first byte the version, then the body."""
    second = rng.random() < 0.5
    build, body = prometheus_wire.Request2(), b""
    for _ in range(rng.randint(0, 5)):
        samples = b"".join(prometheus_wire.blob(2, _sample(rng, second)) for _ in range(rng.choice([0, 1, 1, 1, 3])))
        if rng.random() < 0.05:
            samples += prometheus_wire.blob(4 if second else 3, b"exemplar")
        labels = {"__name__": rng.choice(["up", "cpu_total", "m"])} if rng.random() < 0.98 else {}
        labels |= {rng.choice(TEXTS[1:]): rng.choice(TEXTS) for _ in range(rng.randint(0, 3))}
        if second:
            if rng.random() < 0.2:
                samples += prometheus_wire.integer(6, rng.choice([1, START, 2**63]))
            build.add(labels, samples, kind=rng.choice([0, 0, 1, 2]), unit=rng.choice(["", "s"]))
        else:
            body += prometheus_wire.series_1(labels, more=samples)
    if not second and rng.random() < 0.03:
        body += prometheus_wire.metadata_1("m", 1, "s")
    return b"\2" + build.raw() if second else b"\1" + body


START = prometheus_wire.NOW_MS - 1000


def _sample(rng, second):
    time = prometheus_wire.NOW_MS - rng.choice([0, 0, 0, 15000])
    if rng.random() < 0.02:
        time = rng.choice([0, -1, 2**45, 7])
    value = prometheus_wire.STALE if rng.random() < 0.1 else rng.choice(NUMBERS)
    start = rng.choice([0, START, 2**50]) if second and rng.random() < 0.2 else 0
    return prometheus_wire.sample(value, time, start)


class _Writes:
    """A remote-write decoder under the names of the others."""

    def __init__(self, edge):
        self._decoder = RemoteWriteDecoder(edge.identifier, edge.limits)

    def decode(self, raw, tenant, _now):
        decode = self._decoder.decode_2 if raw[:1] == b"\2" else self._decoder.decode_1
        return decode(raw[1:], tenant, NOW_WRITES)

    def _parse(self, raw, tenant, _now):
        parse = self._decoder._parse_2 if raw[:1] == b"\2" else self._decoder._parse_1
        return parse(raw[1:], tenant, (NOW_WRITES + self._decoder._limits.ahead_ns) // 10**6)


NOW_WRITES = prometheus_wire.NOW_MS * 10**6


class Pair:
    """The same decoder twice, each with a world of its own: one may use the compiled readers, the other never does."""

    def __init__(self, make, **limits):
        self._made = make, limits
        self.worlds = World(**limits), World(**limits)
        self.compiled, self.upb = (make(world.edge) for world in self.worlds)

    def agree(self, raw):
        """Assert that both give the same; gives whether the compiled reader read it."""
        first = _said(lambda: self.compiled.decode(raw, "main", NOW))
        second = _said(lambda: self.upb._parse(raw, "main", NOW))
        assert_same(first, second)
        ours, theirs = (world.catalog.since(0) for world in self.worlds)
        if isinstance(first, str) and len(ours) != len(theirs):
            # remote write may number series before it comes to what makes it refuse the request; nothing refers to them
            self.__init__(self._made[0], **self._made[1])
            return
        assert ours[-1:] == theirs[-1:]
        assert len(ours) == len(theirs)


def metrics_decoder(edge):
    return MetricsDecoder(edge.identifier, edge.source_name, edge.limits)


def traces_decoder(edge):
    return TracesDecoder(edge.source_name, edge.limits)


def logs_decoder(edge):
    return LogsDecoder(edge.source_name, edge.limits)


def samples_decoder(edge):
    return _Writes(edge)


def _said(decode):
    try:
        return decode()
    except BadInput as bad:
        return str(bad)


def assert_same(first, second):
    """Same refusals, and frames with the same bits."""
    if isinstance(first, str) or isinstance(second, str):
        # remote write names the first series that it can't parse, known series come unparsed: numbers may differ
        assert re.sub(r"\d+", "n", str(first)) == re.sub(r"\d+", "n", str(second))
        return
    if isinstance(first, Written):
        assert (first.samples, first.histograms, first.exemplars, first.message(), first.refusals.counts) == (
            *(second.samples, second.histograms, second.exemplars, second.message(), second.refusals.counts),
        )
        first, second = (
            SimpleNamespace(frames=one.frames, rejected=0, reasons=0, message=0) for one in (first, second)
        )
    assert (first.rejected, first.reasons, first.message) == (second.rejected, second.reasons, second.message)
    assert len(first.frames) == len(second.frames)
    for one, other in zip(first.frames, second.frames, strict=True):
        assert (one.kind, one.tenant, one.source, len(one)) == (other.kind, other.tenant, other.source, len(other))
        assert one.batch.schema.equals(other.batch.schema)
        one.batch.validate(full=True)
        for name, a, b in zip(one.batch.schema.names, one.batch.columns, other.batch.columns, strict=True):
            assert same_bits(a, b), f"{name}: {a} and {b}"


def same_bits(a, b):
    """Whether two arrays hold the same, NaN being itself."""
    if a.equals(b):
        return True
    if pa.types.is_list(a.type):
        return a.offsets.to_pylist() == b.offsets.to_pylist() and same_bits(a.flatten(), b.flatten())
    if not pa.types.is_float64(a.type) or a.null_count or b.null_count:
        return False
    return np.array_equal(a.to_numpy().view("i8"), b.to_numpy().view("i8"))


def check_bounds():
    """Assert that an index out of bounds is found in compiled code (NUMBA_BOUNDSCHECK)."""
    from tocsin.ingest.wire_bytes import word_at

    try:
        word_at(np.zeros(4, "u1"), 0)
    except IndexError:
        return
    raise AssertionError("indices are not checked")


def soak(seed, count, make, decoder):
    """Compare so many inputs; gives how many of them the compiled reader read."""
    wire.compile_readers()
    rng = random.Random(seed)
    read = before = _read_total()
    pair = Pair(decoder)
    for number, raw in enumerate(inputs(rng, make)):
        if number >= count:
            break
        if number % 2000 == 1999:
            pair = Pair(decoder)
        try:
            pair.agree(raw)
        except AssertionError as differ:
            raise AssertionError(f"input {number} of seed {seed}, {raw.hex()}: {differ}") from differ
    read = _read_total() - before
    return int(read)


def _read_total():
    return sum(
        sample.value
        for metric in wire._READ.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["reader"] == "compiled"
    )


EXAMPLES = {
    random_metrics: ("metrics.json", "metrics"),
    random_traces: ("trace.json", "traces"),
    random_logs: ("logs.json", "logs"),
}
WORLDS = {
    "metrics": (random_metrics, metrics_decoder),
    "traces": (random_traces, traces_decoder),
    "logs": (random_logs, logs_decoder),
    "samples": (random_writes, samples_decoder),
}
"""What is compared: how requests are made, and what decodes them."""
