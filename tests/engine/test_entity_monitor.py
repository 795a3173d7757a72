"""From samples of many series and sources to findings about the entities they belong to."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from engine.worlds import any_series, fold_all, records, spiking
from tocsin.calibrate.budget import FAMILIES
from tocsin.engine.budget import ENTITY_SHARE, AlertBudget
from tocsin.engine.entity_monitor import EntityMonitor
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.codec import findings_of
from tocsin.model.finding import Phase
from tocsin.model.frame import FrameKind
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.model.series import Catalog, Series, Signal
from tocsin.spec.monitor import MonitorSpec, WindowSpec

SECOND = 10**9
STEP_NS = 60 * SECOND
SOURCES = (("main", "otlp/a"), ("main", "otlp/b"))
LEVELS = np.full(FAMILIES, -6.0)


class World:
    """Two hosts with four series each, two of them from another source, which is a step behind."""

    def __init__(self):
        catalog = Catalog()
        self.rows = Rows(catalog)
        self.spec = MonitorSpec(name="hosts", signal="*", by=["host.name"], window=WindowSpec(size="60s", step="60s"))
        self.monitor = EntityMonitor(self.spec, catalog)
        for host in ("a", "b"):
            for name in ("load", "heat", "fans", "power"):
                series = Series.of("main", Signal(name), {"host.name": host, "zone": "x"})
                self.monitor.watch(self.rows.of_series(series), series)
        self.rng = np.random.default_rng(1)

    def step(self, t, fault=False):
        load = np.sin(t / 12.0) + np.arange(8) / 10.0
        value = 5.0 + load * (1 + np.arange(8) % 4) + 0.1 * self.rng.normal(size=8)
        value[5] += 20.0 * fault  # heat of host b
        at = np.full(4, (t + 10) * STEP_NS + 5 * SECOND)
        for k, source in enumerate(SOURCES):
            mine = np.flatnonzero(np.arange(8) % 4 // 2 == k)
            self.monitor.push(source, "gauge", Samples.plain(mine.astype("i4"), at - k * STEP_NS, value[mine]))
        watermarks = {source: int(at[0]) - k * STEP_NS for k, source in enumerate(SOURCES)}
        return self.monitor.close(watermarks, LEVELS, 0)


def test_an_entity_is_found_and_its_signal_blamed():
    world, found = World(), []
    for t in range(830):
        panes, news = world.step(t, fault=t >= 800)
        found += news
        assert sum(len(pane.rows) for pane in panes) == 8 or t < 2
    assert found[0].phase is Phase.OPEN
    assert {f.series.labels for f in found} == {(("host.name", "b"),)}
    assert {f.monitor for f in found} == {"hosts"}
    assert found[1].evidence["blame.1"] == "heat{zone=x}"


def test_a_restart_through_bytes_goes_on():
    whole, first = World(), World()
    expected = [world_news for t in range(820) for world_news in whole.step(t, fault=t >= 800)[1]]
    before = [news for t in range(806) for news in first.step(t, fault=t >= 800)[1]]
    second = World()
    second.rng = first.rng
    second.monitor = EntityMonitor(second.spec, Catalog())
    second.monitor.restore(unpack(pack(first.monitor.snapshot())))
    for row in range(8):
        second.monitor.watch(row, second.rows.series(row))
    after = [news for t in range(806, 820) for news in second.step(t, fault=True)[1]]
    assert before + after == expected
    assert expected


def findings(outputs, catalog):
    frames = [frame for out in outputs for frame in out.frames if frame.kind is FrameKind.FINDINGS]
    return [found for frame in frames for found in findings_of(frame, catalog)]


def test_a_monitor_that_judges_together_is_switched_on_by_configuration():
    catalog = Catalog()
    spec = any_series(window={"size": "5s", "step": "5s"}, together=True)
    entries = [spec.control(), *spiking(catalog, seconds=1100, spike_at=1000)]
    told = findings(fold_all(Pipeline(catalog), records(entries)), catalog)
    assert told[0].phase is Phase.OPEN
    assert (told[0].monitor, told[0].series.signal.name) == ("any", "entity")
    assert told[0].evidence["detector"] == "entity"
    assert len({found.id for found in told}) == 1
    cut = 2 * 1010  # in the finding
    first, second = Pipeline(catalog), Pipeline(catalog)
    before = fold_all(first, records(entries[:cut]))
    second.restore(unpack(pack(first.snapshot())))
    after = fold_all(second, records(entries[cut:], cut))
    assert list(map(repr, findings([*before, *after], catalog))) == list(map(repr, told))


def test_entities_have_a_part_of_their_teams_budget_and_single_series_the_rest():
    catalog = Catalog()
    spec = any_series(window={"size": "5s", "step": "5s"}, together=True)
    pipeline = Pipeline(catalog)
    entries = [spec.control(), *spiking(catalog, seconds=1100, spike_at=1000)]
    (opened, *_) = findings(fold_all(pipeline, records(entries)), catalog)
    assert pipeline.budget.per_entity.tolist() == [spec.false_pages_per_week * ENTITY_SHARE]
    # of 120,960 steps a week, ten in an episode, three quarters of one may be false
    assert opened.level == pytest.approx(-math.log10(120_960 / 10 / 0.75), abs=0.6)
    alone, shared = AlertBudget(3.0), AlertBudget(3.0)
    alone.share(1e6)
    shared.share(1e6, entities=30)
    assert shared.per_entity == 3.0 * ENTITY_SHARE / 30
    assert (shared.levels < alone.levels).all()


def test_together_has_no_other_detector():
    with pytest.raises(ValidationError, match="leave `detect` out"):
        MonitorSpec(name="m", signal="*", together=True, detect={"zscore": {}})
