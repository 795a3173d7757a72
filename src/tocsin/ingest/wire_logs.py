"""Kernels that walk an ExportLogsServiceRequest: where log records, their texts and their attributes are.

What they accept is what senders send, with ids that are taken. For anything else they say no, and protobuf's own
parser decides. Field numbers: opentelemetry-proto, logs/v1/logs.proto.
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

# further columns of `rows`; a body of PLAIN 0 is not plain text, and its span is that of the whole AnyValue
TRACE, SPAN, SEVERITY, SEVERITY_END, NUMBER, BODY, BODY_END, PLAIN, EVENT, EVENT_END, OBSERVED = (
    6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
)  # fmt: skip
LOG_COLUMNS: Final = 17
_INT32_MAX: Final = 2**31 - 1


@njit()
def _body(b: U1, p: int, end: int, row: I8, i: int) -> bool:
    """The body, which comes once."""
    if row[i, MESSAGE] != 0:
        return False
    row[i, MESSAGE] = 1  # has been here
    row[i, BODY], row[i, BODY_END] = p, end
    row[i, PLAIN] = p == end
    if p < end and b[np.uint64(p)] == 10:
        size, p = length_at(b, p + 1, end)
        if p >= 0 and p + size == end:
            row[i, BODY], row[i, PLAIN] = p, 1
    return True


@njit()
def _text_field(b: U1, tag: int, p: int, size: int, row: I8, i: int) -> bool:
    """A field with a length, attributes aside; whether it is one that a record has."""
    if tag == 26:
        row[i, SEVERITY], row[i, SEVERITY_END] = p, p + size
    elif tag == 42:
        return _body(b, p, p + size, row, i)
    elif tag == 74:
        row[i, TRACE] = p if size else -1
        return size in (0, 16)
    elif tag == 82:
        row[i, SPAN] = p if size else -1
        return size in (0, 8)
    elif tag == 98:
        row[i, EVENT], row[i, EVENT_END] = p, p + size
    else:
        return False
    return True


@njit()
def _number_field(b: U1, tag: int, p: int, end: int, row: I8, i: int) -> int:
    """A field without a length; the position behind it, or -1."""
    if tag in (9, 89):
        if p + 8 > end:
            return -1
        row[i, TIME if tag == 9 else OBSERVED] = signed(word_at(b, p))
        return p + 8
    if tag == 69:  # flags
        return p + 4 if p + 4 <= end else -1
    found, p = varint_at(b, p, end)
    if tag == 16:
        row[i, NUMBER] = found
        return p if found <= _INT32_MAX else -1
    return p if tag == 56 else -1  # dropped attributes


@njit()
def _record(b: U1, p: int, end: int, tables: Tables) -> bool:
    """One LogRecord; whether it is plain."""
    used, _, _, row, attributes = tables
    i, a = used[N_ROWS], used[N_ATTRIBUTES]
    if i >= row.shape[0]:
        return False
    row[i] = 0
    row[i, TRACE] = row[i, SPAN] = -1
    row[i, PLAIN] = 1
    row[i, ATTRIBUTES] = a
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
        if tag == 50:
            good = a < attributes.shape[0] and key_value(b, p, p + size, attributes, a)
            a += 1
        else:
            good = _text_field(b, tag, p, size, row, i)
        if not good:
            return False
        p += size
    row[i, MESSAGE], row[i, MESSAGE_END] = 0, 0
    row[i, ATTRIBUTES_END] = used[N_ATTRIBUTES] = a
    row[i, OF_SCOPE] = used[N_SCOPES] - 1
    used[N_ROWS] = i + 1
    return keys_differ(b, attributes, row[i, ATTRIBUTES], a)


@njit()
def _scope(b: U1, p: int, end: int, tables: Tables) -> bool:
    """One ScopeLogs; whether it is plain."""
    if not open_scope(b, p, end, tables):
        return False
    while p < end:
        tag = b[np.uint64(p)]
        size, p = length_at(b, p + 1, end)
        if p < 0 or (tag == 18 and not _record(b, p, p + size, tables)) or tag not in (10, 18, 26):
            return False
        p += size
    return True


@njit()
def walk_logs(b: U1, tables: Tables) -> bool:
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
