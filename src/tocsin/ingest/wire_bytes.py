"""Reading protobuf from a byte array in compiled code: lengths, varints, fixed words, all within bounds.

A reader gives the position behind what it read, or -1 when what is there is not plain protobuf: the caller then
leaves the whole request to protobuf's own parser, which knows every corner of the format.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.model.arrays import U1
from tocsin.stats.jit import njit


@njit()
def length_at(b: U1, p: int, end: int) -> tuple[int, int]:
    """Length of what begins at the position given with it; it lies within `end`, or the position is -1."""
    if p < end and b[np.uint64(p)] < 128:  # as nearly all are
        size = int(b[np.uint64(p)])
        return size, p + 1 if size < end - p else -1
    size, shift = 0, 0
    while p < end and shift < 28:
        byte = int(b[np.uint64(p)])
        p += 1
        size |= (byte & 127) << shift
        if byte < 128:
            return size, p if size <= end - p else -1
        shift += 7
    return 0, -1


@njit()
def varint_at(b: U1, p: int, end: int) -> tuple[int, int]:
    """A varint of at most 8 bytes, which is below 2^56, and the position behind it or -1."""
    found, shift = 0, 0
    while p < end and shift < 56:
        byte = int(b[np.uint64(p)])
        p += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, p
        shift += 7
    return 0, -1


@njit()
def skipped(b: U1, p: int, end: int) -> int:
    """Position behind a length and what it counts, or -1."""
    size, p = length_at(b, p, end)
    return p + size if p >= 0 else -1


@njit()
def word_at(b: U1, p: int) -> Any:
    """Eight bytes, little-endian, as uint64; the caller has seen that they are there."""
    q = np.uint64(p)
    found = np.uint64(0)
    for place in range(8):
        found |= np.uint64(b[q + np.uint64(place)]) << np.uint64(8 * place)
    return found


@njit()
def same_bytes(a: U1, p: int, end: int, b: U1, q: int) -> bool:
    """Whether a[p:end] is found at b[q:]; the caller has seen that both hold as much."""
    while p + 8 <= end:
        if word_at(a, p) != word_at(b, q):
            return False
        p += 8
        q += 8
    while p < end:
        if a[np.uint64(p)] != b[np.uint64(q)]:
            return False
        p += 1
        q += 1
    return True


@njit()
def hashed(b: U1, p: int, end: int, seed: Any) -> Any:
    """A hash of b[p:end] as uint64, to find it by; equality is always tested on the bytes themselves."""
    h = seed ^ np.uint64(end - p)
    odd = np.uint64(0x9E3779B97F4A7C15)
    while p + 8 <= end:
        h = (h ^ word_at(b, p)) * odd
        h ^= h >> np.uint64(32)
        p += 8
    rest, shift = np.uint64(0), np.uint64(0)
    while p < end:
        rest |= np.uint64(b[np.uint64(p)]) << shift
        shift += np.uint64(8)
        p += 1
    h = (h ^ rest) * odd
    return h ^ (h >> np.uint64(29))


@njit()
def signed(word: Any) -> Any:
    """The int64 with the bits of a uint64."""
    return np.int64(word)


@njit()
def double_bits(number: Any) -> Any:
    """The bits of a number as a double, in an int64."""
    return np.float64(number).view(np.int64)


@njit()
def double_of(word: Any) -> Any:
    """The double with the bits of a word."""
    return np.int64(word).view(np.float64)
