"""An example of everything that the compiled readers read; reading it compiles them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tocsin.ingest.identify import Identifier
from tocsin.ingest.limits import Limits
from tocsin.ingest.wire_logs_read import LogsReader
from tocsin.ingest.wire_metrics_read import MetricsReader
from tocsin.ingest.wire_samples_read import SamplesReader
from tocsin.ingest.wire_traces_read import TracesReader
from tocsin.model.errors import TocsinError
from tocsin.model.frame import Frame
from tocsin.model.series import Catalog, Labels

_TIME = 10**18


class _KeepAll:
    """A redactor for texts that are known to hold nothing."""

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames as they are."""
        return list(frames)

    def labels(self, labels: Labels) -> Labels:
        """The labels as they are."""
        return labels


class UnreadExample(TocsinError):
    """A compiled reader does not read what it was made for."""

    code = "unread_example"


def metrics_example() -> bytes:
    """A request with a metric of each kind."""
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    of_resource.resource.attributes.add(key="service.name").value.string_value = "example"
    metrics = of_resource.scope_metrics.add().metrics
    metrics.add(name="g", unit="1").gauge.data_points.add(time_unix_nano=_TIME, as_double=1.0)
    total = metrics.add(name="s").sum
    total.aggregation_temporality, total.is_monotonic = 2, True  # type: ignore[assignment]  # an enum's number
    total.data_points.add(time_unix_nano=_TIME, as_int=1).attributes.add(key="k").value.string_value = "v"
    explicit = metrics.add(name="h").histogram
    explicit.aggregation_temporality = 1  # type: ignore[assignment]
    explicit.data_points.add(time_unix_nano=_TIME, count=3, bucket_counts=[1, 2], explicit_bounds=[1.0])
    exponential = metrics.add(name="e").exponential_histogram
    exponential.aggregation_temporality = 1  # type: ignore[assignment]
    exponential.data_points.add(time_unix_nano=_TIME, count=2, scale=2).positive.bucket_counts.extend([2])
    return request.SerializeToString()


def samples_examples() -> tuple[bytes, bytes]:
    """A request of remote write 1.0 and one of 2.0, each with one series of one sample."""
    labels = b"\x0a\x12\x0a\x08__name__\x12\x06metric"
    sample = b"\x09" + bytes(8) + b"\x10\x80\x80\xd7\xb3\x91\x1d"  # 10**12 ms
    message = labels + bytes([0x12, len(sample)]) + sample
    symbols = b"\x22\x00\x22\x08__name__\x22\x06metric"
    message_2 = b"\x0a\x02\x01\x02" + bytes([0x12, len(sample)]) + sample
    return bytes([0x0A, len(message)]) + message, symbols + bytes([0x2A, len(message_2)]) + message_2


def _read_samples() -> None:
    reader = SamplesReader("example", lambda _raw, _symbols, _tenant: 1, lambda _raw, _symbols, _tenant: 1)
    for second, body in enumerate(samples_examples() * 2):
        found = reader.samples(body, "main", _TIME, 0, second=second % 2 == 1)
        if found is None or found.frame is None:
            raise UnreadExample("the compiled reader of remote write does not read its example; upb reads instead")


def _pairs(attributes: Any) -> None:
    attributes.add(key="text").value.string_value = "v"
    attributes.add(key="number").value.int_value = 7
    attributes.add(key="truth").value.bool_value = True
    attributes.add(key="double").value.double_value = 0.5


def traces_example() -> bytes:
    """A request with spans of two services."""
    request = ExportTraceServiceRequest()
    for service in ("a", "b"):
        of_resource = request.resource_spans.add()
        of_resource.resource.attributes.add(key="service.name").value.string_value = service
        span = of_resource.scope_spans.add().spans.add(name="s", trace_id=b"t" * 16, span_id=b"s" * 8)
        span.start_time_unix_nano = span.end_time_unix_nano = _TIME
        _pairs(span.attributes)
    return request.SerializeToString()


def logs_example() -> bytes:
    """A request with log records of two services."""
    request = ExportLogsServiceRequest()
    for service in ("a", "b"):
        of_resource = request.resource_logs.add()
        of_resource.resource.attributes.add(key="service.name").value.string_value = service
        record = of_resource.scope_logs.add().log_records.add(time_unix_nano=_TIME)
        record.body.string_value = "text"
        _pairs(record.attributes)
    return request.SerializeToString()


def _source(_tenant: str, door: str, name: str) -> str:
    return f"{door}/{name}"


def _read_rows() -> None:
    limits = Limits()
    spans = TracesReader(_source, limits, lambda _events: "[]").read(traces_example(), "main", _TIME)
    logs = LogsReader(_source, limits).read(logs_example(), "main", _TIME)
    if spans is None or logs is None or len(spans) + len(logs) != 4:
        raise UnreadExample("the compiled readers of spans and logs do not read their examples; upb reads instead")


def read_all() -> None:
    """Read each example twice: once with everything new, once with everything known.

    Raises
    ------
    UnreadExample
        One of them is not read.
    """
    limits = Limits()
    identifier = Identifier(Catalog(), _KeepAll(), limits)
    reader = MetricsReader(identifier, _source, limits)
    for _ in range(2):
        frames = reader.frames(metrics_example(), "main", _TIME)
        if frames is None or sum(map(len, frames)) != 4:
            raise UnreadExample("the compiled reader of OTLP metrics does not read its example; upb reads instead")
    _read_samples()
    _read_rows()
