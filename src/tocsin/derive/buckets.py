"""Histograms become weighted values: one sample per bucket that grew, with the range it covers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tocsin.model.samples import Samples


@dataclass(frozen=True, slots=True)
class Distribution:
    """One histogram reading: `bounds` are bucket edges, `counts` has one more entry than inner bounds.

    `edges[i], edges[i+1]` enclose `counts[i]`; infinite edges are allowed. `total` is the sum of values.
    """

    row: int
    time: int
    edges: tuple[float, ...]
    counts: tuple[float, ...]
    total: float
    low: float
    high: float


def exponential_edges(scale: int, offset: int, n: int) -> tuple[float, ...]:
    """Edges of `n` buckets of an OTLP exponential histogram: base**(offset+i), base = 2**(2**-scale).

    >>> exponential_edges(0, 0, 3)
    (1.0, 2.0, 4.0, 8.0)
    """
    step = 2.0**-scale
    return tuple(2.0 ** min(1023.0, max(-1074.0, (offset + i) * step)) for i in range(n + 1))


class Growth:
    """What a cumulative histogram gained since its last reading; one entry per series."""

    def __init__(self) -> None:
        self.last: dict[int, Distribution] = {}

    def fold(self, reading: Distribution) -> Distribution | None:
        """The gain since the last reading, or None for the first one; a shrunken count is a restart."""
        before = self.last.get(reading.row)
        if before is not None and reading.time <= before.time:
            return None
        self.last[reading.row] = reading
        if before is None:
            return None
        if sum(reading.counts) < sum(before.counts):
            return reading
        had = dict(zip(zip(before.edges, before.edges[1:], strict=False), before.counts, strict=True))
        ranges = list(zip(reading.edges, reading.edges[1:], strict=False))
        gain = tuple(max(0.0, c - had.get(r, 0.0)) for r, c in zip(ranges, reading.counts, strict=True))
        total = reading.total - before.total
        return Distribution(reading.row, reading.time, reading.edges, gain, total, math.nan, math.nan)


def spread(gains: Sequence[Distribution]) -> Samples:
    """One sample per non-empty bucket, weighted with its count.

    Values are bucket middles, scaled so that their weighted sum is the histogram's own sum where it is known
    and the scaling stays inside the buckets' order of magnitude.
    """
    columns: list[tuple[int, int, float, float, float, float, int]] = []
    for gain in gains:
        cells = []
        for i, count in enumerate(gain.counts):
            if count <= 0:
                continue
            low, high = gain.edges[i], gain.edges[i + 1]
            if math.isinf(low):
                low = gain.low if math.isfinite(gain.low) else min(0.0, high)
            if math.isinf(high):
                high = gain.high if math.isfinite(gain.high) else low
            cells.append((low, max(low, high), count, i))
        guess = sum((low + high) / 2 * count for low, high, count, _ in cells)
        ratio = gain.total / guess if guess > 0 and math.isfinite(gain.total) and gain.total > 0 else 1.0
        ratio = ratio if 0.25 <= ratio <= 4.0 else 1.0
        columns += [
            (gain.row, gain.time, (low + high) / 2 * ratio, count, low, high, i + 1) for low, high, count, i in cells
        ]
    if not columns:
        return Samples.empty()
    row, time, value, weight, low_, high_, uid = zip(*columns, strict=True)
    return Samples(
        np.array(row, "i4"),
        np.array(time, "i8"),
        np.array(value, "f8"),
        np.array(weight, "f8"),
        np.array(low_, "f8"),
        np.array(high_, "f8"),
        np.array(uid, "i8"),
    )
