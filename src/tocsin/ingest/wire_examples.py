"""An example of everything that the compiled readers read; reading it compiles them."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tocsin.ingest.identify import Identifier
from tocsin.ingest.limits import Limits
from tocsin.ingest.wire_metrics_read import MetricsReader
from tocsin.model.errors import TocsinError
from tocsin.model.frame import Frame
from tocsin.model.series import Catalog, Labels

_TIME = 10**18


class _KeepAll:
    """A redactor for texts that are known to hold nothing."""

    def frame(self, frame: Frame) -> Frame:
        """The frame as it is."""
        return frame

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


def read_all() -> None:
    """Read each example twice: once with everything new, once with everything known.

    Raises
    ------
    UnreadExample
        One of them is not read.
    """
    limits = Limits()
    identifier = Identifier(Catalog(), _KeepAll(), limits)
    reader = MetricsReader(identifier, lambda _tenant, door, name: f"{door}/{name}", limits)
    for _ in range(2):
        frames = reader.frames(metrics_example(), "main", _TIME)
        if frames is None or sum(map(len, frames)) != 4:
            raise UnreadExample("the compiled reader of OTLP metrics does not read its example; upb reads instead")
