"""Columns of points and distributions while they are being decoded: lists, converted once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tocsin.ingest.otlp_values import FloatsColumn
from tocsin.model.frame import NO_VALUE, SCHEMAS, Frame, FrameKind, points_frame
from tocsin.selfmon.metrics import counter

_NAN = float("nan")
_INT64_MAX = 2**63 - 1
_INFINITE = counter(
    "tocsin_ingest_infinite_values_total", "Values taken in that are plus or minus infinity", ["tenant", "source"]
)


def count_infinite(frame: Frame) -> None:
    """Count the infinities among the values of a frame of points."""
    infinite = int(np.isinf(frame.f8("value")).sum())
    if infinite:
        _INFINITE.labels(frame.tenant, frame.source).inc(infinite)


class PointColumns:
    """Points of one source."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, float, int, int]] = []
        self.add = self._rows.append
        """Take one row: series, time, value, start, flags."""

    def __len__(self) -> int:
        return len(self._rows)

    def frame(self, tenant: str, source: str) -> Frame:
        """All points so far; those that say they have no value get NaN, a start that is no time counts as unknown."""
        series, time, value, start, flags = zip(*self._rows, strict=True)
        no_value = np.array(flags, "u4") & NO_VALUE
        numbers = np.array(value, "f8")
        numbers[no_value != 0] = np.nan
        starts = np.array(start, "u8")
        starts[starts > _INT64_MAX] = 0
        frame = points_frame(
            tenant,
            source,
            np.array(series, "i4"),
            np.array(time, "i8"),
            numbers,
            starts.astype("i8"),
            no_value.astype("u1"),
        )
        count_infinite(frame)
        return frame


class DistributionColumns:
    """Histograms of one source, explicit and exponential."""

    def __init__(self) -> None:
        self._plain: list[tuple[int, int, int, int, float, float, float, float]] = []
        self._exponential: list[tuple[int | None, float, int | None, int | None]] = []
        self._bounds = FloatsColumn()
        self._counts = FloatsColumn()
        self._negative = FloatsColumn()

    def __len__(self) -> int:
        return len(self._plain)

    def append(self, ref: int, point: Any, *, exponential: bool) -> None:
        """Add one data point of OTLP."""
        empty = bool(point.flags & NO_VALUE)
        start = point.start_time_unix_nano
        self._plain.append(
            (
                ref,
                point.time_unix_nano,
                start if start <= _INT64_MAX else 0,
                NO_VALUE if empty else 0,
                _NAN if empty else float(point.count),
                point.sum if point.HasField("sum") else _NAN,
                point.min if point.HasField("min") else _NAN,
                point.max if point.HasField("max") else _NAN,
            )
        )
        if exponential:
            positive, negative = point.positive, point.negative
            self._exponential.append((point.scale, float(point.zero_count), positive.offset, negative.offset))
            self._bounds.append(())
            self._counts.append(positive.bucket_counts)
            self._negative.append(negative.bucket_counts)
        else:
            self._exponential.append((None, 0.0, None, None))
            self._bounds.append(point.explicit_bounds)
            self._counts.append(point.bucket_counts)
            self._negative.append(())

    def frame(self, tenant: str, source: str) -> Frame:
        """All distributions so far."""
        schema = SCHEMAS[FrameKind.DISTRIBUTIONS]
        plain = dict(zip(schema.names[:8], zip(*self._plain, strict=True), strict=True))
        scales = dict(
            zip(("scale", "zero_count", "offset", "negative_offset"), zip(*self._exponential, strict=True), strict=True)
        )
        lists = {
            "bounds": self._bounds.array(),
            "counts": self._counts.array(),
            "negative_counts": self._negative.array(),
        }
        columns = [
            lists[column.name] if column.name in lists else pa.array((plain | scales)[column.name], column.type)
            for column in schema
        ]
        return Frame(FrameKind.DISTRIBUTIONS, tenant, source, pa.RecordBatch.from_arrays(columns, schema=schema))
