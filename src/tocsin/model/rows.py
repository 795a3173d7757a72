"""Rows: the dense numbering of series inside one shard, and arrays that grow with it."""

from __future__ import annotations

import numpy as np

from tocsin.model.arrays import I4, Array
from tocsin.model.series import Catalog, Series


class Rows:
    """Row of each series of a shard, in order of first sight; snapshots carry it, ids never do.

    >>> from tocsin.model.series import Signal
    >>> c = Catalog(); rows = Rows(c)
    >>> ref = c.intern(Series.of("main", Signal("cpu"), {}))
    >>> rows.of_refs(np.array([ref, ref], "i4")).tolist()
    [0, 0]
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._row_of_ref = np.full(64, -1, "i4")
        self._refs: list[int] = []
        self._refs_kept: I4 = np.empty(0, "i4")

    def __len__(self) -> int:
        return len(self._refs)

    def of_refs(self, refs: I4) -> I4:
        """Rows of catalog numbers, (n,); new series get the next rows in order of appearance."""
        if not len(refs):
            return refs
        top = int(refs.max())
        if top >= self._row_of_ref.size:
            self._row_of_ref = grown(self._row_of_ref, top + 1, -1)
        found = self._row_of_ref[refs]
        if (found < 0).any():
            for ref in refs[found < 0].tolist():
                if self._row_of_ref[ref] < 0:
                    self._row_of_ref[ref] = len(self._refs)
                    self._refs.append(ref)
            found = self._row_of_ref[refs]
        return found

    def of_series(self, series: Series) -> int:
        """Row of a series, a new one if it was never seen."""
        return int(self.of_refs(np.array([self.catalog.intern(series)], "i4"))[0])

    def series(self, row: int) -> Series:
        """The series of a row."""
        return self.catalog[self._refs[row]]

    def ref(self, row: int) -> int:
        """Catalog number of a row."""
        return self._refs[row]

    def refs(self, rows: Array) -> I4:
        """Catalog numbers of rows, (n,)."""
        if len(self._refs_kept) != len(self._refs):
            self._refs_kept = np.array(self._refs, "i4")
        found: I4 = self._refs_kept[rows]
        return found

    def all(self) -> list[Series]:
        """All series, by row."""
        return [self.catalog[ref] for ref in self._refs]


def grown(array: Array, need: int, fill: float) -> Array:
    """`array` itself when it holds `need` rows, else a copy of at least twice the size, filled up with `fill`."""
    if need <= array.shape[0]:
        return array
    more = np.full((max(need, 2 * array.shape[0]), *array.shape[1:]), fill, array.dtype)
    more[: array.shape[0]] = array
    return more
