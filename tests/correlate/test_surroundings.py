"""What live causes rest on: edges that requests and people name, requests read again from the log, changes."""

from __future__ import annotations

import re

import pytest

from fold_world import START, Fold, S, gauge, request
from incident_world import MINUTE, T0, World, event, finding
from tocsin.correlate import past
from tocsin.correlate.calls import MAX_EDGES, Calls
from tocsin.correlate.diagnosis import BAR
from tocsin.correlate.evidence import of_edges
from tocsin.correlate.past import Past
from tocsin.correlate.requests import graph_around, thinned
from tocsin.correlate.topology import EntityKeys
from tocsin.model.errors import Corrupt
from tocsin.model.frame import FrameKind, frame_of
from tocsin.spec.engine import EngineSpec
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs
from tocsin.spec.problem import BadSpec

KEYS = EntityKeys([pack for pack in load_packs() if pack.name == "resources"])


def test_a_change_of_something_nobody_knows_is_a_weak_candidate_and_no_more():
    change = event("prompt", "prompt-registry", "template v7", T0 - MINUTE)
    incident = World().tick(T0 + MINUTE, finding(), events=[change])[-1].incident
    found = next(cause for cause in incident.causes if cause.entity == "prompt-registry")
    assert 0 < found.score < 0.6
    assert any("nothing known links prompt-registry" in each for each in found.refuted_by)


def test_a_change_of_a_service_is_one_of_its_pods():
    pod = finding(labels={"k8s.pod.name": "bot-7d9f", "k8s.node.name": "n1"})
    world = World()
    world.tick(T0, finding("warm", "x", {"k8s.pod.name": "bot-7d9f", "k8s.node.name": "n1"}))
    said = world.tick(T0 + MINUTE, pod, events=[event("prompt", "bot", "v2", T0 - MINUTE)])
    best = next(cause for cause in said[-1].incident.causes if cause.kind == "prompt")
    assert best.entity == "bot" or best.score >= BAR


def test_learned_edges_are_bounded_and_stated_ones_stay():
    calls = Calls()
    calls.state([("a", "b")])
    calls.learn([(f"s{n}", f"s{n + 1}") for n in range(MAX_EDGES + 5)])
    assert not calls.knows("s0")
    assert calls.among(["a", "b"]) == {("a", "b")}
    again = Calls()
    again.state([("a", "b")])
    again.restore(calls.snapshot())
    assert again.reach(["s100"], 1) == calls.reach(["s100"], 1) == {"s100": 0, "s99": 1, "s101": 1}


def two_services(stated):
    labels = ({"service.name": "shop"}, {"service.name": "stock"})
    rows = [finding(f"errors-{k}", "app.errors", each, start=T0 + k * MINUTE) for k, each in enumerate(labels)]
    world = World()
    body = world.spec.model_dump() | {"topology": {"edges": stated}}
    world.reducer.fold(EngineSpec.model_validate(body).control(), world.catalog)
    said = world.tick(T0 + MINUTE, rows[0]) + world.tick(T0 + 2 * MINUTE, rows[1])
    return {each.incident.id for each in said}


def test_an_edge_that_a_person_states_joins_what_telemetry_does_not():
    assert len(two_services([])) == 2
    assert len(two_services([{"from": "shop", "to": "stock"}])) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topology:\n  edges:\n    - {from: a, to: a}\n", "tocsin.yaml:3:"),
        ("topology:\n  edges:\n    - {from: a}\n", "tocsin.yaml:3:"),
        ("topology:\n  edges:\n    - {from: a, to: b}\n    - {from: a, to: b}\n", "twice"),
        ("runbooks:\n  - {title: x, url: not-an-address, joint: ['*']}\n", "tocsin.yaml:2:"),
    ],
)
def test_mistakes_in_edges_are_named_by_file_and_line(text, said):
    with pytest.raises(BadSpec) as told:
        parse_config(text, "tocsin.yaml", {})
    assert said in str(told.value)


def log_of(minutes=20, each=4):
    fold = Fold(EngineSpec(packs=[pack for pack in load_packs() if pack.name == "resources"]))
    for second in range(0, minutes * 60, 30):
        at = START + second * S
        rows = [
            row
            for n in range(each)
            for row in request(f"{second}-{n}", at, [("web", "", 0, 1), ("db", "web", 0.1, 0.5)])
        ]
        fold.spans(rows)
        fold.points([gauge("x", 1.0, service__name="web")])
        fold.tick(30, "s", "t")
    return fold


