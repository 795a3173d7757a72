"""Turns log records into rows of the store's tables: one Arrow table per store table and batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.arrays import I8
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.log import LogRecord, Output
from tocsin.store.genai import SpanMapper
from tocsin.store.naming import SeriesNames
from tocsin.store.schema import BY_NAME

_SERVICE = "service.name"
_WITH_SERIES = (FrameKind.POINTS, FrameKind.DISTRIBUTIONS, FrameKind.PANES, FrameKind.STATES, FrameKind.FINDINGS)
_MOST_FINDINGS = 1 << 20
"""Frames of findings in one output record that keep their order; `news` = offset * this + place."""


class Batch:
    """Rows of one batch, collected frame by frame; `stamp` (ms) marks every row."""

    def __init__(self, names: SeriesNames, mapper: SpanMapper, stamp: int) -> None:
        self._names = names
        self._mapper = mapper
        self._stamp = stamp
        self._parts: dict[str, list[pa.RecordBatch]] = {}
        self._fresh: dict[tuple[int, str], int] = {}

    def add(self, record: LogRecord) -> None:
        """Add what one log record holds; controls and ticks have no rows."""
        entry = record.entry
        if isinstance(entry, Frame):
            if entry.kind is not FrameKind.EVENTS:  # the engine hands them on: they are stored from the output log
                self._add_frame(entry, record.offset, 0)
        elif isinstance(entry, Output):
            for place, frame in enumerate(entry.frames):
                self._add_frame(frame, entry.cause, record.offset * _MOST_FINDINGS + place * (1 << 10))

    def tables(self) -> dict[str, pa.Table]:
        """Rows by table, `series` first."""
        found: dict[str, pa.Table] = {}
        if self._fresh:
            found["series"] = self._series_table()
        for name, parts in self._parts.items():
            found[name] = _unified(parts)
        return found

    def confirm(self) -> None:
        """The rows are stored: remember which series the dictionary has."""
        for origin in {origin for _, origin in self._fresh}:
            self._names.written(np.array([ref for ref, at in self._fresh if at == origin], "i4"), origin)

    def _add_frame(self, frame: Frame, tick: int, news: int) -> None:
        n = len(frame)
        if not n:
            return
        columns: dict[str, Any] = {name: frame.batch.column(name) for name in frame.batch.schema.names}
        columns["tenant"] = _constant(frame.tenant, n)
        columns["stored"] = pa.array(np.full(n, self._stamp), pa.timestamp("ms", "UTC"))
        if frame.kind in _WITH_SERIES:
            self._name_series(frame, columns)
        if frame.kind in (FrameKind.PANES, FrameKind.STATES):
            columns["tick"] = pa.array(np.full(n, tick, "i8"))
        if frame.kind is FrameKind.FINDINGS:
            columns["news"] = pa.array(np.arange(n, dtype="u8") + np.uint64(news))
        if frame.kind in (FrameKind.SPANS, FrameKind.LOGS):
            columns["service"] = _looked_up(columns["resource"], _SERVICE)
        if frame.kind is FrameKind.SPANS:
            failed = pc.equal(columns["status"], "error").to_pylist()
            columns.update(self._mapper.columns(columns["attributes"], failed, columns["status_message"].to_pylist()))
        if frame.kind is FrameKind.LOGS:
            columns["template"] = pa.array([""] * n)
        self._parts.setdefault(frame.kind.value, []).append(_laid_out(frame.kind.value, columns, n))

    def _name_series(self, frame: Frame, columns: dict[str, Any]) -> None:
        """Swap the process's numbers for identities, and note series that the dictionary table may lack."""
        refs = frame.i4("series")
        origin = frame.kind.value if frame.kind in (FrameKind.POINTS, FrameKind.DISTRIBUTIONS) else "engine"
        columns["series"] = self._names.ids(refs)
        columns["signal"] = self._names.signals(refs)
        for ref, time in self._names.unwritten(refs, frame.i8("time"), origin).items():
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


def _constant(text: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, "i4")), pa.array([text]))


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


def _unified(parts: Iterable[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(list(parts)).unify_dictionaries().combine_chunks()
