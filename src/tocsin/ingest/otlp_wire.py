"""Messages to read OTLP with: the published ones, with text and attributes left as the bytes they are.

Text as bytes lets one bad string refuse one point instead of the request, and the raw bytes of attributes
are the key of the identity cache, so that known attributes are never parsed. The field numbers come from
the published descriptors. A singular message field (resource, body) is read as repeated bytes: the pieces
joined parse to what protobuf's merging of repeated occurrences would give.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from tocsin.model.errors import BadInput

_RAW = {
    ".opentelemetry.proto.common.v1.KeyValue",
    ".opentelemetry.proto.common.v1.AnyValue",
    ".opentelemetry.proto.common.v1.InstrumentationScope",
    ".opentelemetry.proto.resource.v1.Resource",
}
_UNREAD = {"exemplars", "links", "description", "metadata", "schema_url"}


def _loosen(messages: Iterable[DescriptorProto]) -> None:
    for message in messages:
        kept = [entry for entry in message.field if entry.name not in _UNREAD]
        del message.field[:]
        message.field.extend(kept)
        for entry in message.field:
            if entry.type == FieldDescriptorProto.TYPE_STRING:
                entry.type = FieldDescriptorProto.TYPE_BYTES
            elif entry.type_name in _RAW:
                entry.type = FieldDescriptorProto.TYPE_BYTES
                entry.ClearField("type_name")
                entry.label = FieldDescriptorProto.LABEL_REPEATED
        _loosen(message.nested_type)


def _reader(files: list[FileDescriptor], *names: str) -> list[Any]:
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        _loosen(proto.message_type)
        wanted = {other.name for other in files}
        kept = [name for name in proto.dependency if name in wanted]
        del proto.dependency[:], proto.service[:]
        proto.dependency.extend(kept)
        pool.Add(proto)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names]


MetricsRequest: Any
TraceRequest: Any
Span: Any
LogsRequest: Any
(MetricsRequest,) = _reader(
    [metrics_pb2.DESCRIPTOR, metrics_service_pb2.DESCRIPTOR],
    "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest",
)
TraceRequest, Span = _reader(
    [trace_pb2.DESCRIPTOR, trace_service_pb2.DESCRIPTOR],
    "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
    "opentelemetry.proto.trace.v1.Span",
)
(LogsRequest,) = _reader(
    [logs_pb2.DESCRIPTOR, logs_service_pb2.DESCRIPTOR],
    "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest",
)


def parse(request: Any, body: bytes) -> Any:
    """Parse a request body.

    Raises
    ------
    BadInput
        The bytes are not a message of this type.
    """
    try:
        return request.FromString(body)
    except DecodeError as bad:
        name = request.DESCRIPTOR.name
        raise BadInput(f"the body is not an OTLP {name} in protobuf: {str(bad)[:200]}") from bad
