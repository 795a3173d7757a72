from __future__ import annotations

import numpy as np
import pytest

from store.world import SECOND, T0, spans_frame
from tocsin.model.errors import BadConfig, BadInput, Corrupt
from tocsin.model.frame import SCHEMAS, FrameKind, frame_of
from tocsin.model.log import Output
from tocsin.model.series import Kind, Series, Signal
from tocsin.store.retention import retention_seconds
from tocsin.store.telemetry import TelemetryStore


def panes(world, refs, at, log10_p, monitor="m"):
    n = len(refs)
    columns = {name: [0.0] * n for name in ("value", "score", "n_eff", "lower", "upper")}
    columns.update(monitor=[monitor] * n, series=refs, time=[T0 + at * SECOND] * n, samples=[1] * n, log10_p=log10_p)
    return frame_of(FrameKind.PANES, "main", "engine", columns)


def test_points_are_found_by_signal_and_labels_and_never_those_of_another_tenant(world):
    a, b = world.ref(host_name="a"), world.ref(host_name="b")
    other = world.ref(tenant="other", host_name="a")
    world.input.append([world.points([a, b], [T0, T0], [1.0, 2.0]), world.points([other], [T0], [3.0], tenant="other")])
    world.writer.drain()
    (curve,) = world.store.points("main", "cpu", {"host.name": "b"})
    assert curve.mean.tolist() == [2.0]
    assert curve.series.labels == {"host.name": "b"}
    assert [c.mean.tolist() for c in world.store.points("other", "cpu")] == [[3.0]]
    assert world.store.points("nobody", "cpu") == []
    assert [row["name"] for row in world.store.signals("main", "CP")] == ["cpu"]
    assert world.store.signals("main", "nothing") == []
    assert world.store.signals("main")[0]["series"] == 2
    assert world.store.signals("main")[0]["last_time"] == T0


@pytest.mark.parametrize(("cumulative", "means"), [(True, [2.0, 3.0, 5.0]), (False, [2.0, 2.5, 5.0])])
def test_a_histogram_is_listed_and_drawn_by_its_means(world, cumulative, means):
    signal = Signal("took", "s", Kind.HISTOGRAM, cumulative=cumulative)
    ref = world.catalog.intern(Series.of("main", signal, {"host.name": "a"}))
    rows = [  # the third begins anew, the last one says that there is none
        {"count": 10.0, "sum": 20.0},
        {"count": 20.0, "sum": 50.0},
        {"count": 4.0, "sum": 20.0},
        {"count": float("nan"), "sum": float("nan")},
    ]
    full = [
        {"series": ref, "time": T0 + at * 60 * SECOND, "start": 0, "flags": 0, "min": 0.0, "max": 9.0, "bounds": [],
         "counts": [], "zero_count": 0.0, "negative_counts": [], **row}
        for at, row in enumerate(rows)
    ]  # fmt: skip
    columns = {name: [row.get(name) for row in full] for name in SCHEMAS[FrameKind.DISTRIBUTIONS].names}
    world.input.append([frame_of(FrameKind.DISTRIBUTIONS, "main", "test", columns)])
    world.writer.drain()
    (curve,) = world.store.points("main", "took", {"host.name": "a"})
    assert curve.mean.tolist() == pytest.approx(means)
    assert [c.series.id for c in world.store.points("main", "took", series_id=curve.series.id)] == [curve.series.id]
    (row,) = world.store.latest("main", "took")
    assert (row["id"], row["last_time"], np.isnan(row["last_value"])) == (
        curve.series.id.hex(),
        T0 + 180 * SECOND,
        True,
    )


def test_down_sampling_keeps_extremes_and_bounds_the_answer(world):
    values = np.zeros(10_000)
    values[1234], values[5678] = 50.0, -50.0
    ref = world.ref()
    world.input.append([world.points([ref] * 10_000, T0 + np.arange(10_000) * SECOND, values)])
    world.writer.drain()
    (curve,) = world.store.points("main", "cpu", max_points=100)
    assert len(curve.time) <= 101
    assert (curve.high.max(), curve.low.min(), curve.samples.sum()) == (50.0, -50.0, 10_000)


def test_values_that_are_not_numbers_are_stored_and_left_out_of_charts(world):
    ref = world.ref()
    world.input.append([world.points([ref] * 3, [T0, T0 + 1, T0 + 2], [1.0, float("nan"), float("inf")])])
    world.writer.drain()
    (curve,) = world.store.points("main", "cpu")
    assert curve.samples.sum() == 1
    assert len(world.rows("points")) == 3


def test_points_of_one_series_and_not_of_those_that_have_its_labels_and_more(world):
    many = {f"label_{i}": "x" * 400 for i in range(60)}
    a, b = world.ref(**many), world.ref(**many, more="y")
    world.input.append([world.points([a, b], [T0, T0], [1.0, 2.0])])
    world.writer.drain()
    one = world.catalog[a].id
    (curve,) = world.store.points("main", "cpu", series_id=one)
    assert (curve.series.id, curve.mean.tolist()) == (one, [1.0])
    assert world.store.points("main", "mem", series_id=one) == []
    assert world.store.points("other", "cpu", series_id=one) == []


