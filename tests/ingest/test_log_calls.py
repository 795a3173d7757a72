"""Lines of logs that tell of calls of language models: what is read of which forms, what is none, and what can't be true."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_world import NOW, World, call, log_request, open_to_all, set_pairs
from tocsin.ingest.http import ingest_app
from tocsin.ingest.line_pairs import pairs_of_line
from tocsin.ingest.log_calls import LoggedCalls
from tocsin.ingest.logfile import LineRules, decode_lines
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.redact import Redactor
from tocsin.llm.calls import SPAN_COLUMNS, CallReader
from tocsin.model.frame import FrameKind
from tocsin.spec.call_lines import CallLineSpec
from tocsin.spec.packs import load_packs

PACKS = load_packs()
RULES = [pack.call_lines for pack in PACKS if pack.call_lines is not None]
KEY = b"0123456789abcdef"
RESOURCE = (("service.name", "bot"),)


def world(own=()):
    redactor = Redactor((), keep_content=False, token_key=KEY)
    return World(LoggedCalls(redactor, RULES, [CallLineSpec(pattern=each) for each in own]))


def calls_in(found):
    """Canonical fields of the calls that entered the log, in order."""
    reader, told = CallReader(PACKS), []
    for frame in found.frames(FrameKind.SPANS):
        calls = reader.read("main", {name: frame.batch.column(name) for name in SPAN_COLUMNS})
        for row, span in enumerate(frame.rows()):
            texts = {field: text for field, each in calls.texts.items() if (text := each.of(row))}
            numbers = {field: float(each[row]) for field, each in calls.numbers.items() if each[row] == each[row]}
            told.append(
                {
                    **texts,
                    **numbers,
                    "took_s": (span["time"] - span["start"]) / 1e9,
                    "counted": bool(calls.counted[row]),
                }
            )
    return told


def lines(*texts, own=()):
    found = world(own)
    decoded = decode_lines(
        [text.encode() for text in texts], LineRules([]), found.edge, "main", "file/x", found.edge.received(), RESOURCE
    )
    found.edge.submit(decoded.frames)
    assert len(found.rows(FrameKind.LOGS)) == len(texts)  # they stay lines
    return found


def fields(text, *names, own=()):
    (told,) = calls_in(lines(text, own=own))
    return tuple(told.get(name) for name in names)


USUAL = ("provider", "request_model", "input_tokens", "output_tokens", "took_s")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"level":"info","msg":"llm call","model":"gpt-4o","prompt_tokens":12,"completion_tokens":3,"latency_ms":850}',
         ("openai", "gpt-4o", 12, 3, 0.85)),
        ('2026-09-21T10:00:00Z INFO done {"modelName":"claude-sonnet-4-5","inputTokens":9,"outputTokens":1,"durationMs":12.5}',
         ("anthropic", "claude-sonnet-4-5", 9, 1, 0.0125)),
        ('{"record":{"extra":{"model":"m","provider":"vllm","usage":{"prompt_tokens":5,"completion_tokens":6}}},"latency":"1.5s"}',
         ("vllm", "m", 5, 6, 1.5)),
        ('level=info msg="llm call" provider=mistralai model=mistral-large tokens_in=7 tokens_out=8 took=350ms',
         ("mistral_ai", "mistral-large", 7, 8, 0.35)),
        ("INFO [llm] model: gpt-4o, prompt_tokens: 1,200, completion_tokens: 30, took: 3s", ("openai", "gpt-4o", 1200, 30, 3)),
        ("ChatCompletion(id='chatcmpl-1', model='gpt-4o-2024-08-06', usage=CompletionUsage(completion_tokens=12, prompt_tokens=9))",
         ("openai", "gpt-4o-2024-08-06", 9, 12, 0)),
        ('{"log":"level=info model=gpt-4o input_tokens=4 output_tokens=2 duration_s=0.25\\n","stream":"stderr"}',
         ("openai", "gpt-4o", 4, 2, 0.25)),
        # LiteLLM's payload, Kong's AI gateway, Ollama's answer
        (('{"id":"chatcmpl-7","call_type":"acompletion","custom_llm_provider":"openai","model":"gpt-4o","status":"success",'
         '"prompt_tokens":20,"completion_tokens":5,"response_cost":0.001,"startTime":1790000000.25,"endTime":1790000001.5}'),
         ("openai", "gpt-4o", 20, 5, 1.25)),
        (('{"ai":{"proxy":{"meta":{"provider_name":"openai","request_model":"gpt-4o","llm_latency":920},'
         '"usage":{"prompt_tokens":11,"completion_tokens":22,"cost":0.004}}},"request":{"id":"r1"},"response":{"status":200}}'),
         ("openai", "gpt-4o", 11, 22, 0.92)),
        ('{"provider":"ollama","model":"llama3","done_reason":"stop","prompt_eval_count":26,"eval_count":98,"duration_ns":5000000000}',
         ("ollama", "llama3", 26, 98, 5)),
    ],
)  # fmt: skip
def test_common_forms(line, told):
    assert fields(line, *USUAL) == told


def test_what_else_a_line_says():
    line = json.dumps({
        "model": "gpt-4o-mini", "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}},
        "response_id": "chatcmpl-x", "finish_reason": "length", "user_id": "u1", "tenant": "acme", "session_id": "s1",
        "prompt_name": "greet", "prompt_version": "7", "ttft_ms": 200, "latency_ms": 1000, "region": "eu-west-1", "retries": 2,
    })  # fmt: skip
    (told,) = calls_in(lines(line))
    said = {
        "cache_read_tokens": 400, "finish_reason": "length", "user": "u1", "tenant": "acme", "conversation_id": "s1",
        "prompt_name": "greet", "prompt_version": "7", "time_to_first_token_s": 0.2, "region": "eu-west-1", "retries": 2,
        "response_id": "chatcmpl-x", "counted": True,
    }  # fmt: skip
    assert {name: told[name] for name in said} == said
    assert told["cost_usd"] == pytest.approx((600 * 0.15 + 400 * 0.075 + 100 * 0.6) * 1e-6)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('level=error msg="openai call failed" provider=openai model=gpt-4o error="429 Too Many Requests" duration_ms=9', "rate_limit"),
        ('{"llm":true,"model":"m","provider":"vllm","status_code":503,"duration_ms":9}', "unavailable"),
        ('{"event":"llm_error","model":"m","provider":"azure","error":{"type":"APITimeoutError","message":"Request timed out."}}', "timeout"),
        ('{"call_type":"completion","status":"failure","model":"m","custom_llm_provider":"openai","error_str":"maximum context length is 8192"}',
         "context_overflow"),
    ],
)  # fmt: skip
def test_failures_have_their_class(line, kind):
    (row,) = lines(line).rows(FrameKind.SPANS)
    assert row["status"] == "error"
    assert fields(line, "error_class") == (kind,)


@pytest.mark.parametrize(
    "line",
    [
        "INFO epoch=3 model=resnet50 loss=0.2 total_tokens=120000 duration=3s",
        '{"msg":"llm usage of the hour","model":"gpt-4o","requests":120,"prompt_tokens":120000,"completion_tokens":999}',
        '{"msg":"user said: \\"model=gpt-4o prompt_tokens=12\\"","level":"info"}',
        'level=info said="model=gpt-4o prompt_tokens=12"',
        '{"prompt_tokens":12,"completion_tokens":3}',
        '{"model":"gpt-4o","prompt_tokens":NaN,"completion_tokens":-5,"latency_ms":1e400}',
        '{"model":"gpt-4o","prompt_tokens":1e300,"completion_tokens":true}',
        '{"model":"gpt-4o","prompt_tokens":' + "9" * 5000 + "}",
        '{"model":["gpt-4o"' + "[" * 60_0 + "],'prompt_tokens':",
        "prompt_tokens " * 2000,
        'prompt_tokens="' * 2000,
    ],
)
def test_what_is_none(line):
    assert lines(line).rows(FrameKind.SPANS) == []


def test_numbers_that_can_not_be_are_left_out():
    line = '{"model":"gpt-4o","prompt_tokens":5,"completion_tokens":1e12,"cost":1e308,"latency_ms":9e99,"ttft_ms":-1,"retries":"inf"}'
    (told,) = calls_in(lines(line))
    assert (told["input_tokens"], told.get("output_tokens"), told["took_s"]) == (5, None, 0)
    assert not {"time_to_first_token_s", "retries"} & told.keys()
    assert told["cost_usd"] == pytest.approx(5 * 2.5e-6)


def test_secrets_leave_a_line_before_it_is_read():
    line = 'model=gpt-4o prompt_tokens=5 completion_tokens=6 user=joe@example.com error="key sk-proj-abcdefghijklmnopqrstuvwxyz012345"'
    found = lines(line)
    told = json.dumps(
        [
            {name: each for name, each in row.items() if isinstance(each, str | list)}
            for row in found.rows(FrameKind.SPANS)
        ]
    )
    assert "[redacted:email]" in told
    assert "joe@" not in told
    assert "abcdefghij" not in told


def test_forms_of_ones_own_come_first():
    own = [r"LLM (?P<model>\S+) in=(?P<prompt_tokens>\d+) out=(?P<completion_tokens>\d+) (?P<latency_ms>[0-9.]+)"]
    assert fields("LLM llama-3 in=4 out=5 12.5", *USUAL, own=own) == (None, "llama-3", 4, 5, 0.0125)
    with pytest.raises(ValueError, match="names nothing"):
        CallLineSpec(pattern="LLM .*")


@pytest.mark.parametrize("way", ["attributes", "body", "loki"])
def test_records_by_every_wire(way):
    found = world()
    told = {"model": "gpt-4o", "prompt_tokens": 5, "completion_tokens": 6, "latency_ms": 100}
    if way == "loki":
        entry = [str(NOW), "llm call done", {name: str(value) for name, value in told.items()}]
        push = {"streams": [{"stream": {"service_name": "bot"}, "values": [entry]}]}
        headers = {"content-type": "application/json"}
        sent = call(
            ingest_app(found.edge, open_to_all),
            path="/loki/api/v1/push",
            body=json.dumps(push).encode(),
            headers=headers,
        )
        assert sent.status == 204
    else:
        request = log_request(
            json.dumps(told) if way == "body" else "llm call done", trace_id=b"t" * 16, span_id=b"s" * 8
        )
        if way == "attributes":
            set_pairs(request.resource_logs[0].scope_logs[0].log_records[0].attributes, told)
        OtlpReceiver(found.edge).take("logs", request.SerializeToString(), "main")
    (told,) = calls_in(found)
    assert tuple(told[name] for name in USUAL) == ("openai", "gpt-4o", 5, 6, 0.1)
    (row,) = found.rows(FrameKind.SPANS)
    if way != "loki":
        assert (row["trace_id"], row["parent_id"]) == (b"t" * 16, b"s" * 8)


def test_the_same_lines_give_the_same_spans():
    text = "model=gpt-4o prompt_tokens=5 completion_tokens=6 response_id=r1"
    (one,), (other,) = (lines(text).rows(FrameKind.SPANS) for _ in range(2))
    assert one == other


def test_half_a_surrogate_pair_that_json_spells_costs_no_line():
    said = r'{"model": "gpt-\ud83d4o", "usage": {"prompt_tokens": 5, "completion_tokens": 6}, "user_id": "x\udfff"}'
    (told,) = calls_in(lines("before", said, "after"))
    assert tuple(told[name] for name in ("request_model", "input_tokens")) == ("gpt-?4o", 5)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_no_line_breaks_the_reader(before, after):
    lines_of = f"{before}model=gpt-4o prompt_tokens={after}".replace("\n", " ")
    pairs_of_line(lines_of, ["usage"], ["msg"])
    pairs_of_line(f'{{"model":"gpt-4o","usage":{json.dumps(before)},"prompt_tokens":{after}}}', ["usage"], ["msg"])
