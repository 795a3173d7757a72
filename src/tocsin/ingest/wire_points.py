"""Kernels that read one data point of OTLP metrics, and the lists of histograms.

Field numbers and data model: opentelemetry-proto, metrics/v1/metrics.proto.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tocsin.ingest.wire_bytes import double_bits, double_of, length_at, signed, skipped, varint_at, word_at
from tocsin.model.arrays import F8, I4, I8, U1
from tocsin.stats.jit import njit

GAUGE, SUM_OF, HISTOGRAM, EXPONENTIAL = 0, 1, 2, 3
# rows of `numbers` and, to ATTRIBUTES_END, of `histograms`; doubles are held by their bits
METRIC, TIME, START, FLAGS, ATTRIBUTES, ATTRIBUTES_END, BITS = 0, 1, 2, 3, 4, 5, 6
COUNT, SUM, MIN, MAX, ZERO_COUNT, SCALE, OFFSET, NEGATIVE_OFFSET = 6, 7, 8, 9, 10, 11, 12, 13
BOUNDS, BOUNDS_END, COUNTS, COUNTS_END, NEGATIVE, NEGATIVE_END = 14, 15, 16, 17, 18, 19
NUMBER_ROWS: Final = 7
POINT_ROWS: Final = 20
_NO_VALUE: Final = 1
_NAN_BITS: Final = 0x7FF8000000000000
_MAX_SCALE, _MIN_SCALE = 20, -10
_UINT32: Final = 1 << 32


@njit()
def attributes_at(b: U1, p: int, end: int, tag: int) -> int:
    """Position behind a run of fields of one tag, each with a length, from behind the first tag on; or -1."""
    while True:
        p = skipped(b, p, end)
        if p < 0 or p >= end or b[np.uint64(p)] != tag:
            return p
        p += 1


@njit()
def number(b: U1, p: int, end: int, row: I8, i: int) -> bool:
    """One NumberDataPoint; whether it is plain and has a value, or says that it has none."""
    row[TIME:, i] = 0
    valued = False
    while p < end:
        tag = b[np.uint64(p)]
        p += 1
        if tag & 7 == 1:
            if p + 8 > end or not _number_word(row, i, tag, signed(word_at(b, p))):
                return False
            valued |= tag > 25
            p += 8
        elif tag == 58 and row[ATTRIBUTES_END, i] == 0:
            row[ATTRIBUTES, i] = p - 1
            p = row[ATTRIBUTES_END, i] = attributes_at(b, p, end, 58)
        elif tag == 64:
            flags, p = varint_at(b, p, end)
            row[FLAGS, i] = flags & _NO_VALUE
        else:
            p = skipped(b, p, end) if tag == 42 else -1  # exemplars
        if p < 0:
            return False
    if row[FLAGS, i]:
        row[BITS, i] = _NAN_BITS
    return valued or row[FLAGS, i] != 0


@njit()
def _number_word(row: I8, i: int, tag: int, word: int) -> bool:
    """A field of eight bytes of a number; whether there is one with this tag."""
    if tag == 25:
        row[TIME, i] = word
    elif tag == 17:
        row[START, i] = max(word, 0)  # fixed64 beyond int64 is no time: unknown
    elif tag == 33:
        row[BITS, i] = word
    elif tag == 49:
        row[BITS, i] = double_bits(word)
    else:
        return False
    return True


@njit()
def _word_field(row: I8, i: int, tag: int, word: int, exponential: bool) -> bool:
    """A field of eight bytes of a histogram; whether there is one with this tag."""
    if tag == 17:
        row[START, i] = max(word, 0)
    elif tag == 25:
        row[TIME, i] = word
    elif tag == 33:
        row[COUNT, i] = double_bits(np.uint64(word))
    elif tag == 41:
        row[SUM, i] = word
    elif tag == (97 if exponential else 89):
        row[MIN, i] = word
    elif tag == (105 if exponential else 97):
        row[MAX, i] = word
    elif exponential and tag == 57:
        row[ZERO_COUNT, i] = double_bits(np.uint64(word))
    else:
        return exponential and tag == 113  # zero_threshold
    return True


@njit()
def _zigzag(number: int) -> int:
    return (number >> 1) ^ -(number & 1)


@njit()
def _buckets(b: U1, p: int, end: int, row: I8, i: int, offset: int, begin: int) -> bool:
    """Buckets of one sign, into three rows: offset, and where its counts begin and end."""
    told = False
    while p < end:
        tag = b[np.uint64(p)]
        if tag == 8:
            found, p = varint_at(b, p + 1, end)
            if p < 0 or found >= _UINT32:
                return False
            row[offset, i] = _zigzag(found)
        elif tag == 18 and not told:
            size, p = length_at(b, p + 1, end)
            if p < 0:
                return False
            row[begin, i], row[begin + 1, i] = p, p + size
            stop = p + size
            while p < stop:
                _, p = varint_at(b, p, stop)
                if p < 0:
                    return False
            told = True
        else:
            return False
    return True


@njit()
def _packed(b: U1, p: int, end: int, row: I8, i: int, begin: int) -> int:
    """A packed field of words, into two rows; the position behind it, or -1."""
    size, p = length_at(b, p, end)
    if p < 0 or size % 8 or row[begin + 1, i] != 0:
        return -1
    row[begin, i], row[begin + 1, i] = p, p + size
    return p + size


@njit()
def _exponential_field(b: U1, tag: int, p: int, end: int, row: I8, i: int) -> int:
    """A field that only exponential histograms have; the position behind it, or -1."""
    if tag == 48:
        found, p = varint_at(b, p, end)
        if p < 0 or found >= _UINT32:
            return -1
        row[SCALE, i] = _zigzag(found)
        return p
    size, p = length_at(b, p, end)
    if p < 0:
        return -1
    if tag == 66 and row[BOUNDS, i] == 0:
        row[BOUNDS, i] = p  # has been here
        return p + size if _buckets(b, p, p + size, row, i, OFFSET, COUNTS) else -1
    if tag == 74 and row[BOUNDS_END, i] == 0:
        row[BOUNDS_END, i] = p
        return p + size if _buckets(b, p, p + size, row, i, NEGATIVE_OFFSET, NEGATIVE) else -1
    return p + size if tag == 90 else -1  # exemplars


@njit()
def _explicit_field(b: U1, tag: int, p: int, end: int, row: I8, i: int) -> int:
    """A field that only explicit histograms have; the position behind it, or -1."""
    if tag == 50:
        return _packed(b, p, end, row, i, COUNTS)
    if tag == 58:
        return _packed(b, p, end, row, i, BOUNDS)
    return skipped(b, p, end) if tag == 66 else -1  # exemplars


@njit()
def _consistent(b: U1, row: I8, i: int, exponential: bool) -> bool:
    """Whether scale, bounds and counts fit each other."""
    if exponential:
        row[BOUNDS, i] = row[BOUNDS_END, i] = 0
        return bool(_MIN_SCALE <= row[SCALE, i] <= _MAX_SCALE)
    bounds = (row[BOUNDS_END, i] - row[BOUNDS, i]) // 8
    counts = (row[COUNTS_END, i] - row[COUNTS, i]) // 8
    if counts != bounds + 1 and (counts or bounds):
        return False
    below = -math.inf
    for place in range(bounds):
        bound = double_of(word_at(b, row[BOUNDS, i] + 8 * place))
        if not below < bound or (place == 0 and not math.isfinite(bound)):
            return False
        below = bound
    return True


@njit()
def distribution(b: U1, p: int, end: int, row: I8, i: int, exponential: bool) -> bool:
    """One HistogramDataPoint or ExponentialHistogramDataPoint; whether it is plain and consistent."""
    row[TIME:, i] = 0
    row[SUM, i] = row[MIN, i] = row[MAX, i] = _NAN_BITS
    attributes = 10 if exponential else 74
    while p < end:
        tag = b[np.uint64(p)]
        p += 1
        if tag & 7 == 1:
            if p + 8 > end or not _word_field(row, i, tag, signed(word_at(b, p)), exponential):
                return False
            p += 8
        elif tag == attributes and row[ATTRIBUTES_END, i] == 0:
            row[ATTRIBUTES, i] = p - 1
            p = row[ATTRIBUTES_END, i] = attributes_at(b, p, end, attributes)
        elif tag == 80:
            flags, p = varint_at(b, p, end)
            row[FLAGS, i] = flags & _NO_VALUE
        elif exponential:
            p = _exponential_field(b, tag, p, end, row, i)
        else:
            p = _explicit_field(b, tag, p, end, row, i)
        if p < 0:
            return False
    if row[FLAGS, i]:
        row[COUNT, i] = _NAN_BITS
    return _consistent(b, row, i, exponential)


@njit()
def list_offsets(b: U1, begin: I8, end: I8, varints: U1, offsets: I4) -> int:
    """Fill `offsets` (n + 1,) with where each list begins in the flat array; how much that holds."""
    total = 0
    offsets[0] = 0
    for i in range(begin.size):
        if varints[i]:
            for p in range(begin[i], end[i]):
                total += b[np.uint64(p)] < 128
        else:
            total += (end[i] - begin[i]) // 8
        offsets[i + 1] = total
    return total


@njit()
def list_values(b: U1, begin: I8, end: I8, varints: U1, whole: bool, flat: F8) -> None:
    """Fill the flat array from packed varints, words that are counts (`whole`), or doubles."""
    at = 0
    for i in range(begin.size):
        p = begin[i]
        while p < end[i]:
            if varints[i]:
                found, p = varint_at(b, p, end[i])
                flat[at] = np.float64(found)
            else:
                word = word_at(b, p)
                flat[at] = np.float64(word) if whole else double_of(word)
                p += 8
            at += 1
