"""The service graph as it is watched: faults in made-up systems are found at the culprit alone, who tells its victims."""

import copy

import pytest

from engine.graph_world import Node, World, chain, lived, opened
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.finding import Phase
from tocsin.model.series import Catalog

CALM = 0.8
SYSTEMS = {
    "chain": chain("a", "b", "c", "d"),
    "retrying": chain("a", "b", "c", "d", tries=3),
    "fan": {
        "a": Node(calls=("b", "c", "d"), together=True),
        "b": Node(calls=("e",)),
        "c": Node(calls=("e",)),
        "d": Node(),
        "e": Node(),
    },
}
KNOWN: dict[str, bytes] = {}


def system(name, seed):
    return World(copy.deepcopy(SYSTEMS[name]), seed=seed, rate=1.2)


def calm(name):
    """A pipeline that knows a system, as it was after its calm life, which told nothing."""
    if name not in KNOWN:
        pipeline = Pipeline(Catalog())
        assert opened(lived(system(name, 1), CALM, every=30, pipeline=pipeline)) == []
        KNOWN[name] = pack(pipeline.snapshot())
    found = Pipeline(Catalog())
    found.restore(unpack(KNOWN[name]))
    return found


def faulty(name, fault, *, minutes=7):
    world = system(name, 2)
    node, field, value = fault
    setattr(world.nodes[node], field, value)
    return lived(world, minutes / 60, every=30, pipeline=calm(name), start=CALM)


class Stumble(World):
    """A system in which one request of the entry fails, after an hour."""

    def second(self, second):
        rows = super().second(second)
        mine = [row for row in rows if row["kind"] == "server" and row["resource"] == [("service.name", self.root)]]
        if second >= 3600 and mine and not self.stumbled:
            self.stumbled, mine[0]["status"] = True, "error"
        return rows

    stumbled = False


def test_one_failed_request_of_thirty_is_chance():
    world = Stumble(chain("a", "b", fails=0.0), seed=1, rate=0.35)
    assert opened(lived(world, 1.2, every=30)) == []
    assert world.stumbled


@pytest.mark.parametrize(
    ("name", "fault", "monitor"),
    [
        pytest.param("chain", ("c", "own", 0.07), "service-own-latency", id="in the middle of a chain"),
        pytest.param("chain", ("d", "own", 0.07), "service-own-latency", id="a leaf"),
        pytest.param("chain", ("a", "own", 0.07), "service-own-latency", id="the entry"),
        pytest.param("chain", ("c", "fails", 0.3), "service-own-errors", id="only errors"),
        pytest.param("chain", ("d", "lost", 1.0), "service-own-errors", id="a leaf that is gone"),
        pytest.param("chain", ("c", "times", 5), "service-own-calls", id="calls again though nothing failed"),
        pytest.param("chain", ("c", "transit", 0.08), "service-transit", id="the way to it"),
        pytest.param("retrying", ("d", "fails", 0.6), "service-own-errors", id="a storm of retries"),
        pytest.param("fan", ("c", "own", 0.1), "service-own-latency", id="one of several called at once"),
        pytest.param("fan", ("e", "own", 0.1), "service-own-latency", id="below two of those"),
    ],
)
def test_the_culprit_alone_is_found(name, fault, monitor):
    found = opened(faulty(name, fault))
    assert found == [(monitor, fault[0])]


def test_a_finding_tells_whose_excess_it_explains_and_what_is_its_own():
    found = next(each for each in faulty("chain", ("c", "own", 0.07)) if each.phase is Phase.OPEN)
    assert found.evidence["detector"] == "graph"
    assert found.evidence["own.share"] > 0.9
    assert found.evidence["explains.1"] == "b"
    assert found.evidence["explains.1.share"] > 0.9
    assert found.expected[1] < 0.06


def test_a_node_that_is_slow_by_itself_and_for_its_callee_tells_both():
    world = system("chain", 2)
    world.nodes["b"].own, world.nodes["d"].own = 0.2, 0.1
    news = lived(world, 7 / 60, every=30, pipeline=calm("chain"), start=CALM)
    found = {dict(each.series.labels)["service.name"]: each.evidence for each in news if each.phase is Phase.OPEN}
    assert found.keys() == {"b", "d"}
    assert found["b"]["neighbour.1"] == "c"
    assert 0.1 < found["b"]["neighbour.1.share"] < 0.6


def test_ticks_of_a_second_lose_nothing():
    pipeline = Pipeline(Catalog())
    lived(system("chain", 4), 5 / 60, every=1, pipeline=pipeline)
    judged = [watch for watch in pipeline.roster.watches.values() if watch.spec.detect.graph is not None]
    lanes = [lane for watch in judged for lane in watch.lanes.values()]
    assert len(lanes) == 4
    assert sum(lane.late for lane in lanes) == 0
    windows = [set(watch.placement.said) for watch in judged]
    assert [len(each) for each in windows] == [9] * 4


def test_a_restart_changes_nothing():
    news = []
    for again in (False, True):
        pipeline = calm("chain")
        world = system("chain", 3)
        world.nodes["c"].own = 0.07
        found = lived(world, 2 / 60, every=30, pipeline=pipeline, start=CALM)
        if again:
            state = pack(pipeline.snapshot())
            pipeline = Pipeline(Catalog())
            pipeline.restore(unpack(state))
            assert pack(pipeline.snapshot()) == state
        found += lived(world, 5 / 60, every=30, pipeline=pipeline, start=CALM + 2 / 60)
        news.append(found)
    assert news[0] == news[1]
    assert news[0]
