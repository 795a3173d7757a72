"""Standard deviations per group, of samples that carry a weight."""

from __future__ import annotations

import numpy as np

from tocsin.model.arrays import F8
from tocsin.model.samples import Samples


def weighted_std(samples: Samples, groups: int) -> F8:
    """Standard deviation of each group's samples, (groups,), in their unit, at least 0; NaN where a group has none.

    Of the samples as they are, divided by their weight and not by one less, as Prometheus' `stddev_over_time` does;
    a bucket counts as that many samples at its middle. In two passes, since the difference of two large sums keeps
    no small spread (Chan, Golub and LeVeque, The American Statistician 37, 1983).

    >>> s = Samples.plain(np.zeros(4, "i4"), np.zeros(4, "i8"), 1e9 + np.array([4.0, 16.0, 7.0, 13.0]))
    >>> weighted_std(s, 2).round(4).tolist()
    [4.7434, nan]
    """
    total = np.bincount(samples.row, samples.weight, groups)
    total[total == 0] = np.nan
    mean = np.bincount(samples.row, samples.weight * samples.value, groups) / total
    apart = samples.value - mean[samples.row]
    found: F8 = np.sqrt(np.bincount(samples.row, samples.weight * apart * apart, groups) / total)
    return found
