"""A26: latency, memory and a trace that got slow are one incident, with impact, priority, what changed and where to start."""

from __future__ import annotations

import pytest

from fold_world import Fold, S, gauge, request
from tocsin.correlate.summary import Summariser
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

CALM_S, AFTER_S, STEP_S = 2_400, 600, 15
CONFIG = """
monitors:
  - {name: answer-latency, signal: http.server.request.duration, aggregate: mean, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 0.5}}, clear: 5m, direction: up, impact: {users: high}}
  - {name: process-memory, signal: process.memory.utilization, aggregate: mean, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 0.9}}, clear: 5m, direction: up}
  - {name: slow-requests, signal: service.request.duration, by: [service.name], aggregate: p95,
     window: {size: 60s, step: 30s}, detect: {threshold: {above: 1}}, clear: 5m, direction: up}
runbooks:
  - {title: When shop waits, url: "https://runbooks.example/shop", joint: ["answer-*", "process-*"]}
"""
NAMES = {"resources", "runtime", "http", "service", "guide"}


def lived():
    packs = [
        pack.model_copy(update={"monitors": []}) if pack.name in {"http", "service", "runtime"} else pack
        for pack in load_packs()
        if pack.name in NAMES
    ]
    fold = Fold(parse_config(CONFIG, "tocsin.yaml", {}).config.engine_spec(packs))
    for second in range(0, CALM_S + AFTER_S, STEP_S):
        if second == CALM_S:
            fold.events((fold.now, "deploy", "shop", "shop 3.1: caches whole pages"))
        slow = second >= CALM_S + 30
        fold.points(
            [
                gauge("http.server.request.duration", 1.8 if slow else 0.1, "s", service__name="shop"),
                gauge("process.memory.utilization", 0.96 if slow else 0.4, service__name="shop"),
                gauge("http.server.request.duration", 0.1, "s", service__name="billing"),
            ]
        )
        calls = [("shop", "", 0.0, 2.0 if slow else 0.1), ("stock", "shop", 0.01, 0.02)]
        for n in range(4):
            fold.spans(request(f"{second}-{n}", fold.now + n * S // 10, calls))
        fold.tick(STEP_S, "s", "t")
    return list(fold.incidents.values())


def test_a26_latency_memory_and_slow_traces_of_one_fault_are_one_incident_that_says_where_to_start():
    (incident,) = lived()
    assert {each.monitor for each in incident.findings} == {"answer-latency", "process-memory", "slow-requests"}
    assert incident.entities[0] == "shop"
    assert incident.impact["urgency"] == "page"
    assert incident.severity_arithmetic
    first = incident.causes[0]
    assert (first.kind, first.entity, first.what) == ("deploy", "shop", "shop 3.1: caches whole pages")
    assert [each.title for each in incident.runbooks] == ["When shop waits"]
    steps = Summariser([]).of(incident).of("next")
    assert steps[0].startswith("Runbook for what fails together here: When shop waits, https://")
    assert all(cause.evidence and cause.refuted_by for cause in incident.causes)
