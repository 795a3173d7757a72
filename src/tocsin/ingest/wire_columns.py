"""Columns that kernels filled -> Arrow, and one frame a source."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa

from tocsin.ingest.metric_columns import count_infinite
from tocsin.ingest.wire_points import (
    BITS,
    BOUNDS,
    COUNT,
    COUNTS,
    EXPONENTIAL,
    FLAGS,
    MAX,
    METRIC,
    MIN,
    NEGATIVE,
    NEGATIVE_OFFSET,
    OFFSET,
    SCALE,
    START,
    SUM,
    TIME,
    ZERO_COUNT,
    list_offsets,
    list_values,
)
from tocsin.model.arrays import I4, I8, U1
from tocsin.model.frame import SCHEMAS, Frame, FrameKind

_POINTS, _DISTRIBUTIONS = SCHEMAS[FrameKind.POINTS], SCHEMAS[FrameKind.DISTRIBUTIONS]


def points_batch(numbers: I8, refs: I4) -> pa.RecordBatch:
    """Points of a request; `numbers` as `wire_points` fills it, `refs` (n,) the number of each series."""
    n = refs.size
    arrays = [
        pa.array(refs),
        pa.array(numbers[TIME, :n].copy()),
        pa.array(numbers[BITS, :n].copy().view(np.float64)),
        pa.array(numbers[START, :n].copy()),
        pa.array(numbers[FLAGS, :n].astype(np.uint8)),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=_POINTS)


def _lists(raw: U1, table: I8, n: int, row: int, varints: U1, *, whole: bool) -> pa.Array:
    begin, end = table[row, :n].copy(), table[row + 1, :n].copy()
    offsets: I4 = np.empty(n + 1, np.int32)
    flat = np.empty(list_offsets(raw, begin, end, varints, offsets))
    list_values(raw, begin, end, varints, whole, flat)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))


def distributions_batch(raw: U1, table: I8, refs: I4, which: I8) -> pa.RecordBatch:
    """Histograms of a request; `table` as `wire_points` fills it, `which` (metrics,) the kind of each metric."""
    n = refs.size
    exponential = which[table[METRIC, :n]] == EXPONENTIAL
    varints = exponential.astype(np.uint8)
    columns = {
        "series": pa.array(refs),
        "time": pa.array(table[TIME, :n].copy()),
        "start": pa.array(table[START, :n].copy()),
        "flags": pa.array(table[FLAGS, :n].astype(np.uint8)),
        "zero_count": pa.array(table[ZERO_COUNT, :n].copy().view(np.float64)),
        "bounds": _lists(raw, table, n, BOUNDS, np.zeros(n, np.uint8), whole=False),
        "counts": _lists(raw, table, n, COUNTS, varints, whole=True),
        "negative_counts": _lists(raw, table, n, NEGATIVE, varints, whole=True),
    }
    for name, row in (("count", COUNT), ("sum", SUM), ("min", MIN), ("max", MAX)):
        columns[name] = pa.array(table[row, :n].copy().view(np.float64))
    for name, row in (("scale", SCALE), ("offset", OFFSET), ("negative_offset", NEGATIVE_OFFSET)):
        columns[name] = pa.array(table[row, :n].astype(np.int32), mask=~exponential)
    return pa.RecordBatch.from_arrays([columns[name] for name in _DISTRIBUTIONS.names], schema=_DISTRIBUTIONS)


def source_frames(
    kind: FrameKind, tenant: str, batch: pa.RecordBatch, source: I4, begin: I8, names: list[str]
) -> list[Frame]:
    """A frame for each source that has rows, in the order in which the sources come first.

    `source` (m,) numbers the source of each run of rows, `begin` (m,) is where it begins; the last ends with the batch.
    """
    first = int(source[0])
    if (source == first).all():
        frames = [Frame(kind, tenant, names[first], batch)]
    else:
        frames = _split(kind, tenant, batch, source, begin, names)
    if kind is FrameKind.POINTS and np.isinf(batch.column("value").to_numpy()).any():
        for frame in frames:
            count_infinite(frame)
    return frames


def _split(kind: FrameKind, tenant: str, batch: pa.RecordBatch, source: I4, begin: I8, names: list[str]) -> list[Frame]:
    turns = np.concatenate(([0], (np.diff(source) != 0).nonzero()[0] + 1))
    runs: list[int] = source[turns].tolist()
    if kind is FrameKind.POINTS and len(set(runs)) == len(runs):
        bounds = [*begin[turns].tolist(), batch.num_rows]
        parts = [batch.slice(low, high - low) for low, high in pairwise(bounds)]
    else:  # lists keep what lies before a slice: their frames are copied out
        of_row = np.repeat(source, np.diff(begin, append=batch.num_rows))
        runs = list(dict.fromkeys(runs))
        parts = [batch.take(pa.array((of_row == one).nonzero()[0])) for one in runs]
    return [Frame(kind, tenant, names[one], part) for one, part in zip(runs, parts, strict=True) if part.num_rows]
