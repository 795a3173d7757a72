"""Distances between two distributions: what is displayed of drift. None of them decides (see `drift_test`).

Functions of counts take rows of the reference and of the current data in the same cells, (cells,); the others take
samples, (n,) and (m,). An empty cell counts as half a row, so that no distance is NaN or infinite.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tocsin.model.arrays import F8, I8
from tocsin.model.errors import BadInput

MINIMAL, MODERATE, SIGNIFICANT = "minimal", "moderate", "significant"
INVESTIGATE: Final = 0.1
RETRAIN: Final = 0.25
MMD_ROWS: Final = 2_000
"""Rows of each side that the maximum mean discrepancy looks at, evenly spread."""


def _shares(reference: I8 | F8, current: I8 | F8) -> tuple[F8, F8]:
    p, q = np.asarray(reference, "f8"), np.asarray(current, "f8")
    if p.shape != q.shape or not p.size:
        raise BadInput(f"both sides need counts of the same cells, got {p.shape} and {q.shape}")
    if not (p.sum() > 0 and q.sum() > 0):
        side = "reference" if not p.sum() > 0 else "current data"
        raise BadInput(f"the {side} is empty: there is no distance to nothing; give at least one row with a value")
    return p, q


def _filled(reference: I8 | F8, current: I8 | F8) -> tuple[F8, F8]:
    """Shares where an empty cell counts as half a row; cells that are empty on both sides say nothing and are left out."""
    p, q = _shares(reference, current)
    some = p + q > 0
    return np.maximum(p[some], 0.5) / p.sum(), np.maximum(q[some], 0.5) / q.sum()


def psi(reference: I8 | F8, current: I8 | F8) -> float:
    """Population stability index of counts, >= 0; 0.0 of a single cell (a reference without variance).

    Raises
    ------
    BadInput
        A side is empty, or the cells differ.

    References: E. M. Lewis, An Introduction to Credit Scoring, 1994; N. Siddiqi, Credit Risk Scorecards, 2006.

    >>> round(psi(np.array([50, 50]), np.array([80, 20])), 4)
    0.4159
    """
    p, q = _filled(reference, current)
    return float(np.sum((q - p) * np.log(q / p))) if len(p) > 1 else 0.0


def psi_band(value: float) -> str:
    """The band of a stability index: minimal below 0.1, moderate to 0.25, significant above.

    >>> psi_band(0.05), psi_band(0.1), psi_band(0.25), psi_band(0.3)
    ('minimal', 'moderate', 'moderate', 'significant')
    """
    if math.isnan(value):
        raise BadInput("a stability index that is not a number has no band")
    return MINIMAL if value < INVESTIGATE else MODERATE if value <= RETRAIN else SIGNIFICANT


def kl(reference: I8 | F8, current: I8 | F8) -> float:
    """Kullback-Leibler divergence of the current from the reference, in nats, finite.

    Reference: S. Kullback and R. A. Leibler, On Information and Sufficiency, Ann. Math. Stat. 1951.

    >>> round(kl(np.array([50, 50]), np.array([80, 20])), 4), kl(np.array([9, 0]), np.array([0, 9])) < 9
    (0.1927, True)
    """
    p, q = _filled(reference, current)
    # a filled side sums to a little more than 1, which would let the sum fall below 0
    return max(0.0, float(np.sum(q * np.log(q / p)) - q.sum() * math.log(q.sum() / p.sum())))


def jensen_shannon(reference: I8 | F8, current: I8 | F8) -> float:
    """Jensen-Shannon distance, the root of the divergence to base 2, in [0, 1].

    Reference: J. Lin, Divergence Measures Based on the Shannon Entropy, IEEE Trans. Inf. Theory 1991.

    >>> jensen_shannon(np.array([1, 0]), np.array([0, 1])), jensen_shannon(np.array([2, 2]), np.array([1, 1]))
    (1.0, 0.0)
    """
    p, q = _shares(reference, current)
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log2(p / middle), 0.0).sum()
        right = np.where(q > 0, q * np.log2(q / middle), 0.0).sum()
    return math.sqrt(min(max(float(left + right) / 2, 0.0), 1.0))


def total_variation(reference: I8 | F8, current: I8 | F8) -> float:
    """Half the sum of the differences of shares: the most that any event's probability moved, in [0, 1].

    >>> round(total_variation(np.array([50, 50]), np.array([80, 20])), 3)
    0.3
    """
    p, q = _shares(reference, current)
    return float(np.abs(p / p.sum() - q / q.sum()).sum() / 2)


def chi_squared(reference: I8 | F8, current: I8 | F8) -> tuple[float, int]:
    """Pearson's statistic of homogeneity of both sides, and its degrees of freedom; cells empty on both are left out.

    Reference: K. Pearson, On the Criterion, Phil. Mag. 1900.

    >>> value, degrees = chi_squared(np.array([50, 50]), np.array([80, 20]))
    >>> round(value, 6), degrees
    (19.78022, 1)
    """
    p, q = _shares(reference, current)
    some = p + q > 0
    p, q = p[some], q[some]
    n, m = p.sum(), q.sum()
    expected_p, expected_q = (p + q) * n / (n + m), (p + q) * m / (n + m)
    value = ((p - expected_p) ** 2 / expected_p).sum() + ((q - expected_q) ** 2 / expected_q).sum()
    return float(value), len(p) - 1


def kolmogorov_smirnov(reference: F8, current: F8) -> float:
    """The greatest gap of the two distribution functions of samples, in [0, 1].

    Reference: N. V. Smirnov, Table for Estimating the Goodness of Fit, Ann. Math. Stat. 1948.

    >>> kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    1.0
    """
    x, y = _sorted(reference, current)
    both = np.concatenate([x, y])
    gap = np.searchsorted(x, both, "right") / len(x) - np.searchsorted(y, both, "right") / len(y)
    return float(np.abs(gap).max())


def kolmogorov_smirnov_binned(reference: I8, current: I8) -> float:
    """The greatest gap at the edges of cells in order: at most a cell's share below that of the samples.

    >>> kolmogorov_smirnov_binned(np.array([5, 5, 0]), np.array([0, 5, 5]))
    0.5
    """
    p, q = _shares(reference, current)
    return float(np.abs(np.cumsum(p) / p.sum() - np.cumsum(q) / q.sum()).max())


def wasserstein(reference: F8, current: F8) -> float:
    """Earth mover's distance of samples, in the unit of the values.

    Reference: S. S. Vallender, Calculation of the Wasserstein Distance between Distributions on the Line, 1974.

    >>> wasserstein(np.array([0.0, 1.0]), np.array([2.0, 3.0]))
    2.0
    """
    x, y = _sorted(reference, current)
    return _moved(x, np.ones(len(x)), y, np.ones(len(y)))


def wasserstein_binned(reference: I8, reference_sums: F8, current: I8, current_sums: F8) -> float:
    """Earth mover's distance where all of a cell stands at its mean: off that of the samples by a cell's width at most.

    >>> wasserstein_binned(np.array([2, 2]), np.array([0.0, 2.0]), np.array([0, 4]), np.array([0.0, 8.0]))
    1.5
    """
    _shares(reference, current)
    p, q = reference > 0, current > 0
    x, y = reference_sums[p] / reference[p], current_sums[q] / current[q]
    return _moved(x, reference[p].astype("f8"), y, current[q].astype("f8"))


def _moved(x: F8, p: F8, y: F8, q: F8) -> float:
    at = np.concatenate([x, y])
    step = np.concatenate([p / p.sum(), -q / q.sum()])
    order = np.argsort(at, kind="stable")
    at = at[order]
    return float(np.abs(np.cumsum(step[order])[:-1]) @ np.diff(at))


def _sorted(reference: F8, current: F8) -> tuple[F8, F8]:
    x, y = np.sort(np.asarray(reference, "f8")), np.sort(np.asarray(current, "f8"))
    for side, values in (("reference", x), ("current data", y)):
        if not len(values):
            raise BadInput(f"the {side} is empty: there is no distance to nothing; give at least one row with a value")
        if not np.isfinite(values).all():
            raise BadInput(f"the {side} holds values that are no finite numbers; count them apart, as missing")
    return x, y


def maximum_mean_discrepancy(reference: F8, current: F8) -> float:
    """Maximum mean discrepancy of vectors (n, d) and (m, d) under a Gaussian kernel, the root of its unbiased square.

    The kernel's width is the median distance of reference rows; at most `MMD_ROWS` rows of each side are taken.

    Raises
    ------
    BadInput
        A side has fewer than two rows, or the dimensions differ.

    Reference: A. Gretton et al., A Kernel Two-Sample Test, JMLR 2012, equation 3.

    >>> x = np.arange(20.0).reshape(10, 2)
    >>> maximum_mean_discrepancy(x, x) < 0.01, maximum_mean_discrepancy(x, x + 100) > 0.5
    (True, True)
    """
    x, y = (np.asarray(side, "f8")[:: -(-max(len(side), 1) // MMD_ROWS)] for side in (reference, current))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise BadInput(f"two rows or more of the same dimension are needed on each side, got {x.shape} and {y.shape}")
    within = _squares(x, x)
    width = float(np.median(within[np.triu_indices(len(x), 1)])) or 1.0
    k_xx, k_yy, k_xy = (np.exp(-d / width) for d in (within, _squares(y, y), _squares(x, y)))
    n, m = len(x), len(y)
    square = (k_xx.sum() - n) / (n * (n - 1)) + (k_yy.sum() - m) / (m * (m - 1)) - 2 * k_xy.mean()
    return math.sqrt(max(float(square), 0.0))


def _squares(x: F8, y: F8) -> F8:
    found: F8 = np.maximum((x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T, 0.0)
    return found
