"""Calls of models over time: each counted once, grouped, chosen, joined with what people said."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase

import pytest

from store.world import SECOND, T0, World, spans_frame
from tocsin.model.frame import FrameKind, frame_of
from tocsin.spec.packs import load_packs
from tocsin.store.llm_rows import OTHERS, CallsAsked, LlmRows, glob_pattern

BOT = [("service.name", "bot")]
WHO = {"user.id": "u-2", "gen_ai.conversation.id": "s-2", "cloud.region": "eu-west-1"}


def call(n: int, model: str, tokens: int, *, version="v1", at_s: float = 0, took_s: float = 1.0, **more) -> dict:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": str(tokens),
        "gen_ai.usage.output_tokens": "10",
        "gen_ai.usage.cost": "0.5",
        "gen_ai.prompt.version": version,
        "gen_ai.response.id": f"answer-{n}",
        "gen_ai.response.time_to_first_chunk": "0.25",
        "tenant.id": "acme" if n % 2 else "beta",
        **more.pop("attributes", {}),
    }
    begin = T0 + int(at_s * SECOND)
    ids = {"trace_id": bytes([n]) * 16, "span_id": bytes([n]) * 8}
    return {
        **ids,
        "start": begin,
        "time": begin + int(took_s * SECOND),
        "resource": BOT,
        "attributes": attributes,
        **more,
    }


def record(n: int, feedback: str, **more) -> dict:
    base = {
        "time": T0 + 5 * SECOND, "prediction_id": f"answer-{n}", "model": "", "version": "", "prediction": "", "score": None,
        "features": "", "tags": [], "truth": "", "feedback": feedback, "kind": "feedback", "embedding": [],
        "attributions": "", "attention": "",
    }  # fmt: skip
    return {**base, **more}


@pytest.fixture
def rows(world: World) -> LlmRows:
    failed = {"gen_ai.usage.cost": "", "error.type": "429"}
    found = {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.document_count": "4"}
    spans = [
        call(1, "small", 100),
        call(2, "small", 300, version="v2", at_s=60, took_s=3, attributes=WHO),
        call(3, "large", 50, at_s=61, status="error", attributes=failed),
        call(4, "tiny", 5, at_s=62),
        call(5, "small", 7, at_s=-1),
        {"trace_id": b"r" * 16, "resource": BOT, "attributes": {**found, "top_similarity_score": "0.8"}},
        {"trace_id": b"q" * 16, "resource": BOT, "attributes": {**found, "gen_ai.retrieval.document_count": "0"}},
    ]
    world.input.append([spans_frame(spans), spans_frame([call(9, "small", 1)], tenant="other")])
    said = [record(1, '{"thumb": "up"}'), record(2, '{"thumb": "down"}'), record(77, '{"thumb": "down"}', model="mine")]
    world.input.append(
        [frame_of(FrameKind.RECORDS, "main", "test", {name: [row[name] for row in said] for name in said[0]})]
    )
    world.writer.step()
    return LlmRows(world.store.db, load_packs())


def asked(**more) -> CallsAsked:
    return CallsAsked(**{"start": T0, "end": T0 + 120 * SECOND, **more})


def test_calls_are_measured_by_group_the_most_first(rows: LlmRows):
    found = {row["name"]: row for row in rows.groups("main", asked())}
    assert list(found) == ["small", "large", "tiny"]
    small = found["small"]
    assert (small["calls"], small["errors"], small["input_tokens"], small["output_tokens"]) == (2, 0, 400, 20)
    assert (small["cost_usd"], small["priced"], small["timed"]) == (1.0, 2, 2)
    assert small["latency"] == pytest.approx([2.0, 2.9])
    assert small["ttft"] == [0.25, 0.25]
    assert found["large"]["errors"] == 1
    assert rows.totals("main", asked())["calls"] == 4
    assert rows.totals("main", asked().before())["calls"] == 1
    assert rows.totals("other", asked())["calls"] == 1


def test_calls_are_chosen_and_drawn_over_time(rows: LlmRows):
    assert rows.totals("main", asked(where={"model": "small", "prompt_version": "v2"}))["input_tokens"] == 300
    assert [row["name"] for row in rows.groups("main", asked(by="customer", where={"model": "small"}))] == [
        "acme",
        "beta",
    ]
    drawn = rows.over_time("main", asked(), ["small"], 60 * SECOND)
    assert [(row["name"], (row["at"] - T0) // SECOND, row["calls"]) for row in drawn] == [
        ("small", 0, 1), (OTHERS, 60, 2), ("small", 60, 1),
    ]  # fmt: skip


def test_errors_retrieval_and_names_are_told(rows: LlmRows):
    assert [(row["name"], row["error_class"], row["calls"]) for row in rows.errors("main", asked())] == [
        ("large", "rate_limit", 1)
    ]
    [found] = rows.retrieval("main", asked(by="service"))
    assert (found["name"], found["calls"], found["counted"], found["documents"], found["empty"]) == (
        "bot",
        2,
        2,
        2.0,
        1,
    )
    assert found["similarity"] == 0.8
    names = rows.names("main", T0, T0 + 120 * SECOND)
    assert (names["model"], names["customer"]) == (["large", "small", "tiny"], ["acme", "beta"])


def test_retrievals_and_evaluations_are_of_the_call_of_their_trace_that_said_most(world: World):
    silent = {"gen_ai.operation.name": "embeddings", "gen_ai.usage.output_tokens": "0"}
    found = {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.document_count": "5", "tenant.id": "mine"}
    scored = {"gen_ai.evaluation.name": "faithfulness", "gen_ai.evaluation.score.value": "0.9"}
    trace = {"trace_id": bytes([2]) * 16, "resource": BOT}
    spans = [
        {**trace, "attributes": found},
        {**trace, "attributes": scored},
        call(2, "embedder", 40, version="", attributes=silent),
        call(2, "small", 300, version="v2", at_s=1, attributes=WHO),
        {"trace_id": b"r" * 16, "resource": BOT, "attributes": {**found, "gen_ai.retrieval.document_count": "1"}},
        {"trace_id": b"q" * 16, "resource": BOT, "attributes": {**found, "gen_ai.retrieval.document_count": "2"}},
    ]
    world.input.append([spans_frame(spans)])
    world.writer.step()
    rows = LlmRows(world.store.db, load_packs())

    def told(**more):
        return [(row["name"], row["calls"], row["documents"]) for row in rows.retrieval("main", asked(**more))]

    assert told() == [("", 2, 1.5), ("small", 1, 5.0)]
    assert told(by="prompt_version") == [("", 2, 1.5), ("v2", 1, 5.0)]
    assert told(by="user", where={"model": "small"}) == [("u-2", 1, 5.0)]
    assert told(by="customer", where={"service": "bot"}) == [("mine", 3, pytest.approx(8 / 3))]
    assert told(where={"model": "embedder"}) == []
    assert told(start=T0 - 120 * SECOND, end=T0) == []
    assert [row["name"] for row in rows.judged("main", asked())] == ["small"]


def test_calls_are_told_by_region_user_and_session(rows: LlmRows):
    for by, name in (("region", "eu-west-1"), ("user", "u-2"), ("session", "s-2")):
        assert [(row["name"], row["calls"]) for row in rows.groups("main", asked(by=by))] == [("", 3), (name, 1)]
        assert rows.totals("main", asked(where={by: name}))["input_tokens"] == 300
        assert rows.names("main", T0, T0 + 120 * SECOND)[by] == [name]


def test_feedback_finds_its_call_by_the_id_of_the_answer(rows: LlmRows):
    def said(**more):
        return {(row["name"], row["feedback"]): row["rows"] for row in rows.feedback("main", asked(**more))}

    assert said(by="prompt_version") == {
        ("v1", '{"thumb": "up"}'): 1,
        ("v2", '{"thumb": "down"}'): 1,
        ("", '{"thumb": "down"}'): 1,
    }
    assert said() == {
        ("small", '{"thumb": "up"}'): 1,
        ("small", '{"thumb": "down"}'): 1,
        ("mine", '{"thumb": "down"}'): 1,
    }
    assert said(where={"prompt_version": "v2"}) == {("small", '{"thumb": "down"}'): 1}


def test_evaluations_are_found_wherever_they_are_and_know_the_calls_of_their_trace(world: World):
    kit = {"evaluation.name": "groundedness", "evaluation.score": "0.5"}
    event = '[{"name": "gen_ai.evaluation.result", "attributes": {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "rude"}}]'
    spans = [
        call(1, "small", 100, events=event),
        {"trace_id": bytes([1]) * 16, "span_id": b"e" * 8, "resource": BOT, "attributes": kit},
        {"trace_id": b"z" * 16, "span_id": b"f" * 8, "resource": BOT, "attributes": kit},
    ]
    told = {"gen_ai.evaluation.name": "faithfulness", "gen_ai.evaluation.score.value": "0.25"}
    log = {"time": T0, "severity": "", "severity_number": 9, "body": "", "event_name": "gen_ai.evaluation.result",
           "trace_id": bytes([1]) * 16, "span_id": b"b" * 8, "resource": BOT, "attributes": list(told.items())}  # fmt: skip
    world.input.append([spans_frame(spans), frame_of(FrameKind.LOGS, "main", "t", {name: [log[name]] for name in log})])
    world.writer.step()
    rows = LlmRows(world.store.db, load_packs())
    said = {(row["name"], row["feedback"]): row["rows"] for row in rows.judged("main", asked())}
    assert said == {
        ("small", '{"faithfulness": 0.5}'): 1,
        ("small", '{"faithfulness": 0.25}'): 1,
        ("small", '{"tone": "rude"}'): 1,
        ("", '{"faithfulness": 0.5}'): 1,
    }
    by_service = rows.judged("main", asked(by="service", where={"service": "bot"}))
    assert sum(row["rows"] for row in by_service) == 4
    assert rows.judged("other", asked()) == []


def test_however_many_scores_differ_all_are_counted(world: World):
    event = '{"name": "gen_ai.evaluation.result", "attributes": {"gen_ai.evaluation.name": "%s", "gen_ai.evaluation.score.value": %s}}'
    scores = [(n + 1) / 8000 for n in range(6000)]
    events = [event % ("faithfulness", score) for score in scores] + [
        event % ("thumbs", vote) for vote in (1, 1, 0, -1)
    ]
    world.input.append([spans_frame([call(1, "small", 100, events=f"[{', '.join(events)}]")])])
    world.writer.step()
    found = [
        (*json.loads(row["feedback"]).items(), row["rows"])
        for row in LlmRows(world.store.db, load_packs()).judged("main", asked())
    ]
    assert found[0][0] == ("faithfulness", pytest.approx(sum(scores) / 6000))
    assert found[0][1] == 6000
    assert sorted(found[1:]) == [(("thumbs", -1), 1), (("thumbs", 0), 1), (("thumbs", 1), 2)]


def test_calls_whose_length_nobody_told_have_no_latency(world: World):
    world.input.append([spans_frame([call(1, "small", 100, took_s=0), call(2, "small", 100, took_s=3)])])
    world.writer.step()
    (row,) = LlmRows(world.store.db, load_packs()).groups("main", asked())
    assert (row["calls"], row["lasted"], row["latency"]) == (2, 1, [3.0, 3.0])


def test_costs_are_told_by_the_hour_of_what_a_budget_matches(rows: LlmRows):
    hour = 3600 * SECOND
    begin = T0 // hour * hour
    assert rows.spent("main", asked()) == [{"at": begin, "usd": 1.5, "calls": 4, "priced": 3}]
    assert rows.spent("main", asked(where={"model": "small"})) == [{"at": begin, "usd": 1.0, "calls": 2, "priced": 2}]
    assert rows.spent("main", asked(), {"tenant": "ac*", "model": "[!s]*"}) == [
        {"at": begin, "usd": 0.0, "calls": 1, "priced": 0}
    ]
    assert rows.spent("main", asked(), {"prompt_version": "v?", "service": "bo"}) == []


@pytest.mark.parametrize("glob", ["lab-*", "m[!0-9]?", "a[^b]", "[x", "a[]b]c", "a.c", "x|y", "*"])
def test_globs_mean_to_the_store_what_they_mean_to_budgets(glob):
    for text in ("lab-1", "lab_1", "mxx", "m1x", "a^", "ab", "[x", "abc", "a]c", "a.c", "x", "x|y", "", "two\nlines"):
        assert bool(re.search(glob_pattern(glob), text)) == fnmatchcase(text, glob), text
