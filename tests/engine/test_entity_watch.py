"""From closed windows of an entity's series to findings that name who is to blame."""

import math

import numpy as np

from tocsin.engine.entity_scorer import SECOND
from tocsin.engine.entity_watch import EntityWatch
from tocsin.model.finding import Phase
from tocsin.model.series import Series, Signal

STEP_NS = 60 * SECOND
HOST = Series.of("main", Signal("entity"), {"host.name": "a"})
SERIES = [Series.of("main", Signal(name), {"host.name": "a", "cpu": "0"}) for name in ("load", "heat", "fans", "power")]


def windows(steps, fault=10**9, seed=1):
    rng = np.random.default_rng(seed)
    for t in range(steps):
        load = math.sin(t / 12.0)
        row = 5.0 + load * np.arange(1, 5) + 0.1 * rng.normal(size=4)
        if fault <= t < fault + 30:
            row[1] += 20.0
        yield t, dict(zip(SERIES, row.tolist(), strict=True))


def run(watch, steps, fault=10**9, begin=0):
    found = []
    for t, values in windows(steps, fault):
        if t >= begin:
            found += watch.fold(HOST, t * STEP_NS, values)
    return found


def test_a_fault_is_one_finding_from_its_begin_to_its_end_and_names_the_signal():
    found = run(EntityWatch("host", STEP_NS), 900, fault=800)
    assert found[0].phase is Phase.OPEN
    assert found[-1].phase is Phase.CLOSE
    assert {f.phase for f in found[1:-1]} == {Phase.UPDATE}
    assert len({f.id for f in found}) == 1
    assert found[0].series is HOST
    assert 798 <= found[0].start // STEP_NS <= 801
    assert found[0].log10_p <= found[0].level
    told = found[1].evidence
    assert told["blame.1"] == "heat{cpu=0}"
    assert told["blame.1.share"] > 0.4
    assert told["member.spread"] > 2.5
    assert told["severity_ratio"] >= 1.0


def test_a_calm_entity_says_nothing():
    assert run(EntityWatch("host", STEP_NS), 600) == []


def test_a_restart_in_a_finding_goes_on_with_it():
    whole = run(EntityWatch("host", STEP_NS), 900, fault=800)
    first, second = EntityWatch("host", STEP_NS), EntityWatch("host", STEP_NS)
    before = run(first, 810, fault=800)
    second.restore(first.snapshot())
    assert before + run(second, 900, fault=800, begin=810) == whole


def test_an_entity_that_outgrows_its_room_is_learned_anew():
    watch = EntityWatch("host", STEP_NS)
    for t, values in windows(100):
        watch.fold(HOST, t * STEP_NS, values)
    more = {Series.of("main", Signal(f"more{k}"), {"host.name": "a"}): 1.0 for k in range(9)}
    for t, values in windows(100):
        watch.fold(HOST, (100 + t) * STEP_NS, values | more)
    assert watch.relearned == 1
    assert watch.left_out == 0


def test_the_order_of_series_means_nothing():
    one, other = EntityWatch("host", STEP_NS), EntityWatch("host", STEP_NS)
    found = run(one, 840, fault=800)
    turned = []
    for t, values in windows(840, 800):
        turned += other.fold(HOST, t * STEP_NS, dict(reversed(values.items())))
    assert turned == found
    assert found
