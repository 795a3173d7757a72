"""The rules of the field as they are written, to be measured beside the decision by bets."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tocsin.assess.distances import kolmogorov_smirnov
from tocsin.model.arrays import F8

BUCKETS: Final = 10
BINS: Final = 20


def _shares(edges: F8, values: F8) -> F8:
    found: F8 = np.histogram(values, edges)[0] / len(values)  # what is outside the range is dropped
    return found


def psi_as_written(reference: F8, current: F8) -> float:
    """PSI over 10 equal bins of the reference's range; an empty bin counts as a share of 0.0001."""
    edges = np.linspace(reference.min(), reference.max(), BUCKETS + 1)
    p, q = (np.maximum(_shares(edges, side), 1e-4) for side in (reference, current))
    return float(np.sum((q - p) * np.log(q / p)))


def kl_as_written(reference: F8, current: F8) -> float:
    """KL divergence over 20 bins of the reference's range, each side normalised, with an epsilon of 1e-10.

    All mass outside the range is 0 of 0, which is no number and no alarm.
    """
    edges = np.linspace(reference.min(), reference.max(), BINS + 1)
    p, q = np.histogram(reference, edges)[0].astype("f8"), np.histogram(current, edges)[0].astype("f8")
    if not q.sum():
        return math.nan
    p, q = p / p.sum() + 1e-10, q / q.sum() + 1e-10
    return float(np.sum(p * np.log(p / q)))


def ks_p_value(reference: F8, current: F8) -> float:
    """Asymptotic p-value of the Kolmogorov-Smirnov test of two samples.

    Reference: M. A. Stephens, Use of the Kolmogorov-Smirnov Statistics without Extensive Tables, JRSS B 1970.

    >>> x = np.arange(100.0)
    >>> ks_p_value(x, x) > 0.99, ks_p_value(x, x + 30) < 1e-3
    (True, True)
    """
    root = math.sqrt(len(reference) * len(current) / (len(reference) + len(current)))
    at = (root + 0.12 + 0.11 / root) * kolmogorov_smirnov(reference, current)
    if at < 0.2:
        return 1.0
    k = np.arange(1, 101)
    return float(min(max(2 * np.sum((-1.0) ** (k - 1) * np.exp(-2 * (k * at) ** 2)), 0.0), 1.0))
