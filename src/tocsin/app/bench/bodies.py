"""Requests to load a server with: encoded once as a template, then stamped with new times, values and ids."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cramjam
import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tocsin.model.arrays import F8

SECOND = 1_000_000_000
STEP_NS = 10 * SECOND
SERIES_PER_SERVICE = 100
OTLP_HEADERS = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
REMOTE_WRITE_HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}
_GZIP_LEVEL = 6  # what the Collector's exporter and the SDKs use
_TIME = 0x1122334455667788  # stands in templates where a time goes
_START = 0x1122334455667787
_VALUE = struct.unpack("<d", b"\x01\x02\x03\x04\x05\x06\x07\x41")[0]
_HEAD = struct.Struct("<IIHII")
_MILLIS = (1 << 41) - 1 - 0x155  # six bytes as a varint, as all times of this age have


@dataclass(frozen=True, slots=True)
class Body:
    """One request: over which connection it goes, in which turn, where to, and how many rows it holds."""

    lane: int
    turn: int
    path: str
    rows: int
    content: bytes


class Template:
    """Encoded bytes in which eight-byte stand-ins are exchanged."""

    def __init__(self, raw: bytes, rows: int) -> None:
        self.rows = rows
        self._raw: NDArray[np.uint8] = np.frombuffer(raw, np.uint8)
        self._time = _places(raw, struct.pack("<Q", _TIME))
        self._start = _places(raw, struct.pack("<Q", _START))
        self._value = _places(raw, struct.pack("<d", _VALUE))
        self._millis = _places(raw, _varint(_MILLIS))

    def stamped(self, time_ns: int, value: F8) -> bytes:
        """The request at a time, with values of shape (rows,); half a millisecond lies between span start and end."""
        raw = self._raw.copy()
        for places, at in ((self._time, time_ns), (self._start, time_ns - SECOND // 2_000)):
            raw[places[:, None] + np.arange(8)] = np.frombuffer(struct.pack("<Q", at), np.uint8)
        if len(self._value):
            raw[self._value[:, None] + np.arange(8)] = value.astype("<f8").view(np.uint8).reshape(-1, 8)
        if len(self._millis):
            raw[self._millis[:, None] + np.arange(6)] = np.frombuffer(_varint(time_ns // 1_000_000), np.uint8)
        return raw.tobytes()


def _places(raw: bytes, pattern: bytes) -> NDArray[np.intp]:
    found = []
    at = raw.find(pattern)
    while at >= 0:
        found.append(at)
        at = raw.find(pattern, at + len(pattern))
    return np.array(found, np.intp)


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def _set(attributes: Any, pairs: dict[str, str]) -> None:
    for key, value in pairs.items():
        attributes.add(key=key).value.string_value = value


def metric_templates(series: int, per_request: int) -> list[Template]:
    """Gauges of services, as many points a request as asked."""
    found = []
    for first in range(0, series, per_request):
        request = ExportMetricsServiceRequest()
        numbers = range(first, min(first + per_request, series))
        for start in range(numbers.start, numbers.stop, SERIES_PER_SERVICE):
            of_resource = request.resource_metrics.add()
            _set(of_resource.resource.attributes, _resource(start // SERIES_PER_SERVICE))
            metric = of_resource.scope_metrics.add().metrics.add(name="bench.queue.depth", unit="1")
            for number in range(start, min(start + SERIES_PER_SERVICE, numbers.stop)):
                point = metric.gauge.data_points.add(time_unix_nano=_TIME, as_double=_VALUE)
                _set(point.attributes, {"shard": f"shard-{number % SERIES_PER_SERVICE}", "region": "eu-west-1"})
        found.append(Template(request.SerializeToString(), len(numbers)))
    return found


def _resource(service: int) -> dict[str, str]:
    return {"service.name": f"bench-{service}", "service.version": "1.4.2", "host.name": f"node-{service % 50}"}


def span_template(rows: int, request_number: int) -> Template:
    """Server spans with the attributes that HTTP instrumentation gives; ids differ from request to request."""
    request = ExportTraceServiceRequest()
    for start in range(0, rows, 100):
        of_resource = request.resource_spans.add()
        _set(of_resource.resource.attributes, _resource(start // 100))
        spans = of_resource.scope_spans.add().spans
        for number in range(start, min(start + 100, rows)):
            span = spans.add(name=f"GET /item/{number % 20}", kind=2)
            span.trace_id = struct.pack("<QQ", request_number + 1, number // 4)
            span.span_id = struct.pack("<II", request_number + 1, number + 1)
            span.start_time_unix_nano, span.end_time_unix_nano = _START, _TIME
            _set(
                span.attributes,
                {"http.request.method": "GET", "http.route": f"/item/{number % 20}", "url.scheme": "http",
                 "http.response.status_code": "200", "server.address": "shop.example.org"},
            )  # fmt: skip
    return Template(request.SerializeToString(), rows)


def log_template(rows: int, request_number: int) -> Template:
    """Log records of usual length, with attributes and trace ids."""
    request = ExportLogsServiceRequest()
    for start in range(0, rows, 100):
        of_resource = request.resource_logs.add()
        _set(of_resource.resource.attributes, _resource(start // 100))
        records = of_resource.scope_logs.add().log_records
        for number in range(start, min(start + 100, rows)):
            record = records.add(time_unix_nano=_TIME, severity_number=9, severity_text="INFO")
            record.trace_id = struct.pack("<QQ", request_number + 1, number)
            record.body.string_value = (
                f"request {request_number}/{number} to /item/{number % 20} answered 200 after {number % 97} ms"
            )
            _set(record.attributes, {"logger.name": "shop.http", "thread.name": f"worker-{number % 8}"})
    return Template(request.SerializeToString(), rows)


def write_templates(series: int, per_request: int) -> list[Template]:
    """Remote write 1.0: gauges with the labels that a scraped exporter has."""
    found = []
    for first in range(0, series, per_request):
        numbers = range(first, min(first + per_request, series))
        raw = b""
        for number in numbers:
            labels = {
                "__name__": "bench_queue_depth",
                "instance": f"10.0.{number // 25_000}.{number // SERIES_PER_SERVICE % 250}:9100",
                "job": "bench",
                "region": "eu-west-1",
                "shard": f"shard-{number % SERIES_PER_SERVICE}",
            }
            pairs = b"".join(_blob(1, _blob(1, k.encode()) + _blob(2, v.encode())) for k, v in labels.items())
            sample = b"\x09" + struct.pack("<d", _VALUE) + b"\x10" + _varint(_MILLIS)
            raw += _blob(1, pairs + _blob(2, sample))
        found.append(Template(raw, len(numbers)))
    return found


def _blob(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def readings(rounds: int, rows: int, salt: int) -> F8:
    """Values of shape (rounds, rows): a level per series with noise; the same on every machine."""
    rng = np.random.default_rng(salt)
    level = rng.uniform(10.0, 1000.0, rows)
    found: F8 = level * (1.0 + 0.05 * rng.standard_normal((rounds, rows)))
    return found


def series_bodies(
    templates: Sequence[Template], path: str, lanes: int, rounds: int, until_ns: int, *, snappy: bool
) -> Iterator[Body]:
    """Round after round, 10 s apart and ending at `until_ns`; a series keeps to one connection and so to its order."""
    values = [readings(rounds, template.rows, number) for number, template in enumerate(templates)]
    for turn in range(rounds):
        at = until_ns - (rounds - 1 - turn) * STEP_NS
        for number, template in enumerate(templates):
            raw = template.stamped(at, values[number][turn])
            content = bytes(cramjam.snappy.compress_raw(raw)) if snappy else gzip.compress(raw, _GZIP_LEVEL)
            yield Body(number % lanes, turn, path, template.rows, content)


def event_bodies(kind: str, rows: int, per_request: int, lanes: int, span_s: float, until_ns: int) -> Iterator[Body]:
    """Spans or logs, evenly spread over `span_s` of event time that ends at `until_ns`."""
    make = span_template if kind == "traces" else log_template
    requests = -(-rows // per_request)
    for number in range(requests):
        at = until_ns - round(span_s * SECOND * (requests - 1 - number) / max(1, requests - 1))
        held = min(per_request, rows - number * per_request)
        raw = make(held, number).stamped(at, np.zeros(0))
        yield Body(number % lanes, number // lanes, f"/v1/{kind}", held, gzip.compress(raw, _GZIP_LEVEL))


def store_bodies(path: Path, bodies: Sequence[Body]) -> None:
    """Write requests to a file, for the process that sends them."""
    with path.open("wb") as file:
        for body in bodies:
            to = body.path.encode()
            file.write(_HEAD.pack(body.lane, body.turn, len(to), body.rows, len(body.content)) + to + body.content)


def load_bodies(path: Path) -> Iterator[Body]:
    """Read what `store_bodies` wrote."""
    raw = path.read_bytes()
    at = 0
    while at < len(raw):
        lane, turn, path_bytes, rows, size = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        to = raw[at : at + path_bytes].decode()
        at += path_bytes
        yield Body(lane, turn, to, rows, raw[at : at + size])
        at += size
