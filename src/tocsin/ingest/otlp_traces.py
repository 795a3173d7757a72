"""OTLP traces -> SPANS frames, by compiled readers where they can, by protobuf's upb elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tocsin.ingest import wire
from tocsin.ingest.decoded import YEAR_2000_NS, Decoded, Refusals, Unusable, decoded
from tocsin.ingest.identify import Pairs
from tocsin.ingest.limits import Limits
from tocsin.ingest.otlp_metrics import SourceName
from tocsin.ingest.otlp_values import PairsColumn, Values, fixed_bytes, utf8
from tocsin.ingest.otlp_wire import TraceRequest, parse
from tocsin.model.frame import SCHEMAS, Frame, FrameKind

if TYPE_CHECKING:
    from tocsin.ingest.wire_traces_read import TracesReader

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUS = ("unset", "ok", "error")
_NO_PARENT = bytes(8)
_PLAIN = ("name", "kind", "start", "time", "status", "status_message", "scope", "events")


@dataclass(slots=True)
class _Spans:
    """Spans of one source; `plain` holds the columns of `_PLAIN`."""

    ids: tuple[list[bytes], list[bytes], list[bytes]] = field(default_factory=lambda: ([], [], []))
    plain: list[tuple[str, str, int, int, str, str, str, str]] = field(default_factory=list)
    resource: PairsColumn = field(default_factory=PairsColumn)
    attributes: PairsColumn = field(default_factory=PairsColumn)

    def frame(self, tenant: str, source: str) -> Frame:
        schema = SCHEMAS[FrameKind.SPANS]
        trace, span, parent = self.ids
        columns: dict[str, Any] = dict(zip(_PLAIN, zip(*self.plain, strict=True), strict=True))
        ready = {
            "trace_id": fixed_bytes(trace, 16),
            "span_id": fixed_bytes(span, 8),
            "parent_id": fixed_bytes(parent, 8),
            "resource": self.resource.array(),
            "attributes": self.attributes.array(),
        }
        arrays = [ready.get(entry.name) for entry in schema]
        arrays = [
            pa.array(columns[entry.name], entry.type) if array is None else array
            for entry, array in zip(schema, arrays, strict=True)
        ]
        return Frame(FrameKind.SPANS, tenant, source, pa.RecordBatch.from_arrays(arrays, schema=schema))


class TracesDecoder:
    """Decodes bodies of `/v1/traces`; thread-safe, keeps a cache of known attributes."""

    def __init__(self, source_name: SourceName, limits: Limits) -> None:
        self._source_name = source_name
        self._limits = limits
        self._values = Values(limits.label_bytes)
        self._reader: TracesReader | None = None

    def decode(self, body: bytes, tenant: str, received: int) -> Decoded:
        """Frames of one ExportTraceServiceRequest in protobuf; `received` in nanoseconds.

        Raises
        ------
        BadInput
            The body is no such message.
        """
        frames = self._read(body, tenant, received)
        wire.count("traces", compiled=frames is not None)
        return self._parse(body, tenant, received) if frames is None else Decoded(tuple(frames))

    def _read(self, body: bytes, tenant: str, received: int) -> list[Frame] | None:
        """Frames by the compiled reader, when it is there and the request is plain."""
        if self._reader is None:
            if not wire.ready():
                return None
            from tocsin.ingest.wire_traces_read import TracesReader  # noqa: PLC0415 - imports numba: once it is ready

            self._reader = TracesReader(self._source_name, self._limits, self._events)
        return self._reader.read(body, tenant, received)

    def _parse(self, body: bytes, tenant: str, received: int) -> Decoded:
        """Frames and refusals by upb, which reads everything."""
        request = parse(TraceRequest, body)
        refusals = Refusals()
        spans: dict[str, _Spans] = {}
        latest = received + self._limits.ahead_ns
        for of_resource in request.resource_spans:
            try:
                resource = self._values.resource(b"".join(of_resource.resource))
            except Unusable as bad:
                rows = sum(len(of_scope.spans) for of_scope in of_resource.scope_spans)
                refusals.add("otlp", bad.reason, "its resource", rows)
                continue
            service = next((value for key, value in resource if key == "service.name"), "")
            source = self._source_name(tenant, "otlp", service)
            out = spans.setdefault(source, _Spans())
            for of_scope in of_resource.scope_spans:
                self._scope(of_scope, source, resource, out, refusals, latest)
        return decoded([out.frame(tenant, source) for source, out in spans.items() if out.plain], refusals)

    def _scope(self, of_scope: Any, source: str, resource: Pairs, out: _Spans, refusals: Refusals, latest: int) -> None:
        try:
            scope = self._values.scope(b"".join(of_scope.scope))
        except Unusable as bad:
            refusals.add(source, bad.reason, "its scope", len(of_scope.spans))
            return
        for span in of_scope.spans:
            try:
                plain, attributes = self._span(span, scope, latest)
            except Unusable as bad:
                refusals.add(source, bad.reason, span.name.decode("utf-8", "replace"))
                continue
            out.plain.append(plain)
            out.attributes.append(attributes)
            out.resource.append(resource)
            trace_ids, span_ids, parent_ids = out.ids
            trace_ids.append(span.trace_id)
            span_ids.append(span.span_id)
            parent_ids.append(span.parent_span_id or _NO_PARENT)

    def _span(
        self, span: Any, scope: str, latest: int
    ) -> tuple[tuple[str, str, int, int, str, str, str, str], list[tuple[str, str]]]:
        start, end = span.start_time_unix_nano, span.end_time_unix_nano
        if start < YEAR_2000_NS or end < YEAR_2000_NS:
            raise Unusable("too_old")
        if start > latest or end > latest:
            raise Unusable("too_far_ahead")
        if len(span.trace_id) != 16 or len(span.span_id) != 8 or len(span.parent_span_id) not in {0, 8}:
            raise Unusable("bad_id")
        if not any(span.trace_id) or not any(span.span_id):
            raise Unusable("bad_id")
        status, kind = span.status, span.kind
        events = self._events(span.events) if span.events else "[]"
        plain = (
            utf8(span.name),
            _KINDS[kind] if 0 <= kind < len(_KINDS) else _KINDS[0],
            start,
            end,
            _STATUS[status.code] if 0 <= status.code < len(_STATUS) else _STATUS[0],
            utf8(status.message),
            scope,
            events,
        )
        return plain, self._values.pairs(span.attributes)

    def _events(self, events: Any) -> str:
        found = [
            {
                "name": utf8(event.name),
                "time": event.time_unix_nano,
                "attributes": dict(self._values.pairs(event.attributes)),
            }
            for event in events
        ]
        return json.dumps(found, separators=(",", ":"), ensure_ascii=False)
