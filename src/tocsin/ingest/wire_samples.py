"""Kernels that walk remote write 1.0 and 2.0: where the labels of each series are, and its samples.

What they accept is what senders send: known fields, labels in one piece, no native histograms and no metadata
messages of 1.0. For anything else they say no, and protobuf's own parser decides.
Field numbers: prompb/remote.proto, prompb/types.proto and prompb/io/prometheus/write/v2/types.proto of Prometheus.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np

from tocsin.ingest.wire_bytes import length_at, signed, varint_at, word_at
from tocsin.ingest.wire_points import attributes_at
from tocsin.model.arrays import I8, U1
from tocsin.stats.jit import njit

# rows of `series`: its labels (in the body, or in `keys`), the whole message, whether it had metadata
LABELS, LABELS_END, MESSAGE, MESSAGE_END, DESCRIBED = 0, 1, 2, 3, 4
# rows of `samples`; times in milliseconds, doubles by their bits
SERIES, TIME, BITS, START = 0, 1, 2, 3
# places in `used`
N_SERIES, N_SAMPLES, N_SYMBOLS, N_EXEMPLARS, KEY_BYTES, EARLIEST, LATEST = 0, 1, 2, 3, 4, 5, 6

Tables: TypeAlias = tuple[I8, I8, I8, I8, U1]
"""`used`, `series`, `samples`, `symbols` (begin and end), `keys`."""
_INT64_MAX: Final = 2**63 - 1
_START_END: Final = 1 << 42
_BETWEEN: Final = 0xFF  # in no UTF-8 text


def tables_for(size_bytes: int) -> Tables:
    """Room for what is usual in a body of some size: a sample that is taken has eight bytes at least."""
    rows = size_bytes // 8 + 1
    series, samples, symbols = (np.empty((n, rows), np.int64) for n in (5, 4, 2))
    return np.zeros(7, np.int64), series, samples, symbols, np.empty(4 * size_bytes + 1024, np.uint8)


@njit()
def begin(tables: Tables) -> None:
    """Make the tables ready for a body."""
    used = tables[0]
    used[:] = 0
    used[EARLIEST] = _INT64_MAX


@njit()
def _sample(b: U1, p: int, end: int, tables: Tables) -> bool:
    """One Sample of the series that is walked; whether it is plain."""
    used, _, samples, _, _ = tables
    i = used[N_SAMPLES]
    if i >= samples.shape[1]:
        return False
    time, start = 0, 0
    samples[SERIES, i] = used[N_SERIES]
    samples[BITS, i] = 0
    while p < end:
        tag = b[np.uint64(p)]
        p += 1
        if tag == 9:
            if p + 8 > end:
                return False
            samples[BITS, i] = signed(word_at(b, p))
            p += 8
        elif tag == 16:
            time, p = varint_at(b, p, end)
        elif tag == 24:
            start, p = varint_at(b, p, end)
        else:
            return False
        if p < 0:
            return False
    samples[TIME, i] = time
    samples[START, i] = start
    used[N_SAMPLES] = i + 1
    used[EARLIEST] = min(used[EARLIEST], time)
    used[LATEST] = max(used[LATEST], time)
    return True


@njit()
def _series_1(b: U1, p: int, end: int, tables: Tables) -> bool:
    """One TimeSeries of 1.0; whether it is plain."""
    used, series, _, _, _ = tables
    s, first = used[N_SERIES], used[N_SAMPLES]
    if s >= series.shape[1]:
        return False
    series[LABELS, s] = series[LABELS_END, s] = 0
    series[MESSAGE, s], series[MESSAGE_END, s] = p, end
    while p < end:
        tag = b[np.uint64(p)]
        if tag == 10 and series[LABELS_END, s] == 0:
            series[LABELS, s] = p
            p = series[LABELS_END, s] = attributes_at(b, p + 1, end, 10)
            if p < 0:
                return False
            continue
        size, p = length_at(b, p + 1, end)
        if p < 0:
            return False
        if tag == 18:
            if not _sample(b, p, p + size, tables):
                return False
        elif tag == 26:
            used[N_EXEMPLARS] += 1
        else:
            return False
        p += size
    if used[N_SAMPLES] > first:
        used[N_SERIES] = s + 1
    return True


@njit()
def walk_1(b: U1, tables: Tables) -> bool:
    """Fill the tables from a prometheus.WriteRequest; whether all of it is plain."""
    begin(tables)
    p = 0
    while p < b.size:
        tag = b[np.uint64(p)]
        size, p = length_at(b, p + 1, b.size)
        if p < 0 or tag != 10 or not _series_1(b, p, p + size, tables):
            return False
        p += size
    samples = tables[2]
    samples[START, : tables[0][N_SAMPLES]] = 0  # 1.0 has no such field
    return True


@njit()
def _key(b: U1, p: int, end: int, s: int, tables: Tables) -> int:
    """Write the texts that packed references name to `keys`; the position behind the field, or -1."""
    used, series, _, symbols, keys = tables
    size, p = length_at(b, p, end)
    if p < 0:
        return -1
    stop, at, count = p + size, used[KEY_BYTES], 0
    series[LABELS, s] = at
    while p < stop:
        symbol, p = varint_at(b, p, stop)
        if p < 0 or symbol >= used[N_SYMBOLS]:
            return -1
        low, high = symbols[0, symbol], symbols[1, symbol]
        if at + 1 + high - low > keys.size:
            return -1
        keys[np.uint64(at)] = _BETWEEN
        at += 1
        for q in range(low, high):
            keys[np.uint64(at)] = b[np.uint64(q)]
            at += 1
        count += 1
    used[KEY_BYTES] = series[LABELS_END, s] = at
    return stop if count % 2 == 0 else -1


@njit()
def _metadata(b: U1, p: int, end: int, n_symbols: int) -> bool:
    """Metadata of a series of 2.0; whether it is plain and its unit is a symbol."""
    while p < end:
        tag = b[np.uint64(p)]
        found, p = varint_at(b, p + 1, end)
        if p < 0 or found >= _START_END or tag not in (8, 24, 32):
            return False
        if tag == 32 and found >= n_symbols:
            return False
    return True


@njit()
def _field_2(b: U1, tag: int, p: int, end: int, s: int, tables: Tables) -> int:
    """A message in a series of 2.0; the position behind it, or -1."""
    used, series, _, _, _ = tables
    size, p = length_at(b, p, end)
    if p < 0:
        return -1
    good = tag == 34
    if tag == 34:
        used[N_EXEMPLARS] += 1
    elif tag == 18:
        good = _sample(b, p, p + size, tables)
    elif tag == 42 and series[DESCRIBED, s] == 0:
        series[DESCRIBED, s] = 1
        good = _metadata(b, p, p + size, used[N_SYMBOLS])
    return p + size if good else -1


@njit()
def _series_2(b: U1, p: int, end: int, tables: Tables) -> bool:
    """One TimeSeries of 2.0; whether it is plain."""
    used, series, samples, _, _ = tables
    s, first = used[N_SERIES], used[N_SAMPLES]
    if s >= series.shape[1]:
        return False
    series[LABELS, s] = series[LABELS_END, s] = used[KEY_BYTES]
    series[MESSAGE, s], series[MESSAGE_END, s] = p, end
    series[DESCRIBED, s] = 0
    created, labelled = 0, False
    while p < end:
        tag = b[np.uint64(p)]
        if tag == 48:
            created, p = varint_at(b, p + 1, end)
        elif tag != 10:
            p = _field_2(b, tag, p + 1, end, s, tables)
        elif labelled:
            return False
        else:
            labelled = True
            p = _key(b, p + 1, end, s, tables)
        if p < 0:
            return False
    _begin_of(samples, first, used[N_SAMPLES], created)
    if used[N_SAMPLES] > first:
        used[N_SERIES] = s + 1
    return True


@njit()
def _begin_of(samples: I8, first: int, behind: int, created: int) -> None:
    """Starts of the samples of a series: their own, else that of the series; 0 (unknown) if it can't be one."""
    for i in range(first, behind):
        start = samples[START, i] if samples[START, i] != 0 else created
        samples[START, i] = start if start < _START_END else 0


@njit()
def walk_2(b: U1, tables: Tables) -> bool:
    """Fill the tables from an io.prometheus.write.v2.Request; whether all of it is plain."""
    begin(tables)
    used, _, _, symbols, _ = tables
    p = 0
    walking = False
    while p < b.size:
        tag = b[np.uint64(p)]
        size, p = length_at(b, p + 1, b.size)
        if p < 0:
            return False
        n = used[N_SYMBOLS]
        if tag == 34 and not walking and n < symbols.shape[1]:
            symbols[0, n], symbols[1, n] = p, p + size
            used[N_SYMBOLS] = n + 1
        elif tag == 42 and n > 0 and symbols[0, 0] == symbols[1, 0]:
            walking = True
            if not _series_2(b, p, p + size, tables):
                return False
        else:
            return False
        p += size
    return True
