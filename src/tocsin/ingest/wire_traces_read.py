"""OTLP traces -> SPANS frames by compiled kernels; what is not plain is left to upb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tocsin.ingest.decoded import YEAR_2000_NS
from tocsin.ingest.limits import Limits
from tocsin.ingest.otlp_metrics import SourceName
from tocsin.ingest.otlp_wire import Span
from tocsin.ingest.wire_rows import BEGIN, END, MESSAGE, MESSAGE_END, N_ROWS, N_SCOPES, OF_SCOPE, TIME, Tables
from tocsin.ingest.wire_rows_read import RowsReader, Texts, Walked
from tocsin.ingest.wire_traces import (
    EVENTS,
    KIND,
    NAME,
    NAME_END,
    PARENT,
    SPAN,
    SPAN_COLUMNS,
    START,
    STATUS,
    TOLD,
    TOLD_END,
    TRACE,
    walk_traces,
)
from tocsin.model.arrays import I8, U1
from tocsin.model.frame import Frame, FrameKind

EventsText = Callable[[Any], str]
_KINDS = (b"unspecified", b"internal", b"server", b"client", b"producer", b"consumer")
_STATUS = (b"unset", b"ok", b"error")
_FIXED = (b"true", b"false", b"[]", *_KINDS, *_STATUS)
_ENDS: I8 = np.cumsum([len(text) for text in _FIXED], dtype=np.int64)
_BEGINS: I8 = _ENDS - np.array([len(text) for text in _FIXED], np.int64)
_NO_EVENTS, _FIRST_KIND, _FIRST_STATUS = 2, 3, 9


class TracesReader(RowsReader):
    """Reads bodies of `/v1/traces` that are plain and of which nothing is refused; thread-safe.

    Parameters
    ----------
    events_text : makes text of the events of a span
    """

    def __init__(self, source_name: SourceName, limits: Limits, events_text: EventsText) -> None:
        super().__init__(source_name, limits, SPAN_COLUMNS)
        self._events_text = events_text

    def read(self, body: bytes, tenant: str, received: int) -> list[Frame] | None:
        """All frames of a request, or None when upb must read it; `received` in nanoseconds."""
        raw: U1 = np.frombuffer(body, np.uint8)
        tables = self.tables(raw.size)
        if not walk_traces(raw, tables) or not tables[0][N_ROWS]:
            return None
        rows = tables[3][: tables[0][N_ROWS]].T
        times = rows[START], rows[TIME]
        earliest, latest = min(one.min() for one in times), max(one.max() for one in times)
        if not YEAR_2000_NS <= earliest <= latest <= received + self.limits.ahead_ns:
            return None
        return self.guarded(lambda: self._read(body, raw, tenant, tables, rows))

    def _read(self, body: bytes, raw: U1, tenant: str, tables: Tables, rows: I8) -> list[Frame]:
        texts = Texts(raw.size, b"".join(_FIXED))
        events = self._events(body, rows, texts)
        self.other_values(body, tables, texts)
        scopes = self._scopes(body, tables, texts)
        resources = self.resources(body, tenant, tables, texts)
        kind = np.where(rows[KIND] < len(_KINDS), rows[KIND], 0) + _FIRST_KIND
        status = np.where(rows[STATUS] < len(_STATUS), rows[STATUS], 0) + _FIRST_STATUS
        begins, ends = _BEGINS + raw.size, _ENDS + raw.size
        columns = [
            ("name", rows[NAME], rows[NAME_END]),
            ("kind", begins[kind], ends[kind]),
            ("status", begins[status], ends[status]),
            ("status_message", rows[TOLD], rows[TOLD_END]),
            ("scope", *scopes[:, rows[OF_SCOPE]]),
            ("events", *events),
        ]
        plain = {
            "trace_id": (rows[TRACE], 16),
            "span_id": (rows[SPAN], 8),
            "parent_id": (rows[PARENT], 8),
            "start": rows[START],
            "time": rows[TIME],
        }
        fixed = (int(begins[0]), int(begins[1]))
        return self.frames(FrameKind.SPANS, Walked(tenant, raw, tables, texts), resources, columns, plain, fixed)

    def _events(self, body: bytes, rows: I8, texts: Texts) -> I8:
        """Where the text of the events of each span is, (2, n)."""
        found: I8 = np.empty((2, rows.shape[1]), np.int64)
        begin = texts.end - int(_ENDS[-1])
        found[0], found[1] = begin + _BEGINS[_NO_EVENTS], begin + _ENDS[_NO_EVENTS]
        for i in rows[EVENTS].nonzero()[0].tolist():
            span = Span.FromString(body[rows[MESSAGE, i] : rows[MESSAGE_END, i]])
            found[:, i] = texts.add(self._events_text(span.events).encode())
        return found

    def _scopes(self, body: bytes, tables: Tables, texts: Texts) -> I8:
        """Where the name of each scope is, (2, m)."""
        n = int(tables[0][N_SCOPES])
        found: I8 = np.empty((2, n), np.int64)
        for s in range(n):
            raw = body[tables[2][s, BEGIN] : tables[2][s, END]]
            found[:, s] = texts.add(self.values.scope(raw).encode())
        return found
