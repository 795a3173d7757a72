"""Turns log records into rows of the store's tables: one Arrow table per store table and batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.arrays import I8
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.log import LogRecord, Output
from tocsin.model.record import OUTCOMES_SOURCE
from tocsin.store.genai import SpanMapper
from tocsin.store.naming import SeriesNames
from tocsin.store.schema import BY_NAME

_SERVICE = "service.name"
_WITH_SERIES = (FrameKind.POINTS, FrameKind.DISTRIBUTIONS, FrameKind.PANES, FrameKind.STATES, FrameKind.FINDINGS)
_MOST_FINDINGS = 1 << 20
"""Frames of findings in one output record that keep their order; `news` = offset * this + place."""


class _Part(NamedTuple):
    frame: Frame
    tick: int
    news: int


class Batch:
    """Rows of one batch, laid out table by table; `stamp` (ms) marks every row."""

    def __init__(self, names: SeriesNames, mapper: SpanMapper, stamp: int) -> None:
        self._names = names
        self._mapper = mapper
        self._stamp = stamp
        self._parts: dict[FrameKind, list[_Part]] = {}
        self._fresh: dict[tuple[int, str], int] = {}

    def add(self, record: LogRecord) -> None:
        """Add what one log record holds; controls and ticks have no rows."""
        entry = record.entry
        if isinstance(entry, Frame):
            # the engine hands events on: they are stored from the output log; outcomes are made of what is stored
            if entry.kind is not FrameKind.EVENTS and entry.source != OUTCOMES_SOURCE:
                self._add_frame(entry, record.offset, 0)
        elif isinstance(entry, Output):
            for place, frame in enumerate(entry.frames):
                self._add_frame(frame, entry.cause, record.offset * _MOST_FINDINGS + place * (1 << 10))

    def _add_frame(self, frame: Frame, tick: int, news: int) -> None:
        if len(frame):
            self._parts.setdefault(frame.kind, []).append(_Part(frame, tick, news))

    def tables(self) -> dict[str, pa.Table]:
        """Rows by table, `series` first."""
        found = {kind.value: self._table(kind, parts) for kind, parts in self._parts.items()}
        return {"series": self._series_table(), **found} if self._fresh else found

    def confirm(self) -> None:
        """The rows are stored: remember which series the dictionary has."""
        for origin in {origin for _, origin in self._fresh}:
            self._names.written(np.array([ref for ref, at in self._fresh if at == origin], "i4"), origin)

    def _table(self, kind: FrameKind, parts: Sequence[_Part]) -> pa.Table:
        """All frames of a kind at once: a frame holds few rows, and each pass over columns has its price."""
        frames = pa.Table.from_batches([part.frame.batch for part in parts]).unify_dictionaries().combine_chunks()
        columns: dict[str, Any] = {name: _whole(frames.column(name)) for name in frames.schema.names}
        sizes = np.array([len(part.frame) for part in parts])
        n = int(sizes.sum())
        columns["tenant"] = _repeated([part.frame.tenant for part in parts], sizes)
        columns["stored"] = pa.array(np.full(n, self._stamp), pa.timestamp("ms", "UTC"))
        if kind in _WITH_SERIES:
            self._name_series(kind, columns)
        if kind in (FrameKind.PANES, FrameKind.STATES):
            columns["tick"] = pa.array(np.repeat(np.array([part.tick for part in parts], "i8"), sizes))
        if kind is FrameKind.FINDINGS:
            first = np.array([part.news for part in parts], "u8")
            place = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            columns["news"] = pa.array(np.repeat(first, sizes) + place.astype("u8"))
        if kind in (FrameKind.SPANS, FrameKind.LOGS):
            columns["service"] = _looked_up(columns["resource"], _SERVICE)
        if kind is FrameKind.SPANS:
            columns.update(self._mapper.columns(columns))
        if kind is FrameKind.LOGS:
            from tocsin.stats.log_mask import shapes  # noqa: PLC0415 - compiles a kernel, which waits for the first line

            columns["shape"] = pa.array(shapes(columns["body"]))
        return pa.Table.from_batches([_laid_out(kind.value, columns, n)])

    def _name_series(self, kind: FrameKind, columns: dict[str, Any]) -> None:
        """Swap the process's numbers for identities, and note series that the dictionary table may lack."""
        refs = columns["series"].to_numpy()
        origin = kind.value if kind in (FrameKind.POINTS, FrameKind.DISTRIBUTIONS) else "engine"
        columns["series"] = self._names.ids(refs)
        columns["signal"] = self._names.signals(refs)
        for ref, time in self._names.unwritten(refs, columns["time"].to_numpy(), origin).items():
            key = (ref, origin)
            self._fresh[key] = min(time, self._fresh.get(key, time))

    def _series_table(self) -> pa.Table:
        rows = [(self._names.catalog[ref], origin, first) for (ref, origin), first in self._fresh.items()]
        n = len(rows)
        columns = {
            "tenant": [series.tenant for series, _, _ in rows],
            "signal": [series.signal.name for series, _, _ in rows],
            "id": pa.array([series.id for series, _, _ in rows], pa.binary(16)),
            "origin": [origin for _, origin, _ in rows],
            "unit": [series.signal.unit for series, _, _ in rows],
            "kind": [series.signal.kind.value for series, _, _ in rows],
            "monotonic": [series.signal.monotonic for series, _, _ in rows],
            "cumulative": [series.signal.cumulative for series, _, _ in rows],
            "labels": pa.array([list(series.labels) for series, _, _ in rows], pa.map_(pa.string(), pa.string())),
            "first_seen": pa.array([first for _, _, first in rows], pa.int64()),
            "stored": pa.array(np.full(n, self._stamp), pa.timestamp("ms", "UTC")),
        }
        return pa.table(columns)


