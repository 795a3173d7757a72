"""Trouble that lasts stays open for as long as it lasts, however short the past: its own scores close no finding."""

import numpy as np
import pytest

from tocsin.engine.budget import AlertBudget
from tocsin.engine.watch import Watch
from tocsin.model.finding import Phase
from tocsin.model.samples import Samples
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.monitor import MonitorSpec

S, MINUTE = 10**9, 60 * 10**9
T = 1_791_158_400 * S
SOURCE = ("main", "otlp/bot")
STEP_S = 30
CALM_MIN, TROUBLE_MIN, AFTER_MIN = 180, 45, 20
SERIES = Series.of("main", Signal("calls", "1", Kind.GAUGE), {"service.name": "bot"})
WINDOW = {"size": "5m", "step": "30s", "min_samples": 10}


def levels(rows=400):
    """Levels of a place where so many rows share the budget."""
    budget = AlertBudget(3.0)
    budget.share(rows * 2016.0)
    return budget.levels


def watch(aggregate="p95", window=None, floor=0.0):
    said = {
        "name": "calls", "signal": "calls", "aggregate": aggregate, "direction": "up", "window": window or WINDOW,
        "detect": {"baseline": {"floor": floor}}, "for": "60s", "clear": "5m",
    }  # fmt: skip
    found = Watch(MonitorSpec(**said), Catalog())
    found.watch(0, SERIES)
    return found


def calls(seed, per_minute, trouble_min=TROUBLE_MIN, after_min=AFTER_MIN):
    """Minute of each call, and whether it falls into the trouble; the noise generator that made them."""
    rng = np.random.default_rng(seed)
    until = CALM_MIN + trouble_min + after_min
    at = np.sort(rng.uniform(0, until, per_minute * until))
    return at, (at > CALM_MIN) & (at <= CALM_MIN + trouble_min), rng


def slower(seed, *, per_minute=20, factor=3.0, **spans):
    at, bad, rng = calls(seed, per_minute, **spans)
    return at, rng.lognormal(0, 0.3, len(at)) * np.where(bad, factor, 1.0)


def failing(seed, *, per_minute=20, **spans):
    at, bad, rng = calls(seed, per_minute, **spans)
    return at, (rng.random(len(at)) < np.where(bad, 0.3, 0.01)).astype("f8")


def moves(at, value, one, *, absorb_min=0, needed=None, panes=None):
    """What opens and closes when, in minutes since the trouble began; `panes` takes (minute, value, end of the band)."""
    needed = levels() if needed is None else needed
    found = []
    time, uid = T + (at * MINUTE).astype("i8"), np.arange(len(at), dtype="i8")
    for end in range(T + STEP_S * S, T + int(at[-1] + 1) * MINUTE, STEP_S * S):
        now = (time > end - STEP_S * S) & (time <= end)
        if now.any():
            samples = Samples.plain(np.zeros(int(now.sum()), "i4"), time[now], value[now], uid[now])
            one.push(SOURCE, "event", samples)
        closed, news = one.close({SOURCE: end}, needed, absorb_min * MINUTE)
        minute = (end - T) / MINUTE - CALM_MIN
        if panes is not None:
            panes += [(minute, pane.value[0], pane.band.upper[0]) for pane in closed]
        found += [(each.phase.value, minute) for each in news if each.phase is not Phase.UPDATE]
    return found


def assert_open_while_it_lasts(found):
    assert [phase for phase, _ in found] == [Phase.OPEN.value, Phase.CLOSE.value], found
    (_, opened), (_, closed) = found
    assert 0 < opened <= 5
    assert TROUBLE_MIN + 5 < closed <= TROUBLE_MIN + 11  # windows of five minutes empty, then it clears for as long


@pytest.mark.parametrize("seed", [1, 4, 6, 7])
@pytest.mark.parametrize("aggregate", ["p95", "mean"])
def test_calls_that_stay_three_times_as_slow_stay_a_finding(aggregate, seed):
    assert_open_while_it_lasts(moves(*slower(seed), watch(aggregate)))


@pytest.mark.parametrize("seed", [4, 6])
def test_errors_of_one_call_in_three_that_hover_about_what_opened_them_stay(seed):
    one = watch("mean", {"size": "5m", "step": "60s", "min_samples": 10}, floor=0.005)
    found = moves(*failing(seed, after_min=0), one, needed=levels(20))
    assert [phase for phase, _ in found] == [Phase.OPEN.value], found


def test_the_band_that_people_see_does_not_come_to_hold_the_trouble():
    panes = []
    found = moves(*slower(1), watch(), panes=panes)
    lasts = [(value, upper) for minute, value, upper in panes if found[0][1] < minute < TROUBLE_MIN]
    assert len(lasts) > 60
    assert all(value > upper for value, upper in lasts)


def test_a_fall_right_after_the_rise_is_no_more_of_it():
    at, value = slower(1, after_min=30)
    fallen = np.where(at > CALM_MIN + TROUBLE_MIN, value / 4, value)
    assert_open_while_it_lasts(moves(at, fallen, watch()))


def test_what_outlasts_the_stated_time_is_the_new_normal():
    at, value = slower(1, trouble_min=240, after_min=0)
    (_, opened), (_, closed), *later = moves(at, value, watch(), absorb_min=120)
    assert opened <= 5
    assert closed - opened == pytest.approx(120, abs=2)
    assert later == []


def test_a_watch_that_is_restored_in_the_middle_says_the_same():
    at, value = slower(3)
    whole, cut = moves(at, value, watch()), CALM_MIN + 15
    first, second = watch(), watch()
    said = moves(at[at <= cut], value[at <= cut], first)
    second.restore(first.snapshot())
    second.watch(0, SERIES)
    late = at > cut
    assert said + moves(at[late], value[late], second) == whole


def test_a_watch_of_a_snapshot_without_bars_goes_on():
    at, value = slower(3)
    first, second = watch(), watch()
    early = at <= CALM_MIN + 15
    moves(at[early], value[early], first)
    before = first.snapshot()
    del before["hold"]
    second.restore(before)
    second.watch(0, SERIES)
    assert moves(at[~early], value[~early], second)[0][0] == Phase.CLOSE.value


def test_labels_that_ask_for_more_than_it_took_close_it():
    at, value = slower(3, after_min=0)
    one, early = watch(), at <= CALM_MIN + 15
    assert [phase for phase, _ in moves(at[early], value[early], one)] == [Phase.OPEN.value]
    one.ask({SERIES.id: -200.0})
    assert [phase for phase, _ in moves(at[~early], value[~early], one)] == [Phase.CLOSE.value]


def test_a_finding_whose_series_another_model_scores_is_held_to_nothing():
    at, value = slower(3, after_min=0)
    one, early = watch(), at <= CALM_MIN + 15
    moves(at[early], value[early], one)
    assert one.hold.any
    one.detector.renewed = lambda: np.zeros(1, "i4")
    moves(at[~early][:30], value[~early][:30], one)
    assert not one.hold.any
