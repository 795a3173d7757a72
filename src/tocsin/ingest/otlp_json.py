"""OTLP in JSON -> the same request in protobuf, so that one decoder reads both."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, TypeAlias

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tocsin.model.errors import BadInput

Json: TypeAlias = Any

REQUESTS: dict[str, type[Message]] = {
    "metrics": ExportMetricsServiceRequest,
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
}
_IDS = {"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"}
_WITH_IDS = {
    "resourceSpans",
    "resource_spans",
    "scopeSpans",
    "scope_spans",
    "spans",
    "links",
    "resourceLogs",
    "resource_logs",
    "scopeLogs",
    "scope_logs",
    "logRecords",
    "log_records",
}
_UNREAD = {"exemplars", "links"}


def _hex_to_base64(text: Json, key: str) -> str:
    if not isinstance(text, str):
        raise BadInput(f"{key} must be a string of hexadecimal digits")
    try:
        return base64.b64encode(binascii.unhexlify(text)).decode()
    except ValueError as bad:
        raise BadInput(f"{key} {text[:40]!r} is not hexadecimal") from bad


def _mend(node: Json) -> None:
    """Turn hexadecimal ids, OTLP's exception to the JSON mapping, into base64, in place."""
    if isinstance(node, list):
        for item in node:
            _mend(item)
    elif isinstance(node, dict):
        for key in _UNREAD & node.keys():
            del node[key]
        for key, value in node.items():
            if key in _IDS and value is not None:  # null is how JSON says unset
                node[key] = _hex_to_base64(value, key)
            elif key in _WITH_IDS:
                _mend(value)


def protobuf_of(body: bytes, signal: str, depth: int) -> bytes:
    """The protobuf bytes of a JSON request; `signal` is a key of `REQUESTS`.

    Raises
    ------
    BadInput
        It is not JSON, nested deeper than `depth`, or not a request of this signal.
    """
    try:
        tree = json.loads(body)
        if not isinstance(tree, dict):
            raise BadInput("the body must be a JSON object")
        _mend(tree)
        message = REQUESTS[signal]()
        json_format.ParseDict(tree, message, ignore_unknown_fields=True, max_recursion_depth=depth)
        return message.SerializeToString()
    except RecursionError as bad:
        raise BadInput("the JSON is nested too deeply") from bad
    except UnicodeError as bad:
        raise BadInput("the JSON is not valid UTF-8") from bad
    except (ValueError, json_format.ParseError, OverflowError, TypeError, AttributeError) as bad:
        raise BadInput(f"the body is not an OTLP request in JSON: {str(bad)[:200]}") from bad
