"""Weighted quantiles per group, with interpolation inside histogram buckets."""

from __future__ import annotations

import numpy as np

from tocsin.model.arrays import F8
from tocsin.model.samples import Samples


def weighted_quantile(samples: Samples, groups: int, q: float) -> F8:
    """The `q`-quantile of each group's samples, shape (groups,), NaN where a group has none.

    Plain samples give the smallest value at which the cumulated weight reaches `q` of the total (inverse of the
    empirical distribution); a bucket gives a point inside it in proportion to the weight still missing
    (as Prometheus' `histogram_quantile` does).

    >>> s = Samples.plain(np.zeros(4, "i4"), np.zeros(4, "i8"), np.array([4.0, 1.0, 3.0, 2.0]))
    >>> weighted_quantile(s, 2, 0.5).tolist()
    [2.0, nan]
    """
    found = np.full(groups, np.nan)
    if not len(samples):
        return found
    order = np.lexsort((samples.low, samples.high, samples.row))
    row, low, high = samples.row[order], samples.low[order], samples.high[order]
    new = np.ones(len(row), bool)
    new[1:] = (row[1:] != row[:-1]) | (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    cells = np.flatnonzero(new)
    weight = np.add.reduceat(samples.weight[order], cells)
    row, low, high = row[cells], low[cells], high[cells]
    starts = [0, *(np.flatnonzero(row[1:] != row[:-1]) + 1).tolist()]
    for start, end in zip(starts, [*starts[1:], len(row)], strict=True):
        cumulated = np.cumsum(weight[start:end])
        target = q * cumulated[-1]
        i = start + min(int(np.searchsorted(cumulated, target * (1 - 1e-12))), end - start - 1)
        missing = target - (cumulated[i - start] - weight[i])
        share = min(1.0, max(0.0, missing / weight[i])) if weight[i] > 0 else 1.0
        found[row[start]] = low[i] + (high[i] - low[i]) * share
    return found
