"""Prices and limits: what the package genai-prices says, the user's entries before it, and nothing guessed."""

from __future__ import annotations

from datetime import UTC, datetime

import genai_prices
import numpy as np
import pytest
from pydantic import ValidationError

from tocsin.llm.models import Facts, ModelTable, costs_usd
from tocsin.spec.llm import ModelSpec
from tocsin.spec.packs import load_packs

TABLE = [pack.model_table for pack in load_packs() if pack.model_table]
AT = datetime(2026, 11, 1, tzinfo=UTC)
CALLS = [
    ("openai", "gpt-4o-mini", "openai"),
    ("openai", "gpt-4o-2024-08-06", "openai"),
    ("openai", "text-embedding-3-small", "openai"),
    ("anthropic", "claude-sonnet-4-5-20250929", "anthropic"),
    ("anthropic", "claude-haiku-4-5", "anthropic"),
    ("aws.bedrock", "anthropic.claude-3-haiku-20240307-v1:0", "aws"),
    ("azure.ai.openai", "gpt-4o", "azure"),
    ("gcp.vertex_ai", "gemini-2.5-pro", "google"),
    ("cohere", "command-r-08-2024", "cohere"),
    ("mistral_ai", "mistral-large-latest", "mistral"),
    ("", "gpt-4.1", "openai"),
    ("x_ai", "grok-4", "x-ai"),
]
USAGES = [(1200, 300, 900, 100), (1000, 0, 0, 0), (250_000, 10, 0, 0), (0, 500, 0, 0)]


def cost(facts: Facts, usage, at=AT) -> float:
    tokens = [np.array([float(count)]) for count in usage]
    return float(costs_usd(facts.prices, np.array([at.timestamp()]), tokens)[0])


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize(("provider", "model", "theirs"), CALLS)
def test_a_call_costs_what_the_package_says(provider, model, theirs, usage):
    told = genai_prices.Usage(
        input_tokens=usage[0], output_tokens=usage[1], cache_read_tokens=usage[2], cache_write_tokens=usage[3]
    )
    wanted = genai_prices.calc_price(told, model, provider_id=theirs, genai_request_timestamp=AT).total_price
    found = cost(ModelTable((), TABLE).facts(provider, model), usage)
    if np.isnan(found):  # a token of a kind that the model doesn't have: unknown, not free
        assert usage[1] > 0
        assert "embedding" in model
    else:
        assert found == pytest.approx(float(wanted))


@pytest.mark.parametrize(
    ("provider", "model", "limit"),
    [
        ("openai", "gpt-4o-mini", 128_000),
        ("anthropic", "claude-sonnet-4-5", 200_000),
        ("openai", "openai/gpt-4o", None),
    ],
)
def test_limits_of_models(provider, model, limit):
    assert ModelTable((), TABLE).facts(provider, model).context_tokens == limit


def test_a_gateway_names_the_vendor_in_the_model():
    assert ModelTable((), TABLE).facts("litellm", "openai/gpt-4o").context_tokens == 128_000


def test_a_provider_that_no_table_knows_has_no_price_of_another():
    assert ModelTable((), TABLE).facts("vllm", "gpt-4o-mini") == Facts()


def test_own_entries_come_first_and_fill_up_from_the_table():
    own = [
        ModelSpec(model="gpt-4o*", provider="openai", input_usd_per_million=1.0, output_usd_per_million=2.0),
        ModelSpec(model="*llama*", context_tokens=8192),
        ModelSpec(model="claude-*", input_usd_per_million=1.0),
    ]
    table = ModelTable(own, TABLE)
    mine = table.facts("openai", "GPT-4o-mini")
    assert mine.context_tokens == 128_000
    # cached tokens cost what input costs, unless told
    assert cost(mine, (1_000_000, 1_000_000, 500_000, 0)) == pytest.approx(3.0)
    assert table.facts("vllm", "meta/llama-3").context_tokens == 8192
    partly = table.facts("anthropic", "claude-sonnet-4-5")
    assert cost(partly, (1_000_000, 0, 0, 0)) == pytest.approx(1.0)
    assert cost(partly, (0, 100_000, 0, 0)) == pytest.approx(1.5)


def test_prices_change_at_their_day():
    rows = '["p",[],[],[]]\n["p",["=m"],null,[[0,0,1,1,null,null],[1000,0,5,5,null,null]]]'
    facts = ModelTable((), [rows]).facts("p", "m")
    tokens = [np.array([1e6, 1e6]), np.zeros(2), np.zeros(2), np.zeros(2)]
    assert costs_usd(facts.prices, np.array([999.0, 1000.0]), tokens).tolist() == [1.0, 5.0]


def test_no_tokens_have_no_cost():
    facts = ModelTable((), TABLE).facts("openai", "gpt-4o")
    nothing = [np.array([np.nan])] * 4
    assert np.isnan(costs_usd(facts.prices, np.array([AT.timestamp()]), nothing)).all()


def test_an_entry_says_something():
    with pytest.raises(ValidationError, match="context_tokens"):
        ModelSpec(model="x")
