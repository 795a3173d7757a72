"""Names of projects, guards and threats in spans, and monitors of what servers, streams and vector stores measure."""

from __future__ import annotations

import numpy as np
import pytest

from ingest_world import World, set_pairs, span_request
from llm_world import HOUR, MINUTE, MONDAY, S, folded, spans_frame
from tocsin.engine.pipeline import Pipeline
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.model.codec import findings_of
from tocsin.model.finding import Phase
from tocsin.model.frame import FrameKind, points_frame
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog, Series, Signal
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs


@pytest.mark.parametrize(
    ("resource", "service"),
    [
        ({"openinference.project.name": "shop"}, "shop"),
        ({"openinference.project.name": "shop", "service.name": "unknown_service"}, "shop"),
        ({"openinference.project.name": "shop", "service.name": "unknown_service:python"}, "shop"),
        ({"openinference.project.name": "shop", "service.name": "bot"}, "bot"),
        ({"service.name": "unknown_service"}, "unknown_service"),
        ({"gen_ai.application_name": "desk"}, "desk"),
    ],
)
def test_a_project_names_the_service_where_nothing_else_does(resource, service):
    world, request = World(), span_request()
    told = request.resource_spans[0].resource.attributes
    del told[:]
    set_pairs(told, resource)
    assert OtlpReceiver(world.edge).take("traces", request.SerializeToString(), "main").rejected == 0
    ((row,),) = (world.rows(FrameKind.SPANS),)
    assert dict(row["resource"])["service.name"] == service


def answered(event, attributes, at):
    call = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    return (
        at,
        call,
        {"trace": at // MINUTE % (1 << 40), "events": [{"name": event, "time": at, "attributes": attributes}]},
    )


PIECE = 5
"""Minutes of a frame, and between ticks."""


def guarded(hours, share, then):
    """A guard that denies a share of what it sees, and from some hour on another share of it."""
    rng = np.random.default_rng(5)
    frames = []
    for begin in range(0, (hours + 2) * 60, PIECE):
        rows = []
        for k in range(PIECE * 6):
            at = MONDAY + begin * MINUTE + (k * 10 + 5) * S
            denied = rng.random() < (then if begin >= hours * 60 else share)
            told = {"guard.name": "prompt_injection", "guard.phase": "preflight", "guard.score": float(denied)}
            rows.append(answered("guard.evaluation", told | {"guard.action": "deny" if denied else "allow"}, at))
        frames.append(spans_frame(rows))
    return frames


PACKS = [pack for pack in load_packs() if pack.name in ("genai", "genai_guards")]


def test_a_guard_that_refuses_more_is_told_and_one_as_ever_is_not():
    packs = [PACKS[0].model_copy(update={"monitors": []}), PACKS[1]]
    found, _ = folded(guarded(30, 0.03, 0.4), packs, every=PIECE * MINUTE)
    opened = [(at, each) for at, each in found if each.phase is Phase.OPEN]
    assert [each.monitor for _, each in opened] == ["guard-denied"]
    at, first = opened[0]
    assert MONDAY + 30 * HOUR < at <= MONDAY + 31 * HOUR
    assert dict(first.series.labels)["guard.name"] == "prompt_injection"
    assert folded(guarded(30, 0.03, 0.03), packs, every=PIECE * MINUTE)[0] == []


@pytest.mark.parametrize(("severity", "told"), [("high", True), ("critical", True), ("low", False)])
def test_a_severe_threat_is_told_at_once(severity, told):
    threat = {
        "gen_ai.agent.threat.rule_id": "r1",
        "gen_ai.agent.threat.severity": severity,
        "gen_ai.agent.threat.threat_class": "prompt_injection",
    }
    rows = [answered("gen_ai.agent.threat_detected", threat, MONDAY + MINUTE)]
    packs = [PACKS[0].model_copy(update={"monitors": []}), PACKS[1]]
    later = spans_frame([answered("else", {}, MONDAY + k * MINUTE) for k in range(3, 12)])
    found, _ = folded([spans_frame(rows), later], packs, every=MINUTE)
    assert [(each.monitor, each.phase) for _, each in found][:1] == ([("guard-threats", Phase.OPEN)] if told else [])


WATCHED = {
    "gen_ai.server.request.duration": "genai-server-duration-p95",
    "gen_ai.server.time_to_first_token": "genai-server-first-token-p95",
    "gen_ai.server.time_per_output_token": "genai-server-output-token-p95",
    "gen_ai.client.operation.time_to_first_chunk": "genai-first-chunk-p95",
    "gen_ai.client.operation.time_per_output_chunk": "genai-output-chunk-p95",
    "llm.chat_completions.streaming_time_to_generate": "genai-time-to-generate-p95",
    "llm.openai.chat_completions.streaming_time_to_generate": "genai-time-to-generate-p95",
    "db.client.search.distance": "vector-store-distance",
}


@pytest.mark.parametrize("name", WATCHED)
def test_what_servers_streams_and_stores_measure_is_watched(name):
    """Ordinary hours raise nothing; values of three times what they were are told by the monitor of that name."""
    packs = [pack for pack in load_packs() if pack.name in ("genai", "genai_server", "vector_stores")]
    catalog, rng = Catalog(), np.random.default_rng(9)
    pipeline = Pipeline(catalog)
    pipeline.fold(LogRecord(0, EngineSpec(packs=packs).control()))
    ref = catalog.intern(Series.of("main", Signal(name, "s"), {"service.name": "bot", "gen_ai.request.model": "m"}))
    found, calm = [], 8 * 60
    for minute in range(calm + 60):
        now = MONDAY + minute * MINUTE
        times = now + np.arange(6) * 10 * S + S
        values = rng.lognormal(0, 0.3, 6) * (3.0 if minute >= calm else 1.0)
        pipeline.fold(LogRecord(2 * minute + 1, points_frame("main", "otlp/bot", np.full(6, ref, "i4"), times, values)))
        tick = Tick(now + MINUTE, {("main", "otlp/bot"): now + MINUTE})
        told = pipeline.fold(LogRecord(2 * minute + 2, tick))
        for frame in told.frames:
            if frame.kind is FrameKind.FINDINGS:
                found += [(minute, each.monitor, each.phase) for each in findings_of(frame, catalog)]
    assert {(monitor, phase) for minute, monitor, phase in found if minute >= calm} >= {(WATCHED[name], Phase.OPEN)}
    assert [each for each in found if each[0] < calm] == []
