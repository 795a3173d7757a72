"""Exponential smoothing against its recursions written out, and the finding of seasons."""

import numpy as np
import pytest

from one_series import MINUTE, assert_band_is_where_it_is_calm, at, band, scores, taught
from tocsin.detect.holt_winters import DAMPING
from tocsin.detect.registry import build
from tocsin.model.detection import Step
from tocsin.model.errors import BadConfig


def textbook(values, period, level_gain, trend_gain, season_gain, damping):
    """Forecasts of additive smoothing with damped trend, in the error-correction form of Gardner."""
    level, trend, season, forecasts = values[0], 0.0, np.zeros(max(period, 1)), [np.nan]
    for t in range(1, len(values)):
        place = t % period if period else 0
        forecasts.append(level + damping * trend + season[place])
        error = values[t] - forecasts[-1]
        gain = max(level_gain, 1 / (t + 1))
        level, trend = (
            level + damping * trend + gain * error,
            damping * trend + level_gain * trend_gain * error,
        )
        if period:
            season[place] += max(season_gain, 1 / (t // period + 1)) * (1 - level_gain) * error
    return np.array(forecasts)


@pytest.mark.parametrize("period", [0, 7])
def test_forecasts_are_those_of_the_textbook(period):
    noise = np.random.default_rng(1).normal(size=200)
    values = 20 + 0.05 * np.arange(200) + 3 * np.sin(np.arange(200) * 2 * np.pi / 7) + noise
    params = {"period": period, "warmup": 199} if period else {"longest": 2, "warmup": 199}
    detector = build("holt_winters", {"level": 0.2, "trend": 0.1, "season": 0.3, **params})
    got = []
    for k, value in enumerate(values):
        detector.reserve(np.zeros(1, "i4"))
        got.append(float(detector._forecast(at(k, value))[0]))
        detector.learn(at(k, value), np.ones(1))
    expected = textbook(values, period, 0.2, 0.1, 0.3, DAMPING)
    np.testing.assert_allclose(got[1:], expected[1:], rtol=1e-9)


@pytest.mark.parametrize("period", [5, 24, 60, 144])
def test_a_season_is_found_and_then_known(period):
    k = np.arange(1200)
    values = 100 + 20 * np.sin(2 * np.pi * k / period) ** 3 + np.random.default_rng(2).normal(size=1200)
    detector = build("holt_winters", {})
    got = scores(detector, values)
    assert int(detector.core[0, 3]) == period
    assert np.quantile(got[900:], 0.99) < 4.5
    # at the foot of the season its peak is strange, though an ordinary value
    foot = int(np.argmin(np.sin(2 * np.pi * np.arange(1200, 1200 + period) / period)))
    lower, _, upper = band(detector, 1200 + foot, 5.0)
    assert lower < 80 + 5
    assert upper < 110


def test_noise_has_no_season():
    for seed in range(5):
        values = np.random.default_rng(seed).normal(size=1000)
        detector = taught("holt_winters", values)
        assert detector.core[0, 3] == 0
        walk = taught("holt_winters", 0.1 * np.cumsum(values))
        assert walk.core[0, 3] == 0


def test_missed_steps_move_the_season_on():
    values = [float(k % 10) for k in range(200)]
    detector = taught("holt_winters", values, period=10)
    for gone in (3, 7, 12):
        later = Step(np.zeros(1, "i4"), np.array([(199 + gone) * MINUTE]), np.array([(199.0 + gone) % 10]))
        assert detector.score(later).value[0] < 1
        wrong = Step(later.rows, later.time, (later.value + 4) % 10)
        assert detector.score(wrong).value[0] > 5


def test_one_freak_value_bends_no_forecast():
    values = 50 + np.random.default_rng(3).normal(size=300)
    detector = taught("holt_winters", values)
    before = band(detector, 300, 3.0)[1]
    detector.learn(at(300, 1e9), np.ones(1))
    assert abs(band(detector, 301, 3.0)[1] - before) < 1.0


def test_a_band_is_where_the_score_is_low():
    assert_band_is_where_it_is_calm(taught("holt_winters", 50 + np.random.default_rng(4).normal(size=300)), 300)


@pytest.mark.parametrize("params", [{"level": 0}, {"trend": 2}, {"season": -1}, {"period": 1}, {"longest": 1}])
def test_parameters_that_cannot_work_are_refused(params):
    with pytest.raises(BadConfig, match="holt_winters"):
        build("holt_winters", params)
