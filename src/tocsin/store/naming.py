"""Columns that name series: from the process's numbers to identities and signals, by array look-ups."""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa

from tocsin.model.arrays import I4, I8, U1, Mask
from tocsin.model.rows import grown
from tocsin.model.series import Catalog


class SeriesNames:
    """What the store writes about each series, by its number in a catalog; grows with the catalog.

    It also remembers which (series, origin) the dictionary table has from this process. A restart forgets it and
    writes them again, which changes nothing.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._count = 0
        self._ids: U1 = np.zeros((64, 16), "u1")
        self._codes: I4 = np.zeros(64, "i4")
        self._signals: dict[str, int] = {}
        self._names = pa.array([], pa.string())
        self._written: dict[str, Mask] = {}

    def ids(self, refs: I4) -> pa.Array:
        """Identities of series, (n,)."""
        self._grow(refs)
        return pa.Array.from_buffers(pa.binary(16), len(refs), [None, pa.py_buffer(self._ids[refs])])

    def signals(self, refs: I4) -> pa.DictionaryArray:
        """Names of the signals of series, (n,)."""
        self._grow(refs)
        return pa.DictionaryArray.from_arrays(pa.array(self._codes[refs]), self._names)

    def unwritten(self, refs: I4, times: I8, origin: str) -> dict[int, int]:
        """Series that the dictionary table may lack, with the earliest of their times."""
        fresh = ~self._mask(refs, origin)[refs]
        if not fresh.any():
            return {}
        unique, inverse = np.unique(refs[fresh], return_inverse=True)
        first = np.full(len(unique), np.iinfo("i8").max)
        np.minimum.at(first, inverse, times[fresh])
        return dict(zip(unique.tolist(), first.tolist(), strict=True))

    def written(self, refs: I4, origin: str) -> None:
        """The dictionary table has these now."""
        self._mask(refs, origin)[refs] = True

    def _mask(self, refs: I4, origin: str) -> Mask:
        mask = cast("Mask", grown(self._written.get(origin, np.zeros(64, "?")), int(refs.max()) + 1, fill=False))
        self._written[origin] = mask
        return mask

    def _grow(self, refs: I4) -> None:
        if int(refs.max()) < self._count:
            return
        fresh = self.catalog.since(self._count)
        end = self._count + len(fresh)
        self._ids = cast("U1", grown(self._ids, end, 0))
        self._codes = cast("I4", grown(self._codes, end, 0))
        known = len(self._signals)
        for ref, series in enumerate(fresh, self._count):
            self._ids[ref] = np.frombuffer(series.id, "u1")
            self._codes[ref] = self._signals.setdefault(series.signal.name, len(self._signals))
        self._count = end
        if len(self._signals) > known:
            self._names = pa.array(list(self._signals), pa.string())
