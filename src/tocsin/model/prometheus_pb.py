"""Messages of Prometheus remote write 1.0 and 2.0, taken and sent, built at import from their published field numbers.

Doubles are declared `fixed64`, which is the same on the wire: the bits of a NaN tell a stale marker from a value,
and no float conversion may touch them. Texts are declared `bytes`, so that bad UTF-8 costs one series only.
Sources: prompb/remote.proto, prompb/types.proto and prompb/io/prometheus/write/v2/types.proto of Prometheus.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from tocsin.model.errors import BadInput

STALE_BITS = 0x7FF0000000000002
"""Bits of the NaN by which Prometheus says that a series has ended; no other NaN means that."""

_HISTOGRAM = (
    "1 count_int uint64, 2 count_float fixed64, 3 sum fixed64, 4 schema sint32, 5 zero_threshold fixed64, "
    "6 zero_count_int uint64, 7 zero_count_float fixed64, 8 negative_spans BucketSpan*, 9 negative_deltas sint64*, "
    "10 negative_counts fixed64*, 11 positive_spans BucketSpan*, 12 positive_deltas sint64*, "
    "13 positive_counts fixed64*, 14 reset_hint int32, 15 timestamp int64, 16 custom_values fixed64*, "
    "17 start_timestamp int64"
)
# `*` is repeated; a name with a capital is another message of this table
_MESSAGES = {
    "Sample": "1 value fixed64, 2 timestamp int64, 3 start_timestamp int64",
    "BucketSpan": "1 offset sint32, 2 length uint32",
    "Histogram": _HISTOGRAM,
    "Label": "1 name bytes, 2 value bytes",
    "TimeSeries": "1 labels bytes*, 2 samples Sample*, 3 exemplars bytes*, 4 histograms Histogram*",
    "MetricMetadata": "1 type int32, 2 metric_family_name bytes, 4 help bytes, 5 unit bytes",
    "WriteRequest": "1 timeseries bytes*, 3 metadata MetricMetadata*",
    "Metadata2": "1 type int32, 3 help_ref uint32, 4 unit_ref uint32",
    "TimeSeries2": (
        "1 labels_refs uint32*, 2 samples Sample*, 3 histograms Histogram*, 4 exemplars bytes*, "
        "5 metadata Metadata2, 6 created_timestamp int64"
    ),
    "Request2": "4 symbols bytes*, 5 timeseries TimeSeries2*",
}
_NUMBERS = ("fixed64", "sint64", "uint32")
_PACKAGE = "tocsin.remote_write"


def _build() -> dict[str, Any]:
    field_type = descriptor_pb2.FieldDescriptorProto
    # proto2, because its optional fields tell absent from zero: needed for the oneofs of Histogram
    file = descriptor_pb2.FileDescriptorProto(name="tocsin/remote_write.proto", package=_PACKAGE, syntax="proto2")
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for text in fields.split(", "):
            number, name, kind = text.split(" ")
            many = kind.endswith("*")
            kind = kind.rstrip("*")
            field = message.field.add(
                name=name, number=int(number), label=field_type.LABEL_REPEATED if many else field_type.LABEL_OPTIONAL
            )
            if many and kind in _NUMBERS:
                field.options.packed = True  # as proto3 has it
            if kind in _MESSAGES:
                field.type, field.type_name = field_type.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = field_type.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_CLASSES = _build()
Label = _CLASSES["Label"]
Sample = _CLASSES["Sample"]
TimeSeries = _CLASSES["TimeSeries"]
TimeSeries2 = _CLASSES["TimeSeries2"]
WriteRequest = _CLASSES["WriteRequest"]
Request2 = _CLASSES["Request2"]


def parse(message: Any, raw: bytes, what: str) -> Any:
    """One message from its bytes.

    Raises
    ------
    BadInput
        The bytes are no such message.
    """
    try:
        return message.FromString(raw)
    except DecodeError as bad:
        raise BadInput(f"the body, {len(raw)} bytes after snappy, is not {what}: {str(bad)[:100]}") from bad
