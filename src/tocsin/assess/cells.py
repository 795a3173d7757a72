"""Cells that a reference cuts its values into: quantile bins with open ends, or a bounded table of categories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.assess.column import Words
from tocsin.model.arrays import F8, I8

FINE: Final = 120
"""Quantile cells of a numeric reference, of which the 10 buckets of PSI and the 20 bins of KL are unions."""
BUCKETS: Final = 10
HUGE: Final = 1e290
"""Values count as at most this in sums, which so stay finite."""
BINS: Final = 20
MOST_DISTINCT: Final = 12
"""A number with at most so many different values has a cell for each."""
EDGE_SAMPLE: Final = 1_000_000
"""Edges are taken from at most so many rows, evenly spread; all rows are counted."""
MOST_CATEGORIES: Final = 1_000
"""Categories with a cell of their own; those that are rarer share one."""
LEAST_NAMED: Final = 5
"""Rows of a category that is kept by name where there are more categories than that."""
HASHED: Final = 32
"""Cells for categories that are not kept by name."""
MOST_TESTED: Final = 40
"""Cells of categories that are compared one by one; the rest is one."""


def gathered(at: I8, amounts: F8 | I8, size: int) -> F8:
    """Sums of amounts (n,) by place (n,), (size,).

    >>> gathered(np.array([0, 2, 0]), np.array([1.0, 2.0, 3.0]), 3).tolist()
    [4.0, 0.0, 2.0]
    """
    found: F8 = np.bincount(at, amounts, size).astype("f8", copy=False)
    return found


@dataclass(frozen=True, slots=True)
class NumericCells:
    """Cell i is (edges[i-1], edges[i]]; the first lies below the reference's least value, the last above its greatest.

    `bucket` and `bin` (cells,) tell in which of the 10 buckets and 20 bins a cell lies; both have open ends. `exact`
    says that edges are order statistics of values without ties: then the shares of the cells, the reference being
    drawn at random, follow a Dirichlet law exactly, whatever the distribution. `mode_share` is the share of the most
    frequent value.

    References: S. S. Wilks, Determination of Sample Sizes for Setting Tolerance Limits, Ann. Math. Stat. 1941 (the
    law of coverages).

    >>> cells = NumericCells.learn(np.arange(1.0, 1001.0))
    >>> counts, _ = cells.count(np.array([0.5, 1.0, 500.0, 1000.0, 1e9]))
    >>> int(counts[0]), int(counts[-1]), int(counts.sum()), cells.exact
    (1, 1, 5, True)
    """

    edges: F8
    bucket: I8
    bin: I8
    exact: bool
    mode_share: float = 0.0

    @staticmethod
    def learn(values: F8) -> NumericCells:
        """Cells of finite values (n,); of none, one open cell."""
        if not len(values):
            return NumericCells(np.empty(0), np.zeros(1, "i8"), np.zeros(1, "i8"), exact=False)
        ordered = np.sort(values[:: -(-len(values) // EDGE_SAMPLE)])
        low, high = float(values.min()), float(values.max())
        new = np.flatnonzero(ordered[1:] > ordered[:-1])
        levels: list[F8] = []
        if len(new) < MOST_DISTINCT:
            distinct = ordered[np.append(new, len(ordered) - 1)]
            levels = [distinct] * 3
        else:
            levels = [_quantiles(ordered, min(cut, max(len(ordered) // 5, 1))) for cut in (BUCKETS, BINS, FINE)]
        ends = np.array([math.nextafter(low, -math.inf), high])
        edges = np.unique(np.concatenate([*levels, ends]))
        inner = edges[1:]  # upper edge of each cell but the open ones
        bucket, bins = (
            np.searchsorted(level[:-1] if level[-1] >= high else level, inner, "left") for level in levels[:2]
        )
        exact = len(new) == len(ordered) - 1 and len(ordered) == len(values)
        runs = np.diff(np.concatenate([[-1], new, [len(ordered) - 1]]))
        mode_share = float(runs.max()) / len(ordered)
        return NumericCells(edges, _open_ended(bucket), _open_ended(bins), exact, mode_share)

    @property
    def size(self) -> int:
        """Number of cells, the two open ones included."""
        return len(self.edges) + 1

    def count(self, values: F8) -> tuple[I8, F8]:
        """Finite values by cell, and their sums by cell, both (cells,)."""
        ordered = np.sort(values)  # sorting, then finding the edges, is several times quicker than placing each value
        ends = np.searchsorted(ordered, self.edges, "right")
        counts = np.diff(np.concatenate([[0], ends, [len(values)]])).astype("i8")
        sums = np.zeros(len(counts))
        if len(ordered):
            held = counts > 0
            small = ordered[0] >= -HUGE and ordered[-1] <= HUGE
            starts = np.concatenate([[0], ends])[held]
            sums[held] = np.add.reduceat(ordered if small else np.clip(ordered, -HUGE, HUGE), starts)
        return counts, sums


def _quantiles(ordered: F8, cuts: int) -> F8:
    """Order statistics at j/cuts; a value that fills a cell or more by itself gets a cell of its own."""
    at = -(-np.arange(1, cuts + 1) * len(ordered) // cuts) - 1
    edges = ordered[at]
    heavy = edges[1:][np.diff(edges) == 0]
    return np.unique(np.concatenate([edges, np.nextafter(heavy, -np.inf)]))


def _open_ended(of_inner: I8) -> I8:
    """Which bucket each cell is in, where the open cells belong to the first and the last."""
    found: I8 = np.concatenate([of_inner[:1], of_inner, of_inner[-1:]]).astype("i8")
    return found


@dataclass(frozen=True, slots=True)
class CategoryCells:
    """A cell for each of the most frequent categories, some for others by their hash, and the last for unseen ones.

    Where a reference has more than `MOST_CATEGORIES`, rare ones are not kept by name: what is not in the table falls into
    one of `HASHED` cells, and unseen ones can't be told. Where it is `complete` there are no such cells.

    >>> from tocsin.assess.column import words
    >>> cells = CategoryCells.learn(words(["a", "b", "a"]))
    >>> cells.names, cells.count(words(["a", "c"]))[0].tolist()
    (('a', 'b'), [1, 0, 1])
    """

    names: tuple[str, ...]
    complete: bool
    singletons: int
    distinct: int
    mode_share: float
    _table: Any = field(default=None, repr=False, compare=False)

    @staticmethod
    def learn(values: Words) -> CategoryCells:
        """Cells of texts, most frequent first (ties by name)."""
        names, counts = values.counted()
        order = np.lexsort((pc.array_sort_indices(pc.array_sort_indices(names)).to_numpy(), -counts))
        complete = len(names) <= MOST_CATEGORIES
        if not complete:
            # a rare one kept by name would look gone in any later rows, as others take its place: hashed, both are alike
            order = order[counts[order] >= LEAST_NAMED]
        kept = names.take(pa.array(order[:MOST_CATEGORIES]))
        return CategoryCells(
            names=tuple(kept.to_pylist()),
            complete=complete,
            singletons=int((counts == 1).sum()),
            distinct=len(names),
            mode_share=float(counts.max(initial=0)) / max(int(counts.sum()), 1),
            _table=kept,
        )

    @property
    def size(self) -> int:
        """Number of cells: categories, hashed ones, unseen."""
        return len(self.names) + (0 if self.complete else HASHED) + 1

    def count(self, values: Words) -> tuple[I8, Sequence[str]]:
        """Texts by cell (cells,), and examples of unseen ones."""
        names, counts = values.counted()
        at = pc.fill_null(pc.index_in(names, self._table), -1).to_numpy(zero_copy_only=False).astype("i8")
        strange = np.flatnonzero(at < 0)
        rest = names.take(pa.array(strange))
        unseen: list[str] = []
        if self.complete:
            at[strange] = self.size - 1
            unseen = rest.slice(0, 3).to_pylist()
        else:
            at[strange] = [len(self.names) + crc32(name.encode()) % HASHED for name in rest.to_pylist()]
        return gathered(at, counts, self.size).astype("i8"), [text[:80] for text in unseen]
