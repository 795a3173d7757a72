"""`ModelTable`: prices and context limits of models, from the user's entries and the tables of packs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from tocsin.model.arrays import F8
from tocsin.spec.llm import ModelSpec

_PER_TOKEN = 1e-6
_MOST_KNOWN = 10_000
Rates: TypeAlias = tuple[float | None, float | None, float | None, float | None]
"""USD per million tokens of input, output, cache read and cache write."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs from a time (unix s) and from so many tokens of input on."""

    begin_s: int
    least_input: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model."""

    context_tokens: int | None = None
    prices: tuple[Price, ...] = ()


class ModelTable:
    """Looks models up by provider and name, the user's entries before the tables.

    Parameters
    ----------
    own : entries of the user, then those of packs; the first that matches wins
    tables : `model_table` of packs (see packs/llm_prices.yaml for the form)
    """

    def __init__(self, own: Sequence[ModelSpec] = (), tables: Sequence[str] = ()) -> None:
        self._own = own
        self._tables = [_parsed(table) for table in tables if table]
        self._known: dict[tuple[str, str], Facts] = {}

    def facts(self, provider: str, model: str) -> Facts:
        """What is known of a model of a provider; nothing is guessed for a provider that no table knows."""
        key = (provider.lower(), model.lower())
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:  # names come from telemetry: bounded
                self._known.clear()
            found = self._known[key] = self._found(*key)
        return found

    def _found(self, provider: str, model: str) -> Facts:
        listed = Facts()
        for table in self._tables:
            listed = table.facts(provider, model)
            if listed.prices or listed.context_tokens:
                break
        mine = [one for one in self._own if _fits(one, provider, model)]
        limit = next((one.context_tokens for one in mine if one.context_tokens), listed.context_tokens)
        priced = next((one for one in mine if one.priced), None)
        if priced is None:
            return Facts(limit, listed.prices)
        told: Rates = (
            priced.input_usd_per_million,
            priced.output_usd_per_million,
            priced.cache_read_usd_per_million,
            priced.cache_write_usd_per_million,
        )
        return Facts(limit, tuple(_over(told, listed.prices)))


def costs_usd(prices: Sequence[Price], time_s: F8, tokens: Sequence[F8]) -> F8:
    """Cost of calls by one model's prices, (n,); NaN where it can't be told.

    Parameters
    ----------
    prices : of the model, the last that holds wins
    time_s : unix time of each call
    tokens : input (cached included), output, cache read, cache write of each call, NaN for none
    """
    known = ~(np.isnan(tokens[0]) & np.isnan(tokens[1]))
    whole, output, read, write = (np.nan_to_num(one, nan=0.0) for one in tokens)
    fresh = np.maximum(whole - read - write, 0.0)
    cost = np.full(len(whole), np.nan)
    for price in prices:
        holds = (time_s >= price.begin_s) & (whole >= price.least_input)
        dear, out, of_read, of_write = price.rates
        found = np.zeros(len(whole))
        parts = ((fresh, dear), (output, out), (read, dear if of_read is None else of_read))
        for count, rate in (*parts, (write, dear if of_write is None else of_write)):
            found += count * rate if rate is not None else np.where(count > 0, np.nan, 0.0)
        cost = np.where(holds, found * _PER_TOKEN, cost)
    return np.where(known, cost, np.nan)


def _fits(one: ModelSpec, provider: str, model: str) -> bool:
    return fnmatchcase(model, one.model.lower()) and fnmatchcase(provider, one.provider.lower())


def _over(told: Rates, listed: Sequence[Price]) -> list[Price]:
    """The user's prices, with those of the table where the user names none."""
    if told[0] is not None and told[1] is not None:  # cached tokens cost what input costs, unless told
        return [Price(0, 0, told)]
    return [
        Price(each.begin_s, each.least_input, _filled(told, each.rates))
        for each in listed or [Price(0, 0, (None, None, None, None))]
    ]


def _filled(told: Rates, rest: Rates) -> Rates:
    found = [mine if mine is not None else other for mine, other in zip(told, rest, strict=True)]
    return found[0], found[1], found[2], found[3]


@dataclass(frozen=True, slots=True)
class _Provider:
    told: Sequence[Any]
    own: Sequence[Any]
    sells: Sequence[str]


class _Table:
    """One table, by provider; see packs/llm_prices.yaml."""

    def __init__(self, lines: Sequence[Sequence[Any]]) -> None:
        self._providers: dict[str, _Provider] = {}
        self._models: dict[str, list[tuple[Sequence[Any], Facts]]] = {}
        for name, *rest in lines:
            if isinstance(rest[-1], list) and len(rest) == 3 and isinstance(rest[1], list):
                self._providers[name] = _Provider(*rest)
            else:
                names, limit, prices = rest
                rows = tuple(Price(begin, least, (a, b, c, d)) for begin, least, a, b, c, d in prices)
                self._models.setdefault(name, []).append((names, Facts(limit, rows)))

    def facts(self, provider: str, model: str) -> Facts:
        sold_by = self._provider(provider, model)
        if sold_by is None:
            vendor, slash, rest = model.partition("/")  # `openai/gpt-5`, as gateways name what others make
            if not (slash and vendor in self._providers):
                return Facts()
            sold_by, model = vendor, rest
        for seller in (sold_by, *self._providers[sold_by].sells):
            for names, facts in self._models.get(seller, ()):
                if _any(names, model):
                    return facts
        return Facts()

    def _provider(self, provider: str, model: str) -> str | None:
        if provider in self._providers:
            return provider
        if provider:
            return next((name for name, one in self._providers.items() if _any(one.told, provider)), None)
        return next((name for name, one in self._providers.items() if _any(one.own, model)), None)


def _any(rules: Sequence[Any], text: str) -> bool:
    return any(all(_one(each, text) for each in rule) if isinstance(rule, list) else _one(rule, text) for rule in rules)


def _one(rule: str, text: str) -> bool:
    kind, rest = rule[0], rule[1:]
    match kind:
        case "=":
            return text == rest
        case "^":
            return text.startswith(rest)
        case "$":
            return text.endswith(rest)
        case "~":
            return rest in text
        case _:
            return re.search(rest, text) is not None


@lru_cache(maxsize=4)
def _parsed(text: str) -> _Table:
    return _Table([json.loads(line) for line in text.splitlines() if line.strip()])