@pytest.mark.parametrize("evil", ["x') OR 1=1 --", "a\tb", "a\nb\r", "a\\b\\'", "a\0b", "{v0:String}", "\u202e🔥"])
def test_hostile_labels_are_values_and_nothing_else(world, evil):
    world.input.append([world.points([world.ref(host_name=evil), world.ref(host_name="b")], [T0, T0], [1.0, 2.0])])
    world.writer.drain()
    assert [c.mean.tolist() for c in world.store.points("main", "cpu", {"host.name": evil})] == [[1.0]]
    assert world.store.points("main", "cpu' OR '1'='1", {}) == []
    assert world.rows("points", where={"host.name": "') OR 1=1 --"}) == []


def test_the_strip_shows_the_worst_of_each_service(world):
    refs = [world.ref(service_name="a"), world.ref("mem", service_name="a"), world.ref(service_name="b")]
    outputs = [panes(world, refs, 5, [-2.0, -6.0, float("nan")]), panes(world, refs, 65, [-1.0, -1.5, -3.0])]
    world.output.append([Output(at, T0, True, (frame,)) for at, frame in enumerate(outputs)])
    world.writer.drain()
    strip = world.store.strip("main", T0, T0 + 120 * SECOND, 2, by=("service.name",))
    assert {name: row.tolist()[1] for name, row in strip.rows.items()} == {"a": 1.5, "b": 3.0}
    assert strip.rows["a"][0] == 6.0
    assert np.isnan(strip.rows["b"][0])


def test_windows_come_with_their_band_the_least_likely_group_first(world):
    refs = [world.ref(service_name="a"), world.ref(service_name="b")]
    world.output.append([Output(at, T0, True, (panes(world, refs, at, [-1.0, -8.0]),)) for at in range(4)])
    world.writer.drain()
    found = world.store.panes("main", "m")
    assert [curve.series.labels["service.name"] for curve in found] == ["b", "a"]
    assert found[0].log10_p.tolist() == [-8.0] * 4
    (one,) = world.store.panes("main", series_id=found[1].series.id, max_points=2)
    assert len(one.time) <= 3
    assert (world.store.learning("main").warm, world.store.learning("main").learning) == (2, 0)


def test_a_trace_is_read_by_its_id(world):
    frame = spans_frame([{"span_id": b"1" * 8, "start": T0 + 5}, {"span_id": b"2" * 8}, {"trace_id": b"x" * 16}])
    world.input.append([frame])
    world.writer.drain()
    trace = world.store.trace("main", (b"t" * 16).hex())
    assert [span["span_id"] for span in trace] == [(b"2" * 8).hex(), (b"1" * 8).hex()]
    assert world.store.trace("other", b"t" * 16) == []
    assert len(world.store.spans("main", {"service.name": "bot"}, limit=2)) == 2
    with pytest.raises(BadInput, match="trace id"):
        world.store.trace("main", "no' OR 1")


def test_the_latest_state_of_each_series_counts(world):
    ref = world.ref()
    for at, state in enumerate(["live", "zero", "absent"]):
        columns = {"series": [ref], "time": [T0 + at], "state": [state], "since": [T0], "cadence": [10]}
        world.output.append([Output(at, T0, True, (frame_of(FrameKind.STATES, "main", "engine", columns),))])
    world.writer.drain()
    assert world.store.states("main") == {"absent": 1}
    assert world.store.series_states("main")[0]["state"] == "absent"


def test_everything_is_there_after_reopening(world):
    world.input.append([world.points([world.ref()], [T0], [1.0])])
    world.writer.drain()
    before = world.store.counts()
    world.reopen()
    assert world.store.counts() == before
    assert world.writer.step() == 0


def test_retention_is_set_by_table_and_unknown_names_are_refused(world):
    assert retention_seconds({"points": 60 * SECOND * 60})["points"] == 3600
    with pytest.raises(BadConfig, match="kinds are"):
        retention_seconds({"pionts": 3600 * SECOND})
    world.store.close()
    world.store = TelemetryStore(world.path, retention={"spans": 3600 * SECOND})
    made = world.scalar("SELECT create_table_query FROM system.tables WHERE database = 'tocsin' AND name = 'spans'")
    assert "toIntervalSecond(3600)" in made


def test_a_store_of_a_newer_program_is_refused(world):
    world.store.close()
    (world.path / "layout.json").write_text('{"version": 99}')
    with pytest.raises(Corrupt, match="newer"):
        TelemetryStore(world.path)
    (world.path / "layout.json").unlink()
    world.store = TelemetryStore(world.path)
