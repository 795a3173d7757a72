"""Scores that wait to be learned: an own past that ends before what is judged began."""

import numpy as np
import pytest

from tocsin.calibrate.waiting import MOST, Waiting
from tocsin.engine.budget import AlertBudget
from tocsin.engine.watch import Watch
from tocsin.model.samples import Samples
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.monitor import MonitorSpec

S = 10**9
SERIES = Series.of("main", Signal("use", "1", Kind.GAUGE), {"service.name": "bot"})
ROWS = np.arange(3, dtype="i4")


def test_each_row_keeps_its_latest_in_their_order():
    waiting, width = Waiting(4), 4
    put = np.random.default_rng(1).normal(size=(60, 3))
    put[np.random.default_rng(2).random((60, 3)) < 0.3] = np.nan
    got = np.array([waiting.swap(ROWS, each) for each in put])
    for row in range(3):
        known = put[:, row][np.isfinite(put[:, row])]
        due = got[:, row][np.isfinite(got[:, row])]
        assert due.tolist() == known[: len(known) - width].tolist()
        assert np.isnan(got[:, row][np.isnan(put[:, row])]).all()


def test_none_waits_where_windows_share_nothing():
    score = np.array([1.0, np.nan, 3.0])
    assert Waiting(0).swap(ROWS, score) is score


def test_forgotten_rows_begin_anew_and_a_restart_changes_nothing():
    waiting, again = Waiting(2), Waiting(2)
    for k in range(3):
        waiting.swap(ROWS, np.full(3, float(k)))
    waiting.forget(np.array([1, 7], "i4"))
    again.restore(waiting.snapshot())
    for each in (waiting, again):
        assert each.swap(ROWS, np.full(3, 3.0)).tolist() == pytest.approx([1.0, np.nan, 1.0], nan_ok=True)


def watch(size="5m", step="30s", lasts="60s"):
    said = {
        "name": "use", "signal": "use", "aggregate": "mean", "detect": {"baseline": {}},
        "window": {"size": size, "step": step}, "for": lasts, "clear": "5m",
    }  # fmt: skip
    found = Watch(MonitorSpec(**said), Catalog())
    found.watch(0, SERIES)
    return found


def judged(one, value):
    """What each window was judged against, (effective scores, score that was needed); a value every 10 s."""
    budget = AlertBudget(3.0)
    found = []
    for k, each in enumerate(value):
        end = 1_791_158_400 * S + (k + 1) * 10 * S
        taken = Samples.plain(np.zeros(1, "i4"), np.array([end]), np.array([each]), np.array([k]))
        one.push(("main", "otlp/bot"), "gauge", taken)
        for pane in one.close({("main", "otlp/bot"): end}, budget.levels, 0)[0]:
            needed = one.calibrator.score_at(pane.rows, np.full(len(pane.rows), -6.0))
            found.append((float(pane.n_eff[0]), float(needed[0])))
    return found


def test_a_jump_is_judged_against_what_was_before_it_began():
    calm = np.random.default_rng(5).normal(50, 3, 1_400)
    jump = calm.copy()
    jump[-45:] += 9.0
    usual, odd = judged(watch(), calm)[-12:], judged(watch(), jump)[-12:]  # ten overlap, and two more for `for`
    assert odd == usual
    assert judged(watch(), np.append(jump, jump[-45:]))[-1] != judged(watch(), np.append(calm, calm[-45:]))[-1]


@pytest.mark.parametrize(
    ("size", "step", "lasts", "wait"),
    [("60s", "60s", "0s", 0), ("60s", "60s", "3m", 3), ("5m", "30s", "0s", 9), ("5m", "30s", "45s", 11)],
)
def test_as_many_wait_as_share_samples_or_are_waited_for(size, step, lasts, wait):
    assert watch(size, step, lasts).waiting.width == wait


def test_however_long_is_waited_for_few_are_kept():
    assert watch("60s", "60s", "1d").waiting.width == MOST
