"""Workers on a real broker, killed, paused, cut off, joined and left: they find what one machine finds, each thing once."""

import os

import pytest

from cluster.fleet import Faults, Fleet, World
from tocsin.journal.kafka.feed import BATCH

pytestmark = pytest.mark.system
SECONDS = 240
RANDOM = int(os.environ.get("TOCSIN_FAULTS", "30"))
A_RUN = 3 if RANDOM <= 30 else 10


@pytest.fixture(scope="module")
def world():
    return World(SECONDS)


@pytest.fixture(scope="module")
def alone(world):
    return world.alone()


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path / "fleet")
    yield fleet
    fleet.close()


def end_of(world):
    return world.seconds[-1][1].received


def test_workers_that_die_sleep_and_meet_poison_find_what_one_machine_finds(fleet, world, alone):
    fleet.start(2)
    faults = Faults(fleet, 1)
    fleet.send(
        world, per_second=12, at=[(60, faults.draw("poison")), (80, faults.draw("kill")), (140, faults.draw("pause"))]
    )
    found, twice = fleet.heard(end_of(world))
    assert faults.met == ["poison", "kill", "pause"]
    assert found == alone
    assert any(kind == "findings" for kind, *_ in found)
    assert len(fleet.buried()) == fleet.poisoned == fleet.topics.partitions
    assert twice <= BATCH  # what one that wakes wrote before it asked for its lease again; readers leave it out


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, -(-RANDOM // A_RUN)))]
)
def test_faults_in_a_row_change_nothing(fleet, world, alone, seed):
    fleet.start(2)
    faults = Faults(fleet, seed)
    places = sorted(faults.rng.sample(range(10, SECONDS - 10), A_RUN))
    fleet.send(world, per_second=10 if A_RUN == 3 else 5, at=[(place, faults.draw()) for place in places])
    found, _ = fleet.heard(end_of(world))
    assert found == alone, faults.met