def partitions_of(name: str, rows: pa.Table) -> I8:
    """Partition of each row, shape (n,), as the table's PARTITION BY numbers them."""
    table = BY_NAME[name]
    if not table.partition_days:
        return np.zeros(rows.num_rows, "i8")
    times = rows.column(table.partition_by).to_numpy()
    # intDiv of the engine rounds towards zero
    found: I8 = np.trunc(times // (86_400 * 10**9) / table.partition_days).astype("i8")
    return found


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _repeated(texts: Sequence[str], sizes: I8) -> pa.DictionaryArray:
    known, codes = np.unique(np.array(texts, "O"), return_inverse=True)
    return pa.DictionaryArray.from_arrays(pa.array(np.repeat(codes.astype("i4"), sizes)), pa.array(known, pa.string()))


def _looked_up(pairs: pa.MapArray, key: str) -> pa.Array:
    """Value of one key per row, "" where there is none."""
    return pc.fill_null(pc.map_lookup(pairs, pa.scalar(key), "last"), "").dictionary_encode()


def _laid_out(name: str, columns: dict[str, Any], n: int) -> pa.RecordBatch:
    """Columns in the order of the table, null where the engine's column can't be: numbers NaN, texts empty."""
    arrays = []
    for column, kind, _ in BY_NAME[name].columns:
        array = columns[column]
        if array.null_count and not kind.startswith("Nullable"):
            array = _filled(array, kind)
        if kind.startswith("LowCardinality") and not pa.types.is_dictionary(array.type):
            array = array.dictionary_encode()
        assert len(array) == n, (name, column)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=list(BY_NAME[name].names))


def _filled(array: pa.Array, kind: str) -> pa.Array:
    if kind == "Float64":
        return pc.fill_null(array, float("nan"))
    if kind.startswith("FixedString"):
        width = array.type.byte_width
        return pa.array([value or bytes(width) for value in array.to_pylist()], array.type)
    if kind.startswith(("Map", "Array")):
        return pa.array([value or [] for value in array.to_pylist()], array.type)
    return pc.fill_null(array, 0 if pa.types.is_integer(array.type) else "")
