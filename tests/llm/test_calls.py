"""What follows from a span of a model call: limits, costs, times, classes of errors; and a new name is a line of data."""

from __future__ import annotations

import json

import numpy as np
import pytest

from llm_world import MONDAY, folded
from llm_world import spans_frame as llm_spans
from store.world import SECOND, T0, spans_frame
from tocsin.llm.calls import SPAN_COLUMNS, CallReader
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs, parse_pack

PACKS = load_packs()
CALL = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}


def read(*rows, packs=PACKS, models=()):
    frame = spans_frame([{"span_id": bytes([k + 1] * 8), **row} for k, row in enumerate(rows)])
    return CallReader(packs, models).read("main", {name: frame.batch.column(name) for name in SPAN_COLUMNS})


def one(attributes, *, models=(), packs=PACKS, **row):
    calls = read({"attributes": attributes, **row}, models=models, packs=packs)
    return {field: texts.of(0) for field, texts in calls.texts.items()} | {
        field: float(values[0]) for field, values in calls.numbers.items()
    }


@pytest.mark.parametrize(
    ("prompt", "answer", "warning", "risk"),
    [(100_000, 15_200, 0, 0), (100_000, 15_201, 1, 0), (102_400, 1, 0, 0), (102_401, 1, 0, 1), (120_000, 8_000, 1, 1)],
)
def test_a_call_near_the_limit_of_its_model_is_told(prompt, answer, warning, risk):
    found = one({**CALL, "gen_ai.usage.input_tokens": str(prompt), "gen_ai.usage.output_tokens": str(answer)})
    assert found["context_limit_tokens"] == 128_000
    assert found["context_utilization_ratio"] == pytest.approx((prompt + answer) / 128_000)
    assert (found["context_limit_warning"], found["prompt_truncation_risk"]) == (warning, risk)


def test_of_a_model_that_nobody_knows_nothing_is_claimed():
    own = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "vllm", "gen_ai.request.model": "ours-7b"}
    found = one({**own, "gen_ai.usage.input_tokens": "9000", "gen_ai.usage.output_tokens": "10"})
    names = ("context_limit_tokens", "context_utilization_ratio", "context_limit_warning", "cost_usd")
    assert np.isnan([found[name] for name in names]).all()


def test_own_prices_and_limits_come_from_the_configuration():
    told = {
        "llm": {"models": [{"model": "ours-*", "provider": "vllm", "context_tokens": 8192, "input_usd_per_million": 2}]}
    }
    config = Config.model_validate(told)
    own = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "vllm", "gen_ai.request.model": "ours-7b"}
    found = one({**own, "gen_ai.usage.input_tokens": "8000"}, models=config.engine_spec(PACKS).models)
    assert found["cost_usd"] == pytest.approx(0.016)
    assert (found["context_limit_warning"], found["prompt_truncation_risk"]) == (1, 1)


def test_the_reported_cost_counts_where_there_is_no_price():
    own = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "vllm", "gen_ai.request.model": "ours-7b"}
    tokens = {"gen_ai.usage.input_tokens": "1000", "gen_ai.usage.cost": "0.5"}
    assert one({**own, **tokens})["cost_usd"] == 0.5
    assert one({**CALL, **tokens})["cost_usd"] == pytest.approx(0.00015)


def test_cached_tokens_are_part_of_the_prompt_whoever_tells_them_apart():
    cached = {"gen_ai.usage.input_tokens": "10", "gen_ai.usage.cache_read.input_tokens": "90"}
    assert one({**CALL, **cached})["input_tokens"] == 100
    within = {"gen_ai.usage.input_tokens": "100", "gen_ai.usage.cache_read.input_tokens": "90"}
    assert one({**CALL, **within})["input_tokens"] == 100


