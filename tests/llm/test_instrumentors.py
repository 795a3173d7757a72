"""What real instrumentors sent of real SDKs: every call once, with the tokens, model, provider and cost that were taken.

The server that answered said 1,200 tokens of prompt (900 from a cache, 100 into it), 300 of answer (64 of them thought);
see tests/instrumentors.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from llm.recorded import FILES, PACKS, Recording
from tocsin.derive.fields import FieldReader
from tocsin.derive.spans import SpanSignals

ASKED = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-4-5",
    "cohere": "command-r-08-2024",
    "bedrock": "claude-3-haiku",
    "langchain": "gpt-4o-mini",
}
ANSWERED = {
    "openai": "gpt-4o-mini-2024-07-18",
    "anthropic": "claude-sonnet-4-5-20250929",
    "langchain": "gpt-4o-mini-2024-07-18",
}
AS_ASKED = {"langchain": "gpt-4o-mini"}
"""What LangChain gives its instrumentors as the name of the model that answered."""
PROVIDER = {
    "openai": "openai",
    "anthropic": "anthropic",
    "cohere": "cohere",
    "bedrock": "aws.bedrock",
    "langchain": "openai",
}
# 300 fresh, 900 from the cache, 300 out; Anthropic's 200 fresh, 100 into and 900 from the cache
COST = {
    "openai": (300 * 0.15 + 900 * 0.075 + 300 * 0.60) * 1e-6,
    "anthropic": (200 * 3.0 + 100 * 3.75 + 900 * 0.30 + 300 * 15.0) * 1e-6,
    "cohere": (1200 * 0.15 + 300 * 0.60) * 1e-6,
    "bedrock": (1200 * 0.25 + 300 * 1.25) * 1e-6,
    "langchain": (300 * 0.15 + 900 * 0.075 + 300 * 0.60) * 1e-6,
}
LIMIT = {"openai": 128_000, "anthropic": 200_000, "cohere": 128_000, "bedrock": 200_000, "langchain": 128_000}
SDKS = ("openai", "anthropic", "cohere", "bedrock")
ERRORS = {
    "fail 429": "rate_limit",
    "fail 500": "server_error",
    "fail 503": "unavailable",
    "fail context": "context_overflow",
    "timeout": "timeout",
}
SILENT = {"openlit-1.45.0/bedrock": {"stream"}, "traceloop-0.47.5/anthropic": set(ERRORS)}
"""Scenes of which an instrumentor says nothing at all."""
NOT_TOLD = {
    "openlit-1.45.0/anthropic stream": (200, 300),
    "traceloop-0.47.5/anthropic stream": (1200, 301),
    "traceloop-0.62.4/anthropic stream": (1200, 301),
}
"""What an instrumentor itself tells wrongly: tokens of prompt and answer as it sends them."""
NO_REASON = {"openinference-3.1.0/anthropic fail context", "anthropic-sdk-2.12.0/anthropic fail context"}
"""Failures of which the SDK's own span, the one that counts, tells the status alone."""
NO_TOKENS = {"openinference-0.1.15/cohere", "traceloop-0.47.5/cohere"}
"""Embeddings of which no tokens are told."""


@cache
def recording(file):
    return Recording(file)


def name(file):
    return f"{file.parent.name}/{file.stem}"


def test_every_instrumentor_was_recorded():
    found = {name(file).split("-")[0] + "/" + file.stem for file in FILES}
    assert {f"{who}/{what}" for who in ("openlit", "traceloop", "openinference") for what in SDKS} <= found
    assert {"openinference/langchain", "traceloop/langchain"} <= found
    assert {"openai-v2-2.1b0", "anthropic-sdk-2.12.0"} <= {
        file.parent.name for file in FILES
    }  # openai-v2, and an SDK's own spans


