"""Merging and splitting by hand: done at the next tick, remembered for the next time, kept over restarts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from incident_world import BOT, MINUTE, T0, World, finding
from tocsin.correlate.bonds import MAX_PAIRS, Bonds
from tocsin.correlate.reducer import regrouped
from tocsin.model.finding import Phase
from tocsin.model.transition import Regroup

SHOP, MAIL = {"service.name": "shop"}, {"service.name": "mail"}


def errors(labels, start, monitor="errors"):
    return finding(monitor, "app.errors", labels, start=start)


def say(world, incident, change):
    world.reducer.fold(regrouped("main", incident, change, by="ann"), world.catalog)


def close(world, rows, at):
    world.fold(*(replace(row, phase=Phase.CLOSE, time=at, end=at) for row in rows), at=at, tick=True)
    return world.tick(at + 40 * MINUTE)


def services(incident):
    return {each.series.label("service.name") for each in incident.findings}


def test_merged_incidents_are_one_and_the_next_time_at_once():
    world = World()
    rows = [errors(SHOP, T0), errors(MAIL, T0)]
    shop, mail = (
        each.incident for each in sorted(world.tick(T0 + MINUTE, *rows), key=lambda s: s.incident.entities[0] != "shop")
    )
    say(world, mail.id, Regroup("merge", into=shop.id))
    said = {each.incident.id: each for each in world.tick(T0 + 2 * MINUTE)}
    assert (said[mail.id].action, said[mail.id].into, said[mail.id].by) == ("merge", shop.id, "ann")
    assert services(said[shop.id].incident) == {"shop", "mail"}
    say(world, mail.id, Regroup("merge", into=shop.id))
    assert [each.action for each in world.tick(T0 + 3 * MINUTE)] == []
    close(world, rows, T0 + 5 * MINUTE)
    world.tick(T0 + 90 * MINUTE)
    later = T0 + 120 * MINUTE
    again = World(catalog=world.catalog)
    again.cause = world.cause
    again.reducer.restore(world.reducer.snapshot())
    for one in (world, again):
        said = one.tick(later + MINUTE, errors(MAIL, later), errors(SHOP, later))
        assert len({each.incident.id for each in said}) == 1
        assert services(said[-1].incident) == {"shop", "mail"}


def test_what_was_split_off_is_another_incident_and_stays_apart_the_next_time():
    world = World()
    rows = [errors(BOT, T0), errors(BOT, T0 + MINUTE, "noise")]
    (opened,) = world.tick(T0 + 2 * MINUTE, *rows)
    noise = next(each for each in opened.incident.findings if each.monitor == "noise")
    say(world, opened.incident.id, Regroup("split", findings=(noise.id.hex(),)))
    said = {each.action: each.incident for each in world.tick(T0 + 3 * MINUTE)}
    assert set(said) == {"open", "update"}
    assert [each.monitor for each in said["open"].findings] == ["noise"]
    assert [each.monitor for each in said["update"].findings] == ["errors"]
    assert said["update"].id == opened.incident.id != said["open"].id
    close(world, rows, T0 + 5 * MINUTE)
    world.tick(T0 + 90 * MINUTE)
    later = T0 + 120 * MINUTE
    said = world.tick(later + 2 * MINUTE, errors(BOT, later), errors(BOT, later + MINUTE, "noise"))
    assert sorted(len(each.incident.findings) for each in said) == [1, 1]


@pytest.mark.parametrize("ids", [(), ("all",), ("00" * 16,)])
def test_a_split_that_leaves_nothing_or_takes_nothing_changes_nothing(ids):
    world = World()
    (opened,) = world.tick(T0 + MINUTE, errors(BOT, T0), errors(BOT, T0, "noise"))
    every = tuple(each.id.hex() for each in opened.incident.findings)
    say(world, opened.incident.id, Regroup("split", findings=every if ids == ("all",) else ids))
    assert world.tick(T0 + 2 * MINUTE) == []


def test_bonds_are_bounded_and_the_latest_word_counts():
    bonds = Bonds()
    for n in range(MAX_PAIRS + 10):
        bonds.decide([f"a{n}"], [f"b{n}"], together=False)
    assert not bonds.of("a0", together=False)
    bonds.decide(["a99"], ["b99"], together=True)
    assert bonds.of("b99", together=True) == {"a99"}
    assert not bonds.of("b99", together=False)
    again = Bonds()
    again.restore(bonds.snapshot())
    assert again.snapshot() == bonds.snapshot()
