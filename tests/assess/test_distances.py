"""Distances against scipy and the formulas of textbooks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from tocsin.assess import distances as d
from tocsin.assess.drift_test import log_gamma
from tocsin.assess.reference import FeatureReference
from tocsin.model.errors import BadInput

COUNTS = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=30)


def both(pairs):
    p, q = np.array(pairs, "i8").T
    return (p, q) if p.sum() and q.sum() else (p + 1, q + 1)


@settings(deadline=None)
@given(COUNTS)
def test_no_distance_of_counts_is_ever_nan_negative_or_infinite(pairs):
    p, q = both(pairs)
    for value in (d.psi(p, q), d.kl(p, q), d.jensen_shannon(p, q), d.total_variation(p, q), d.chi_squared(p, q)[0]):
        assert math.isfinite(value)
        assert value >= -1e-9


@settings(deadline=None)
@given(COUNTS)
def test_distances_of_counts_are_scipys(pairs):
    p, q = both(pairs)
    assert d.jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2), abs=1e-6)
    some = p + q > 0
    if some.sum() > 1:
        value, p_value, degrees, _ = stats.chi2_contingency(np.vstack([p[some], q[some]]), correction=False)
        assert d.chi_squared(p, q) == (pytest.approx(value, rel=1e-9, abs=1e-9), degrees)
        assert 0 <= p_value <= 1
    full = (p > 0) & (q > 0)
    if full.all():
        assert d.kl(p, q) == pytest.approx(stats.entropy(q, p), abs=1e-9)
        assert d.psi(p, q) == pytest.approx(stats.entropy(q, p) + stats.entropy(p, q), abs=1e-9)


@settings(deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=60),
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=60),
)
def test_distances_of_samples_are_scipys(x, y):
    x, y = np.array(x), np.array(y)
    assert d.kolmogorov_smirnov(x, y) == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-12)
    assert d.wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("moved", [0.0, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("law", ["normal", "lognormal", "standard_cauchy"])
def test_distances_of_sketches_are_near_those_of_the_samples(law, moved):
    rng = np.random.default_rng(3)
    x, y = getattr(rng, law)(size=20_000), getattr(rng, law)(size=5_000) + moved
    reference = FeatureReference.learn("x", x)
    own, sketch = reference.own, reference.sketch(y)
    assert d.kolmogorov_smirnov_binned(own.counts, sketch.counts) == pytest.approx(d.kolmogorov_smirnov(x, y), abs=0.01)
    exact = d.wasserstein(x, y)
    binned = d.wasserstein_binned(own.counts, own.sums, sketch.counts, sketch.sums)
    if law != "standard_cauchy":
        assert binned == pytest.approx(exact, abs=0.02, rel=0.03)
    else:  # a cell of the tail is as wide as the tail
        assert binned == pytest.approx(exact, rel=0.15)


def test_mmd_is_that_of_its_definition():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(40, 3)), rng.normal(0.7, 1, size=(30, 3))
    width = np.median([((a - b) ** 2).sum() for i, a in enumerate(x) for b in x[i + 1 :]])

    def k(a, b):
        return math.exp(-((a - b) ** 2).sum() / width)

    xx = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    yy = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    xy = np.mean([k(a, b) for a in x for b in y])
    assert d.maximum_mean_discrepancy(x, y) == pytest.approx(math.sqrt(xx + yy - 2 * xy), rel=1e-9)


def test_an_empty_side_is_an_error_that_says_which():
    some, none = np.array([1, 2]), np.array([0, 0])
    for distance in (d.psi, d.kl, d.jensen_shannon, d.total_variation, d.chi_squared):
        with pytest.raises(BadInput, match="the reference is empty"):
            distance(none, some)
        with pytest.raises(BadInput, match="the current data is empty"):
            distance(some, none)
    with pytest.raises(BadInput, match="no finite numbers"):
        d.wasserstein(np.array([1.0]), np.array([math.nan]))
    with pytest.raises(BadInput, match="has no band"):
        d.psi_band(math.nan)


def test_a_reference_without_variance_has_a_psi_of_zero():
    assert d.psi(np.array([7]), np.array([5])) == 0.0


@settings(deadline=None)
@given(st.floats(1e-6, 1e12))
def test_log_gamma_is_the_librarys(x):
    assert float(log_gamma(np.array([x]))[0]) == pytest.approx(math.lgamma(x), rel=1e-12, abs=1e-12)
