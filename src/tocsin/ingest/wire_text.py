"""Kernels for texts: attributes of OTLP, decimal digits, UTF-8, and the gathering of spans of bytes into columns.

A text is a span [begin, end) of one byte array that holds the request and, behind it, what is not found in it.
Field numbers: opentelemetry-proto, common/v1/common.proto. UTF-8: RFC 3629, no surrogates, no overlong forms.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tocsin.ingest.wire_bytes import length_at, same_bytes, varint_at, word_at
from tocsin.model.arrays import I4, I8, U1
from tocsin.stats.jit import njit

# columns of `attributes`: its key, its value, what that is, and the whole KeyValue
KEY, KEY_END, VALUE, VALUE_END, FORM, PIECE, PIECE_END = 0, 1, 2, 3, 4, 5, 6
ATTRIBUTE_COLUMNS: Final = 7
# forms: a text where it is, an integer held in VALUE, a boolean likewise, and what upb must turn into text
TEXT, INTEGER, BOOLEAN, OTHER = 0, 1, 2, 3
_MOST_KEYS: Final = 64
DIGITS: Final = 20
"""Room for the digits of an integer."""
_HIGH_BITS: Final = np.uint64(0x8080808080808080)


@njit()
def _any_value(b: U1, p: int, end: int, row: I8, i: int) -> None:
    """The value of an attribute: plain text, integer or boolean, else left to upb."""
    row[i, FORM] = OTHER
    if p == end:
        row[i, FORM] = TEXT
        row[i, VALUE] = row[i, VALUE_END] = 0
        return
    tag = b[np.uint64(p)]
    if tag == 10:
        size, p = length_at(b, p + 1, end)
        if p >= 0 and p + size == end:
            row[i, FORM] = TEXT
            row[i, VALUE], row[i, VALUE_END] = p, end
    elif tag in (16, 24):
        found, p = varint_at(b, p + 1, end)
        if p == end:
            row[i, FORM] = BOOLEAN if tag == 16 else INTEGER
            row[i, VALUE] = found


@njit()
def key_value(b: U1, p: int, end: int, row: I8, i: int) -> bool:
    """One KeyValue; whether it is a key and at most one value behind it."""
    row[i, PIECE], row[i, PIECE_END] = p, end
    row[i, FORM] = TEXT
    row[i, VALUE] = row[i, VALUE_END] = 0
    if p >= end or b[np.uint64(p)] != 10:
        return False
    size, p = length_at(b, p + 1, end)
    if p < 0:
        return False
    row[i, KEY], row[i, KEY_END] = p, p + size
    p += size
    if p == end:
        return True
    if b[np.uint64(p)] != 18:
        return False
    size, p = length_at(b, p + 1, end)
    if p < 0 or p + size != end:
        return False
    _any_value(b, p, end, row, i)
    return True


@njit()
def keys_differ(b: U1, row: I8, first: int, behind: int) -> bool:
    """Whether all keys of one record are different, and not too many to tell."""
    if behind - first > _MOST_KEYS:
        return False
    for i in range(first + 1, behind):
        size = row[i, KEY_END] - row[i, KEY]
        for j in range(first, i):
            if row[j, KEY_END] - row[j, KEY] == size and same_bytes(b, row[i, KEY], row[i, KEY_END], b, row[j, KEY]):
                return False
    return True


@njit()
def spell(row: I8, n: int, text: U1, at: int, true: int, false: int) -> None:
    """Make texts of integers and booleans: digits are written from `at` on, `true` and `false` lie in `text`."""
    for i in range(n):
        number = row[i, VALUE]
        if row[i, FORM] == BOOLEAN:
            row[i, VALUE] = true if number else false
            row[i, VALUE_END] = row[i, VALUE] + (4 if number else 5)
        elif row[i, FORM] == INTEGER:
            end = p = at + DIGITS
            while True:
                p -= 1
                text[np.uint64(p)] = 48 + number % 10
                number //= 10
                if number == 0:
                    break
            row[i, VALUE], row[i, VALUE_END] = p, end
            at = end


@njit()
def count_of(row: I8, n: int, form: int) -> int:
    """How many attributes have a form."""
    found = 0
    for i in range(n):
        found += row[i, FORM] == form
    return found


@njit()
def offsets_of(begin: I8, end: I8, offsets: I4) -> int:
    """Fill `offsets` (n + 1,) of texts laid end to end; how many bytes they are, -1 beyond what offsets can say."""
    total = 0
    offsets[0] = 0
    for i in range(begin.size):
        total += end[i] - begin[i]
        if total > 0x7FFFFFFF:
            return -1
        offsets[i + 1] = total
    return total


@njit()
def gather(text: U1, begin: I8, end: I8, out: U1) -> bool:
    """Lay texts end to end; whether each is UTF-8."""
    at = 0
    good = True
    for i in range(begin.size):
        first = at
        for p in range(begin[i], end[i]):
            out[np.uint64(at)] = text[np.uint64(p)]
            at += 1
        good = good and is_utf8(out, first, at)
    return good


@njit()
def _trail(b: U1, p: int, low: int, high: int) -> bool:
    return bool(low <= b[np.uint64(p)] <= high)


@njit()
def _sequence(b: U1, p: int, end: int) -> int:
    """Bytes of the character that begins with a byte of 0x80 or more; 0: there is none."""
    head = int(b[np.uint64(p)])
    size = 2 if head < 0xE0 else 3 if head < 0xF0 else 4
    if head < 0xC2 or head > 0xF4 or p + size > end:
        return 0
    low = 0xA0 if head == 0xE0 else 0x90 if head == 0xF0 else 0x80
    high = 0x9F if head == 0xED else 0x8F if head == 0xF4 else 0xBF
    good = _trail(b, p + 1, low, high)
    for place in range(2, size):
        good = good and _trail(b, p + place, 0x80, 0xBF)
    return size if good else 0


@njit()
def is_utf8(b: U1, p: int, end: int) -> bool:
    """Whether b[p:end] is UTF-8."""
    while p < end:
        if p + 8 <= end and word_at(b, p) & _HIGH_BITS == 0:
            p += 8
        elif b[np.uint64(p)] < 128:
            p += 1
        else:
            size = _sequence(b, p, end)
            if size == 0:
                return False
            p += size
    return True


@njit()
def fixed_width(b: U1, begin: I8, width: int, out: U1) -> None:
    """Copy `width` bytes for each of (n,) positions; zeros for a negative one."""
    for i in range(begin.size):
        for place in range(width):
            out[np.uint64(i * width + place)] = b[np.uint64(begin[i] + place)] if begin[i] >= 0 else 0
