"""Traces are found by what one of their spans is like, rolled up, compared with the past, and kept per tenant."""

from __future__ import annotations

import pytest

from store.world import SECOND, T0, World, spans_frame
from tocsin.model.errors import BadInput
from tocsin.model.frame import FrameKind, frame_of
from tocsin.store.trace_rows import TraceAsked, TraceRows

DAY = 86_400 * SECOND
BOT = [("service.name", "bot")]
WEB = [("service.name", "web")]
USAGE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "small",
    "gen_ai.usage.input_tokens": "100",
    "gen_ai.usage.output_tokens": "20",
    "gen_ai.usage.cost": "0.25",
    "gen_ai.prompt.version": "v7",
}


def trace(n: int, begin: int, length_s: float = 2.0, **last) -> list[dict]:
    """Three spans: web calls bot, bot calls a model."""
    ids = [bytes([n, k]) + bytes(6) for k in range(1, 4)]
    base = {"trace_id": bytes([n]) * 16, "start": begin, "time": begin + int(length_s * SECOND)}
    return [
        {**base, "span_id": ids[0], "name": "GET /", "kind": "server", "resource": WEB},
        {**base, "span_id": ids[1], "parent_id": ids[0], "name": "answer", "kind": "server", "resource": BOT},
        {
            **base,
            "span_id": ids[2],
            "parent_id": ids[1],
            "name": "chat small",
            "resource": BOT,
            "attributes": USAGE,
            **last,
        },
    ]


@pytest.fixture
def rows(world: World) -> TraceRows:
    spans = trace(1, T0) + trace(2, T0 + 10 * SECOND, 9.0, status="error", attributes={**USAGE, "error.type": "429"})
    spans += trace(2, T0 + 10 * SECOND, 9.0)[:1]  # sent again
    for k in range(30):
        spans += trace(100 + k, T0 - 3600 * SECOND + k * SECOND, 1.0 + k / 10)
    world.input.append([spans_frame(spans)])
    world.input.append([spans_frame(trace(1, T0, 5.0)[:1], tenant="other")])
    world.writer.step()
    return TraceRows(world.store.db)


def found(rows: TraceRows, tenant="main", **asked) -> list[str]:
    return [row["id"][:2] for row in rows.search(tenant, TraceAsked(**{"start": T0, "end": T0 + 60 * SECOND, **asked}))]


def test_a_trace_is_found_when_one_span_fits_everything(rows: TraceRows):
    assert found(rows) == ["02", "01"]
    assert found(rows, service="bot", operation="answer") == ["02", "01"]
    assert found(rows, service="web", operation="answer") == []
    assert found(rows, status="error") == found(rows, error_class="rate_limit") == ["02"]
    assert found(rows, model="small", prompt_version="v7", order="slowest") == ["02", "01"]
    assert found(rows, model="large") == []
    assert found(rows, least_ns=3 * SECOND) == ["02"]
    assert found(rows, most_ns=3 * SECOND) == ["01"]
    assert found(rows, service="bot", least_ns=3 * SECOND, most_ns=9 * SECOND) == ["02"]
    assert found(rows, limit=1) == ["02"]
    assert found(rows, tenant="other") == ["01"]
    assert found(rows, start=T0 + SECOND) == ["02"]


