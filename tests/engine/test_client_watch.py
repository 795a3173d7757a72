"""Clients of models: normal traffic of thirty worlds raises nothing, each attack is found with who and what, bounded."""

import numpy as np
import pytest

from engine.client_world import DAY, HOUR, T0, TAGS, World, answer, watched
from tocsin.assess.client_inputs import BALLS, RECENT
from tocsin.engine.client_watch import ClientWatch
from tocsin.engine.model_clients import MOST
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.finding import Phase
from tocsin.model.security import is_security

NORMAL = np.array([1.5, -1.0, 0.5])
"""Normal of the boundary of `answer`."""


def attack(kind, rng, day=2, rows=600):
    """Rows of one client within four hours of a day."""
    times = T0 + day * DAY + 8 * HOUR + np.sort(rng.integers(0, 4 * HOUR, rows))
    spot = np.array([1.2, -0.8, 0.6])
    x = {
        "extraction": rng.uniform(-4, 4, (rows, 3)),
        "probing": spot - (spot @ NORMAL) * NORMAL / (NORMAL @ NORMAL) + rng.normal(0, 0.05, (rows, 3)),
        "inversion": spot + rng.normal(0, 0.04, (rows, 3)),
        "poisoning": rng.normal(0, 0.7, (rows, 3)),
    }[kind]
    flipped = rng.random(rows) < (0.6 if kind == "poisoning" else 0.05)
    return [(int(t), "mallory", point, bool(bad)) for t, point, bad in zip(times, x, flipped, strict=True)]


def world_with(kind, seed, rows=900):
    world = World(seed)
    days = [world.normal(day, rows) for day in range(3)]
    days[2] += attack(kind, np.random.default_rng(seed))
    return [list(world.arrivals(day)) for day in days]


@pytest.mark.parametrize("worlds", [10, pytest.param(30, marks=pytest.mark.soak)])
def test_normal_traffic_of_many_worlds_raises_nothing(worlds):
    for seed in range(worlds):
        world = World(seed, clients=(2, 5, 12)[seed % 3], columns=(3, 4, 6)[seed // 10])
        found = watched([list(world.arrivals(world.normal(day, 700))) for day in range(2)])
        assert found == [], (seed, [(each.monitor, each.evidence["deviation"]) for each in found])


@pytest.mark.parametrize("kind", ["extraction", "probing", "inversion", "poisoning"])
def test_each_attack_is_found_with_who_and_what(kind):
    found = watched(world_with(kind, seed=40))
    assert {each.monitor for each in found} == {f"model-{kind}"}
    assert {dict(each.series.labels)["client"] for each in found} == {"mallory"}
    opened, *later = found
    assert opened.phase is Phase.OPEN
    assert is_security(opened)
    assert (opened.time - T0 - 2 * DAY - 8 * HOUR) / HOUR <= 4
    assert "client=mallory" in opened.evidence["deviation"]
    assert opened.value > opened.expected[1]
    # one finding that ends, and does not come again with what is left of the day
    assert [each.phase for each in later].count(Phase.CLOSE) == 1
    assert {each.id for each in later} <= {opened.id}


def test_a_restart_at_any_time_changes_no_word():
    days = world_with("probing", seed=41, rows=500)
    whole = watched(days)
    assert whole
    watch, found = ClientWatch(), []
    for day, arrivals in enumerate(days):
        for number, each in enumerate(arrivals):
            watch.take("main", each, TAGS)
            if number % 211 == 0:
                state = unpack(pack(watch.snapshot()))
                said, watch = watch.close({}), ClientWatch()
                found += said
                watch.restore(state)
        found += watch.close({"main": T0 + (day + 1) * DAY})
    assert found == whole


def test_any_number_of_clients_takes_bounded_room():
    world = World(7)
    rows = [(time, f"user{n % 3000}", point, wrong) for n, (time, _, point, wrong) in enumerate(world.normal(0, 4000))]
    rows += [(time, "big", point, wrong) for time, _, point, wrong in world.normal(0, 300)]
    watch = ClientWatch()
    assert watched([list(world.arrivals(rows))], watch) == []
    for each in world.arrivals(world.normal(1, 200)):
        watch.take("main", each, TAGS)
    (state,) = watch.models.values()
    assert len(state.days) <= MOST
    assert len(state.seen.counts) <= 256
    assert all(len(day.inputs.balls) <= BALLS for day in state.days.values())
    assert all(len(day.inputs.recent.digests) <= RECENT for day in state.days.values() if day.inputs.recent)


def test_repeats_of_one_input_are_no_attack_on_a_record():
    world = World(8)
    days = [world.normal(day, 900) for day in range(3)]
    point = np.array([0.3, 0.3, 0.3])
    days[2] += [(T0 + 2 * DAY + n * HOUR // 60, "probe", point, False) for n in range(1200)]
    rows = [list(world.arrivals(day)) for day in days]
    same = next(each for each in rows[2] if dict(each.tags)["client"] == "probe").row.features
    rows[2] = [
        each._replace(row=each.row._replace(features=same)) if dict(each.tags)["client"] == "probe" else each
        for each in rows[2]
    ]
    assert watched(rows) == []


def test_inputs_of_any_kind_are_placed():
    watch = ClientWatch()
    world = World(9)
    odd = ['{"a": null}', '{"a": "text in a number"}', '{"b": [1, 2]}', "{}", "not json", '{"a": 1e308}', ""]
    for number, each in enumerate(world.arrivals(world.normal(0, 1500))):
        row = each.row._replace(features=odd[number % 9]) if number % 9 < len(odd) else each.row
        watch.take("main", each._replace(row=row), TAGS)
    assert watch.close({"main": T0 + DAY}) == []
    assert answer(np.zeros((1, 3)))[0].tolist() == [False]
