"""The baseline against its textbooks: how good its forecast is where theirs are at home, and that its spread is true."""

import numpy as np
import pytest

from tocsin.detect.baseline import Baseline
from tocsin.model.detection import Step

MINUTE = 60 * 10**9
DAY_STEPS = 48


def forecast(values, step_ns):
    """Centre and half width (3 sds) that the baseline gives for each value before it sees it, (n,)."""
    detector, row = Baseline(), np.zeros(1, "i4")
    centre, half = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for k, value in enumerate(values.tolist()):
        step = Step(row, np.array([k * step_ns]), np.array([value]))
        detector.score(step)
        band = detector.expect(step)
        centre[k], half[k] = band.centre[0], (band.upper[0] - band.lower[0]) / 2
        detector.learn(step, np.ones(1))
    return centre, half


def smoothed(values, alpha):
    """Simple exponential smoothing (R. G. Brown, 1956): the forecast of each value."""
    level, out = values[0], np.empty(len(values))
    for k, value in enumerate(values):
        out[k] = level
        level += alpha * (value - level)
    return out


def winters(values, period, alpha=0.1, gamma=0.2):
    """Additive seasonal smoothing without trend (P. R. Winters, 1960), begun with the mean of its first season."""
    level, season, out = values[:period].mean(), values[:period] - values[:period].mean(), np.full(len(values), np.nan)
    for k in range(period, len(values)):
        out[k] = level + season[k % period]
        error = values[k] - out[k]
        level += alpha * error
        season[k % period] += gamma * (1 - alpha) * error
    return out


def rmse(values, told, start):
    return float(np.sqrt(np.mean((values - told)[start:] ** 2)))


# a level that ran after every step would swallow an anomaly: what wanders fast is followed later than by smoothing
@pytest.mark.parametrize(("wander", "most"), [(0.0, 1.1), (0.05, 1.1), (0.3, 1.45)])
def test_a_level_that_wanders_is_foretold_as_by_the_best_exponential_smoothing(wander, most):
    rng = np.random.default_rng(11)
    values = 100 + np.cumsum(wander * rng.standard_normal(3_000)) + rng.standard_normal(3_000)
    centre, half = forecast(values, MINUTE)
    best = min(rmse(values, smoothed(values, alpha), 500) for alpha in (0.01, 0.03, 0.1, 0.2, 0.3, 0.5))
    assert rmse(values, centre, 500) <= most * best
    assert np.median(half[500:]) / 3 == pytest.approx(rmse(values, centre, 500), rel=0.15)


def test_a_day_is_foretold_nearly_as_by_seasonal_smoothing_with_twice_its_slots():
    rng = np.random.default_rng(12)
    at = np.arange(28 * DAY_STEPS)
    values = 100 + 20 * np.sin(2 * np.pi * at / DAY_STEPS) + 8 * np.sin(4 * np.pi * at / DAY_STEPS)
    values = values + rng.standard_normal(len(at))
    centre, half = forecast(values, 30 * MINUTE)
    week = 21 * DAY_STEPS
    assert rmse(values, centre, week) <= 1.45 * rmse(values, winters(values, DAY_STEPS), week)
    assert np.median(half[week:]) / 3 == pytest.approx(rmse(values, centre, week), rel=0.3)
