"""From a frame of distributions to readings whose buckets have edges."""

from __future__ import annotations

import math
from typing import Any

from tocsin.derive.buckets import Distribution, exponential_edges
from tocsin.model.frame import NO_VALUE, Frame
from tocsin.model.rows import Rows


def distributions_of(frame: Frame, rows: Rows) -> list[Distribution]:
    """Readings of a frame, those marked as having no value left out.

    Explicit bounds b0..bk give buckets (-inf, b0], (b0, b1], ..., (bk, inf); exponential buckets become explicit
    ones, the negative side mirrored, zeros in a bucket of no width.
    """
    numbers = rows.of_refs(frame.i4("series")).tolist()
    found = []
    for row, reading in zip(numbers, frame.rows(), strict=True):
        fields: dict[str, Any] = reading
        if fields["flags"] & NO_VALUE:
            continue
        edges, counts = _explicit(fields) if fields["scale"] is None else _exponential(fields)
        total, low, high = (_number(fields[name]) for name in ("sum", "min", "max"))
        found.append(Distribution(row, fields["time"], edges, counts, total, low, high))
    return found


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _explicit(fields: dict[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    bounds = tuple(fields["bounds"] or ())
    counts = tuple(fields["counts"] or (fields["count"],))
    if bounds and math.isinf(bounds[-1]) and bounds[-1] > 0:  # Prometheus writes the last bound out
        bounds = bounds[:-1]
    lowest = 0.0 if not bounds or bounds[0] > 0 else -math.inf
    return (lowest, *bounds, math.inf), counts[: len(bounds) + 1]


def _exponential(fields: dict[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    scale = fields["scale"]
    up = tuple(fields["counts"] or ())
    down = tuple(fields["negative_counts"] or ())
    above = exponential_edges(scale, fields["offset"] or 0, len(up)) if up else ()
    below = exponential_edges(scale, fields["negative_offset"] or 0, len(down)) if down else ()
    mirrored = tuple(-edge for edge in reversed(below))
    edges: tuple[float, ...] = mirrored
    counts: tuple[float, ...] = tuple(reversed(down))
    if not edges:
        edges = (0.0,)
    if edges[-1] != 0.0:
        edges, counts = (*edges, 0.0), (*counts, 0.0)
    edges, counts = (*edges, 0.0), (*counts, fields["zero_count"] or 0.0)
    if above:
        if above[0] > 0.0:
            edges, counts = (*edges, above[0]), (*counts, 0.0)
        edges, counts = (*edges, *above[1:]), (*counts, *up)
    return edges, counts
