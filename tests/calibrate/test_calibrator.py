"""p-values of scores against their own past."""

import numpy as np
import pytest

from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.level import CRITICAL, EASIEST, HARDEST, WARNING, level, severity_ratio
from tocsin.model.errors import Corrupt

ROW = np.zeros(1, "i4")


def learned(scores, **kwargs):
    """(t, n) scores -> calibrator of n rows."""
    scores = np.atleast_2d(np.asarray(scores, float).T).T
    calibrator = Calibrator(**kwargs)
    rows = np.arange(scores.shape[1], dtype="i4")
    for score in scores:
        calibrator.learn(rows, score)
    return calibrator


def half_normal(steps, rows, seed=0):
    return np.abs(np.random.default_rng(seed).normal(size=(steps, rows)))


def test_silent_before_thirty_scores_and_provisional_after():
    scores = half_normal(30, 1)
    early, ready = learned(scores[:29]), learned(scores)
    assert np.isnan(early.log10_p(ROW, np.array([9.0]))[0][0])
    assert np.isfinite(ready.log10_p(ROW, np.array([9.0]))[0][0])
    assert ready.provisional(ROW)[0]
    assert not learned(half_normal(2000, 1)).provisional(ROW)[0]


def test_p_is_uniform_on_ordinary_scores_and_never_too_small():
    calibrator = learned(half_normal(2000, 50))
    rows = np.arange(50, dtype="i4")
    p = np.concatenate([10 ** calibrator.log10_p(rows, s)[0] for s in half_normal(400, 50, seed=1)])
    # the tail leans to the careful side: a shape below zero is never believed
    for q, least in ((0.5, 0.8), (0.1, 0.7), (0.01, 0.5), (0.001, 0.3)):
        assert least * q <= np.mean(p <= q) <= 1.25 * q, q


def test_p_falls_as_the_score_rises():
    calibrator = learned(half_normal(500, 1))
    grid = np.linspace(0, 60, 500)
    p = np.array([calibrator.log10_p(ROW, np.array([z]))[0][0] for z in grid])
    assert (np.diff(p) <= 1e-12).all()
    assert (p <= 0).all()


def test_score_at_is_the_inverse_in_the_tail():
    calibrator = learned(half_normal(1000, 1))
    for wanted in (-4.0, -6.0, -10.0):
        needed = calibrator.score_at(ROW, np.array([wanted]))
        assert calibrator.log10_p(ROW, needed)[0][0] == pytest.approx(wanted, abs=1e-9)


def test_a_cold_start_asks_for_more():
    few, many = learned(half_normal(40, 40)), learned(half_normal(4000, 40))
    rows = np.arange(40, dtype="i4")
    need = np.full(40, -6.0)
    assert np.median(few.score_at(rows, need)) > 1.3 * np.median(many.score_at(rows, need))


def test_overlapping_windows_count_as_fewer():
    raw = np.random.default_rng(2).normal(size=(3000, 1))
    smooth = np.abs(np.convolve(raw[:, 0], np.ones(6) / np.sqrt(6), "valid"))[:, None]
    independent, overlapping = learned(np.abs(raw)), learned(smooth)
    n_eff = [c.log10_p(ROW, np.array([1.0]))[1][0] for c in (independent, overlapping)]
    assert n_eff[0] > 2500
    assert n_eff[1] < n_eff[0] / 3


def test_nan_is_neither_an_alarm_nor_calm():
    calibrator = learned(half_normal(100, 1))
    before = calibrator.snapshot()
    assert np.isnan(calibrator.log10_p(ROW, np.array([np.nan]))[0][0])
    calibrator.learn(ROW, np.array([np.nan]))
    for name, column in calibrator.snapshot().items():
        np.testing.assert_array_equal(column, before[name])


def test_one_incident_does_not_hide_the_next():
    calibrator = learned(half_normal(2000, 1))
    for _ in range(60):
        calibrator.learn(ROW, np.array([20.0]))
    for score in half_normal(500, 1, seed=4):
        calibrator.learn(ROW, score)
    assert calibrator.log10_p(ROW, np.array([20.0]))[0][0] < -6


def test_what_recurs_is_life():
    calibrator = learned(half_normal(1000, 1))
    for k in range(3):
        for score in half_normal(100, 1, seed=k):
            calibrator.learn(ROW, score)
        calibrator.learn(ROW, np.array([20.0]))
    for score in half_normal(100, 1, seed=9):
        calibrator.learn(ROW, score)
    assert calibrator.log10_p(ROW, np.array([20.0]))[0][0] > -4
    assert calibrator.log10_p(ROW, np.array([80.0]))[0][0] < -6


def with_spikes(gaps, height=20.0):
    """A calibrator that saw a spike after each of these gaps, and calm for the last of them."""
    calibrator = learned(half_normal(3000, 1))
    noise = np.random.default_rng(8)
    for gap in gaps[:-1]:
        for score in np.abs(noise.normal(size=(gap, 1))):
            calibrator.learn(ROW, score)
        calibrator.learn(ROW, np.array([height]))
    for score in np.abs(noise.normal(size=(gaps[-1], 1))):
        calibrator.learn(ROW, score)
    return calibrator.log10_p(ROW, np.array([height]))[0][0]


@pytest.mark.parametrize(
    ("gaps", "life"),
    [
        ([500, 1440, 1440], True),  # each day
        ([500, 1440, 4320, 1440], True),  # each working day
        ([500, 1440, 2100], False),  # now and then
        ([500, 4000, 4700, 6100, 3900], False),  # now and then, for weeks
        ([500, 300, 170, 450], True),  # all the time
    ],
)
def test_what_recurs_regularly_or_often_is_life_and_what_recurs_now_and_then_is_an_incident(gaps, life):
    assert (with_spikes(gaps) > -4.5) == life


def test_restart_split_and_other_rows_change_nothing():
    scores = half_normal(400, 6)
    rows = np.arange(6, dtype="i4")
    whole, parts = Calibrator(), Calibrator()
    for k, score in enumerate(scores):
        whole.learn(rows, score)
        for part in (np.array([4, 0, 2]), np.array([5, 1, 3])):
            parts.learn(rows[part], score[part])
        if k % 100 == 0:
            again = Calibrator()
            again.restore(parts.snapshot())
            parts = again
    for name, column in whole.snapshot().items():
        np.testing.assert_array_equal(column, parts.snapshot()[name])


def test_forget_makes_new_and_a_foreign_snapshot_is_refused():
    calibrator = learned(half_normal(100, 2))
    calibrator.forget(ROW)
    assert calibrator.warm(np.arange(2, dtype="i4")).tolist() == [0.0, 1.0]
    with pytest.raises(Corrupt, match="snapshot"):
        calibrator.restore({"mean": np.zeros(3)})


def test_levels_follow_budget_and_series_within_their_bounds():
    week = 60_480.0
    assert level(3, 200, week) < level(30, 200, week) < level(30, 20, week) <= EASIEST
    assert level(3, 200, week, episode_steps=6) == pytest.approx(level(18, 200, week))
    assert level(0, 1, week) == HARDEST
    assert level(1e9, 1, week) == EASIEST
    assert severity_ratio(np.array([15.0, 25.0]), np.array([10.0, 10.0])).tolist() == [WARNING, CRITICAL]
