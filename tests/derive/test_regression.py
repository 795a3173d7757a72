"""What one reading is given others: the numbers of least squares, nothing where there is nothing to say."""

import math

import numpy as np
import pytest

from tocsin.derive.regression import QUIET, WARM, Regression

STEP = 10 * 10**9


def world(n, seed=0, noise=2.0):
    rng = np.random.default_rng(seed)
    x = 50 + 40 * np.sin(np.arange(n) / 37) + rng.normal(0, 3, n)
    return x, 5 + 2 * x + 0.01 * x * x + noise * rng.standard_normal(n)


def folded(regression, x, y, start=0):
    return np.array(
        [regression.fold((start + k) * STEP, b, [a]).share for k, (a, b) in enumerate(zip(x, y, strict=True))]
    )


def test_the_share_is_that_of_ordinary_least_squares():
    x, y = world(2_000)
    told = folded(Regression(1), x, y)
    assert np.isnan(told[:WARM]).all()
    k = 1_999
    features = np.stack([np.ones(k + 1), x, np.sqrt(np.maximum(x, 0))], axis=1)
    weights = np.linalg.lstsq(features[:k], y[:k], rcond=None)[0]
    expected = weights @ features[k]
    floor = QUIET * math.sqrt(np.mean(y[:k] ** 2))
    assert told[k] == pytest.approx((y[k] + floor) / (expected + floor), rel=2e-3)


def test_what_stops_moving_with_the_other_is_seen_and_hardly_learned():
    x, y = world(3_000)
    y[2_800:] = np.quantile(y, 0.1)  # within its own range
    told = folded(Regression(1), x, y)
    high = x > 70
    usual, stuck = told[1_000:2_800][high[1_000:2_800]], told[2_800:][high[2_800:]]
    assert np.abs(usual - 1).max() < 0.1
    assert len(stuck) > 10
    assert stuck.max() < 0.6


def test_nothing_is_told_of_what_moves_by_itself():
    rng = np.random.default_rng(3)
    assert np.isnan(folded(Regression(1), rng.uniform(0, 9, 1_000), rng.uniform(5, 6, 1_000))).all()


def test_nothing_is_told_beyond_what_was_seen():
    x, y = world(1_000)
    regression = Regression(1)
    folded(regression, x, y)
    assert math.isnan(regression.fold(1_000 * STEP, 400.0, [300.0]).share)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_teaches_nothing(odd):
    x, y = world(500)
    regression = Regression(1)
    folded(regression, x, y)
    before = regression.snapshot()
    assert math.isnan(regression.fold(500 * STEP, odd, [50.0]).share)
    assert math.isnan(regression.fold(500 * STEP, 50.0, [odd]).share)
    assert regression.snapshot() == before


def test_a_restart_changes_nothing():
    x, y = world(900)
    whole = folded(Regression(1), x, y)
    first = Regression(1)
    head = folded(first, x[:400], y[:400])
    tail = folded(Regression.of(first.snapshot()), x[400:], y[400:], 400)
    assert np.array_equal(np.concatenate([head, tail]), whole, equal_nan=True)


def test_a_constant_other_and_a_constant_reading_are_harmless():
    assert np.isnan(folded(Regression(1), np.full(500, 3.0), world(500)[1])).all()
    assert np.isnan(folded(Regression(1), world(500)[0], np.full(500, 3.0))).all()


def test_what_rises_fast_at_first_and_then_no_more_is_usual_at_every_load():
    rng = np.random.default_rng(7)
    x = 400 * (1 + np.sin(np.arange(4_000) / 90)) * rng.uniform(0.8, 1.2, 4_000)
    y = 100 * x / (x + 60) + rng.normal(0, 1, 4_000)
    told = folded(Regression(1), x, y)[2_000:]
    little = x[2_000:] < 20
    assert little.sum() > 100
    assert abs(told[little].mean() - 1) < 0.08
    assert abs(told[~little].mean() - 1) < 0.02
