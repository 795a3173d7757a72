"""Means of few observations: what chance does to them opens nothing, what has changed opens."""

import numpy as np
import pytest

from tocsin.engine.watch import Watch
from tocsin.model.finding import Phase
from tocsin.model.samples import Samples
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.monitor import MonitorSpec

S = 10**9
T = 1_791_158_400 * S
SOURCE = ("main", "otlp/bot")
LEVELS = np.full(9, -4.0)
HOURS = 10


def series():
    return Series.of("main", Signal("judged", "1", Kind.GAUGE), {"service.name": "bot"})


def watch():
    said = {
        "name": "judged", "signal": "judged", "aggregate": "mean", "for": "3m", "clear": "10m",
        "window": {"size": "15m", "step": "60s", "min_samples": 20}, "detect": {"baseline": {}},
    }  # fmt: skip
    found = Watch(MonitorSpec(**said), Catalog())
    found.watch(0, series())
    return found


def life(seed, wrong, *, later=None):
    """Times and verdicts, 0 or 1, of answers of ten hours, fewer by night; from the eighth hour on as often as `later`."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(0, HOURS * 3600, HOURS * 240))
    at = at[rng.random(len(at)) < 0.7 + 0.3 * np.sin(2 * np.pi * at / (HOURS * 3600))]
    share = np.where((at > 8 * 3600) & (later is not None), later or 0.0, wrong)
    return at, (rng.random(len(at)) < share).astype("f8")


def opened(at, value, one=None, flavour="event"):
    """Hours at which findings open."""
    one, found = one or watch(), []
    time, uid = T + (at * S).astype("i8"), np.arange(len(at), dtype="i8")
    for end in range(T + 60 * S, T + int(at[-1] + 60) * S, 60 * S):
        now = (time > end - 60 * S) & (time <= end)
        one.push(SOURCE, flavour, Samples.plain(np.zeros(int(now.sum()), "i4"), time[now], value[now], uid[now]))
        _, news = one.close({SOURCE: end}, LEVELS, 0)
        found += [(end - T) / 3600 / S for each in news if each.phase is Phase.OPEN]
    return found


@pytest.mark.parametrize("wrong", [pytest.param(0.002, marks=pytest.mark.soak), 0.02])
def test_what_is_rare_comes_in_handfuls_now_and_then(wrong):
    assert [hours for seed in range(12) for hours in opened(*life(seed, wrong))] == []


def test_without_it_chance_opens():
    """The same verdicts as readings that hang together, of which nobody knows how many they are worth."""
    assert [hours for seed in range(6) for hours in opened(*life(seed, 0.002), flavour="gauge")]


@pytest.mark.parametrize(("wrong", "later"), [(0.002, 0.35), pytest.param(0.02, 0.35, marks=pytest.mark.soak)])
def test_what_has_changed_opens_within_the_half_hour(wrong, later):
    found = [opened(*life(seed, wrong, later=later)) for seed in range(6)]
    assert all(8 < hours[0] < 8.5 for hours in found)


def test_a_watch_that_is_restored_meanwhile_says_the_same():
    at, value = life(3, 0.02, later=0.35)
    first, second = watch(), watch()
    early = at <= 8 * 3600 + 300
    before = opened(at[early], value[early], first)
    second.restore(first.snapshot())
    second.watch(0, series())
    assert before + opened(at[~early], value[~early], second) == opened(at, value)
