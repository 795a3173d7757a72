"""The mirror of a cluster's log: all of it in the logs of one machine, each thing once, however often the process dies."""

import random
import threading

import pytest

from cluster.fleet import KINDS, Fleet, World
from engine.worlds import said
from tocsin.app.cluster.engines import WorkerEngine
from tocsin.app.cluster.links import Links
from tocsin.app.cluster.mirror import Mirror
from tocsin.app.cluster.shelves import shelves_of
from tocsin.model.frame import Frame
from tocsin.model.log import Output, Tick
from tocsin.model.series import Catalog
from tocsin.testing.memory_log import MemoryLog

pytestmark = pytest.mark.system
SECONDS = 120


@pytest.fixture(scope="module")
def world():
    return World(SECONDS)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, world):
    """Topics that hold the world and what a worker found in it."""
    fleet = Fleet(tmp_path_factory.mktemp("mirror"))
    stop = threading.Event()
    links = Links(fleet.spec, Catalog(), stop)
    engine = threading.Thread(target=WorkerEngine(links, shelves_of(fleet.spec).of).run)
    engine.start()
    fleet.send(world, per_second=1000)
    fleet.rows, _ = fleet.heard(world.seconds[-1][1].received)
    stop.set()
    engine.join()
    links.close()
    yield fleet
    fleet.close()


class Died(Exception):
    pass


class Mortal(MemoryLog):
    """A log whose process dies now and then, before or after it is written."""

    def __init__(self, rng):
        super().__init__()
        self.rng = rng

    def append(self, entries):
        fate = self.rng.random()
        if fate < 0.04:
            raise Died
        future = super().append(entries)
        if fate > 0.96:
            raise Died
        return future


def mirrored(fleet, world, seed):
    """Both logs after all was taken over, and how often the process died."""
    rng = random.Random(seed)
    catalog, logs, deaths = Catalog(), (Mortal(rng), Mortal(rng)), 0
    done = False
    while not done:
        mirror = Mirror(fleet.topics, *logs, catalog)
        try:
            while not done:
                mirror.step()
                ticks = [each for each in logs[1].entries if each.tick]
                done = bool(ticks) and ticks[-1].received >= world.seconds[-1][1].received
        except Died:
            deaths += 1
        finally:
            mirror.close()
    return catalog, *logs, deaths


@pytest.mark.parametrize("seed", [1, 2])
def test_all_is_taken_over_once_however_often_the_process_dies(fleet, world, seed):
    catalog, inputs, outputs, deaths = mirrored(fleet, world, seed)
    assert deaths > 3
    assert sorted(said(outputs.entries, catalog, KINDS)) == fleet.rows
    sent = sorted(row["value"] for frames, _ in world.seconds for frame in frames for row in frame.rows())
    taken = [entry for entry in inputs.entries if isinstance(entry, Frame)]
    assert sorted(row["value"] for frame in taken for row in frame.rows()) == sent


def test_causes_ascend_and_lie_behind_what_they_are_of(fleet, world):
    _, inputs, outputs, _ = mirrored(fleet, world, 3)
    causes = [output.cause for output in outputs.entries]
    assert causes == sorted(set(causes))
    for output in outputs.entries:
        assert isinstance(output, Output)
        if output.tick:
            ticks = [each.received for each in inputs.entries[: output.cause + 1] if isinstance(each, Tick)]
            assert ticks[-1] == output.received