def test_a_trace_is_rolled_up_over_all_its_spans_each_counted_once(rows: TraceRows):
    [row] = rows.search("main", TraceAsked(T0, T0 + 60 * SECOND, status="error"))
    expected = {
        "spans": 3, "errors": 1, "services": 2, "root_name": "GET /", "root_service": "web", "calls": 1,
        "input_tokens": 100, "output_tokens": 20, "cost_usd": 0.25, "models": ["small"], "error_classes": ["rate_limit"],
        "matched": 1, "matched_name": "chat small", "matched_ns": 9 * SECOND,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_names_are_what_can_be_asked_for(rows: TraceRows):
    names = rows.names("main", T0, T0 + 60 * SECOND)
    assert names["services"] == ["bot", "web"]
    assert names["operations"] == ["GET /", "answer", "chat small"]
    assert (names["models"], names["prompt_versions"], names["error_classes"]) == (["small"], ["v7"], ["rate_limit"])


def test_spans_of_a_trace_come_by_their_start_and_are_counted_beyond_the_limit(rows: TraceRows):
    held, spans = rows.spans("main", "01" * 16)
    assert held == 3
    assert {each["parent_id"] for each in spans} == {"", "0101000000000000", "0102000000000000"}
    assert [each["call"] for each in spans if each["name"] == "chat small"] == [True]
    held, spans = rows.spans("main", "02" * 16, limit=2)
    assert (held, len(spans)) == (4, 2)
    assert rows.spans("main", "f7" * 16) == (0, [])
    with pytest.raises(BadInput, match="no trace id"):
        rows.spans("main", "x")


def test_one_span_tells_everything_it_was_sent_with(rows: TraceRows):
    [span] = rows.span("main", "01" * 16, "0103000000000000")
    assert span["attributes"]["gen_ai.usage.cost"] == "0.25"
    assert span["resource"] == {"service.name": "bot"}
    assert len(rows.span("main", "02" * 16, "0201000000000000")) == 2
    assert rows.span("other", "01" * 16, "0103000000000000") == []


def test_operations_are_compared_with_the_day_before(rows: TraceRows):
    usual = rows.usual("main", [("bot", "answer"), ("bot", "nothing")], T0)
    assert list(usual) == [("bot", "answer")]
    assert usual["bot", "answer"].count == 30
    assert usual["bot", "answer"].p50_s == pytest.approx(2.45, abs=0.1)
    assert usual["bot", "answer"].p95_s == pytest.approx(3.8, abs=0.15)
    assert rows.usual("main", [("bot", "answer")], T0 - DAY) == {}


def test_examples_are_of_what_a_service_is_asked_for_most(rows: TraceRows):
    found = {each.role: each for each in rows.examples("main", ["bot"], T0, T0 + 60 * SECOND, T0 - 3600 * SECOND)}
    assert list(found) == ["slowest", "failing", "typical", "typical_before"]
    assert {role: each.trace_id[:2] for role, each in found.items()} == {
        "slowest": "02", "failing": "02", "typical": "01", "typical_before": found["typical_before"].trace_id[:2]
    }  # fmt: skip
    assert (found["slowest"].operation, found["slowest"].duration_ns) == ("answer", 9 * SECOND)
    assert found["failing"].operation == "chat small"
    assert 2.3 * SECOND < found["typical_before"].duration_ns < 2.6 * SECOND
    assert rows.examples("main", ["nobody"], T0, T0 + 60 * SECOND, T0) == []
    assert [each.role for each in rows.examples("other", ["web"], T0, T0 + 60 * SECOND, T0 - SECOND)] == [
        "slowest",
        "typical",
    ]


def test_what_tells_of_documents_and_evaluations_is_found_in_attributes_events_and_logs(world: World):
    trace_id, names = b"\x07" * 16, ["retrieval.documents.", "gen_ai.evaluation.score.value"]
    base = {"trace_id": trace_id, "resource": BOT}
    spans = [
        {**base, "span_id": b"a" * 8, "attributes": {"retrieval.documents.0.document.id": "x"}},
        {
            **base,
            "span_id": b"b" * 8,
            "events": '[{"name": "e", "attributes": {"gen_ai.evaluation.score.value": 0.5}}]',
        },
        {**base, "span_id": b"c" * 8, "attributes": USAGE, "events": '[{"name": "gen_ai.choice", "attributes": {}}]'},
        {"trace_id": b"\x08" * 16, "span_id": b"d" * 8, "attributes": {"retrieval.documents.0.document.id": "y"}},
    ]
    log = {"time": T0, "severity": "", "severity_number": 9, "body": "", "event_name": "gen_ai.evaluation.result",
           "trace_id": trace_id, "span_id": b"b" * 8, "resource": BOT,
           "attributes": [("gen_ai.evaluation.score.value", "0.25")]}  # fmt: skip
    world.input.append([spans_frame(spans), frame_of(FrameKind.LOGS, "main", "t", {name: [log[name]] for name in log})])
    world.writer.step()
    found = TraceRows(world.store.db).telling("main", trace_id.hex(), names)
    assert [(row["span_id"][:2], row["name"]) for row in found] == [
        ("61", "chat"),
        ("62", "chat"),
        ("62", "gen_ai.evaluation.result"),
    ]
    assert found[1]["events"][0]["attributes"] == {"gen_ai.evaluation.score.value": 0.5}
    assert found[2]["attributes"]["gen_ai.evaluation.score.value"] == "0.25"
    assert TraceRows(world.store.db).telling("other", trace_id.hex(), names) == []
