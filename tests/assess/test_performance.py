"""Measures against scikit-learn, their intervals against simulation, and odd inputs against what is promised."""

import math

import numpy as np
import pytest
from sklearn import metrics

from tocsin.assess import performance
from tocsin.assess.intervals import Measure, normal_of_t, wilson


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def _scored(rng, n=800, rate=0.3):
    truth = rng.random(n) < rate
    score = np.clip(np.round(rng.beta(2 + 2 * truth, 4 - truth), 2), 0, 1)
    return truth, score, score >= 0.5


def test_classes_are_those_of_scikit_learn(rng):
    truth, score, said = _scored(rng)
    found = performance.of_classes(truth, said, score, rng)
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(truth, said))
    assert found["precision"].value == pytest.approx(metrics.precision_score(truth, said))
    assert found["recall"].value == pytest.approx(metrics.recall_score(truth, said))
    assert found["f1"].value == pytest.approx(metrics.f1_score(truth, said))
    assert found["auc"].value == pytest.approx(metrics.roc_auc_score(truth, score))
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(truth, np.clip(score, 1e-15, 1 - 1e-15)))
    for name, each in found.items():
        assert each.low <= each.value <= each.high, name


def test_numbers_are_those_of_scikit_learn(rng):
    truth = rng.gamma(2.0, 10.0, 500)
    said = truth + rng.normal(0, 3, 500)
    found = performance.of_numbers(truth, said)
    assert found["mae"].value == pytest.approx(metrics.mean_absolute_error(truth, said))
    assert found["rmse"].value == pytest.approx(metrics.root_mean_squared_error(truth, said))
    assert found["mape"].value == pytest.approx(metrics.mean_absolute_percentage_error(truth, said))


def test_ranking_is_that_of_scikit_learn(rng):
    gain, score = rng.integers(0, 4, (30, 15)).astype(float), rng.random((30, 15))
    gain[3] = 0.0
    found = performance.ndcg(np.repeat(np.arange(30), 15), score.ravel(), gain.ravel(), at=5)
    kept = gain.sum(axis=1) > 0
    assert found.value == pytest.approx(metrics.ndcg_score(gain[kept], score[kept], k=5))
    assert found.n == 29
    assert found.note == "1 queries without any gain left out"


def test_calibration_error_is_the_weighted_gap(rng):
    truth, score = np.array([True, False, False, False]), np.array([0.95, 0.95, 0.05, 0.05])
    found = performance.calibration_error(truth, score, rng)
    assert found.value == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)


@pytest.mark.parametrize(
    ("name", "truth_value"),
    [("accuracy", None), ("precision", None), ("recall", None), ("f1", None), ("auc", None), ("log_loss", None)],
)
def test_intervals_hold_the_true_value_95_times_in_100(rng, name, truth_value):
    big_truth, big_score, big_said = _scored(rng, 400_000)
    true = performance.of_classes(big_truth, big_said, big_score, rng)[name].value
    inside = 0
    for _ in range(400):
        truth, score, said = _scored(rng, 150)
        each = performance.of_classes(truth, said, score, rng)[name]
        inside += each.low <= true <= each.high
    assert 0.92 <= inside / 400 <= 0.985


def test_the_interval_of_the_calibration_error_holds_a_true_gap(rng):
    inside = 0
    for _ in range(300):
        score = rng.choice([0.25, 0.75], 2000)
        truth = rng.random(2000) < score - 0.1
        each = performance.calibration_error(truth, score, rng)
        inside += each.low <= 0.1 <= each.high
    assert inside / 300 >= 0.92


@pytest.mark.parametrize("make", [performance.accuracy, performance.precision, performance.recall, performance.f1])
def test_no_rows_give_no_value_and_a_reason(make):
    none = np.zeros(0, bool)
    found = make(none, none)
    assert not found.defined
    assert found.note
    assert found.to_json()["value"] is None


def test_one_class_has_no_area_and_one_row_no_interval(rng):
    ones = np.ones(5, bool)
    assert performance.auc(ones, np.linspace(0, 1, 5)).note == "the truth holds one class"
    alone = performance.log_loss(np.array([True]), np.array([0.5]))
    assert alone.value == pytest.approx(math.log(2))
    assert alone.to_json()["low"] is None
    assert performance.precision(ones, ~ones).note == "nothing was predicted positive"
    assert performance.recall(~ones, ones).note == "no row is positive in truth"
    assert performance.of_numbers(np.array([1.0]), np.array([3.0]))["rmse"].value == 2.0


def test_classes_parted_wholly_still_have_an_interval():
    truth = np.array([False] * 10 + [True] * 10)
    found = performance.auc(truth, truth.astype(float))
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.6 < found.low < 1.0


def test_a_truth_of_zero_has_no_share_and_is_counted():
    found = performance.mape(np.array([0.0, 2.0, 4.0]), np.array([1.0, 1.0, 4.0]))
    assert (found.value, found.note) == (0.25, "1 rows with a truth of 0 left out")
    assert performance.mape(np.zeros(3), np.ones(3)).note == "the truth is 0 in all 3 rows"


def test_scores_of_0_and_1_have_a_finite_loss():
    assert np.isfinite(performance.log_loss(np.array([True, False]), np.array([0.0, 1.0])).value)


def test_wilson_stays_inside_and_normal_of_t_meets_the_tables():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == 1.0
    assert normal_of_t(-4.0247, 10) == pytest.approx(-3.035, abs=0.05)  # Student's tail there is 0.0012
    assert Measure(0.5).to_json() == {"value": 0.5, "low": None, "high": None, "n": 0}
