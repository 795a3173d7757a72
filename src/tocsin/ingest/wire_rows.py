"""Kernels that spans and log records share: tables, resources, scopes, and the texts of all columns in one piece."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np

from tocsin.ingest.wire_bytes import length_at
from tocsin.ingest.wire_text import ATTRIBUTE_COLUMNS, KEY, KEY_END, VALUE, VALUE_END
from tocsin.model.arrays import I4, I8, U1
from tocsin.stats.jit import njit

# places in `used`
N_RESOURCES, N_SCOPES, N_ROWS, N_ATTRIBUTES = 0, 1, 2, 3
# columns of `resources` and `scopes`: where they are; a scope knows its resource
BEGIN, END, OF_RESOURCE = 0, 1, 2
# columns of `rows`: the whole message, its scope, time and attributes; the signals add their own
MESSAGE, MESSAGE_END, OF_SCOPE, TIME, ATTRIBUTES, ATTRIBUTES_END = 0, 1, 2, 3, 4, 5

Tables: TypeAlias = tuple[I8, I8, I8, I8, I8]
"""`used`, `resources`, `scopes`, `rows`, `attributes`."""
_ROW_BYTES: Final = 16
_ATTRIBUTE_BYTES: Final = 8


def tables_for(size_bytes: int, columns: int) -> Tables:
    """Room for what is usual in a body of some size."""
    rows, attributes = size_bytes // _ROW_BYTES + 1, size_bytes // _ATTRIBUTE_BYTES + 1
    shapes = ((rows, 3), (rows, 3), (rows, columns), (attributes, ATTRIBUTE_COLUMNS))
    a, b, c, d = (np.empty(shape, np.int64) for shape in shapes)
    return np.zeros(4, np.int64), a, b, c, d


@njit()
def _open(b: U1, p: int, end: int, table: I8, n: int) -> bool:
    """Note where the first field of a message is, if it has number 1; whether it is there once, and first, or not."""
    if n >= table.shape[0]:
        return False
    table[n, BEGIN] = table[n, END] = 0
    first = True
    while p < end:
        tag = b[np.uint64(p)]
        size, p = length_at(b, p + 1, end)
        if p < 0 or (tag == 10 and not first):
            return False
        if tag == 10:
            table[n, BEGIN], table[n, END] = p, p + size
        first = False
        p += size
    return True


@njit()
def open_resource(b: U1, p: int, end: int, tables: Tables) -> bool:
    """Begin with the resource of a ResourceSpans or ResourceLogs; whether it is plain."""
    used, resources, _, _, _ = tables
    n = used[N_RESOURCES]
    used[N_RESOURCES] = n + 1
    return _open(b, p, end, resources, n)


@njit()
def open_scope(b: U1, p: int, end: int, tables: Tables) -> bool:
    """Begin with the scope of a ScopeSpans or ScopeLogs; whether it is plain."""
    used, _, scopes, _, _ = tables
    n = used[N_SCOPES]
    if not _open(b, p, end, scopes, n):
        return False
    scopes[n, OF_RESOURCE] = used[N_RESOURCES] - 1
    used[N_SCOPES] = n + 1
    return True


@njit()
def count_pairs(order: I8, rows: I8, scopes: I8, held: I8, resource_offsets: I4, attribute_offsets: I4) -> None:
    """Offsets (n + 1,) of the pairs of resources and attributes, rows in some order; `held` counts pairs by resource."""
    resource_offsets[0] = attribute_offsets[0] = 0
    for i in range(order.size):
        row = order[i]
        of_resource = scopes[rows[row, OF_SCOPE], OF_RESOURCE]
        resource_offsets[i + 1] = resource_offsets[i] + held[1, of_resource]
        attribute_offsets[i + 1] = attribute_offsets[i] + rows[row, ATTRIBUTES_END] - rows[row, ATTRIBUTES]


@njit()
def lay_pairs(order: I8, rows: I8, scopes: I8, held: I8, pairs: I8, attributes: I8, spans: I8, at: I8) -> None:
    """Spans of the keys and items of resources and attributes, from the places `at` (4,) on.

    `held` (2, r) has the first pair of a resource in `pairs` (4, p) and how many it has; `spans` (2, m) is filled.
    """
    a, b, c, d = at[0], at[1], at[2], at[3]
    for i in range(order.size):
        row = order[i]
        of_resource = scopes[rows[row, OF_SCOPE], OF_RESOURCE]
        for pair in range(held[0, of_resource], held[0, of_resource] + held[1, of_resource]):
            spans[0, a], spans[1, a] = pairs[0, pair], pairs[1, pair]
            spans[0, b], spans[1, b] = pairs[2, pair], pairs[3, pair]
            a += 1
            b += 1
        for j in range(rows[row, ATTRIBUTES], rows[row, ATTRIBUTES_END]):
            spans[0, c], spans[1, c] = attributes[j, KEY], attributes[j, KEY_END]
            spans[0, d], spans[1, d] = attributes[j, VALUE], attributes[j, VALUE_END]
            c += 1
            d += 1
