"""Kernels that walk an ExportTraceServiceRequest: where spans, their texts and their attributes are.

What they accept is what senders send, with times and ids that are taken; events are only counted. For anything else
they say no, and protobuf's own parser decides. Field numbers: opentelemetry-proto, trace/v1/trace.proto.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tocsin.ingest.wire_bytes import length_at, signed, varint_at, word_at
from tocsin.ingest.wire_rows import (
    ATTRIBUTES,
    ATTRIBUTES_END,
    MESSAGE,
    MESSAGE_END,
    N_ATTRIBUTES,
    N_ROWS,
    N_SCOPES,
    OF_SCOPE,
    TIME,
    Tables,
    open_resource,
    open_scope,
)
from tocsin.ingest.wire_text import key_value, keys_differ
from tocsin.model.arrays import I8, U1
from tocsin.stats.jit import njit

# further columns of `rows`
START, TRACE, SPAN, PARENT, NAME, NAME_END, TOLD, TOLD_END, KIND, STATUS, EVENTS = (
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
)
SPAN_COLUMNS: Final = 17
_INT32_MAX: Final = 2**31 - 1


@njit()
def _id(b: U1, p: int, size: int, width: int) -> int:
    """Position of an id of `width` bytes that is not all zeros, or -1."""
    if size != width:
        return -1
    for place in range(width):
        if b[np.uint64(p + place)] != 0:
            return p
    return -1


@njit()
def _status(b: U1, p: int, end: int, row: I8, i: int) -> bool:
    while p < end:
        tag = b[np.uint64(p)]
        if tag == 18:
            size, p = length_at(b, p + 1, end)
            if p < 0:
                return False
            row[i, TOLD], row[i, TOLD_END] = p, p + size
            p += size
        elif tag == 24:
            row[i, STATUS], p = varint_at(b, p + 1, end)
            if p < 0 or row[i, STATUS] > _INT32_MAX:
                return False
        else:
            return False
    return True


@njit()
def _text_field(b: U1, tag: int, p: int, size: int, row: I8, i: int) -> bool:
    """A field with a length, attributes and status aside; whether it is one that a span has."""
    if tag == 10:
        row[i, TRACE] = _id(b, p, size, 16)
    elif tag == 18:
        row[i, SPAN] = _id(b, p, size, 8)
    elif tag == 34:
        row[i, PARENT] = p if size else -1
        return size in (0, 8)
    elif tag == 42:
        row[i, NAME], row[i, NAME_END] = p, p + size
    elif tag == 90:
        row[i, EVENTS] += 1
    else:
        return tag in (26, 106)  # trace_state, links
    return True


@njit()
def _number_field(b: U1, tag: int, p: int, end: int, row: I8, i: int) -> int:
    """A field without a length; the position behind it, or -1."""
    if tag in (57, 65):
        if p + 8 > end:
            return -1
        row[i, START if tag == 57 else TIME] = signed(word_at(b, p))
        return p + 8
    if tag == 133:  # flags, a field of four bytes whose tag has two
        return p + 5 if p + 5 <= end and b[np.uint64(p)] == 1 else -1
    found, p = varint_at(b, p, end)
    if tag == 48:
        row[i, KIND] = found
        return p if found <= _INT32_MAX else -1
    return p if tag in (80, 96, 112) else -1


@njit()
def _span(b: U1, p: int, end: int, tables: Tables) -> bool:
    """One Span; whether it is plain."""
    used, _, _, row, attributes = tables
    i, a = used[N_ROWS], used[N_ATTRIBUTES]
    if i >= row.shape[0]:
        return False
    row[i] = 0
    row[i, TRACE] = row[i, SPAN] = row[i, PARENT] = -1
    row[i, MESSAGE], row[i, MESSAGE_END], row[i, ATTRIBUTES] = p, end, a
    told = False
    while p < end:
        tag = b[np.uint64(p)]
        p += 1
        if tag & 7 != 2:
            p = _number_field(b, tag, p, end, row, i)
            if p < 0:
                return False
            continue
        size, p = length_at(b, p, end)
        if p < 0:
            return False
        if tag == 74:
            good = a < attributes.shape[0] and key_value(b, p, p + size, attributes, a)
            a += 1
        elif tag == 122:
            good = not told and _status(b, p, p + size, row, i)
            told = True
        else:
            good = _text_field(b, tag, p, size, row, i)
        if not good:
            return False
        p += size
    return _done(b, i, a, tables)


@njit()
def _done(b: U1, i: int, a: int, tables: Tables) -> bool:
    used, _, _, row, attributes = tables
    row[i, ATTRIBUTES_END] = used[N_ATTRIBUTES] = a
    row[i, OF_SCOPE] = used[N_SCOPES] - 1
    used[N_ROWS] = i + 1
    return row[i, TRACE] >= 0 and row[i, SPAN] >= 0 and keys_differ(b, attributes, row[i, ATTRIBUTES], a)


@njit()
def _scope(b: U1, p: int, end: int, tables: Tables) -> bool:
    """One ScopeSpans; whether it is plain."""
    if not open_scope(b, p, end, tables):
        return False
    while p < end:
        tag = b[np.uint64(p)]
        size, p = length_at(b, p + 1, end)
        if p < 0 or (tag == 18 and not _span(b, p, p + size, tables)) or tag not in (10, 18, 26):
            return False
        p += size
    return True


@njit()
def walk_traces(b: U1, tables: Tables) -> bool:
    """Fill the tables from a body; whether all of it is plain."""
    tables[0][:] = 0
    p = 0
    while p < b.size:
        if b[np.uint64(p)] != 10:
            return False
        size, p = length_at(b, p + 1, b.size)
        if p < 0 or not open_resource(b, p, p + size, tables):
            return False
        end = p + size
        while p < end:
            tag = b[np.uint64(p)]
            size, p = length_at(b, p + 1, end)
            if p < 0 or (tag == 18 and not _scope(b, p, p + size, tables)) or tag not in (10, 18, 26):
                return False
            p += size
    return True
