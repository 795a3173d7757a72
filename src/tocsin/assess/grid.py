"""Rows of any kind cut by a reference into few cells per column, so that they can be compared by counting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.model.arrays import F8, I8, Array

MISSING: Final = -1
"""Number of a category that says: there is none."""
UNSEEN: Final = -2
"""Number of a category that the reference never had."""
LEAST_ROWS: Final = 10
"""A cell that held fewer rows of the reference says nothing about them."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """How one column is cut: numbers at `edges`, categories by `place`; the last two cells are rest and missing.

    Attributes
    ----------
    edges : (k,) float64 sorted, the lower ends of all cells but the first; None for categories
    place : (categories,) int64, the cell of each category; None for numbers
    size : number of cells
    """

    edges: F8 | None
    place: I8 | None
    size: int

    @staticmethod
    def of(column: Array, most: int) -> Cut:
        """Cells of a column of the reference, at most `most` beside rest and missing.

        float64 columns are numbers (NaN = missing) and are cut at quantiles; int64 columns are categories, numbered
        from 0, and the most frequent ones get cells of their own.
        """
        if column.dtype.kind == "f":
            known = np.asarray(column, "f8")
            known = known[np.isfinite(known)]
            distinct = np.unique(known)
            if distinct.size <= most:
                edges = distinct[1:]
            else:
                edges = np.unique(np.quantile(known, np.arange(1, most) / most, method="higher"))
                edges = edges[edges > distinct[0]]
            return Cut(edges, None, edges.size + 3)
        codes = np.asarray(column, "i8")
        counts = np.bincount(codes[codes >= 0])
        order = np.argsort(-counts, kind="stable")[:most]
        order = order[counts[order] >= LEAST_ROWS]
        place = np.full(counts.size, order.size, "i8")
        place[order] = np.arange(order.size)
        return Cut(None, place, order.size + 2)

    def code(self, column: Array) -> I8:
        """The cell of each row, (n,) int64 below `size`."""
        if self.edges is not None:
            values = np.asarray(column, "f8")
            found: I8 = np.searchsorted(self.edges, values, side="right").astype("i8")
            found[np.isinf(values)] = self.size - 2
            found[np.isnan(values)] = self.size - 1
            return found
        assert self.place is not None
        codes = np.asarray(column, "i8")
        other = np.where(codes == MISSING, self.size - 1, self.size - 2)
        known = (codes >= 0) & (codes < self.place.size)
        other[known] = self.place[codes[known]]
        return other


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Cells of several columns, numbered on end: a row is one number per column."""

    columns: tuple[Cut, ...]
    first: tuple[int, ...]
    size: int

    @staticmethod
    def of(columns: Sequence[Array], most: int) -> Grid:
        """Cells of (n,) columns of the reference, at most `most` for each beside rest and missing."""
        cuts = tuple(Cut.of(column, most) for column in columns)
        first = np.concatenate([[0], np.cumsum([each.size for each in cuts])])
        return Grid(cuts, tuple(int(x) for x in first[:-1]), int(first[-1]))

    def code(self, columns: Sequence[Array]) -> I8:
        """Cells of rows, (n, columns) int64 below `size`."""
        parts = zip(self.columns, columns, self.first, strict=True)
        return np.stack([cut.code(column) + first for cut, column, first in parts], axis=1)

    def counts(self, coded: I8) -> I8:
        """How many rows fell into each cell, (size,) int64."""
        return np.bincount(coded.ravel(), minlength=self.size).astype("i8")
