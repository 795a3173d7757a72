"""A breach of a quantile lasts only if what comes after its beginning shows it again: bursts of a moment open nothing."""

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
CALM_S = 3600
LEVELS = np.full(9, -4.0)


def watch(**changes):
    said = {
        "name": "latency", "signal": "latency", "aggregate": "p95", "direction": "up",
        "window": {"size": "5m", "step": "30s", "min_samples": 10}, "detect": {"baseline": {}}, "for": "60s", "clear": "5m",
    }  # fmt: skip
    found = Watch(MonitorSpec(**{**said, **changes}), Catalog())
    found.watch(0, Series.of("main", Signal("latency", "s", Kind.GAUGE), {"service.name": "bot"}))
    return found


def life(per_minute=20, until_s=CALM_S + 900, seed=1):
    """Seconds and latencies of calm calls."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(0, until_s, int(per_minute * until_s / 60)))
    return at, rng.lognormal(0, 0.3, len(at))


def opened(at, value, one=None, weight=None):
    """Second, from the end of the calm hour on, at which a finding opens; None if none does."""
    one = one or watch()
    order = np.argsort(at, kind="stable")
    at, value = at[order], value[order]
    time = T + (at * S).astype("i8")
    uid = np.arange(len(at), dtype="i8")
    for end in range(T + 30 * S, T + int(at[-1] + 30) * S, 30 * S):
        now = (time > end - 30 * S) & (time <= end)
        one.push(SOURCE, "event", Samples.plain(np.zeros(int(now.sum()), "i4"), time[now], value[now], uid[now]))
        _, found = one.close({SOURCE: end}, LEVELS, 0)
        if any(each.phase is Phase.OPEN for each in found):
            return (end - T) // S - CALM_S
    return None


def slowed(at, value, *, share=1.0, since=CALM_S):
    slow = (at > since) & (np.random.default_rng(5).random(len(at)) < share)
    return at, np.where(slow, value * 12, value)


def with_burst(at, value, *seconds):
    """Twelve slow calls at each of these moments."""
    more = np.concatenate([second + np.linspace(0, 3, 12) for second in seconds])
    return np.concatenate([at, more]), np.concatenate([value, np.full(len(more), 12.0)])


@pytest.mark.parametrize("per_minute", [4, 20, 200])
def test_when_all_calls_are_slow_it_opens_as_soon_as_for_says(per_minute):
    assert opened(*slowed(*life(per_minute))) in range(60, 151)


def test_when_some_calls_are_slow_it_opens_within_a_window():
    assert opened(*slowed(*life(60), share=0.15)) in range(60, 391)


@pytest.mark.parametrize("second", [CALM_S + 5, CALM_S + 28.5, CALM_S + 59])
def test_a_burst_opens_nothing_though_every_window_that_holds_it_breaches(second):
    one = watch()
    breached = []
    one.heard = lambda _, closed, *__: breached.append(closed.value[0] > 8)
    assert opened(*with_burst(*life(), second), one) is None
    assert sum(breached) >= 9


def test_bursts_that_go_on_open():
    seconds = range(CALM_S + 5, CALM_S + 600, 40)
    assert opened(*with_burst(*life(), *seconds)) in range(60, 391)


def test_nothing_is_asked_where_a_finding_may_open_at_once():
    assert opened(*with_burst(*life(), CALM_S + 5), watch(**{"for": "0s"})) == 30


def test_a_fall_of_the_quantile_is_shown_by_the_calls_that_are_no_longer_slow():
    at, value = life(60)
    fast = np.where(at > CALM_S, value / 12, value)
    assert opened(at, fast, watch(direction="down")) in range(60, 391)


def test_a_watch_that_is_restored_meanwhile_says_the_same():
    at, value = slowed(*life(), share=0.3)
    whole, cut = opened(at, value), CALM_S + 75
    first, second = watch(), watch()
    assert opened(at[at <= cut], value[at <= cut], first) is None
    second.restore(first.snapshot())
    second.watch(0, Series.of("main", Signal("latency", "s", Kind.GAUGE), {"service.name": "bot"}))
    later = at > cut - cut % 30
    assert opened(at[later], value[later], second) == whole


def test_windows_that_do_not_overlap_are_news_each():
    apart = watch(window={"size": "60s", "step": "60s", "min_samples": 5}, **{"for": "60s"})
    assert opened(*slowed(*life()), apart) == 120
