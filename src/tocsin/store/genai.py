"""`SpanMapper`: canonical fields of model calls, read from span attributes by the name mappings of packs."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa

from tocsin.spec.pack import MappingSpec, PackSpec

TEXT_FIELDS = (
    "operation",
    "provider",
    "request_model",
    "response_model",
    "finish_reason",
    "error_class",
    "prompt_version",
)
COUNT_FIELDS = ("input_tokens", "output_tokens", "total_tokens")
NUMBER_FIELDS = ("cost_usd", "time_to_first_token_s")
_PROMPT_TEXT = "prompt_text"
_SIGNS_OF_A_CALL = ("operation", "provider", "request_model", "response_model", "input_tokens", "output_tokens")
_MOST_TOKENS = 10**12


class SpanMapper:
    """Maps spans to columns `model_call` and the canonical fields; what a pack doesn't name stays empty.

    For each field the first name of the list that a span has wins; packs come in order. Keys of `values` are
    exact texts, else globs, case ignored.
    """

    def __init__(self, packs: Sequence[PackSpec]) -> None:
        self._ranks: dict[str, list[tuple[str, int]]] = {}
        self._values: dict[str, list[tuple[str, str]]] = {}
        known = {*TEXT_FIELDS, *COUNT_FIELDS, *NUMBER_FIELDS, _PROMPT_TEXT}
        place = 0
        for mapping in (mapping for pack in packs for mapping in pack.mappings if mapping.field in known):
            self._add(mapping, place)
            place += len(mapping.names)
        self._cache: dict[tuple[str, str], str] = {}

    def _add(self, mapping: MappingSpec, place: int) -> None:
        for rank, name in enumerate(mapping.names, place):
            self._ranks.setdefault(name, []).append((mapping.field, rank))
        lowered = [(key.lower(), value) for key, value in mapping.values.items()]
        self._values.setdefault(mapping.field, []).extend(lowered)

    def columns(self, attributes: pa.MapArray, failed: Sequence[bool], messages: Sequence[str]) -> dict[str, pa.Array]:
        """Canonical columns, shape (n,), of n spans; `failed` and `messages` are their status."""
        n = len(attributes)
        found = self._found(attributes)
        calls = np.zeros(n, "?")
        for field in _SIGNS_OF_A_CALL:
            calls[list(found.get(field, {}))] = True
        columns: dict[str, pa.Array] = {"model_call": pa.array(calls)}
        texts = {field: self._texts(field, found, n) for field in TEXT_FIELDS}
        self._classify(texts["error_class"], calls, failed, messages)
        self._hash_prompts(texts["prompt_version"], found.get(_PROMPT_TEXT, {}))
        for field, values in texts.items():
            columns[field] = pa.array(np.where(calls, np.array(values, "O"), ""), pa.string()).dictionary_encode()
        counts = {field: _numbers(found.get(field, {}), n, _count) for field in COUNT_FIELDS}
        _add_up(counts)
        cost = _numbers(found.get("cost_usd", {}), n, _positive)
        wait = _numbers(found.get("time_to_first_token_s", {}), n, _non_negative)
        columns.update({field: pa.array(values, pa.int64()) for field, values in counts.items()})
        columns.update(cost_usd=pa.array(cost, pa.float64()), time_to_first_token_s=pa.array(wait, pa.float64()))
        return columns

    def _found(self, attributes: pa.MapArray) -> dict[str, dict[int, str]]:
        """Per field the raw text of each span that has one, the best name's."""
        offsets = attributes.offsets.to_numpy()
        begin, end = int(offsets[0]), int(offsets[-1])
        keys = attributes.keys.slice(begin, end - begin).dictionary_encode()
        names = keys.dictionary.to_pylist()
        wanted = np.array([name in self._ranks for name in names], "?")
        codes = keys.indices.to_numpy()
        hits = np.flatnonzero(wanted[codes]) if len(names) else np.empty(0, "i8")
        rows = np.searchsorted(offsets, hits + begin, side="right") - 1
        items = attributes.items.slice(begin, end - begin).take(pa.array(hits)).to_pylist()
        best: dict[str, dict[int, tuple[int, str]]] = {}
        for row, code, value in zip(rows.tolist(), codes[hits].tolist(), items, strict=True):
            if not value:
                continue
            for field, rank in self._ranks[names[code]]:
                seen = best.setdefault(field, {})
                if row not in seen or rank < seen[row][0]:
                    seen[row] = (rank, value)
        return {field: {row: value for row, (_, value) in seen.items()} for field, seen in best.items()}

    def _texts(self, field: str, found: dict[str, dict[int, str]], n: int) -> list[str]:
        values = [""] * n
        for row, raw in found.get(field, {}).items():
            values[row] = self._canonical(field, raw)
        return values

    def _canonical(self, field: str, raw: str) -> str:
        key = (field, raw[:500])
        known = self._cache.get(key)
        if known is None:
            if len(self._cache) > 50_000:  # values come from telemetry: bounded
                self._cache.clear()
            known = self._cache[key] = self._translated(field, _first(key[1]))
        return known

    def _translated(self, field: str, text: str) -> str:
        lowered = text.lower()
        values = self._values.get(field, [])
        for key, value in values:
            if key == lowered:
                return value
        for key, value in values:
            if fnmatchcase(lowered, key):
                return value
        return text if field != "error_class" else ""

    def _classify(self, classes: list[str], calls: np.ndarray, failed: Sequence[bool], messages: Sequence[str]) -> None:
        """A failed call without a class gets one from its status message, else `other`."""
        for row in np.flatnonzero(calls).tolist():
            if failed[row]:
                classes[row] = classes[row] or self._canonical("error_class", messages[row]) or "other"

    @staticmethod
    def _hash_prompts(versions: list[str], texts: dict[int, str]) -> None:
        for row, text in texts.items():
            if not versions[row]:
                versions[row] = "sha-" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def _first(text: str) -> str:
    """The text itself, or the first element of a JSON list."""
    if text.startswith("["):
        try:
            parsed = json.loads(text)
        except ValueError:
            return text
        return str(parsed[0]) if isinstance(parsed, list) and parsed else ""
    return text


def _numbers(found: dict[int, str], n: int, read: Callable[[str], float | None]) -> list[float | None]:
    values: list[float | None] = [None] * n
    for row, text in found.items():
        values[row] = read(text)
    return values


def _non_negative(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _positive(text: str) -> float | None:
    # emitters without a price report 0: unknown, not free
    value = _non_negative(text)
    return value or None


def _count(text: str) -> int | None:
    value = _non_negative(text)
    return None if value is None or value > _MOST_TOKENS else round(value)


def _add_up(counts: dict[str, list[float | None]]) -> None:
    for row, total in enumerate(counts["total_tokens"]):
        taken, given = counts["input_tokens"][row], counts["output_tokens"][row]
        if total is None and taken is not None and given is not None:
            counts["total_tokens"][row] = taken + given
