"""`SpanMapper`: canonical fields of model calls, read from span attributes by the name mappings of packs."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.model.arrays import F8, I8, Array, Mask
from tocsin.spec.mapping import MappingSpec, canonical_of
from tocsin.spec.pack import PackSpec

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

Objects: TypeAlias = "NDArray[np.object_]"


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Raw texts of one field: `rows` (k,) have `values[codes]`."""

    rows: I8
    codes: I8
    values: Sequence[str]

    def mapped(self, read: Callable[[str], object], kind: str) -> Array:
        """What `read` makes of each row's text, (k,); each different text is read once."""
        distinct, inverse = np.unique(self.codes, return_inverse=True)
        found: Array = np.array([read(self.values[code]) for code in distinct.tolist()], kind)[inverse]
        return found


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
        self._values.setdefault(mapping.field, []).extend(mapping.values.items())

    def columns(self, attributes: pa.MapArray, failed: Sequence[bool], messages: Sequence[str]) -> dict[str, pa.Array]:
        """Canonical columns, shape (n,), of n spans; `failed` and `messages` are their status."""
        n = len(attributes)
        found = self._found(attributes)
        calls = np.zeros(n, "?")
        for field in _SIGNS_OF_A_CALL:
            if field in found:
                calls[found[field].rows] = True
        columns: dict[str, pa.Array] = {"model_call": pa.array(calls)}
        for field in TEXT_FIELDS:
            texts = self._texts(field, found, n)
            if field == "error_class":
                self._classify(texts, calls, failed, messages)
            elif field == "prompt_version":
                self._hash_prompts(texts, found.get(_PROMPT_TEXT))
            texts[~calls] = ""
            columns[field] = pa.array(texts, pa.string()).dictionary_encode()
        counts = {field: _numbers(found.get(field), n, _count) for field in COUNT_FIELDS}
        total = counts["total_tokens"]
        counts["total_tokens"] = np.where(np.isnan(total), counts["input_tokens"] + counts["output_tokens"], total)
        for field, values in counts.items():
            none = np.isnan(values)
            columns[field] = pa.array(np.where(none, 0, values).astype("i8"), mask=none)
        for field, read in (("cost_usd", _positive), ("time_to_first_token_s", _non_negative)):
            values = _numbers(found.get(field), n, read)
            columns[field] = pa.array(values, mask=np.isnan(values))
        return columns

    def _found(self, attributes: pa.MapArray) -> dict[str, _Found]:
        """Per field the spans that have one, with the raw text of the best name."""
        offsets = attributes.offsets.to_numpy()
        begin, end = int(offsets[0]), int(offsets[-1])
        keys = attributes.keys.slice(begin, end - begin).dictionary_encode()
        names = keys.dictionary.to_pylist()
        codes = keys.indices.to_numpy()
        wanted = np.array([name in self._ranks for name in names], "?")
        hits = np.flatnonzero(wanted[codes]) if names else np.empty(0, "i8")
        items = attributes.items.slice(begin, end - begin).take(pa.array(hits)).dictionary_encode()
        values = items.dictionary.to_pylist()
        value_codes = items.indices.to_numpy(zero_copy_only=False)
        filled = np.array([bool(value) for value in values], "?")
        keep = filled[value_codes] if values else np.empty(0, "?")
        hits, value_codes = hits[keep], value_codes[keep]
        rows = np.searchsorted(offsets, hits + begin, side="right") - 1
        found = {}
        for field, ranks in self._ranks_among(names).items():
            rank = ranks[codes[hits]]
            of_field = np.flatnonzero(rank >= 0)
            # by span, then by rank: the first of each span is the best name's
            order = of_field[np.lexsort((rank[of_field], rows[of_field]))]
            unique, first = np.unique(rows[order], return_index=True)
            found[field] = _Found(unique, value_codes[order[first]], values)
        return found

    def _ranks_among(self, names: Sequence[str]) -> dict[str, I8]:
        """Per field the rank of each name, -1 for names of other fields."""
        ranks: dict[str, I8] = {}
        for code, name in enumerate(names):
            for field, rank in self._ranks.get(name, ()):
                ranks.setdefault(field, np.full(len(names), -1))[code] = rank
        return ranks

    def _texts(self, field: str, found: dict[str, _Found], n: int) -> Objects:
        texts: Objects = np.full(n, "", "O")
        if field in found:
            texts[found[field].rows] = found[field].mapped(lambda raw: self._canonical(field, raw), "O")
        return texts

    def _canonical(self, field: str, raw: str) -> str:
        key = (field, raw[:500])
        known = self._cache.get(key)
        if known is None:
            if len(self._cache) > 50_000:  # values come from telemetry: bounded
                self._cache.clear()
            known = self._cache[key] = self._translated(field, _first(key[1]))
        return known

    def _translated(self, field: str, text: str) -> str:
        found = canonical_of(text, self._values.get(field, ()))
        if found is not None:
            return found
        return text if field != "error_class" else ""

    def _classify(self, classes: Objects, calls: Mask, failed: Sequence[bool], messages: Sequence[str]) -> None:
        """A failed call without a class gets one from its status message, else `other`."""
        for row in np.flatnonzero(calls & np.asarray(failed, "?")).tolist():
            classes[row] = classes[row] or self._canonical("error_class", messages[row]) or "other"

    @staticmethod
    def _hash_prompts(versions: Objects, prompts: _Found | None) -> None:
        if prompts is None:
            return
        hashed = prompts.mapped(_digest, "O")
        versions[prompts.rows] = np.where(versions[prompts.rows] == "", hashed, versions[prompts.rows])


def _digest(text: str) -> str:
    return "sha-" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def _first(text: str) -> str:
    """The text itself, or the first element of a JSON list."""
    if text.startswith("["):
        try:
            parsed = json.loads(text)
        except ValueError:
            return text
        return str(parsed[0]) if isinstance(parsed, list) and parsed else ""
    return text


def _numbers(found: _Found | None, n: int, read: Callable[[str], float | None]) -> F8:
    values = np.full(n, np.nan)
    if found is not None:
        values[found.rows] = found.mapped(read, "f8")
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
