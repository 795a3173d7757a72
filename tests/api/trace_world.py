"""Traces of the small world: one chat turn with everything that can be odd in a trace, and one of 10,000 spans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.graph_world import between
from api.world import HOSTILE, NOW, NS
from tocsin.model.message import TraceExample
from tocsin.store.graph_rows import Between
from tocsin.store.trace_rows import MOST_SPANS, TraceAsked, Usual, trace_key

Row = Mapping[str, Any]
TRACE = "5b8efff798038103d269b633813fc60c"
LARGE = "11" * 16
BEGIN = NOW - 25 * 60 * NS
MS = 10**6
PROMPT = f"You are the support bot of Example Ltd. Answer in three sentences. {HOSTILE} "


def span_of(span_id: str, parent_id: str, name: str, service: str, at_ms: float, took_ms: float, **more) -> dict:
    """A stored span; times are milliseconds after the trace began."""
    base: dict[str, Any] = {
        "span_id": span_id, "parent_id": parent_id, "name": name, "service": service, "kind": "internal", "status": "unset",
        "status_message": "", "operation": "", "provider": "", "request_model": "", "response_model": "",
        "finish_reason": "", "error_class": "", "prompt_version": "", "peer": "", "call": False, "input_tokens": None,
        "output_tokens": None, "total_tokens": None, "cost_usd": None, "time_to_first_token_s": None, "retries": None,
        "start": BEGIN + round(at_ms * MS), "end": BEGIN + round((at_ms + took_ms) * MS), "stored_ms": NOW // MS,
    }  # fmt: skip
    return {**base, **more}


def call_of(span_id: str, parent_id: str, at_ms: float, took_ms: float, tokens: tuple[int, int], **more) -> dict:
    """A call to a model."""
    known: dict[str, Any] = {
        "kind": "client", "operation": "chat", "provider": "vllm", "request_model": "llama-3.1-70b", "call": True,
        "response_model": "llama-3.1-70b", "prompt_version": "answer-v7", "finish_reason": "stop", "cost_usd": 0.0312,
        "time_to_first_token_s": 0.41, "retries": 2, "input_tokens": tokens[0], "output_tokens": tokens[1],
    }  # fmt: skip
    return span_of(span_id, parent_id, "chat llama-3.1-70b", "support-bot", at_ms, took_ms, **{**known, **more})


def chat_turn() -> list[dict]:
    """web -> support-bot -> retrieval, a failed and a good model call, a tool; orphans, late and doubled spans."""
    ids = [f"{k:016x}" for k in range(1, 30)]
    web, bot, agent = ids[0], ids[1], ids[2]
    retrieval = {"kind": "client", "operation": "retrieval", "peer": "pgvector"}
    failed = {"status": "error", "status_message": f"429 Too Many Requests {HOSTILE}", "error_class": "rate_limit"}
    agent_told = {"operation": "invoke_agent", "input_tokens": 5544 + 1210, "output_tokens": 612}
    spans = [
        span_of(web, "", "POST /chat", "web", 0, 4200, kind="server"),
        span_of(bot, web, "answer", "support-bot", 12, 4150, kind="server"),
        span_of(ids[3], bot, "retrieval support-articles", "support-bot", 15, 140, **retrieval),
        span_of(agent, bot, "invoke_agent support", "support-bot", 160, 3980, **agent_told),
        call_of(ids[4], agent, 165, 320, (5544, 0), **failed, cost_usd=None, output_tokens=None, finish_reason=""),
        call_of(ids[5], agent, 700, 2400, (5544, 410)),
        span_of(ids[6], agent, f"execute_tool {HOSTILE}", "support-bot", 3110, 180, operation="execute_tool"),
        call_of(ids[7], agent, 3300, 800, (1210, 202), cost_usd=0.0094, prompt_version=""),
        span_of(ids[8], ids[6], "SELECT orders", "orders", 3120, 150, kind="server", peer="postgresql"),
        span_of(
            ids[9], "00000000000000ff", "write audit " + "very-long-name-" * 12, "audit", 3500, 900, kind="consumer"
        ),
    ]
    spans.append({**spans[3]})  # sent again
    spans.append(span_of(ids[10], bot, "score answer", "judge", 4155, 60, stored_ms=NOW // MS + 300_000))
    return spans


def large_trace() -> list[dict]:
    """10,000 spans in a row below one, every 100th with one below it."""
    root = f"{1:016x}"
    spans = [span_of(root, "", "nightly batch", "web", 0, 10_000, kind="server")]
    for k in range(2, MOST_SPANS + 1):
        parent = f"{k - 1:016x}" if k % 100 == 0 else root
        spans.append(span_of(f"{k:016x}", parent, f"item {k % 7}", "worker", k - 1, 0.9))
    return spans


class FakeTraces:
    """Stored spans of this world."""

    def __init__(self, *, full: bool) -> None:
        self.held: dict[str, list[dict]] = {TRACE: chat_turn(), LARGE: large_trace()} if full else {}
        self.asked: list[TraceAsked] = []

    def search(self, tenant: str, asked: TraceAsked) -> Sequence[Row]:
        self.asked.append(asked)
        rows = []
        for key, spans in self.held.items():
            fit = [each for each in spans if not asked.service or each["service"] == asked.service]
            fit = [each for each in fit if not asked.status or each["status"] == asked.status]
            if not fit or spans[0]["end"] - spans[0]["start"] < asked.least_ns:
                continue
            calls = [each for each in spans if each["call"]]
            rows.append(
                {
                    "id": key, "start": spans[0]["start"], "end": max(each["end"] for each in spans), "spans": len(spans),
                    "errors": sum(each["status"] == "error" for each in spans), "root_name": spans[0]["name"],
                    "services": len({each["service"] for each in spans}), "root_service": spans[0]["service"],
                    "matched": len(fit), "matched_name": fit[0]["name"], "matched_service": fit[0]["service"],
                    "matched_ns": fit[0]["end"] - fit[0]["start"], "calls": len(calls), "models": ["llama-3.1-70b"] if calls else [],
                    "input_tokens": sum(each["input_tokens"] or 0 for each in calls) or None, "error_classes": ["rate_limit"] if calls else [],
                    "output_tokens": sum(each["output_tokens"] or 0 for each in calls) or None, "cost_usd": 0.0406 if calls else None,
                }
            )  # fmt: skip
        return rows[: asked.limit]

    def names(self, tenant: str, start: int, end: int) -> Mapping[str, Sequence[str]]:
        spans = [each for spans in self.held.values() for each in spans]
        columns = {"services": "service", "operations": "name", "models": "request_model", "prompt_versions": "prompt_version", "error_classes": "error_class"}  # fmt: skip
        found = {name: sorted({each[column] for each in spans if each[column]}) for name, column in columns.items()}
        return {**found, "customers": ["acme", HOSTILE]}

    def spans(self, tenant: str, trace_id: str, limit: int = MOST_SPANS) -> tuple[int, Sequence[Row]]:
        found = self.held.get(trace_key(trace_id), [])
        return len(found) + (2400 if trace_id == LARGE else 0), found[:limit]

    def span(self, tenant: str, trace_id: str, span_id: str) -> Sequence[Row]:
        found = [each for each in self.held.get(trace_id, []) if each["span_id"] == span_id]
        attributes = {"gen_ai.request.model": "llama-3.1-70b", "note": HOSTILE, "gen_ai.input.messages": PROMPT * 20}
        dropped = "[content dropped: 812 chars, sha 5f3a9c01]"
        attributes["gen_ai.output.messages"] = dropped
        event = {"name": "gen_ai.choice", "time": BEGIN, "attributes": {"gen_ai.completion": dropped, "index": "0"}}
        more = {
            "attributes": attributes,
            "resource": {"service.name": "support-bot"},
            "events": [event],
            "scope": "bot",
        }
        return [{**each, **more} for each in found]

    def calls_between(self, tenant: str, start: int, end: int) -> Between:
        return between() if self.held else Between([], 1)

    def telling(self, tenant: str, trace_id: str, names: Sequence[str]) -> Sequence[Row]:
        spans = self.held.get(trace_id, []) if trace_id == TRACE else []
        if not spans:
            return []
        assert "retrieval.documents." in names
        base = {"parent_id": "", "service": "support-bot", "operation": "", "time": BEGIN, "events": []}
        document = "retrieval.documents.{}.document.{}".format
        found = {
            document(0, "id"): "kb/returns.md#3", document(0, "score"): "0.91", document(0, "content"): f"Send it back within 30 days. {HOSTILE}",
            document(1, "id"): HOSTILE, document(1, "score"): "nan", document(1, "content"): "[content dropped: 512 chars, sha 5f3a9c01]",
            "tocsin.retrieval.document_count": "2", "tocsin.retrieval.top_score": "0.91",
        }  # fmt: skip
        judged = {"name": "gen_ai.evaluation.result", "span_id": spans[5]["span_id"]}
        scores = {"groundedness": "0.35", "relevance": "0.9", HOSTILE: "inf"}
        event = {
            "name": "gen_ai.evaluation.result",
            "time": BEGIN,
            "attributes": {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": HOSTILE},
        }
        return [
            {**base, "span_id": spans[2]["span_id"], "name": spans[2]["name"], "operation": "retrieval", "attributes": found},
            {**base, "span_id": spans[5]["span_id"], "name": "chat", "attributes": {}, "events": [event]},
            *(
                {**base, **judged, "attributes": {
                    "gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": score, "gen_ai.evaluation.judge.model": "judge-1"}}
                for name, score in scores.items()
            ),
        ]  # fmt: skip

    def usual(self, tenant: str, operations: Iterable[tuple[str, str]], before: int) -> Mapping[tuple[str, str], Usual]:
        return {key: Usual(4100, 0.9, 1.4) for key in operations if key[0] in ("web", "support-bot")}

    def examples(
        self, tenant: str, services: Sequence[str], start: int, end: int, before: int
    ) -> Sequence[TraceExample]:
        if "support-bot" not in services or not self.held:
            return ()
        told = {"slowest": 4150, "failing": 320, "typical": 2100, "typical_before": 900}
        return [
            TraceExample(
                role, TRACE, "support-bot", f"answer {HOSTILE}" if role == "failing" else "answer", start, ms * MS
            )
            for role, ms in told.items()
        ]
