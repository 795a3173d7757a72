"""OTLP logs -> LOGS frames, by compiled readers where they can, by protobuf's upb elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tocsin.ingest import wire
from tocsin.ingest.decoded import YEAR_2000_NS, Decoded, Refusals, Unusable, decoded
from tocsin.ingest.identify import Pairs
from tocsin.ingest.limits import Limits
from tocsin.ingest.otlp_metrics import SourceName
from tocsin.ingest.otlp_values import PairsColumn, Values, fixed_bytes, utf8
from tocsin.ingest.otlp_wire import LogsRequest, parse
from tocsin.model.frame import SCHEMAS, Frame, FrameKind

if TYPE_CHECKING:
    from tocsin.ingest.wire_logs_read import LogsReader

_RANGES = ("trace", "debug", "info", "warn", "error", "fatal")  # four severity numbers each, from 1
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)
_PLAIN = ("time", "severity", "severity_number", "body", "event_name")


def severity_text(number: int, text: str) -> str:
    """Severity as the sender wrote it, else the short name of its number's range.

    >>> severity_text(18, ""), severity_text(9, "NOTICE"), severity_text(0, "")
    ('error', 'NOTICE', '')
    """
    if text or not 1 <= number <= 24:
        return text
    return _RANGES[(number - 1) // 4]


@dataclass(slots=True)
class _Lines:
    """Log records of one source; `plain` holds the columns of `_PLAIN`."""

    trace: list[bytes] = field(default_factory=list)
    span: list[bytes] = field(default_factory=list)
    plain: list[tuple[int, str, int, str, str]] = field(default_factory=list)
    resource: PairsColumn = field(default_factory=PairsColumn)
    attributes: PairsColumn = field(default_factory=PairsColumn)

    def frame(self, tenant: str, source: str) -> Frame:
        schema = SCHEMAS[FrameKind.LOGS]
        columns: dict[str, Any] = dict(zip(_PLAIN, zip(*self.plain, strict=True), strict=True))
        arrays = [pa.array(columns[name], schema.field(name).type) for name in _PLAIN]
        arrays += [fixed_bytes(self.trace, 16), fixed_bytes(self.span, 8)]
        arrays += [self.resource.array(), self.attributes.array()]
        return Frame(FrameKind.LOGS, tenant, source, pa.RecordBatch.from_arrays(arrays, schema=schema))


class LogsDecoder:
    """Decodes bodies of `/v1/logs`; thread-safe, keeps a cache of known attributes."""

    def __init__(self, source_name: SourceName, limits: Limits) -> None:
        self._source_name = source_name
        self._limits = limits
        self._values = Values(limits.label_bytes)
        self._reader: LogsReader | None = None

    def decode(self, body: bytes, tenant: str, received: int) -> Decoded:
        """Frames of one ExportLogsServiceRequest in protobuf; `received` in nanoseconds.

        A record without a time of its own has the time at which it was observed, else that of receipt.

        Raises
        ------
        BadInput
            The body is no such message.
        """
        frames = self._read(body, tenant, received)
        wire.count("logs", compiled=frames is not None)
        return self._parse(body, tenant, received) if frames is None else Decoded(tuple(frames))

    def _read(self, body: bytes, tenant: str, received: int) -> list[Frame] | None:
        """Frames by the compiled reader, when it is there and the request is plain."""
        if self._reader is None:
            if not wire.ready():
                return None
            from tocsin.ingest.wire_logs_read import LogsReader  # noqa: PLC0415 - imports numba: once it is ready

            self._reader = LogsReader(self._source_name, self._limits)
        return self._reader.read(body, tenant, received)

    def _parse(self, body: bytes, tenant: str, received: int) -> Decoded:
        """Frames and refusals by upb, which reads everything."""
        request = parse(LogsRequest, body)
        refusals = Refusals()
        lines: dict[str, _Lines] = {}
        for of_resource in request.resource_logs:
            try:
                resource = self._values.resource(b"".join(of_resource.resource))
            except Unusable as bad:
                rows = sum(len(of_scope.log_records) for of_scope in of_resource.scope_logs)
                refusals.add("otlp", bad.reason, "its resource", rows)
                continue
            service = next((value for key, value in resource if key == "service.name"), "")
            source = self._source_name(tenant, "otlp", service)
            out = lines.setdefault(source, _Lines())
            for of_scope in of_resource.scope_logs:
                for record in of_scope.log_records:
                    try:
                        self._record(record, received, resource, out)
                    except Unusable as bad:
                        refusals.add(source, bad.reason)
        return decoded([out.frame(tenant, source) for source, out in lines.items() if out.plain], refusals)

    def _record(self, record: Any, received: int, resource: Pairs, out: _Lines) -> None:
        time = record.time_unix_nano or record.observed_time_unix_nano or received
        if time < YEAR_2000_NS:
            raise Unusable("too_old")
        if time > received + self._limits.ahead_ns:
            raise Unusable("too_far_ahead")
        trace, span = record.trace_id or _NO_TRACE, record.span_id or _NO_SPAN
        if len(trace) != 16 or len(span) != 8:
            raise Unusable("bad_id")
        number = record.severity_number
        plain = (
            time,
            severity_text(number, utf8(record.severity_text)),
            number,
            self._values.body(b"".join(record.body)),
            utf8(record.event_name),
        )
        attributes = self._values.pairs(record.attributes)
        out.plain.append(plain)
        out.trace.append(trace)
        out.span.append(span)
        out.resource.append(resource)
        out.attributes.append(attributes)
