"""Kernels that walk an ExportMetricsServiceRequest: where resources, metrics and points are, and their numbers.

What they accept is what senders send: known fields, each message field once, repeated fields in one piece, no
summaries. For anything else they give -1, and protobuf's own parser decides.
Field numbers and data model: opentelemetry-proto, metrics/v1/metrics.proto.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np

from tocsin.ingest.wire_bytes import length_at, varint_at
from tocsin.ingest.wire_points import GAUGE, HISTOGRAM, METRIC, NUMBER_ROWS, POINT_ROWS, TIME, distribution, number
from tocsin.model.arrays import I8, U1
from tocsin.stats.jit import njit

# rows of `resources`: where each is
RESOURCE, RESOURCE_END = 0, 1
# rows of `metrics`: its resource, where its texts are, what it is, its first rows of both kinds and those behind the last
NAME, NAME_END, UNIT, UNIT_END, OF_RESOURCE, WHICH, TEMPORALITY, MONOTONIC = 0, 1, 2, 3, 4, 5, 6, 7
NUMBERS, NUMBERS_END, HISTOGRAMS, HISTOGRAMS_END = 8, 9, 10, 11
# places in `used`: columns that are filled, then the earliest and latest time of a point
N_RESOURCES, N_METRICS, N_NUMBERS, N_HISTOGRAMS, EARLIEST, LATEST = 0, 1, 2, 3, 4, 5

Tables: TypeAlias = tuple[I8, I8, I8, I8, I8]
"""`used`, `resources`, `metrics`, `numbers`, `histograms`."""
_MAX_TEMPORALITY: Final = 2
_INT64_MAX: Final = 2**63 - 1


def tables_for(size_bytes: int) -> Tables:
    """Room for what is usual in a body of some size: a row that is taken has eleven bytes at least."""
    rows, metrics = size_bytes // 11 + 1, size_bytes // 16 + 1
    shapes = ((2, metrics), (12, metrics), (NUMBER_ROWS, rows), (POINT_ROWS, rows))
    a, b, c, d = (np.empty(shape, np.int64) for shape in shapes)
    return np.zeros(6, np.int64), a, b, c, d


@njit()
def _points(b: U1, p: int, end: int, m: int, which: int, tables: Tables) -> int:
    """The points of a metric, until another field or the end; the position there, or -1."""
    used, _, _, numbers, histograms = tables
    kind = N_NUMBERS if which < HISTOGRAM else N_HISTOGRAMS
    rows = numbers if which < HISTOGRAM else histograms
    while p < end and b[np.uint64(p)] == 10:
        size, p = length_at(b, p + 1, end)
        if p < 0:
            return -1
        i = used[kind]
        if which < HISTOGRAM:
            good = number(b, p, p + size, rows, i)
        else:
            good = distribution(b, p, p + size, rows, i, which != HISTOGRAM)
        if not good:
            return -1
        rows[METRIC, i] = m
        used[kind] = i + 1
        used[EARLIEST] = min(used[EARLIEST], rows[TIME, i])
        used[LATEST] = max(used[LATEST], rows[TIME, i])
        p += size
    return p


@njit()
def _aggregate(b: U1, p: int, end: int, m: int, which: int, tables: Tables) -> bool:
    """Gauge, Sum, Histogram or ExponentialHistogram; whether it is plain."""
    metrics = tables[2]
    metrics[WHICH, m] = which
    temporality, monotonic = 0, 0
    while p < end:
        tag = b[np.uint64(p)]
        if tag == 10:
            p = _points(b, p, end, m, which, tables)
        elif tag == 16 and which != GAUGE:
            temporality, p = varint_at(b, p + 1, end)
        elif tag == 24 and which == 1:
            monotonic, p = varint_at(b, p + 1, end)
        else:
            return False
        if p < 0:
            return False
    metrics[TEMPORALITY, m] = temporality
    metrics[MONOTONIC, m] = 1 if monotonic else 0
    return which == GAUGE or 1 <= temporality <= _MAX_TEMPORALITY


@njit()
def _which(tag: int) -> int:
    """Kind of a metric by the tag of its member of the oneof; -1: none that is read here."""
    if tag == 42:
        return 0
    if tag == 58:
        return 1
    if tag == 74:
        return 2
    return 3 if tag == 82 else -1


@njit()
def _metric(b: U1, p: int, end: int, of_resource: int, tables: Tables) -> bool:
    """One Metric; whether it is plain."""
    used, _, metrics, _, _ = tables
    m = used[N_METRICS]
    if m >= metrics.shape[1]:
        return False
    metrics[: UNIT_END + 1, m] = 0
    metrics[OF_RESOURCE, m] = of_resource
    metrics[NUMBERS, m] = used[N_NUMBERS]
    metrics[HISTOGRAMS, m] = used[N_HISTOGRAMS]
    told = False
    while p < end:
        tag = b[np.uint64(p)]
        size, p = length_at(b, p + 1, end)
        if p < 0:
            return False
        if tag == 10:
            metrics[NAME, m], metrics[NAME_END, m] = p, p + size
        elif tag == 26:
            metrics[UNIT, m], metrics[UNIT_END, m] = p, p + size
        elif tag not in (18, 98):  # description, metadata
            which = _which(tag)
            if which < 0 or told or not _aggregate(b, p, p + size, m, which, tables):
                return False
            told = True
        p += size
    metrics[NUMBERS_END, m] = used[N_NUMBERS]
    metrics[HISTOGRAMS_END, m] = used[N_HISTOGRAMS]
    if told:
        used[N_METRICS] = m + 1
    return not told or metrics[NAME_END, m] > metrics[NAME, m]


@njit()
def _scope(b: U1, p: int, end: int, of_resource: int, tables: Tables) -> bool:
    """One ScopeMetrics; whether it is plain."""
    while p < end:
        tag = b[np.uint64(p)]
        size, p = length_at(b, p + 1, end)
        if p < 0:
            return False
        if tag == 18:
            if not _metric(b, p, p + size, of_resource, tables):
                return False
        elif tag not in (10, 26):
            return False
        p += size
    return True


@njit()
def _resource(b: U1, p: int, end: int, tables: Tables) -> bool:
    """One ResourceMetrics; whether it is plain."""
    used, resources, _, _, _ = tables
    r = used[N_RESOURCES]
    if r >= resources.shape[1]:
        return False
    resources[RESOURCE, r] = 0
    resources[RESOURCE_END, r] = 0
    used[N_RESOURCES] = r + 1
    first = True
    while p < end:
        tag = b[np.uint64(p)]
        size, p = length_at(b, p + 1, end)
        if p < 0:
            return False
        if tag == 10 and first:
            resources[RESOURCE, r] = p
            resources[RESOURCE_END, r] = p + size
        elif tag == 18:
            if not _scope(b, p, p + size, r, tables):
                return False
        elif tag != 26:
            return False
        first = False
        p += size
    return True


@njit()
def walk_metrics(b: U1, tables: Tables) -> bool:
    """Fill the tables from a body; whether all of it is plain."""
    used = tables[0]
    used[:] = 0
    used[EARLIEST] = _INT64_MAX
    p = 0
    while p < b.size:
        if b[np.uint64(p)] != 10:
            return False
        size, p = length_at(b, p + 1, b.size)
        if p < 0 or not _resource(b, p, p + size, tables):
            return False
        p += size
    return True
