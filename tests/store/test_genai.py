from __future__ import annotations

import pytest

from store.world import genai_pack, spans_frame
from tocsin.store.genai import SpanMapper

MAPPER = SpanMapper([genai_pack()])


def mapped(attributes, *, failed=False, message=""):
    row = {"attributes": attributes, "status": "error" if failed else "unset", "status_message": message}
    columns = MAPPER.columns(batch_columns([row]))
    return {name: column.to_pylist()[0] for name, column in columns.items()}


def batch_columns(rows):
    batch = spans_frame(rows).batch
    return {name: batch.column(name) for name in batch.schema.names}


@pytest.mark.parametrize(
    ("names", "provider"),
    [
        (("gen_ai.provider.name", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"), "openai"),
        (("gen_ai.system", "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"), "openai"),
        (("llm.provider", "llm.token_count.prompt", "llm.token_count.completion"), "openai"),
    ],
)
def test_each_generation_of_names_gives_the_same_fields(names, provider):
    found = mapped({names[0]: "openai", names[1]: "12", names[2]: "3"})
    assert (found["provider"], found["input_tokens"], found["output_tokens"], found["total_tokens"]) == (
        provider,
        12,
        3,
        15,
    )
    assert found["model_call"] is True


def test_the_newer_name_wins_whatever_the_order():
    found = mapped({"gen_ai.system": "old", "gen_ai.provider.name": "anthropic"})
    assert found["provider"] == "anthropic"


def test_an_ordinary_span_is_no_model_call():
    found = mapped({"http.response.status_code": "500"}, failed=True)
    assert found["model_call"] is False
    assert found["error_class"] == ""


@pytest.mark.parametrize(
    ("attributes", "message", "wanted"),
    [
        ({"error.type": "429"}, "", "rate_limit"),
        ({"error.type": "openai.RateLimitError"}, "", "rate_limit"),
        ({"http.response.status_code": "503"}, "", "unavailable"),
        ({"http.response.status_code": "500"}, "", "server_error"),
        ({"error.type": "BadRequestError"}, "This model's maximum context length is 8192 tokens", "context_overflow"),
        ({"error.type": "APITimeoutError"}, "", "timeout"),
        ({}, "This model's maximum context length is 8192 tokens", "context_overflow"),
        ({"error.type": "json.JSONDecodeError"}, "", "parse"),
        ({"error.type": "Mystery"}, "", "other"),
        ({}, "", "other"),
    ],
)
def test_a_failed_call_has_a_class(attributes, message, wanted):
    found = mapped({"gen_ai.system": "openai", **attributes}, failed=True, message=message)
    assert found["error_class"] == wanted


def test_a_call_that_went_well_has_no_class():
    assert mapped({"gen_ai.system": "openai"})["error_class"] == ""


@pytest.mark.parametrize(("text", "wanted"), [("0", None), ("0.0", None), ("0.25", 0.25), ("-1", None), ("nan", None)])
def test_a_cost_of_nothing_is_unknown(text, wanted):
    assert mapped({"gen_ai.system": "openai", "gen_ai.usage.cost": text})["cost_usd"] == wanted


def test_numbers_that_make_no_sense_are_none():
    found = mapped({"gen_ai.system": "x", "gen_ai.usage.input_tokens": "1e400", "gen_ai.usage.output_tokens": "many"})
    assert (found["input_tokens"], found["output_tokens"]) == (None, None)


def test_lists_give_their_first_element_and_values_are_mapped():
    found = mapped({"gen_ai.system": "az.ai.openai", "gen_ai.response.finish_reasons": '["max_tokens"]'})
    assert (found["provider"], found["finish_reason"]) == ("azure.ai.openai", "length")


def test_slices_of_a_batch_are_read_right():
    rows = [{"attributes": {"gen_ai.system": "a"}}, {"attributes": {"x": "y", "gen_ai.system": "b"}}, {}]
    columns = MAPPER.columns({name: column.slice(1) for name, column in batch_columns(rows).items()})
    assert columns["provider"].to_pylist() == ["b", ""]
