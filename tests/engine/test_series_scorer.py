"""Series judged each alone: no look-ahead, no company, and the faults it is there for."""

import numpy as np

from tocsin.engine.series_scorer import SeriesScorer
from tocsin.model.detection import Step

MINUTE = 60 * 10**9
FIVE = 5 * MINUTE
START = 1_760_000_000 * 10**9


def run(values, step_ns=FIVE, rows=None):
    """Scores, log10 p, alarms and bands of (n, k) values, each (n, k)."""
    scorer = SeriesScorer()
    rows = np.arange(values.shape[1], dtype="i4") if rows is None else rows
    got = [scorer.fold(Step(rows, np.full(len(rows), START + k * step_ns), row.copy())) for k, row in enumerate(values)]
    return tuple(np.array([getattr(v, name) for v in got]) for name in ("score", "log10_p", "alarm", "lower", "upper"))


def noise(seed, rows=600, series=4):
    return 50.0 + np.random.default_rng(seed).normal(size=(rows, series))


def test_a_prefix_gives_a_prefix():
    values = noise(1)
    for whole, part in zip(run(values), run(values[:200]), strict=True):
        np.testing.assert_array_equal(whole[:200], part)


def test_company_means_nothing():
    values = noise(2)
    order = np.array([2, 0, 3, 1])
    for whole, mixed, alone in zip(
        run(values), run(values[:, order], rows=order.astype("i4")), run(values[:, [3]]), strict=True
    ):
        np.testing.assert_array_equal(whole[:, order], mixed)
        np.testing.assert_array_equal(whole[:, [3]], alone)


def test_spikes_up_and_down_a_new_level_and_a_standstill_are_found():
    values = noise(3, rows=1200)
    values[1000, 0] += 15.0
    values[1000, 1] -= 15.0
    values[1000:, 2] += 6.0
    values[1000:, 3] = 50.0
    _, log10_p, alarm, *_ = run(values)
    assert alarm[1000, :2].all()
    assert alarm[1000:1012, 2].any()
    assert alarm[1000:1048, 3].any()
    assert (log10_p[1000, :2] < -3.0).all()
    assert alarm[300:1000].sum() <= 8


def test_a_value_of_the_wrong_hour_is_found_within_the_range_of_the_day():
    k = np.arange(12 * 24 * 20)
    values = 50.0 + 10.0 * np.sin(2.0 * np.pi * k / 288.0) + np.random.default_rng(4).normal(size=len(k)) * 0.3
    at = 288 * 19 + 216  # the trough of a day
    values[at] = 52.0
    score, *_ = run(values[:, None])
    assert score[at, 0] > 1.0
    assert score[at, 0] > np.quantile(score[288 * 12 :, 0], 0.999)


def test_what_goes_on_rings_once():
    values = noise(5, rows=700)
    values[650:680] += 20.0
    _, _, alarm, *_ = run(values)
    assert alarm[650:680].any(axis=0).all()
    assert alarm[650:680].sum(axis=0).max() <= 8


def test_no_value_is_no_news():
    values = noise(6, rows=100)
    values[60] = np.nan
    score, log10_p, alarm, *_ = run(values)
    assert not score[60].any()
    assert not log10_p[60].any()
    assert not alarm[60].any()


def test_fast_series_need_more_for_an_alarm():
    values = noise(7, rows=1500)
    assert run(values, step_ns=10**9)[2].sum() <= run(values, step_ns=FIVE)[2].sum()
    np.testing.assert_array_equal(run(values, step_ns=FIVE)[2], run(values, step_ns=12 * FIVE)[2])
