"""Calls without usage get an estimate before what was said is dropped; nothing else is touched."""

from __future__ import annotations

import json

import pytest
import toktok

from ingest_world import KeepAll
from store.world import spans_frame
from tocsin.ingest.redact import Redactor
from tocsin.ingest.token_counts import TokenCounts
from tocsin.llm.calls import SPAN_COLUMNS, CallReader
from tocsin.spec.packs import load_packs

QUESTION = "Where is invoice 7? I looked in the archive of last year, and it isn't there."
ANSWER = "It is in the folder of this year."
MODEL = {"gen_ai.request.model": "gpt-4o-mini", "gen_ai.operation.name": "chat"}
MESSAGES = {
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}]),
    "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": ANSWER}]}]),
}


def attributes(given, redactor=None, **row):
    (frame,) = TokenCounts(redactor or KeepAll()).frames([spans_frame([{"attributes": given, **row}])])
    return dict(frame.rows()[0]["attributes"])


def tokens(text, encoding="o200k_base"):
    return toktok.batch_count([text], encoding)[0] + 4


@pytest.mark.parametrize(
    "said",
    [
        MESSAGES,
        {"gen_ai.prompt.0.content": QUESTION, "gen_ai.completion.0.content": ANSWER},
        {"llm.input_messages.0.message.content": QUESTION, "llm.output_messages.0.message.content": ANSWER},
        {"gen_ai.prompt": QUESTION, "gen_ai.completion": ANSWER},
    ],
    ids=["messages", "traceloop", "openinference", "plain"],
)
def test_a_call_without_usage_has_an_estimate(said):
    found = attributes({**MODEL, **said})
    assert found["tocsin.estimated.input_tokens"] == str(tokens(QUESTION))
    assert found["tocsin.estimated.output_tokens"] == str(tokens(ANSWER))


def test_it_is_made_before_the_content_goes_and_is_marked():
    redactor = Redactor((), keep_content=False, token_key=b"0123456789abcdef")
    (frame,) = TokenCounts(redactor).frames([spans_frame([{"attributes": {**MODEL, **MESSAGES}}])])
    assert QUESTION not in str(frame.rows())
    calls = CallReader(load_packs()).read("main", {name: frame.batch.column(name) for name in SPAN_COLUMNS})
    assert calls.estimated.tolist() == [True]
    assert calls.numbers["input_tokens"].tolist() == [tokens(QUESTION)]
    assert calls.numbers["total_tokens"].tolist() == [tokens(QUESTION) + tokens(ANSWER)]
    assert calls.numbers["cost_usd"][0] > 0


@pytest.mark.parametrize(
    ("given", "row"),
    [
        ({**MODEL, **MESSAGES, "gen_ai.usage.input_tokens": "7"}, {}),
        (MESSAGES, {}),
        ({**MODEL, **MESSAGES}, {"status": "error"}),
        (MODEL, {}),
    ],
    ids=["told", "no model", "failed", "nothing said"],
)
def test_other_spans_stay_as_they_are(given, row):
    assert attributes(given, **row) == given


def test_the_encoding_follows_the_model():
    text = "Überraschung: 你好世界 " * 5
    given = {"gen_ai.request.model": "gpt-4-0613", "gen_ai.prompt": text}
    assert attributes(given)["tocsin.estimated.input_tokens"] == str(tokens(text, "cl100k_base"))


@pytest.mark.parametrize("text", ["[" * 50_000, '[{"content": "\\ud800"}]', "\x00<|endoftext|>", "[1, 2]", "{}"])
def test_hostile_texts_are_counted_as_text(text):
    assert set(attributes({**MODEL, "gen_ai.prompt": text})) >= set(MODEL)


def test_a_very_long_text_is_taken_to_go_on_as_it_began():
    found = attributes({**MODEL, "gen_ai.prompt": "word " * 500_000})
    assert int(found["tocsin.estimated.input_tokens"]) == pytest.approx(500_000, rel=0.01)
