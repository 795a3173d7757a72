"""The rules of the field as they are written, to be measured beside the decision by bets."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tocsin.assess.distances import kolmogorov_smirnov
from tocsin.model.arrays import F8

BUCKETS: Final = 10
BINS: Final = 20


class AsWritten:
    """PSI and KL of section F and the test of Kolmogorov and Smirnov, against one reference (n,)."""

    def __init__(self, reference: F8) -> None:
        self.reference = np.sort(reference)
        low, high = float(reference.min()), float(reference.max())
        self._buckets, self._bins = (np.linspace(low, high, cut + 1) for cut in (BUCKETS, BINS))
        self._psi, self._kl = (
            np.histogram(reference, edges)[0] / len(reference) for edges in (self._buckets, self._bins)
        )

    def psi(self, current: F8) -> float:
        """PSI over 10 equal bins of the range; what is outside is dropped, an empty bin counts as a share of 0.0001."""
        p = np.maximum(self._psi, 1e-4)
        q = np.maximum(np.histogram(current, self._buckets)[0] / len(current), 1e-4)
        return float(np.sum((q - p) * np.log(q / p)))

    def kl(self, current: F8) -> float:
        """KL divergence of the current from the reference over 20 bins of the range; of nothing within it, no number."""
        q = np.histogram(current, self._bins)[0].astype("f8")
        if not q.sum():
            return math.nan
        p, q = self._kl + 1e-10, q / q.sum() + 1e-10
        return float(np.sum(q * np.log(q / p)))

    def ks(self, current: F8) -> float:
        """Asymptotic p-value of the test of two samples."""
        return ks_p_value(self.reference, current)


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
