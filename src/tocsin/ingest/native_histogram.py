"""Native histograms of Prometheus -> columns of DISTRIBUTIONS."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from tocsin.ingest.decoded import Unusable
from tocsin.model.frame import NO_VALUE, SCHEMAS, Frame, FrameKind, frame_of
from tocsin.model.prometheus_pb import STALE_BITS

MS = 1_000_000
_CUSTOM = -53
_GAUGE_HINT = 3
_BUCKETS_MAX = 20_000
_NAN = float("nan")


def float_of(bits: int) -> float:
    """The double with these bits."""
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value


def is_gauge(histogram: Any) -> bool:
    """Whether counter resets mean nothing to it."""
    return bool(histogram.reset_hint == _GAUGE_HINT)


def _counts(deltas: Sequence[int], floats: Sequence[int]) -> list[float]:
    return [float(count) for count in accumulate(deltas)] if deltas else [float_of(bits) for bits in floats]


def _dense(spans: Sequence[Any], counts: list[float]) -> tuple[int, list[float]]:
    """Index of the first bucket, and all counts from there on with zeros in the gaps."""
    length = sum(span.length for span in spans)
    gaps = sum(span.offset for span in spans[1:])
    # the gaps are stated, not sent: a few bytes could ask for any amount of memory
    if length != len(counts) or any(span.offset < 0 for span in spans[1:]) or length + gaps > _BUCKETS_MAX:
        raise Unusable("bad_histogram")
    if any(not count >= 0 for count in counts):
        raise Unusable("bad_histogram")
    dense: list[float] = []
    at = 0
    for place, span in enumerate(spans):
        dense += [0.0] * (span.offset if place else 0)
        dense += counts[at : at + span.length]
        at += span.length
    return (spans[0].offset if spans else 0), dense


def _buckets(histogram: Any) -> dict[str, object]:
    first, counts = _dense(histogram.positive_spans, _counts(histogram.positive_deltas, histogram.positive_counts))
    if histogram.schema == _CUSTOM:
        bounds = [float_of(bits) for bits in histogram.custom_values]
        if not 0 <= first <= first + len(counts) <= len(bounds) + 1:
            raise Unusable("bad_histogram")
        if not all(low < high for low, high in pairwise(bounds)) or any(bound != bound for bound in bounds):  # noqa: PLR0124 - NaN
            raise Unusable("bad_histogram")
        dense = [0.0] * first + counts + [0.0] * (len(bounds) + 1 - first - len(counts))
        return {"bounds": bounds, "counts": dense, "scale": None, "zero_count": 0.0, "negative_counts": []}
    if not -4 <= histogram.schema <= 8:
        raise Unusable("bad_histogram")
    below, negative = _dense(histogram.negative_spans, _counts(histogram.negative_deltas, histogram.negative_counts))
    zero = float(histogram.zero_count_int)
    if histogram.HasField("zero_count_float"):
        zero = float_of(histogram.zero_count_float)
    # bucket i of Prometheus ends at base**i, that of the frame begins there
    return {
        "bounds": [],
        "counts": counts,
        "scale": histogram.schema,
        "zero_count": zero,
        "offset": first - 1,
        "negative_offset": below - 1,
        "negative_counts": negative,
    }


class NativeColumns:
    """Native histograms of one source."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in SCHEMAS[FrameKind.DISTRIBUTIONS].names}

    def __len__(self) -> int:
        return len(self._columns["series"])

    def append(self, ref: int, histogram: Any, start_ms: int) -> None:
        """Add one histogram.

        Raises
        ------
        Unusable
            Its spans, buckets or schema contradict each other.
        """
        stale = histogram.sum == STALE_BITS
        count = float_of(histogram.count_float) if histogram.HasField("count_float") else float(histogram.count_int)
        row: dict[str, object] = {"bounds": [], "counts": [], "scale": None, "zero_count": 0.0, "negative_counts": []}
        if not stale:
            if not count >= 0:
                raise Unusable("bad_histogram")
            row = _buckets(histogram)
        row |= {
            "series": ref,
            "time": histogram.timestamp * MS,
            "start": start_ms * MS,
            "flags": NO_VALUE if stale else 0,
            "count": _NAN if stale else count,
            "sum": _NAN if stale else float_of(histogram.sum),
            "min": _NAN,
            "max": _NAN,
        }
        for name, column in self._columns.items():
            column.append(row.get(name))

    def frame(self, tenant: str, source: str) -> Frame:
        """All histograms so far."""
        return frame_of(FrameKind.DISTRIBUTIONS, tenant, source, dict(self._columns))
