"""`Frame`: the columnar batch that every stage passes on, and the column layout of each kind.

Frames are Arrow record batches. `series` columns hold process-local numbers of a `Catalog`; the journal
swaps them for its segment's own dictionary, so that a log needs nothing but itself to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import pyarrow as pa

from tocsin.model.arrays import F8, I4, I8, U1

NO_VALUE = 1
"""Bit of `Points.flags`: the source says that there is no value (OTLP flag, Prometheus stale marker)."""


class FrameKind(Enum):
    """What the rows of a frame are; the first six come in, the others are what the engine says."""

    POINTS = "points"
    DISTRIBUTIONS = "distributions"
    SPANS = "spans"
    LOGS = "logs"
    RECORDS = "records"
    EVENTS = "events"
    PANES = "panes"
    STATES = "states"
    FINDINGS = "findings"
    LOG_TEMPLATES = "log_templates"


_TEXT = pa.string()
_PAIRS = pa.map_(pa.string(), pa.string())
_TIME = pa.int64()

SCHEMAS: dict[FrameKind, pa.Schema] = {
    FrameKind.POINTS: pa.schema(
        [("series", pa.int32()), ("time", _TIME), ("value", pa.float64()), ("start", _TIME), ("flags", pa.uint8())]
    ),
    # explicit: bounds + counts (len(bounds)+1); exponential: scale not null, counts/offset and negative_*
    FrameKind.DISTRIBUTIONS: pa.schema(
        [
            ("series", pa.int32()),
            ("time", _TIME),
            ("start", _TIME),
            ("flags", pa.uint8()),
            ("count", pa.float64()),
            ("sum", pa.float64()),
            ("min", pa.float64()),
            ("max", pa.float64()),
            ("bounds", pa.list_(pa.float64())),
            ("counts", pa.list_(pa.float64())),
            ("scale", pa.int32()),
            ("zero_count", pa.float64()),
            ("offset", pa.int32()),
            ("negative_offset", pa.int32()),
            ("negative_counts", pa.list_(pa.float64())),
        ]
    ),
    FrameKind.SPANS: pa.schema(
        [
            ("trace_id", pa.binary(16)),
            ("span_id", pa.binary(8)),
            ("parent_id", pa.binary(8)),  # zeros: none
            ("name", _TEXT),
            ("kind", _TEXT),  # internal server client producer consumer unspecified
            ("start", _TIME),
            ("time", _TIME),  # the end of the span: when it became known
            ("status", _TEXT),  # unset ok error
            ("status_message", _TEXT),
            ("scope", _TEXT),
            ("resource", _PAIRS),
            ("attributes", _PAIRS),  # values as text: numbers by repr, booleans true/false, the rest JSON
            ("events", _TEXT),  # JSON list of {name, time, attributes}
        ]
    ),
    FrameKind.LOGS: pa.schema(
        [
            ("time", _TIME),
            ("severity", _TEXT),
            ("severity_number", pa.int32()),
            ("body", _TEXT),
            ("event_name", _TEXT),
            ("trace_id", pa.binary(16)),
            ("span_id", pa.binary(8)),
            ("resource", _PAIRS),
            ("attributes", _PAIRS),
        ]
    ),
    FrameKind.RECORDS: pa.schema(
        [
            ("time", _TIME),
            ("prediction_id", _TEXT),
            ("model", _TEXT),
            ("version", _TEXT),
            ("prediction", _TEXT),  # JSON
            ("score", pa.float64()),
            ("features", _TEXT),  # JSON object
            ("tags", _PAIRS),
            ("truth", _TEXT),  # JSON, "" = none
            ("feedback", _TEXT),  # JSON, "" = none
            ("kind", _TEXT),  # see model.record: prediction truth feedback outcome
            ("embedding", pa.list_(pa.float32())),
            ("attributions", _TEXT),  # JSON object: feature -> share of the say it had
            ("attention", _TEXT),  # JSON object: statistic -> number
        ]
    ),
    FrameKind.EVENTS: pa.schema(
        [
            ("time", _TIME),
            ("kind", _TEXT),
            ("entity", _TEXT),
            ("what", _TEXT),
            ("source", _TEXT),
            ("attributes", _PAIRS),
        ]
    ),
    FrameKind.PANES: pa.schema(
        [
            ("monitor", _TEXT),
            ("series", pa.int32()),  # the group: signal of the monitor, labels of its `by`
            ("time", _TIME),  # end of the window
            ("value", pa.float64()),
            ("samples", pa.int64()),
            ("score", pa.float64()),
            ("log10_p", pa.float64()),
            ("n_eff", pa.float64()),
            ("lower", pa.float64()),
            ("upper", pa.float64()),
        ]
    ),
    FrameKind.STATES: pa.schema(
        [("series", pa.int32()), ("time", _TIME), ("state", _TEXT), ("since", _TIME), ("cadence", pa.int64())]
    ),
    FrameKind.FINDINGS: pa.schema(
        [
            ("id", pa.binary(16)),
            ("phase", _TEXT),  # open update close
            ("monitor", _TEXT),
            ("series", pa.int32()),
            ("start", _TIME),
            ("end", _TIME),
            ("time", _TIME),  # event time of this news
            ("value", pa.float64()),
            ("lower", pa.float64()),
            ("upper", pa.float64()),
            ("log10_p", pa.float64()),
            ("n_eff", pa.float64()),
            ("level", pa.float64()),  # log10 p that was needed
            ("direction", _TEXT),  # up down shape absent
            ("evidence", _TEXT),  # JSON object of numbers and short texts
        ]
    ),
    FrameKind.LOG_TEMPLATES: pa.schema(
        [
            ("time", _TIME),
            ("shape", pa.int64()),  # what `log_mask.shapes` gives of a body
            ("template", _TEXT),  # its id
            ("text", _TEXT),
        ]
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Rows of one kind, of one tenant, from one source.

    `source` names who delivered it ("otlp/support-bot", "remote_write", "scrape/node"): watermarks and
    lateness are kept per (tenant, source). Times are nanoseconds since the Unix epoch; NaN = no value.
    """

    kind: FrameKind
    tenant: str
    source: str
    batch: pa.RecordBatch
    _size_bytes: int = field(default=-1, init=False, repr=False)

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    @property
    def size_bytes(self) -> int:
        """Bytes that the columns refer to; added up once, since Arrow takes longer for that than for writing them."""
        if self._size_bytes < 0:
            object.__setattr__(self, "_size_bytes", int(self.batch.nbytes))
        return self._size_bytes

    def i8(self, name: str) -> I8:
        """One int64 column, shape (n,), read-only."""
        column: I8 = self.batch.column(name).to_numpy(zero_copy_only=True)
        return column

    def i4(self, name: str) -> I4:
        """One int32 column, shape (n,), read-only."""
        column: I4 = self.batch.column(name).to_numpy(zero_copy_only=True)
        return column

    def f8(self, name: str) -> F8:
        """One float64 column, shape (n,), read-only, null as NaN."""
        column: F8 = self.batch.column(name).to_numpy(zero_copy_only=False)
        return column

    def rows(self) -> list[dict[str, object]]:
        """Rows as dictionaries, for the kinds that are few or cold."""
        found: list[dict[str, object]] = self.batch.to_pylist()
        return found


def frame_of(kind: FrameKind, tenant: str, source: str, columns: dict[str, Sequence[object]]) -> Frame:
    """Make a frame from Python columns, checked against the layout of its kind.

    Raises
    ------
    KeyError
        A column of the layout is missing.
    pyarrow.ArrowInvalid
        A value doesn't fit its column.
    """
    schema = SCHEMAS[kind]
    arrays = [pa.array(columns[field.name], type=field.type) for field in schema]
    return Frame(kind, tenant, source, pa.RecordBatch.from_arrays(arrays, schema=schema))


def points_frame(
    tenant: str, source: str, series: I4, time: I8, value: F8, start: I8 | None = None, flags: U1 | None = None
) -> Frame:
    """Make a frame of points from arrays of shape (n,); `start` 0 = unknown, `flags` see `NO_VALUE`."""
    n = len(series)
    columns = (
        series,
        time,
        value,
        np.zeros(n, "i8") if start is None else start,
        np.zeros(n, "u1") if flags is None else flags,
    )
    schema = SCHEMAS[FrameKind.POINTS]
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)]
    return Frame(FrameKind.POINTS, tenant, source, pa.RecordBatch.from_arrays(arrays, schema=schema))
