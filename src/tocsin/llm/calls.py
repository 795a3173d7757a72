"""`CallReader`: canonical fields of model calls and what follows from them, read from spans by the rules of packs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from tocsin.llm.doubles import Doubles, Marked, Named
from tocsin.llm.errors import ErrorClasses
from tocsin.llm.lines import LINE_SCOPE, NAMELESS_SCOPE
from tocsin.llm.models import ModelTable, costs_usd
from tocsin.llm.reading import FieldNames, Found, Texts, first_of
from tocsin.llm.scopes import Scopes, filled, named
from tocsin.llm.span_events import ReadEvents, SpanEvents
from tocsin.model.arrays import F8, I8, Mask
from tocsin.spec.llm import ModelSpec
from tocsin.spec.mapping import canonical_of
from tocsin.spec.pack import PackSpec

TEXT_FIELDS: Final = (
    "operation",
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "finish_reason",
    "prompt_name",
    "prompt_version",
    "region",
    "user",
    "conversation_id",
    "tenant",
)
COUNT_FIELDS: Final = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "retries",
)
NUMBER_FIELDS: Final = ("cost_usd", "time_to_first_token_s", "time_per_output_token_s")
LIMIT_WARNING_RATIO: Final = 0.9
TRUNCATION_RISK_RATIO: Final = 0.8
_ESTIMATES = ("estimated_input_tokens", "estimated_output_tokens")
_PROMPT_TEXT = "prompt_text"
_STREAM = "stream"
_REQUEST = "request_id"
_ATTEMPT = "http_attempt"
_SPANS = ("span_id", "parent_id")
_SERVICE = "service.name"
_SIGNS_OF_A_CALL = ("operation", "provider", "request_model", "response_model", "input_tokens", "output_tokens")
_INFERENCE = frozenset({"chat", "text_completion", "generate_content", "embeddings", "rerank"})
"""Operations that take tokens of their own; agents and workflows repeat what their calls took."""
_COUNTS = frozenset({*COUNT_FIELDS, *_ESTIMATES})
_MOST_TOKENS = 10**12
_LEAST_MEASURED, _MOST_MEASURED = 1e-12, 1e12
"""No call costs so little or so much (USD), nor takes it (s): sums and ratios of what is between stay finite."""
_MOST_TEXT = 500
SPAN_COLUMNS: Final = (
    "trace_id",
    "span_id",
    "parent_id",
    "name",
    "start",
    "time",
    "status",
    "status_message",
    "scope",
    "resource",
    "attributes",
    "events",
)
"""Columns of span frames that are read."""


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """What spans say of model calls, all (n,); fields of what is no call are empty.

    Attributes
    ----------
    call : whether the span tells of a model call, an agent, a tool or a retrieval
    counted : whether its tokens and cost belong to a sum: a call of a model that no other span told of before
    estimated : whether a number of tokens is an estimate
    texts, numbers : by field; numbers are NaN for none
    """

    call: Mask
    counted: Mask
    estimated: Mask
    texts: Mapping[str, Texts]
    numbers: Mapping[str, F8]


class CallReader:
    """Reads spans in the order of the log; what a pack doesn't name stays empty.

    For each field the first name of the list that a span has wins, its attributes before its resource; packs come in
    order. Keys of `values` are exact texts, else globs, case ignored.
    """

    def __init__(
        self, packs: Sequence[PackSpec], models: Sequence[ModelSpec] = (), doubles: Doubles | None = None
    ) -> None:
        self._names = FieldNames()
        self._values: dict[str, list[tuple[str, str]]] = {}
        self._errors = ErrorClasses()
        known = {*TEXT_FIELDS, *COUNT_FIELDS, *NUMBER_FIELDS, *_ESTIMATES, _PROMPT_TEXT, _STREAM, _REQUEST, _ATTEMPT}
        for mapping in (mapping for pack in packs for mapping in pack.mappings):
            if mapping.field == "error_class":
                self._errors.add(mapping, self._names)
            elif mapping.field in known:
                self._names.add(mapping.field, mapping.names)
                self._values.setdefault(mapping.field, []).extend(mapping.values.items())
        self._names.add(_SERVICE, [_SERVICE])
        self._scopes = Scopes([scope for pack in packs for scope in pack.span_scopes])
        self._events = SpanEvents([name for pack in packs for name in pack.first_token_events])
        own = [*models, *(model for pack in packs for model in pack.models)]
        self._models = ModelTable(own, [pack.model_table for pack in packs])
        self._doubles = Doubles() if doubles is None else doubles
        self._cache: dict[tuple[str, str], str] = {}

    def read(self, tenant: str, columns: Mapping[str, Any]) -> Calls:
        """Calls of n spans of one tenant; `columns` are Arrow arrays by `SPAN_COLUMNS`."""
        n = len(columns["attributes"])
        found = self._names.find([columns["attributes"], columns["resource"]])
        call = np.zeros(n, "?")
        for field in _SIGNS_OF_A_CALL:
            if field in found:
                call[found[field].rows] = True
        texts = {field: self._texts(field, found.get(field), n) for field in TEXT_FIELDS}
        scopes = self._scopes.find(columns["scope"])
        for spec, mine in scopes:
            if spec.named:
                self._name(columns["name"], np.flatnonzero(mine & ~call), call, texts)
            if spec.provider:
                rows = np.flatnonzero(mine & call)
                texts["provider"] = filled(texts["provider"], rows, [spec.provider] * len(rows))
        if _PROMPT_TEXT in found:
            texts["prompt_version"] = _either(texts["prompt_version"], found[_PROMPT_TEXT].texts(n, _digest))
        numbers = {
            field: _numbers(found.get(field), n, field) for field in (*COUNT_FIELDS, *NUMBER_FIELDS, *_ESTIMATES)
        }
        _take_cache_in(numbers, [mine for spec, mine in scopes if spec.cache_apart])
        estimated = _estimate(numbers)
        failed = _failed(columns["status"])
        events = self._events.read(columns, call)
        texts["error_class"] = self._errors.read(found, call, failed, columns["status_message"], events)
        self._time(numbers, columns, events, _is_text(self._texts(_STREAM, found.get(_STREAM), n), "false"))
        inference = call & _is_inference(texts["operation"], texts["request_model"])
        counted = inference.copy()
        at = np.flatnonzero(inference)
        request, service = (self._texts(field, found.get(field), n) for field in (_REQUEST, _SERVICE))
        named_by = _named_by(columns["scope"], texts["response_id"], request, service, at)
        counted[at] = self._doubles.first(tenant, _marked(columns, named_by, numbers, at))
        sent = _is_text(self._texts(_ATTEMPT, found.get(_ATTEMPT), n), "sent") & ~call
        self._try_again(tenant, columns, np.flatnonzero(sent), at, numbers)
        self._price(texts, numbers, columns["time"], at)
        return Calls(call, counted, estimated & call, texts, numbers)

    def _try_again(self, tenant: str, columns: Mapping[str, Any], sent: I8, at: I8, numbers: dict[str, F8]) -> None:
        """Count the requests `sent` of the calls `at`, where these don't say themselves how often they were tried again."""
        halves = _ids(columns["trace_id"], 2)
        trace = (31 * halves[:, 0]) ^ halves[:, 1]  # some senders fill only one of them
        span, parent = (_ids(columns[name], 1)[:, 0] for name in _SPANS)
        self._doubles.attempts.take(tenant, trace[sent], parent[sent], span[sent])
        told = numbers["retries"][at]
        seen = self._doubles.attempts.retries(tenant, trace[at], span[at])
        numbers["retries"][at] = np.where(np.isnan(told), seen, told)

    def _name(self, names: Any, rows: I8, call: Mask, texts: dict[str, Texts]) -> None:
        """Take what the names of spans say that say nothing else, of the rows given."""
        if len(rows):
            told = named(names, rows, self._inference)
            call[told.rows] = True
            texts["operation"] = filled(texts["operation"], told.rows, told.operations)
            texts["request_model"] = filled(texts["request_model"], told.rows, told.models)

    def _inference(self, text: str) -> str:
        operation = self._canonical("operation", text)
        return operation if operation in _INFERENCE else ""

    def _texts(self, field: str, found: Found | None, n: int) -> Texts:
        if found is None:
            return Texts(np.full(n, -1, "i4"), [])
        return found.texts(n, lambda raw: self._canonical(field, raw))

    def _canonical(self, field: str, raw: str) -> str:
        key = (field, raw[:_MOST_TEXT])
        known = self._cache.get(key)
        if known is None:
            if len(self._cache) > 50_000:  # values come from telemetry: bounded
                self._cache.clear()
            text = first_of(key[1])
            mapped = canonical_of(text, self._values.get(field, ()))
            known = self._cache[key] = text if mapped is None else mapped
        return known

    def _time(self, numbers: dict[str, F8], columns: Mapping[str, Any], events: ReadEvents, whole: Mask) -> None:
        """Time to first token from events where no attribute tells it, and time per output token from that.

        An answer that came `whole` has neither: some emitters name the time of the whole call.
        """
        start, end = _i8(columns["start"]), _i8(columns["time"])
        first = np.where(whole, np.nan, numbers["time_to_first_token_s"])
        numbers["time_to_first_token_s"] = first = np.where(np.isnan(first), events.first_token_s, first)
        rest = (end - start) / 1e9 - first
        outputs = numbers["output_tokens"]
        known = (rest > 0) & (outputs > 1)
        each = np.divide(rest, outputs - 1, out=np.full(len(rest), np.nan), where=known)
        told = numbers["time_per_output_token_s"]
        numbers["time_per_output_token_s"] = np.where(np.isnan(told) | whole, each, told)

    def _price(self, texts: Mapping[str, Texts], numbers: dict[str, F8], time: Any, at: I8) -> None:
        """Limits, utilisation and cost of the calls `at`; the cost that is reported counts where there is no price."""
        n = len(texts["provider"].code)
        limit, cost = np.full(n, np.nan), numbers["cost_usd"]
        time_s = _i8(time) / 1e9
        fields = ("provider", "response_model", "request_model")
        key = np.zeros(n, "i8")
        for field in fields:
            key = key * (len(texts[field].values) + 1) + texts[field].code + 1
        _, first, which = np.unique(key[at], return_index=True, return_inverse=True)
        used = [numbers[name] for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")]
        for number, row in enumerate(at[first].tolist()):
            provider, answered, asked = (texts[field].of(row) for field in fields)
            rows = at[which == number]
            facts = self._models.facts(provider, answered or asked)
            if answered and asked and not (facts.prices or facts.context_tokens):
                facts = self._models.facts(provider, asked)
            limit[rows] = facts.context_tokens or np.nan
            if facts.prices:
                told = costs_usd(facts.prices, time_s[rows], [part[rows] for part in used])
                # of what emitters report, some leave the price of cached tokens out: it is the last resort
                cost[rows] = np.where(np.isnan(told), cost[rows], told)
        total = numbers["total_tokens"]
        numbers["context_limit_tokens"] = limit
        numbers["context_utilization_ratio"] = total / limit
        numbers["context_limit_warning"] = _flag(total, limit, LIMIT_WARNING_RATIO)
        numbers["prompt_truncation_risk"] = _flag(numbers["input_tokens"], limit, TRUNCATION_RISK_RATIO)


def _is_text(texts: Texts, wanted: str) -> Mask:
    """Whether a text is one of its own, case ignored."""
    found: Mask = np.array([value.lower() == wanted for value in texts.values] + [False], "?")[texts.code]
    return found


def _is_inference(operation: Texts, model: Texts) -> Mask:
    """Calls of a model; a span that names no operation is one if it names a model."""
    known = np.array([value in _INFERENCE for value in operation.values] + [False], "?")
    found: Mask = np.where(operation.code < 0, model.code >= 0, known[operation.code])
    return found


def _take_cache_in(numbers: dict[str, F8], apart: Sequence[Mask]) -> None:
    """Count tokens from and into a cache among those of the prompt, where an emitter tells them apart.

    More cached tokens than tokens at all are a sign of that, whoever sent them.
    """
    inputs = numbers["input_tokens"]
    cached = np.nan_to_num(numbers["cache_read_tokens"]) + np.nan_to_num(numbers["cache_write_tokens"])
    more = np.logical_or.reduce([cached > inputs, *apart]) & (cached > 0)
    numbers["input_tokens"] = np.where(more, inputs + cached, inputs)
    told = numbers["total_tokens"]
    short = more & (told < numbers["input_tokens"] + np.nan_to_num(numbers["output_tokens"]))
    numbers["total_tokens"] = np.where(short, told + cached, told)


def _estimate(numbers: dict[str, F8]) -> Mask:
    """Take estimates where no number is told, and the total of both; whether any of a row is an estimate."""
    estimated = np.zeros(len(numbers["input_tokens"]), "?")
    nothing = np.isnan(numbers["input_tokens"]) & np.isnan(numbers["output_tokens"]) & np.isnan(numbers["total_tokens"])
    for field in ("input_tokens", "output_tokens"):
        guess = numbers.pop(f"estimated_{field}")
        estimated |= nothing & ~np.isnan(guess)
        numbers[field] = np.where(nothing, guess, numbers[field])
    both = np.nan_to_num(numbers["input_tokens"]) + np.nan_to_num(numbers["output_tokens"])
    none = np.isnan(numbers["input_tokens"]) & np.isnan(numbers["output_tokens"])
    told = numbers["total_tokens"]
    numbers["total_tokens"] = np.where(np.isnan(told), np.where(none, np.nan, both), told)
    return estimated


def _flag(tokens: F8, limit: F8, most: float) -> F8:
    """1 beyond a share of the limit, 0 within, NaN where either is unknown."""
    share = tokens / limit
    return np.where(np.isnan(share), np.nan, (share > most).astype("f8"))


def _named_by(scope: Any, response: Texts, request: Texts, service: Texts, at: I8) -> Named:
    """What the calls `at` are named by."""
    hashed = []
    for texts in (response, request, service):
        ids = np.array([_hash(value) for value in texts.values] + [0], "i8")
        hashed.append(ids[texts.code[at]])
    nameless, named = (
        np.asarray(pc.equal(scope, each).fill_null(False).to_numpy(zero_copy_only=False), "?")[at]
        for each in (NAMELESS_SCOPE, LINE_SCOPE)
    )
    return Named(hashed[0], hashed[1], hashed[2], nameless | named, nameless)


def _marked(columns: Mapping[str, Any], named: Named, numbers: Mapping[str, F8], at: I8) -> Marked:
    return Marked.of(
        _ids(columns["trace_id"], 2)[at],
        _ids(columns["span_id"], 1)[at, 0],
        _ids(columns["parent_id"], 1)[at, 0],
        named,
        [numbers["input_tokens"][at], numbers["output_tokens"][at]],
    )


def _ids(column: Any, width: int) -> I8:
    """Ids as numbers, (n, width) of 8 bytes each."""
    found: I8 = np.frombuffer(column.buffers()[1], "<i8").reshape(-1, width)
    return found[column.offset : column.offset + len(column)]


def _i8(column: Any) -> I8:
    found: I8 = column.to_numpy(zero_copy_only=False)
    return found


def _failed(status: Any) -> Mask:
    found: Mask = np.asarray(pc.equal(status, "error").to_numpy(zero_copy_only=False), "?")
    return found


def _either(first: Texts, second: Texts) -> Texts:
    """The first text of each row, else the second."""
    code = np.where(first.code >= 0, first.code, np.where(second.code >= 0, second.code + len(first.values), -1))
    return Texts(code.astype("i4"), [*first.values, *second.values])


def _digest(text: str) -> str:
    return "sha-" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def _hash(text: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little", signed=True
    )


def _numbers(found: Found | None, n: int, field: str) -> F8:
    if found is None:
        return np.full(n, np.nan)
    # emitters without a price report a cost of 0, and a time of 0 where they measured none: unknown
    return found.numbers(n, _count if field in _COUNTS else _positive)


def _amount(text: str) -> float | None:
    try:
        value = float(first_of(text))
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _positive(text: str) -> float | None:
    value = _amount(text)
    return None if value is None or not _LEAST_MEASURED <= value <= _MOST_MEASURED else value


def _count(text: str) -> float | None:
    value = _amount(text)
    return None if value is None or value > _MOST_TOKENS else float(round(value))
