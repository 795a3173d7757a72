"""Segments: a planted worst slice is found, none is found where there is none, and labels can't explode."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from tocsin.assess.heavy_hitters import OTHER, HeavyHitters
from tocsin.assess.segments import coded, drill_down, worst_slices
from tocsin.assess.slices import NONE, Losses, Tag, hitters, rows_where

stats = pytest.importorskip("scipy.stats")


def traffic(rng, n, tags=6, values=5):
    """Columns of tags with values of uneven frequency."""
    share = np.arange(values, 0, -1) / (values * (values + 1) / 2)
    names = np.array([f"v{k}" for k in range(values)])
    return {f"t{k}": names[rng.choice(values, n, p=share)] for k in range(tags)}


@pytest.mark.parametrize("kind", ["errors", "latency"])
def test_a_planted_pair_is_the_worst_slice_and_its_neighbours_are_not_named(kind):
    rng = np.random.default_rng(1)
    columns = traffic(rng, 20_000)
    bad = (columns["t1"] == "v2") & (columns["t4"] == "v1")
    if kind == "errors":
        loss = (rng.random(20_000) < np.where(bad, 0.3, 0.1)).astype("f8")
    else:
        loss = rng.lognormal(0, 1, 20_000) * np.where(bad, 2.0, 1.0)
    search = worst_slices(coded(columns), loss)
    assert [found.name for found in search.found] == ["t1=v2, t4=v1"]
    (worst,) = search.found
    assert worst.n == bad.sum()
    assert worst.excess.low > 0
    assert worst.excess.low < worst.excess.value < worst.excess.high
    assert worst.mean.value == pytest.approx(loss[bad].mean())
    assert worst.p_value < 0.01
    assert search.tested > 300


def test_two_planted_slices_are_both_named():
    rng = np.random.default_rng(2)
    columns = traffic(rng, 20_000)
    bad = (columns["t0"] == "v3") | (columns["t5"] == "v4")
    search = worst_slices(coded(columns), (rng.random(20_000) < np.where(bad, 0.4, 0.1)).astype("f8"))
    assert {found.name for found in search.found} >= {"t0=v3", "t5=v4"}
    assert all(set(found.where) & {("t0", "v3"), ("t5", "v4")} for found in search.found)


@pytest.mark.parametrize("kind", ["errors", "rare", "latency"])
def test_where_no_slice_is_worse_one_is_named_within_the_level(kind):
    rng = np.random.default_rng(3)
    draw = {
        "errors": lambda: (rng.random(2000) < 0.2).astype("f8"),
        "rare": lambda: (rng.random(2000) < 0.01).astype("f8"),
        "latency": lambda: rng.lognormal(0, 2, 2000),
    }[kind]
    named = sum(bool(worst_slices(coded(traffic(rng, 2000, 4, 4)), draw()).found) for _ in range(100))
    assert named <= 5


def test_rare_values_missing_tags_and_losses_are_left_out_in_words():
    rng = np.random.default_rng(4)
    columns = {"user": [f"u{k}" for k in range(1000)], "region": [None, "eu", "", "us"] * 250}
    loss = (rng.random(1000) < np.where(np.arange(1000) % 2 == 0, 0.5, 0.1)).astype("f8")
    loss[:10] = np.nan
    search = worst_slices(coded(columns), loss)
    assert search.found[0].where == (("region", NONE),)
    assert search.left_out == ("10 rows without a loss", "900 rarer values of user")
    assert search.tested == 3


def test_odd_input():
    none = worst_slices(coded({"a": []}), np.empty(0))
    assert (none.found, none.tested, none.overall.note) == ((), 0, "no rows")
    alike = worst_slices(coded({"a": ["x"] * 200, "b": ["y", "z"] * 100}), np.ones(200))
    assert alike.found == ()
    assert worst_slices(coded({"a": ["x"] * 200, "b": ["y", "z"] * 100}), np.full(200, 2.5)).found == ()
    single = worst_slices(coded({"a": ["x"]}), np.array([7.0]))
    assert (single.found, single.overall.note) == ((), "one row gives no interval")
    many = worst_slices(coded({f"t{k}": ["x", "y"] * 100 for k in range(26)}), np.tile([0.0, 1.0], 100))
    assert many.left_out == ("pairs with t24, t25",)


def test_drilling_down():
    rng = np.random.default_rng(5)
    columns = traffic(rng, 5000, 2, 3)
    loss = (rng.random(5000) < np.where((columns["t0"] == "v0") & (columns["t1"] == "v2"), 0.6, 0.1)).astype("f8")
    tags = coded(columns)
    parts = drill_down(tags, loss, (("t0", "v0"),), "t1")
    assert [part.name for part in parts] == ["t0=v0, t1=v0", "t0=v0, t1=v1", "t0=v0, t1=v2"]
    assert sum(part.n for part in parts) == (columns["t0"] == "v0").sum()
    assert [part.p_value < 0.01 for part in parts] == [False, False, True]
    assert len(drill_down(tags, loss, (), "t1")) == 3
    assert rows_where(tags, (("t0", "unheard of"),)).sum() == 0


def test_tests_are_those_of_scipy():
    rng = np.random.default_rng(6)
    for _ in range(50):
        loss = (rng.random(300) < rng.uniform(0.05, 0.6)).astype("f8")
        rows = rng.random(300) < rng.uniform(0.1, 0.9)
        losses = Losses(loss)
        seen, n = int(loss[rows].sum()), int(rows.sum())
        exact = stats.hypergeom.sf(seen - 1, 300, int(loss.sum()), n)
        expected = exact if seen * 300 > n * loss.sum() else 1.0
        assert losses.p_value(n, seen, (300, loss.sum(), loss.sum())) == pytest.approx(expected, rel=1e-9)
    large = Losses(np.tile([0.0, 1.0], 500_000))
    found = large.p_value(400_000, 200_400, (1_000_000, 500_000.0, 500_000.0))
    assert found == pytest.approx(stats.hypergeom.sf(200_399, 1_000_000, 500_000, 400_000), rel=1e-6)
    values = rng.normal(5, 2, 12)
    interval = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    measured = Losses(values).mean_of(values, 0.05)
    assert (measured.low, measured.high) == pytest.approx(interval)


def test_a_million_different_values_take_bounded_room():
    tag = Tag.of("user", np.arange(1_000_000), 100)
    assert (len(tag.values), tag.others, int((tag.code >= 0).sum())) == (100, 999_900, 100)


def test_heavy_hitters_keep_their_bound_however_they_are_merged():
    rng = np.random.default_rng(7)
    values = [f"k{k}" for k in np.minimum(rng.zipf(1.3, 50_000), 10**6)]
    truth = Counter(values)
    shards = [HeavyHitters(50) for _ in range(5)]
    for part in np.array_split(np.array(values), 40):
        shards[int(rng.integers(5))].add(Counter(part.tolist()))
    merged = HeavyHitters(50)
    for shard in shards:
        merged.merge(shard)
    assert merged.total == 50_000
    assert len(merged.counts) <= 50
    assert merged.lost <= 50_000 / 51
    for value, count in merged.held():
        assert count <= truth[value] <= count + merged.lost
    assert {value for value, count in truth.items() if count > merged.lost} <= set(merged.counts)
    assert merged.label(merged.held()[0][0]) == merged.held()[0][0]
    assert merged.label("never seen") == OTHER
    assert len({merged.label(value) for value in values}) <= 51


def test_hitters_of_a_column():
    assert hitters(["a", None, "a", "b"], 10).held() == [("a", 2), (NONE, 1), ("b", 1)]
    assert math.isclose(hitters([], 10).total, 0)