def test_requests_are_read_back_from_a_time_up_to_an_offset():
    fold = log_of()
    end = len(fold.inputs.entries) - 1
    since = START + 600 * S
    reader = Past(fold.inputs, KEYS)
    half = reader.spans("main", end // 2 + 200, since)
    seen = reader.spans("main", end, since)
    whole = Past(fold.inputs, KEYS).spans("main", end, since)
    assert half is None or len(half) <= len(seen)
    assert len(seen) == len(whole) == 2 * 4 * 21
    assert seen.start.min() >= since - 30 * S
    assert seen.edges() == [("web", "db")]
    assert (seen.parents() >= 0).sum() == len(seen) / 2
    assert Past(fold.inputs, KEYS).spans("other", end, since) is None


def test_of_too_many_requests_whole_ones_are_left_out(monkeypatch):
    fold = log_of(each=16)
    monkeypatch.setattr(past, "MAX_SPANS", 300)
    seen = Past(fold.inputs, KEYS).spans("main", len(fold.inputs.entries) - 1, START)
    assert 50 < len(seen) <= 300
    assert (seen.parents() >= 0).sum() == len(seen) / 2


def test_only_so_much_of_the_log_is_read_back(monkeypatch):
    fold = log_of()
    monkeypatch.setattr(past, "MAX_RECORDS", 30)
    end = len(fold.inputs.entries) - 1
    seen = Past(fold.inputs, KEYS).spans("main", end, START)
    frames = [each for each in fold.inputs.entries[end - 30 :] if getattr(each, "kind", None) is FrameKind.SPANS]
    assert len(seen) == sum(len(each) for each in frames)


def test_new_and_vanished_edges_and_worse_ones_are_told():
    fold = log_of(each=8)
    changed = START + 900 * S
    for second in range(900, 1200, 15):
        at = START + second * S
        calls = [("web", "", 0, 2), ("db", "web", 0.1, 1.5), ("cache", "web", 0.05, 0.01)]
        fold.spans([row for n in range(4) for row in request(f"late {second}-{n}", at, calls, failed="db")])
    seen = Past(fold.inputs, KEYS).spans("main", len(fold.inputs.entries) - 1, START)
    before = seen.start < changed
    late = seen.between(0, changed), seen
    assert len(late[0]) == int(before.sum())
    graph = graph_around(seen.spans(seen.services, changed), 0.0, 300.0, [], 10_000)
    said = of_edges(graph, "web")
    assert any(each.startswith("calls of web to cache are new") for each in said)
    assert any(each.startswith("calls of web to db: ") and "before" in each for each in said)


def test_an_edge_over_which_nothing_is_called_any_more_is_told_as_gone():
    fold = log_of(minutes=15, each=8)
    changed = START + 900 * S
    for second in range(900, 1200, 15):
        at = START + second * S
        fold.spans([row for n in range(4) for row in request(f"late {second}-{n}", at, [("web", "", 0, 2)])])
    seen = Past(fold.inputs, KEYS).spans("main", len(fold.inputs.entries) - 1, START)
    graph = graph_around(seen.spans(seen.services, changed), 0.0, 300.0, [], 10_000)
    for end in ("web", "db"):
        assert any(
            re.match(r"no calls of web to db any more, [\d.]+ a second before", each) for each in of_edges(graph, end)
        )


def test_a_log_that_cannot_be_read_costs_the_requests_and_nothing_more(monkeypatch):
    fold = log_of(minutes=2)

    def broken(*_):
        raise Corrupt("record 3 can't be read")

    reader = Past(fold.inputs, KEYS)
    monkeypatch.setattr(fold.inputs, "read", broken)
    assert reader.spans("main", len(fold.inputs.entries) - 1, START) is None
    monkeypatch.undo()
    assert len(reader.spans("main", len(fold.inputs.entries) - 1, START)) == 32


def lines_of(at, resource, rows=1):
    """Log lines of one sender, that are of no request."""
    empty = {"severity": "INFO", "severity_number": 9, "event_name": "", "trace_id": bytes(16), "span_id": bytes(8)}
    columns = {name: [value] * rows for name, value in empty.items()}
    columns |= {"time": [at] * rows, "body": ["hello"] * rows, "attributes": [[]] * rows}
    return frame_of(FrameKind.LOGS, "main", "t", columns | {"resource": [list(resource.items())] * rows})


POD = {"service.name": "shop", "k8s.pod.name": "shop-7d9f", "k8s.node.name": "node-3"}


def pod_and_service(*lines):
    """Incidents of a pod's restarts and its service's errors, whose series share no label."""
    limits = [
        {"name": name, "signal": signal, "detect": {"threshold": {"above": 5}}}
        for name, signal in (("restarts", "pod.restarts"), ("errors", "app.errors"))
    ]
    packs = [pack for pack in load_packs() if pack.name == "resources"]
    fold = Fold(EngineSpec.model_validate({"monitors": limits, "packs": packs}))
    for minute in range(6):
        for line in lines if minute < 3 else ():
            fold.feed(line)
        value = 9.0 if minute >= 4 else 0.0
        fold.points([gauge("pod.restarts", value, k8s__pod__name="shop-7d9f")])
        fold.points([gauge("app.errors", value, service__name="shop")])
        fold.tick(60, "s", "t")
    return fold


def test_log_lines_alone_teach_which_pod_is_of_which_service_and_on_which_node():
    assert len(pod_and_service().incidents) == 2
    assert len(pod_and_service(lines_of(START, {"service.name": "shop"})).incidents) == 2
    fold = pod_and_service(lines_of(START, POD))
    [incident] = fold.incidents.values()
    assert {finding.monitor for finding in incident.findings} == {"restarts", "errors"}
    assert repr(fold.again()) == repr(fold.incidents)


def test_of_many_lines_some_are_looked_at_and_reading_them_is_bounded(monkeypatch):
    whole = lines_of(START, POD, rows=5000)
    assert (len(thinned(whole, 128)), thinned(whole, 5000) is whole) == (128, True)
    monkeypatch.setattr(past, "MAX_LINES", 2)
    fold = Fold(EngineSpec(packs=[pack for pack in load_packs() if pack.name == "resources"]))
    for number in range(5):
        fold.feed(lines_of(START, {"service.name": "shop", "k8s.pod.name": f"shop-{number}"}))
        fold.tick(1, "t")
    reader = Past(fold.inputs, KEYS)
    assert reader.spans("main", len(fold.inputs.entries) - 1, START) is None
    assert [dict(each)["k8s.pod.name"] for each in reader.resources("main")] == ["shop-0", "shop-1"]
