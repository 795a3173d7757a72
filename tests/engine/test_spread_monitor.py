"""A monitor of a window's standard deviation: values that scatter more about the mean they always had."""

import numpy as np

from tocsin.engine.budget import AlertBudget
from tocsin.engine.watch import Watch
from tocsin.model.finding import Phase
from tocsin.model.samples import Samples
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.monitor import MonitorSpec

S, MINUTE = 10**9, 60 * 10**9
T = 1_791_158_400 * S
SOURCE = ("main", "otlp/agent")
SERIES = Series.of("main", Signal("pump.pressure", "bar", Kind.GAUGE), {"host.name": "pump-3"})
CALM_MIN, TROUBLE_MIN = 240, 30


def findings(aggregate, seed=7, wider=3.0):
    """What opens, in minutes since the values began to scatter `wider` times as far about the same mean."""
    window = {"size": "60s", "step": "10s", "min_samples": 15}
    said = {"name": "pressure", "signal": "pump.pressure", "aggregate": aggregate, "window": window, "for": "60s"}
    one = Watch(MonitorSpec(**said), Catalog())
    one.watch(0, SERIES)
    rng, budget, found = np.random.default_rng(seed), AlertBudget(3.0), []
    budget.share(400 * 2016.0)
    for minute in range(CALM_MIN + TROUBLE_MIN):
        sd = wider if minute >= CALM_MIN else 1.0
        time = T + minute * MINUTE + np.arange(1, 61, dtype="i8") * S
        uid = minute * 60 + np.arange(60, dtype="i8")
        one.push(SOURCE, "gauge", Samples.plain(np.zeros(60, "i4"), time, rng.normal(40.0, sd, 60), uid))
        _, news = one.close({SOURCE: int(time[-1])}, budget.levels, 0)
        found += [minute - CALM_MIN for each in news if each.phase is Phase.OPEN]
    return found


def test_a_wider_scatter_about_the_same_mean_is_found_by_its_spread():
    (opened,) = findings("std")
    assert 0 < opened <= 5


def test_a_scatter_as_ever_opens_nothing():
    assert findings("std", wider=1.0) == []
