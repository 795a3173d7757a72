"""OTLP logs -> LOGS frames by compiled kernels; what is not plain is left to upb."""

from __future__ import annotations

import numpy as np

from tocsin.ingest.decoded import YEAR_2000_NS
from tocsin.ingest.limits import Limits
from tocsin.ingest.otlp_metrics import SourceName
from tocsin.ingest.wire_logs import (
    BODY,
    BODY_END,
    EVENT,
    EVENT_END,
    LOG_COLUMNS,
    NUMBER,
    OBSERVED,
    PLAIN,
    SEVERITY,
    SEVERITY_END,
    SPAN,
    TRACE,
    walk_logs,
)
from tocsin.ingest.wire_rows import N_ROWS, TIME, Tables
from tocsin.ingest.wire_rows_read import RowsReader, Texts, Walked
from tocsin.model.arrays import I8, U1
from tocsin.model.frame import Frame, FrameKind

RANGES = ("trace", "debug", "info", "warn", "error", "fatal")
"""Short names of severities; each has four numbers, from 1."""
_FIXED = (b"true", b"false", *(name.encode() for name in RANGES))
_ENDS: I8 = np.cumsum([len(text) for text in _FIXED], dtype=np.int64)
_BEGINS: I8 = _ENDS - np.array([len(text) for text in _FIXED], np.int64)
_FIRST_RANGE, _NUMBERS = 2, 24


class LogsReader(RowsReader):
    """Reads bodies of `/v1/logs` that are plain and of which nothing is refused; thread-safe."""

    def __init__(self, source_name: SourceName, limits: Limits) -> None:
        super().__init__(source_name, limits, LOG_COLUMNS)

    def read(self, body: bytes, tenant: str, received: int) -> list[Frame] | None:
        """All frames of a request, or None when upb must read it; `received` in nanoseconds."""
        raw: U1 = np.frombuffer(body, np.uint8)
        tables = self.tables(raw.size)
        if not walk_logs(raw, tables) or not tables[0][N_ROWS]:
            return None
        rows = tables[3][: tables[0][N_ROWS]].T
        time: I8 = np.where(rows[TIME] != 0, rows[TIME], np.where(rows[OBSERVED] != 0, rows[OBSERVED], received))
        if not YEAR_2000_NS <= time.min() <= time.max() <= received + self.limits.ahead_ns:
            return None
        return self.guarded(lambda: self._read(body, raw, tenant, tables, time))

    def _read(self, body: bytes, raw: U1, tenant: str, tables: Tables, time: I8) -> list[Frame]:
        rows = tables[3][: time.size].T
        texts = Texts(raw.size, b"".join(_FIXED))
        for i in (rows[PLAIN] == 0).nonzero()[0].tolist():
            rows[BODY, i], rows[BODY_END, i] = texts.add(
                self.values.body(body[rows[BODY, i] : rows[BODY_END, i]]).encode()
            )
        self.other_values(body, tables, texts)
        resources = self.resources(body, tenant, tables, texts)
        begins, ends = _BEGINS + raw.size, _ENDS + raw.size
        number = rows[NUMBER]
        named = (rows[SEVERITY] == rows[SEVERITY_END]) & (number >= 1) & (number <= _NUMBERS)
        which = np.where(named, (number - 1) // 4, 0) + _FIRST_RANGE
        columns = [
            (
                "severity",
                np.where(named, begins[which], rows[SEVERITY]),
                np.where(named, ends[which], rows[SEVERITY_END]),
            ),
            ("body", rows[BODY], rows[BODY_END]),
            ("event_name", rows[EVENT], rows[EVENT_END]),
        ]
        plain = {
            "time": time,
            "severity_number": number.astype(np.int32),
            "trace_id": (rows[TRACE], 16),
            "span_id": (rows[SPAN], 8),
        }
        fixed = (int(begins[0]), int(begins[1]))
        return self.frames(FrameKind.LOGS, Walked(tenant, raw, tables, texts), resources, columns, plain, fixed)