def test_times_of_a_streamed_answer_come_from_attributes_or_events():
    usage = {"gen_ai.usage.output_tokens": "11", "gen_ai.response.time_to_first_chunk": "0.5"}
    found = one({**CALL, **usage})
    assert (found["time_to_first_token_s"], found["time_per_output_token_s"]) == (0.5, 0.05)
    events = json.dumps([{"name": "First Token Stream Event", "time": T0 + SECOND // 4, "attributes": {}}])
    found = one({**CALL, "gen_ai.usage.output_tokens": "16"}, events=events)
    assert (found["time_to_first_token_s"], found["time_per_output_token_s"]) == (0.25, pytest.approx(0.05))
    whole = one({**CALL, **usage, "gen_ai.request.stream": "false"})
    assert np.isnan([whole["time_to_first_token_s"], whole["time_per_output_token_s"]]).all()


@pytest.mark.parametrize(
    ("attributes", "events", "wanted"),
    [
        (
            {"error.type": "BadRequestError"},
            [("BadRequestError", "prompt is too long: 210000 tokens")],
            "context_overflow",
        ),
        ({"http.response.status_code": "503"}, [("InternalServerError", "")], "unavailable"),
        ({}, [("json.decoder.JSONDecodeError", "Expecting value")], "parse"),
        ({"error.type": "openai.AuthenticationError"}, [], "auth"),
        ({}, [("RuntimeError", "something else")], "other"),
    ],
)
def test_of_all_that_is_said_of_a_failure_the_most_telling_counts(attributes, events, wanted):
    told = [
        {"name": "exception", "time": T0, "attributes": {"exception.type": kind, "exception.message": text}}
        for kind, text in events
    ]
    assert one({**CALL, **attributes}, status="error", events=json.dumps(told))["error_class"] == wanted


@pytest.mark.parametrize("events", ["[", '["x"]', '{"a": 1}', '[{"name": "exception", "attributes": 7}]', "[" * 9_000])
def test_events_that_make_no_sense_say_nothing(events):
    assert one(CALL, status="error", events=events)["error_class"] == "other"


def test_agents_and_workflows_repeat_what_their_calls_took():
    usage = {"gen_ai.usage.input_tokens": "5", "gen_ai.usage.output_tokens": "7"}
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "openai", **usage}
    calls = read({"attributes": agent}, {"attributes": {**CALL, **usage}}, {"attributes": {"http.route": "/"}})
    assert calls.call.tolist() == [True, True, False]
    assert calls.counted.tolist() == [False, True, False]


def test_a_rename_is_a_line_of_data():
    attributes = {"acme.model": "gpt-4o-mini", "acme.maker": "OpenAI", "acme.in": "12", "acme.params": '{"who": "u1"}'}
    assert one(attributes)["request_model"] == ""
    text = """
name: acme
version: 1
mappings:
  - {field: request_model, names: [acme.model]}
  - {field: provider, names: [acme.maker]}
  - {field: input_tokens, names: [acme.in]}
  - {field: user, names: ["acme.params#who"]}
"""
    found = one(attributes, packs=[*PACKS, parse_pack(text, "acme.yaml")])
    assert (found["request_model"], found["provider"], found["input_tokens"], found["user"]) == (
        "gpt-4o-mini",
        "openai",
        12,
        "u1",
    )
    assert found["cost_usd"] > 0


def test_cuts_of_a_batch_say_the_same():
    rows = [
        {"attributes": {**CALL, "gen_ai.usage.input_tokens": str(k)}, "trace_id": bytes([k] * 16)} for k in range(9)
    ]
    whole = read(*rows)
    frame = spans_frame([{"span_id": bytes([k + 1] * 8), **row} for k, row in enumerate(rows)])
    reader = CallReader(PACKS)
    parts = [
        reader.read("main", {name: frame.batch.column(name).slice(start, 3) for name in SPAN_COLUMNS})
        for start in (0, 3, 6)
    ]
    for field, values in whole.numbers.items():
        assert np.array_equal(np.concatenate([part.numbers[field] for part in parts]), values, equal_nan=True)
    assert [texts.of(k) for texts in [whole.texts["provider"]] for k in range(9)] == ["openai"] * 9


@pytest.mark.parametrize("told", ["1e308", "1e13", "5e-324", "1e-13", "-1", "nan", "1e400", "0"])
def test_no_call_costs_or_takes_what_none_can(told):
    own = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "vllm", "gen_ai.request.model": "ours-7b"}
    assert np.isnan(one({**own, "gen_ai.usage.cost": told})["cost_usd"])
    assert np.isnan(one({**own, "gen_ai.response.time_to_first_chunk": told})["time_to_first_token_s"])


def test_costs_of_any_size_end_no_fold():
    own = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "vllm", "gen_ai.request.model": "ours-7b"}
    rows = []
    for k in range(400):
        cost = "5e-324" if k < 200 else "1.7e308"
        named = {"gen_ai.usage.cost": cost, "gen_ai.prompt.name": "p", "prompt.version": f"v{k // 200}"}
        rows.append((MONDAY + k * 10**9, {**own, **named, "gen_ai.usage.input_tokens": "100"}, {"trace": k + 1}))
    folded([llm_spans(rows[k : k + 50]) for k in range(0, 400, 50)], PACKS)


def test_half_of_a_surrogate_pair_becomes_a_text_that_columns_hold():
    found = one({**CALL, "gen_ai.response.finish_reasons": '["\\ud800x"]', "gen_ai.response.model": '["m\\udfff"]'})
    assert (found["finish_reason"], found["response_model"]) == ("?x", "m?")
    models = ["gpt-4o", '["gpt-\\ud800"]']
    rows = [
        (
            MONDAY + k * 10**9,
            {**CALL, "gen_ai.response.model": models[k // 30], "gen_ai.request.model": models[k // 30]},
            {"trace": k + 1},
        )
        for k in range(60)
    ]
    _, changes = folded([llm_spans(rows)], PACKS)
    assert any("gpt-?" in each["what"] for each in changes)
