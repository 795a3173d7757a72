"""Writes `packs/llm_prices.yaml` from the package genai-prices: `python -m tests.model_prices`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from genai_prices import types
from genai_prices.data import providers

LEFT_OUT = {"openrouter"}
"""Sells what others make, by names `vendor/model`: those are looked up under the vendor."""
ALIASES = {
    "aws": ["aws.bedrock"],
    "azure": ["azure.ai.openai", "azure.ai.inference"],
    "google": ["gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai"],
    "x-ai": ["x_ai"],
    "mistral": ["mistral_ai"],
    "moonshotai": ["moonshot_ai"],
    "together": ["together_ai"],
}
"""Our names of providers (those of OpenTelemetry) where the package has others."""
HEAD = """name: llm-prices
version: {version}
description: Prices and context limits of models, from genai-prices {package} (MIT); written by `python -m tests.model_prices`.

# A line for each provider: [id, other names, models that are its own, providers whose models it sells too].
# A line for each model: [provider, [what its name is], context tokens, [prices]]; a name that `=` equals, `^` begins
# with, `$` ends with, `~` contains, `/` is found by; a list within the list needs all of it. Prices, the last that
# holds wins: [from (unix s), from so many tokens of input, input, output, cache read, cache write], USD per million.
model_table: |
"""
PRICES = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")


def clause(match: Any) -> list[Any]:
    """A match of the package as a list of alternatives."""
    match match:
        case types.ClauseEquals():
            return ["=" + match.equals.lower()]
        case types.ClauseStartsWith():
            return ["^" + match.starts_with.lower()]
        case types.ClauseEndsWith():
            return ["$" + match.ends_with.lower()]
        case types.ClauseContains():
            return ["~" + match.contains.lower()]
        case types.ClauseRegex():
            return ["/" + match.regex]
        case types.ClauseOr():
            return [one for each in match.or_ for one in clause(each)]
        case types.ClauseAnd():
            parts = [clause(each) for each in match.and_]
            assert all(len(part) == 1 for part in parts), match
            return [[part[0] for part in parts]]
    raise TypeError(f"a match that this script doesn't know: {match!r}")


def prices(model: types.ModelInfo) -> Iterator[list[float | None]]:
    """Rows of prices; what holds only at some hours of a day is left out."""
    given = model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(prices=model.prices)]
    for one in given:
        begin = 0
        if isinstance(one.constraint, types.StartDateConstraint):
            day = one.constraint.start_date
            begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        elif one.constraint is not None:
            continue
        told = [getattr(one.prices, name) for name in PRICES]
        starts = {0} | {tier.start for price in told if isinstance(price, types.TieredPrices) for tier in price.tiers}
        for start in sorted(starts):
            row = [at(price, start) for price in told]
            if any(price is not None for price in row):
                yield [begin, start, *row]


def at(price: Any, tokens: int) -> float | None:
    """A price from so many tokens of input on."""
    if isinstance(price, types.TieredPrices):
        return float([price.base, *(tier.price for tier in price.tiers if tier.start <= tokens)][-1])
    return None if price is None else float(price)


def lines() -> Iterator[str]:
    """The table."""
    kept = [provider for provider in providers if provider.id not in LEFT_OUT]
    for provider in kept:
        names = [*(["=" + alias for alias in ALIASES.get(provider.id, [])])]
        names += clause(provider.provider_match) if provider.provider_match else []
        own = clause(provider.model_match) if provider.model_match else []
        yield row([provider.id, names, own, provider.fallback_model_providers or []])
    for provider in kept:
        for model in provider.models:
            found = list(prices(model))
            if found or model.context_window:
                yield row([provider.id, clause(model.match), model.context_window, found])


def row(cells: list[Any]) -> str:
    return json.dumps(cells, separators=(",", ":")).replace(".0,", ",").replace(".0]", "]")


def main() -> None:
    """Write the pack."""
    package = version("genai-prices")
    head = HEAD.format(version=1, package=package)
    text = head + "".join(f"  {line}\n" for line in lines())
    (files("tocsin.packs") / "llm_prices.yaml").write_text(text, encoding="utf-8")  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
