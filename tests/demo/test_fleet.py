import numpy as np

from tocsin.demo.bot import World
from tocsin.demo.conditions import FAULTS

START_S = 1_700_000_000.0
SETTLED_S = 1_800.0


def slow_world(seed=5):
    """Ten minutes into the prompt change, when memory is lost and calls wait."""
    world = World(seed, START_S)
    world.advance(START_S + SETTLED_S)
    for minute in range(1, 11):
        FAULTS["prompt"](world.conditions, 60.0 * minute)
        world.advance(START_S + SETTLED_S + 60 * minute)
    assert world.server.lost_tokens > 0
    assert world.server.waiting
    return world


def latency_s(turns):
    return np.mean([turn.end_s - turn.call.at_s for turn in turns])


def test_more_replicas_and_fresh_ones_bring_the_old_pace_back_and_keep_every_call():
    world = slow_world()
    slow = latency_s(world.advance(world.now_s + 60))
    world.fleet.scale(3, world.now_s)
    world.advance(world.now_s + 60)
    old = list(world.fleet.servers)
    assert len(old) == 3
    world.fleet.restart(world.now_s)
    turns = world.advance(world.now_s + 240)
    assert not set(map(id, old)) & set(map(id, world.fleet.servers))
    assert latency_s(turns[-20:]) < 0.4 * slow
    numbers = [turn.call.index for turn in turns]
    assert len(set(numbers)) == len(numbers)
    assert all(turn.call.timed_out or turn.call.by is not None for turn in turns)


def test_one_replica_stays_and_what_ran_on_the_others_is_finished():
    world = slow_world()
    world.fleet.scale(2, world.now_s)
    before = world.advance(world.now_s + 120)
    world.fleet.scale(0, world.now_s)
    after = world.advance(world.now_s + 300)
    assert len(world.fleet.servers) == 1
    numbers = [turn.call.index for turn in (*before, *after)]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) - min(numbers) < len(numbers) + 40  # none is lost but those that are still at it


def test_orders_that_are_not_there_yet_are_not_given_twice():
    world = World(1, START_S)
    world.advance(START_S + 60)
    for _ in range(3):
        world.fleet.scale(2, world.now_s)
    world.advance(START_S + 200)
    assert len(world.fleet.servers) == 2
