"""Scores written back: what finds a place on the board, how Prometheus sees it, and who may read it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tocsin.app.writeback.board import FORGET_NS, HALF_LIFE_NS, Board
from tocsin.app.writeback.text import exposition_of, prometheus_labels
from tocsin.model.codec import findings_frame
from tocsin.model.finding import Finding, Phase, finding_id
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.log import Output
from tocsin.model.series import Catalog, Series, Signal
from tocsin.spec.scores import ScoresSpec

S = 10**9
T0 = 1_790_000_000 * S


def series_of(name, tenant="main"):
    return Series.of(tenant, Signal("load", "1"), {"host.name": name})


class World:
    """A board, and what an engine would tell it."""

    def __init__(self, **spec):
        self.catalog = Catalog()
        self.board = Board(ScoresSpec(**spec))

    def windows(self, decades, at=T0, tenant="main", monitor="m"):
        """One closed window per host -> -log10 p."""
        rows = {
            "monitor": [monitor] * len(decades),
            "series": [self.catalog.intern(series_of(name, tenant)) for name in decades],
            "time": [at] * len(decades),
            "value": [7.0] * len(decades),
            "samples": [6] * len(decades),
            "score": [2.5] * len(decades),
            "log10_p": [-each for each in decades.values()],
            "n_eff": [100.0] * len(decades),
            "lower": [-math.inf] * len(decades),
            "upper": [9.0] * len(decades),
        }
        self.tell(frame_of(FrameKind.PANES, tenant, "engine", rows), at)

    def finding(self, name, phase=Phase.OPEN, at=T0, tenant="main", monitor="m"):
        series = series_of(name, tenant)
        found = Finding(
            finding_id(tenant, monitor, series.id, T0), phase, tenant, monitor, series, T0, at, at, 40.0,
            (1.0, 9.0), -12.0, 500.0, -6.0, "up", {"score": 20.0, "severity_ratio": 2.0},
        )  # fmt: skip
        self.tell(findings_frame([found], self.catalog, tenant), at)
        return found

    def tell(self, frame, at):
        self.board.hear(Output(0, at, True, (frame,)), self.catalog)

    def names(self, tenant="main"):
        return [row.series.label("host.name") for row in self.board.chosen(tenant)]


def test_the_strangest_have_a_place_and_series_in_trouble_come_first():
    world = World(top=2)
    world.windows({f"h{k}": k / 10 for k in range(50)})
    assert world.names() == ["h49", "h48"]
    world.finding("h3")
    assert world.names() == ["h3", "h49", "h48"]
    world.finding("h3", Phase.CLOSE, T0 + S)
    assert "h49" in world.names()
    assert len(world.names()) == 2


def test_a_place_is_kept_while_the_strange_moment_is_remembered():
    world = World(top=1)
    world.windows({"a": 5.0, "b": 1.0})
    world.windows({"a": 0.1, "b": 2.0}, T0 + 60 * S)
    assert world.names() == ["a"]
    for k in range(1, 5):
        world.windows({"a": 0.1, "b": 2.0}, T0 + k * HALF_LIFE_NS // 2)
    assert world.names() == ["b"]


def test_what_is_asked_for_is_written_however_calm():
    world = World(top=1, always=[{"monitor": "m*", "host.name": "web-*"}])
    world.windows({"web-1": 0.0, "db-1": 3.0, "db-2": 2.0, "web-2": 0.1})
    assert sorted(world.names()) == ["db-1", "web-1", "web-2"]
    world.board.adopt(ScoresSpec(top=1))
    assert len(world.names()) == 1


def test_the_cap_holds_in_a_storm_and_what_finds_no_place_is_counted():
    from tocsin.app.writeback.board import _LEFT_OUT

    world = World(top=2, most=10)
    before = _LEFT_OUT.labels("main")._value.get()
    for k in range(30):
        world.finding(f"h{k}")
    assert len(world.names()) == 10
    assert _LEFT_OUT.labels("main")._value.get() > before


def test_thousands_of_calm_series_cost_a_bounded_number_of_rows():
    world = World(top=5)
    rng = np.random.default_rng(1)
    for k in range(20):
        world.windows({f"h{i}": float(rng.exponential()) for i in range(500)}, T0 + k * 10 * S)
    assert len(world.board._tenants["main"].rows) <= 10
    assert len(world.names()) == 5


def test_silence_takes_calm_series_away_and_leaves_those_in_trouble():
    world = World(top=5)
    world.windows({"calm": 1.0, "bad": 1.0})
    world.finding("bad")
    world.windows({"other": 1.0}, T0 + FORGET_NS + 2 * S)
    assert world.names() == ["bad", "other"]


def test_open_findings_are_known_again_after_a_restart():
    world, again = World(), World()
    found = world.finding("h1")
    again.board.seed([found], again.catalog)
    (row,) = again.board.chosen("main")
    assert row.open
    assert row.ratio == 2.0


def test_tenants_see_their_own_only():
    world = World()
    world.windows({"mine": 1.0})
    world.windows({"theirs": 1.0}, tenant="other")
    assert world.names() == ["mine"]
    assert world.names("other") == ["theirs"]
    assert world.names("nobody") == []


def samples(text):
    return {
        (sample.name, sample.labels.get("host_name", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_speak_prometheus_and_never_of_probability():
    world = World()
    world.windows({"calm": 0.5})
    world.finding('ba"d\\\n')
    text = exposition_of(world.board.chosen("main"))
    found = samples(text)
    assert found["tocsin_anomaly_verdict", 'ba"d\\\n'] == 1.0
    assert found["tocsin_anomaly_verdict", "calm"] == 0.0
    assert found["tocsin_anomaly_rarity_decades", "calm"] == 0.5
    assert found["tocsin_anomaly_severity_ratio", 'ba"d\\\n'] == 2.0
    assert found["tocsin_anomaly_upper", "calm"] == 9.0
    assert ("tocsin_anomaly_lower", "calm") not in found  # it has no end
    assert found["tocsin_anomaly_written_series", ""] == 2.0
    assert "probab" not in text
    assert 'monitor="m"' in text
    assert 'signal="load"' in text


@pytest.mark.parametrize(
    ("labels", "name", "value"),
    [({"0a": "x"}, "label_0a", "x"), ({"a.b": "1", "a-b": "2"}, "a_b", "2;1"), ({"__name__": "x"}, "name__", "x")],
)
def test_labels_become_labels_of_prometheus(labels, name, value):
    found = dict(prometheus_labels("m", Series.of("main", Signal("s"), labels)))
    assert found == {name: value, "monitor": "m", "signal": "s"}
