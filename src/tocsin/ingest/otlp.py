"""OTLP requests, whichever way they came: decode, take in, and say what was refused."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tocsin.ingest.decoded import Decoded
from tocsin.ingest.edge import Edge
from tocsin.ingest.log_changes import with_changes
from tocsin.ingest.otlp_json import protobuf_of
from tocsin.ingest.otlp_logs import LogsDecoder
from tocsin.ingest.otlp_metrics import MetricsDecoder
from tocsin.ingest.otlp_records import with_records
from tocsin.ingest.otlp_traces import TracesDecoder
from tocsin.ingest.senders import Senders

_MESSAGE_CHARS = 1_000
_REPLIES: dict[str, tuple[Any, str]] = {
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
}
SIGNALS = tuple(_REPLIES)


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that was taken in, whole or in part; it may be acknowledged once `durable` resolves."""

    signal: str
    durable: Future[int]
    rejected: int
    message: str

    def reply(self, *, as_json: bool) -> bytes:
        """The export response of OTLP; full success leaves `partial_success` unset."""
        make, name = _REPLIES[self.signal]
        response = make()
        if self.rejected or self.message:
            setattr(response.partial_success, name, self.rejected)
            response.partial_success.error_message = self.message[:_MESSAGE_CHARS]
        raw: bytes = (
            json_format.MessageToJson(response, indent=None).encode() if as_json else response.SerializeToString()
        )
        return raw


class OtlpReceiver:
    """Takes in export requests of the three signals; thread-safe."""

    def __init__(self, edge: Edge, senders: Senders | None = None) -> None:
        self._edge = edge
        self._log_changes = (senders or Senders()).log_changes
        name, limits = edge.source_name, edge.limits
        self._decoders: dict[str, MetricsDecoder | TracesDecoder | LogsDecoder] = {
            "metrics": MetricsDecoder(edge.identifier, name, limits),
            "traces": TracesDecoder(name, limits),
            "logs": LogsDecoder(name, limits),
        }

    def decode(self, signal: str, body: bytes, tenant: str, *, as_json: bool = False) -> Decoded:
        """What one uncompressed request holds; nothing is taken in yet.

        Raises
        ------
        BadInput
            The body is no request of this signal.
        """
        if as_json:
            body = protobuf_of(body, signal, self._edge.limits.json_depth)
        received = self._edge.received()
        found = self._decoders[signal].decode(body, tenant, received)
        if signal == "logs":
            found = with_records(found, tenant, received, self._edge.limits)
            found = with_changes(found, self._log_changes, tenant, received, self._edge.limits)
        return found

    def take(self, signal: str, body: bytes, tenant: str, *, as_json: bool = False) -> Taken:
        """Decode one uncompressed request and append it to the log.

        Raises
        ------
        BadInput
            The body is no request of this signal.
        Overloaded
            The log is full; nothing was taken.
        """
        decoded = self.decode(signal, body, tenant, as_json=as_json)
        durable = self._edge.submit(decoded.frames)
        for (source, reason), rows in decoded.reasons.items():
            self._edge.refuse(tenant, source, reason, rows)
        message = decoded.message
        if signal == "metrics":
            sources = {frame.source for frame in decoded.frames}
            notices = [self._edge.identifier.notice(tenant, source) for source in sorted(sources)]
            message = "; ".join(filter(None, [message, *(str(notice) for notice in notices if notice)]))
        return Taken(signal, durable, decoded.rejected, message)
