"""Structure drift of the service graph: calls that are new, that are made no longer, and that reach more or fewer services."""

import copy

import pytest

from engine.graph_world import Node, World, lived, opened
from tocsin.derive import edge_drift
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.finding import Phase
from tocsin.model.series import Catalog

CALM = 1.2
NODES = {
    "a": Node(calls=("b", "c"), together=True),
    "b": Node(calls=("d",)),
    "c": Node(),
    "d": Node(),
    "e": Node(),
}
KNOWN: list[bytes] = []


def drifted(change=None, *, minutes=12, nodes=None, cut=False):
    """News of a system that was calm for more than an hour, once `change(nodes)` has changed it."""
    if not KNOWN:
        pipeline = Pipeline(Catalog())
        assert opened(lived(World(copy.deepcopy(NODES), rate=1.2), CALM, every=30, pipeline=pipeline)) == []
        KNOWN.append(pack(pipeline.snapshot()))
    pipeline = Pipeline(Catalog())
    pipeline.restore(unpack(KNOWN[0]))
    world = World(copy.deepcopy(NODES), seed=2, rate=1.2)
    change(world.nodes)
    found, hours = [], minutes / 60
    for part in range(2):
        found += lived(world, hours / 2, every=30, pipeline=pipeline, start=CALM + part * hours / 2)
        if cut:
            state = pack(pipeline.snapshot())
            pipeline = Pipeline(Catalog())
            pipeline.restore(unpack(state))
            assert pack(pipeline.snapshot()) == state
    return found


def calls(name, *callees):
    def change(nodes):
        nodes[name].calls = callees

    return change


def edges(found, monitor):
    """Caller and callee of the findings that a monitor opened."""
    named = [dict(each.series.labels) for each in found if each.monitor == monitor and each.phase is Phase.OPEN]
    return [(each["service.name"], each["peer.service"]) for each in named]


def test_a_call_to_whom_none_was_made_before_is_a_new_edge_and_more_services_are_reached():
    found = drifted(calls("b", "d", "e"))
    assert edges(found, "service-new-edge") == [("b", "e")]
    assert edges(found, "service-vanished-edge") == []
    assert ("service-fan-out", "b") in opened(found)


def test_a_call_that_is_made_no_longer_has_vanished():
    found = drifted(calls("a", "b"))
    assert edges(found, "service-vanished-edge") == [("a", "c")]
    assert edges(found, "service-new-edge") == []
    assert ("service-fan-out", "a") in opened(found)


def test_a_callee_that_fails_or_does_not_answer_is_still_called():
    def change(nodes):
        nodes["c"].lost = 1.0
        nodes["d"].fails = 0.5

    found = drifted(change)
    structure = {"service-new-edge", "service-vanished-edge", "service-fan-out"}
    assert not structure & {each.monitor for each in found}


def test_what_is_new_ends_and_is_known_from_then_on():
    found = drifted(calls("b", "d", "e"), minutes=34)
    phases = [each.phase for each in found if each.monitor == "service-new-edge" and each.phase is not Phase.UPDATE]
    assert phases == [Phase.OPEN, Phase.CLOSE]


def test_calls_of_edges_beyond_the_most_are_counted(monkeypatch):
    monkeypatch.setattr(edge_drift, "MOST_EDGES", 2)
    graph = World(copy.deepcopy(NODES), rate=1.2)
    pipeline = Pipeline(Catalog())
    lived(graph, 0.05, every=30, pipeline=pipeline)
    (drift,) = (each.drift for each in pipeline.graph.graphs.values())
    assert len(drift.edges) == 2
    assert pipeline.graph.left_out > 0


@pytest.mark.parametrize("change", [calls("b", "d", "e"), calls("a", "b")], ids=["new", "vanished"])
def test_a_restart_changes_nothing(change):
    assert repr(drifted(change, cut=True)) == repr(drifted(change))
