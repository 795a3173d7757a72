"""Rows by their tags: coded values, what any slice sums to, and how sure it is worse than the rest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np

from tocsin.assess.column import AnyColumn, texts
from tocsin.assess.heavy_hitters import HeavyHitters
from tocsin.assess.intervals import Measure
from tocsin.assess.tails import clopper_pearson, student_tail
from tocsin.model.arrays import F8, I4, Mask

NONE: Final = "(none)"
"""The value of a tag in rows that don't have it."""
Where: TypeAlias = tuple[tuple[str, str], ...]
"""A slice: tags and their values, all of which its rows have."""
_TERMS: Final = 4096


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of all rows: numbers of its most frequent values (n,), -1 for the rest, of which there are `others`."""

    name: str
    values: tuple[str, ...]
    code: I4
    others: int

    @staticmethod
    def of(name: str, column: AnyColumn, most: int) -> Tag:
        """From a column of anything; the `most` most frequent values get a number."""
        coded = texts(column).dictionary_encode()
        known = coded.dictionary.to_pylist()
        codes = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        counts = np.bincount(codes, minlength=len(known) + 1)
        names = [*known, NONE]
        order = sorted(np.flatnonzero(counts).tolist(), key=lambda k: (-counts[k], names[k]))
        number = np.full(len(names), -1, "i4")
        number[order[:most]] = np.arange(len(order[:most]))
        return Tag(name, tuple(names[k] for k in order[:most]), number[codes], max(0, len(order) - most))


def hitters(column: AnyColumn, capacity: int) -> HeavyHitters:
    """The most frequent values of a column, as a summary that merges with those of other shards and hours."""
    found = HeavyHitters(capacity)
    counted = texts(column).fill_null(NONE).value_counts()
    found.add(Counter({each["values"].as_py(): each["counts"].as_py() for each in counted}))
    return found


@dataclass(eq=False)
class Losses:
    """What was lost in each row (n,), larger = worse, all finite; tests of slices against the rest of the rows."""

    loss: F8

    @cached_property
    def binary(self) -> bool:
        """Whether all are 0 or 1: then tests are exact."""
        return bool(np.isin(self.loss, (0.0, 1.0)).all())

    @cached_property
    def judged(self) -> F8:
        """What tests are made on: the losses if they are 0 or 1, else their ranks, which no outlier can rule."""
        if self.binary:
            return self.loss
        _, place, counts = np.unique(self.loss, return_inverse=True, return_counts=True)
        last = np.cumsum(counts)
        ranks: F8 = (last - (counts - 1) / 2)[place]
        return ranks

    @cached_property
    def _log_factorials(self) -> F8:
        return np.concatenate([np.zeros(1), np.cumsum(np.log(np.arange(1, self.loss.size + 1)))])

    def p_value(self, n: int, total: float, whole: tuple[int, float, float]) -> float:
        """Chance that n rows drawn from the whole sum to at least so much; `whole` is (rows, sum, sum of squares).

        Of 0/1 exact (Fisher's test); else by the normal law with the variance of draws without replacement.
        """
        rows, all_of_it, squares = whole
        if not 0 < n < rows:
            return 1.0
        if self.binary:
            return self._hypergeometric(round(total), n, round(all_of_it), rows)
        mean = all_of_it / rows
        variance = (squares / rows - mean * mean) / n * (rows - n) / (rows - 1)
        return 0.5 * math.erfc((total / n - mean) / math.sqrt(2 * variance)) if variance > 0 else 1.0

    def _hypergeometric(self, seen: int, n: int, bad: int, rows: int) -> float:
        if seen * rows <= n * bad:
            return 1.0
        f = self._log_factorials
        k = np.arange(seen, min(n, bad, seen + _TERMS - 1) + 1)
        k = k[rows - bad - n + k >= 0]
        logs = f[bad] - f[k] - f[bad - k] + f[rows - bad] - f[n - k] - f[rows - bad - n + k]
        logs -= f[rows] - f[n] - f[rows - n]
        terms = np.exp(logs)
        more = 0.0
        if k.size == _TERMS and terms[-2] > 0:  # the rest falls faster than a geometric series
            shrink = float(terms[-1] / terms[-2])
            more = float(terms[-1]) * shrink / (1 - shrink)
        return min(1.0, float(terms.sum()) + more)

    def mean(self, rows: Mask, level: float) -> Measure:
        """Mean loss of some rows, with an interval at a level."""
        return self.mean_of(self.loss[rows], level)

    def mean_of(self, part: F8, level: float) -> Measure:
        """Mean of some losses: exact where all losses are 0 or 1, else by Student's t."""
        n = int(part.size)
        if n == 0:
            return Measure(math.nan, note="no rows")
        value = float(part.mean())
        if self.binary:
            return Measure(value, *clopper_pearson(round(float(part.sum())), n, level), n=n)
        if n == 1:
            return Measure(value, -math.inf, math.inf, n, "one row gives no interval")
        half = _student(level / 2, n - 1) * float(part.std(ddof=1)) / math.sqrt(n)
        return Measure(value, value - half, value + half, n)


def _student(share: float, freedom: int) -> float:
    """The upper quantile of Student's t."""
    low, high = 0.0, 1.0
    while student_tail(high, freedom) > share and high < 1e12:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > share else (low, middle)
    return high


def rows_where(tags: Sequence[Tag], where: Where) -> Mask:
    """Which rows are in a slice, (n,)."""
    by_name: Mapping[str, Tag] = {tag.name: tag for tag in tags}
    found = np.ones(tags[0].code.size, bool)
    for name, value in where:
        tag = by_name[name]
        found &= tag.code == (tag.values.index(value) if value in tag.values else -2)
    return found
