"""Remote write 1.0 and 2.0 -> a POINTS frame by compiled kernels; what is not plain is left to upb."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from tocsin.ingest.decoded import YEAR_2000_NS, Unusable
from tocsin.ingest.native_histogram import MS
from tocsin.ingest.wire_samples import (
    BITS,
    EARLIEST,
    LABELS,
    LABELS_END,
    LATEST,
    MESSAGE,
    MESSAGE_END,
    N_EXEMPLARS,
    N_SAMPLES,
    N_SERIES,
    N_SYMBOLS,
    SERIES,
    START,
    TIME,
    Tables,
    tables_for,
    walk_1,
    walk_2,
)
from tocsin.ingest.wire_table import ByteTable
from tocsin.model.arrays import I4, I8, U1
from tocsin.model.frame import NO_VALUE, Frame, points_frame
from tocsin.model.prometheus_pb import STALE_BITS

NewSeries: TypeAlias = Callable[[bytes, "list[bytes]", str], int]
"""Number of a series that was not seen yet, from its message, the symbols of its request, and the tenant."""
_YEAR_2000_MS = YEAR_2000_NS // MS
_KEPT_BYTES = 512 << 10
_MOST_SERIES = 500_000
_MOST_BYTES = 192 << 20


class Samples(NamedTuple):
    """What was read: a frame, unless there was no sample, and how many exemplars there were."""

    frame: Frame | None
    exemplars: int


class _Known:
    """Series that were seen in this period."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.tables: dict[tuple[str, bool], ByteTable] = {}
        self.spilt: dict[tuple[str, bytes], int] = {}

    def full(self) -> bool:
        tables = self.tables.values()
        return sum(map(len, tables)) + len(self.spilt) > _MOST_SERIES or sum(t.held_bytes for t in tables) > _MOST_BYTES


class SamplesReader:
    """Reads bodies of remote write that are plain and of which nothing is refused; thread-safe.

    Parameters
    ----------
    source : name of the source of the frames
    new_1, new_2 : give a number to a series of either version that was not seen yet
    """

    def __init__(self, source: str, new_1: NewSeries, new_2: NewSeries) -> None:
        self._source = source
        self._new = {False: new_1, True: new_2}
        self._known = _Known(0)
        self._local = threading.local()

    def samples(self, body: bytes, tenant: str, latest_ms: int, epoch: int, *, second: bool) -> Samples | None:
        """All samples of a request of version 1.0 or 2.0 (`second`), or None when upb must read it."""
        raw: U1 = np.frombuffer(body, np.uint8)
        tables = self._tables(raw.size)
        if not (walk_2 if second else walk_1)(raw, tables):
            return None
        used: list[int] = tables[0].tolist()
        if not used[N_SAMPLES]:
            return Samples(None, used[N_EXEMPLARS])
        if not _YEAR_2000_MS <= used[EARLIEST] <= used[LATEST] <= latest_ms:
            return None
        known = self._known
        if known.epoch != epoch or known.full():
            known = self._known = _Known(epoch)
        try:
            refs = self._series(body, raw, tables, tenant, known, second=second)
        except Unusable:
            return None
        return Samples(self._frame(tables[2][:, : used[N_SAMPLES]], refs, tenant), used[N_EXEMPLARS])

    def _tables(self, size_bytes: int) -> Tables:
        """Tables of this thread, kept because fresh memory costs more than what is written to it."""
        room, tables = getattr(self._local, "tables", (0, None))
        if tables is None or room < size_bytes:
            room, tables = max(size_bytes, 1 << 16), tables_for(max(size_bytes, 1 << 16))
            if room <= _KEPT_BYTES:
                self._local.tables = room, tables
        return tables

    def _series(self, body: bytes, raw: U1, tables: Tables, tenant: str, known: _Known, *, second: bool) -> I4:
        """Number of each series of a request."""
        used, series, _, symbols, keys = tables
        n = int(used[N_SERIES])
        table = known.tables.get((tenant, second))
        if table is None:
            table = known.tables.setdefault((tenant, second), ByteTable(int.from_bytes(os.urandom(7), "little")))
        held = keys if second else raw
        refs = table.find(held, np.zeros(n, np.int64), series, (LABELS, LABELS_END, LABELS_END, LABELS_END))
        texts: list[bytes] = []
        for s in (refs < 0).nonzero()[0].tolist():
            key = held[series[LABELS, s] : series[LABELS_END, s]].tobytes()
            found = known.spilt.get((tenant, key))
            if found is None:
                if second and not texts:
                    texts = [body[low:high] for low, high in symbols[:, : used[N_SYMBOLS]].T.tolist()]
                found = self._new[second](body[series[MESSAGE, s] : series[MESSAGE_END, s]], texts, tenant)
                if not table.add(0, key, b"", found):
                    known.spilt[tenant, key] = found
            refs[s] = found
        return refs

    def _frame(self, samples: I8, refs: I4, tenant: str) -> Frame:
        bits = samples[BITS]
        stale = bits == STALE_BITS
        value = bits.copy().view(np.float64)
        value[stale] = np.nan
        flags = stale.view(np.uint8) * np.uint8(NO_VALUE)
        return points_frame(
            tenant, self._source, refs[samples[SERIES]], samples[TIME] * MS, value, samples[START] * MS, flags
        )
