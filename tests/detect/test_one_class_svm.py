"""The one-class machine against scikit-learn's, and where its score and band lie."""

import numpy as np
import pytest
from sklearn.svm import OneClassSVM

from one_series import assert_band_is_where_it_is_calm, scores, taught
from tocsin.detect.one_class_svm import EDGE, kernel_matrix, log_decision, solve
from tocsin.detect.registry import build
from tocsin.model.errors import BadConfig


def two_levels(seed, steps):
    noise = np.random.default_rng(seed)
    return np.where(noise.random(steps) < 0.5, 0.0, 6.0) + noise.normal(size=steps)


def solved(values, window, nu):
    """Weights, decisions and offset of our own, and scikit-learn's machine on the same shingles."""
    n = len(values) - window + 1
    gamma = 1.0 / (window * values.var())
    kernel = np.empty((n, n))
    kernel_matrix(values, window, gamma, kernel)
    alpha, decision = np.empty(n), np.empty(n)
    rho = solve(kernel, nu, alpha, decision)
    shingles = np.lib.stride_tricks.sliding_window_view(values, window)
    return alpha, decision, rho, OneClassSVM(nu=nu, gamma=gamma, tol=1e-8).fit(shingles), shingles


@pytest.mark.parametrize("nu", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("window", [1, 3])
def test_the_machine_is_that_of_schoelkopf(window, nu):
    values = two_levels(3, 94 + window - 1)
    alpha, decision, rho, theirs, shingles = solved(values, window, nu)
    assert alpha.sum() == pytest.approx(1.0)
    assert alpha.min() >= 0.0
    assert alpha.max() <= 1.0 / (nu * len(alpha)) * (1 + 1e-9)
    # scikit-learn's weights sum to nu n in place of 1
    scale = nu * len(alpha)
    np.testing.assert_allclose(decision * scale, theirs.score_samples(shingles), atol=2e-4 * scale)
    assert rho * scale == pytest.approx(theirs.offset_[0], abs=2e-4 * scale)


def test_at_most_a_share_of_nu_lies_outside():
    for nu in (0.05, 0.1, 0.3):
        alpha, decision, rho, *_ = solved(two_levels(4, 96), 3, nu)
        assert (decision < rho - 1e-3).mean() <= nu <= (alpha > 1e-9).mean() + 1e-9


def test_the_logarithm_of_the_decision_is_known_however_far_a_shingle_is():
    values = two_levels(5, 60)
    gamma = 1.0 / (2 * values.var())
    alpha = np.full(59, 1 / 59)
    shingles = np.lib.stride_tricks.sliding_window_view(values, 2)
    for far in (0.0, 3.0, 20.0):
        newest = np.array([1.0, far])
        direct = np.log(np.sum(alpha * np.exp(-gamma * ((shingles - newest) ** 2).sum(axis=1))))
        assert log_decision(newest, values, alpha, gamma, 2) == pytest.approx(direct)
    assert log_decision(np.array([1.0, 1e4]), values, alpha, gamma, 2) < -1e5


def test_the_boundary_scores_two_and_the_far_is_told_from_the_farther():
    values = two_levels(6, 40 + 64)
    detector = taught("one_class_svm", values)
    step_scores = scores(detector, [40.0])
    assert scores(taught("one_class_svm", values), [80.0])[0] > 1.5 * step_scores[0] > 1.5 * EDGE
    outside = [score > EDGE for score in scores(taught("one_class_svm", values), two_levels(7, 300))]
    assert np.mean(outside) < 0.2  # of shingles that the fits didn't see


@pytest.mark.parametrize("level", [0.0, 5.0])
def test_a_past_that_never_moved_has_no_region_but_a_level(level):
    detector = taught("one_class_svm", [level] * 60)
    calm, moved = scores(detector, [level, level + 2.0])
    assert calm == 0.0
    assert moved >= 1.0


def test_a_fit_is_due_once_warm_and_every_so_many_steps():
    detector = build("one_class_svm", {"warmup": 40, "every": 16})
    values = two_levels(8, 100)
    fits = []
    for value in values:
        before = detector.past[0].copy() if detector.size else None
        scores(detector, [value])
        fits.append(before is not None and not np.array_equal(before, detector.past[0], equal_nan=True))
    assert np.flatnonzero(fits).tolist() == [39, 55, 71, 87]


def test_a_band_is_where_the_score_is_low():
    values = np.random.default_rng(9).normal(size=300)
    assert_band_is_where_it_is_calm(taught("one_class_svm", values), 300)


@pytest.mark.parametrize("params", [{"nu": 0.0}, {"nu": 1.5}, {"window": 0}, {"every": 0}, {"kept": 5}, {"warmup": 4}])
def test_parameters_that_cannot_work_are_refused(params):
    with pytest.raises(BadConfig, match="one_class_svm"):
        build("one_class_svm", params)
