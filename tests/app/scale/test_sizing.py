"""Sizes on paper follow from measured figures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tocsin.app.bench.scale import rekeyed
from tocsin.app.bench.sizes import SMALL
from tocsin.app.scale.rekeying import Rekeying
from tocsin.app.scale.sizing import Given, Load, bounds, installation_bears, per_core, sized
from tocsin.app.scale.tables import bounds_table, sizes_table
from tocsin.model.errors import BadInput

RUNS = json.loads((Path(__file__).parents[3] / "docs" / "benchmarks.json").read_text())["runs"]
WAY = Rekeying(write_s=2e-6, read_s=1.5e-6, message_bytes=40.0, tick_bytes=2000.0, rows_per_message=100.0)


def test_what_a_core_does_is_slower_than_each_of_its_stages():
    core = per_core(RUNS, WAY)
    figures = {each["name"]: each["value"] for each in RUNS["ingest"]["figures"]}
    assert core.engine < figures["points, engine alone"]
    assert core.store == pytest.approx(figures["points, store alone"])
    assert core.mirror < figures["points, log alone"]
    assert core.edge < 1 / WAY.write_s


def test_a_figure_that_is_not_there_is_told():
    with pytest.raises(BadInput, match="tocsin bench ingest detect"):
        per_core({"ingest": RUNS["ingest"]}, WAY)


def test_sizes_grow_with_the_load_and_none_is_free():
    core, given = per_core(RUNS, WAY), Given()
    small, large = (sized(Load(points), core, given) for points in (1e6, 1e8))
    assert large.engine_cores == pytest.approx(100 * small.engine_cores, rel=0.2)
    assert large.month == pytest.approx(100 * small.month, rel=0.3)
    assert small.installations == -(-1e6 // installation_bears(core, given))
    assert small.engine_cores * core.engine * given.busy_ratio >= 1e6
    assert small.log_bytes_s > 1e6 * WAY.message_bytes
    assert sized(Load(1e6), core, replace(given, core_hour=0.08)).month > small.month
    assert sized(Load(10.0), core, given).installations == 1


def test_what_gives_way_first_stands_first():
    found = bounds(per_core(RUNS, WAY), Given())
    assert [each.points_per_s for each in found] == sorted(each.points_per_s for each in found)
    assert bounds_table(found).count("\n") == len(found) + 1
    assert "| 10^6 |" in sizes_table([sized(Load(1e6), per_core(RUNS, WAY), Given())])


def test_the_way_through_the_log_is_measured_on_real_frames():
    found = rekeyed(SMALL, ())
    assert found.write_s > 0
    assert found.read_s > 0
    assert 10 < found.message_bytes < 2000
    assert 0 < found.tick_bytes < 10_000