@pytest.mark.parametrize("file", FILES, ids=name)
def test_calls_come_out_rightly(file):
    found, provider = recording(file), file.stem
    for scene in ("plain", "stream", "tool"):
        if scene in SILENT.get(name(file), ()) or (scene == "tool" and provider in ("cohere", "bedrock")):
            assert not found.scenes.get(scene)
            continue
        (call,) = found.counted(scene)
        told = NOT_TOLD.get(f"{name(file)} {scene}", (1200, 300))
        assert (call["input_tokens"], call["output_tokens"], call["total_tokens"]) == (*told, sum(told)), scene
        assert call["provider"] == PROVIDER[provider]
        assert call["operation"] == ("text_completion" if name(file) == "traceloop-0.47.5/anthropic" else "chat")
        assert ASKED[provider] in call["request_model"]
        assert call["response_model"] in (ANSWERED.get(provider, call["request_model"]), AS_ASKED.get(provider, ""), "")
        assert call["finish_reason"] in ("stop", "tool_calls" if scene == "tool" else "stop", "")
        assert call["context_limit_tokens"] == LIMIT[provider]
        assert call["context_utilization_ratio"] == pytest.approx(sum(told) / LIMIT[provider])
        assert not call["estimated"]
        assert call["error_class"] == ""
        if told == (1200, 300) and cached(call, provider):
            assert call["cost_usd"] == pytest.approx(COST[provider])
        else:
            assert call["cost_usd"] > 0


def cached(call, provider):
    """Whether an emitter told what came from the cache, where something did."""
    return provider in ("cohere", "bedrock") or call["cache_read_tokens"] == 900


@pytest.mark.parametrize("file", FILES, ids=name)
@pytest.mark.parametrize("scene", ERRORS)
def test_failures_have_their_class(file, scene):
    if scene in SILENT.get(name(file), ()):
        assert not recording(file).scenes.get(scene)
        return
    (call,) = recording(file).counted(scene)
    assert call["error_class"] == ("bad_request" if f"{name(file)} {scene}" in NO_REASON else ERRORS[scene])
    assert call["provider"] == PROVIDER[file.stem]
    assert ASKED[file.stem] in call["request_model"]
    assert np.isnan([call["input_tokens"], call["output_tokens"], call["cost_usd"]]).all()


def embeds(file):
    """Whether a scene of it embeds, and the instrumentor tells of that."""
    return file.stem in ("openai", "cohere") and not file.parent.name.startswith("openai-v2")


@pytest.mark.parametrize("file", [file for file in FILES if embeds(file)], ids=name)
def test_embeddings_have_tokens_and_a_cost(file):
    (call,) = recording(file).counted("embeddings")
    assert call["operation"] == "embeddings"
    if name(file) not in NO_TOKENS:
        assert call["input_tokens"] == 1200
        assert call["cost_usd"] > 0


@pytest.mark.parametrize("file", FILES, ids=name)
def test_signals_count_each_call_once(file):
    found = recording(file)
    scenes = sum(bool(found.counted(scene)) for scene in found.scenes)
    reader = FieldReader(PACKS)
    signals: dict[str, list[float]] = {}
    for frame in found.frames:
        drawn = SpanSignals(PACKS).draw([frame], reader.read([frame]))
        for value, key in zip(drawn.value.tolist(), drawn.key.tolist(), strict=True):
            signals.setdefault(drawn.series[key].signal.name, []).append(value)
            labels = dict(drawn.series[key].labels)
            if drawn.series[key].signal.name.startswith("gen_ai.request."):
                assert labels["cloud.region"] == "eu-west-1"
                assert labels.get("gen_ai.provider.name", PROVIDER[file.stem]) == PROVIDER[file.stem]
    assert len(signals["gen_ai.request.count"]) == scenes
    assert sum(signals["gen_ai.request.error_ratio"]) == len(signals.get("gen_ai.request.errors", ()))
    assert len(signals["gen_ai.request.cost"]) == len(signals["gen_ai.request.input_tokens"])


def test_recordings_hold_nothing_of_the_machine():
    for file in FILES:
        text = file.read_text()
        assert "site-packages" not in text
        assert "/home/" not in text
        assert "/tmp/" not in text
        assert json.loads(text)["resourceSpans"]
