"""`Retrieved`: how many documents a retrieval found, and the best score among them, counted before their texts are dropped."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from tocsin.model.arrays import I8
from tocsin.selfmon.metrics import counter

_MOST_DOCUMENTS: Final = 10_000
_NAMES: Final = 20_000
_NONE, _PART, _LIST, _OUTPUT, _MARK, _TOLD = range(6)
_COUNTED = counter("tocsin_ingest_retrievals_counted_total", "Retrievals whose documents were counted.")


class Document(NamedTuple):
    """A document that a retrieval found: what its attributes kept of it."""

    id: str
    score: float | None
    text: str


class Retrieved:
    """Knows by name (packs/content.yaml) where spans tell the documents that a retrieval found."""

    def __init__(self) -> None:
        rules = _rules()
        self._parts: list[tuple[str, str]] = [
            (head, tail) for head, _, tail in (n.partition("*") for n in rules["parts"])
        ]
        self._of = dict.fromkeys(rules["lists"], _LIST) | dict.fromkeys(rules["outputs"], _OUTPUT)
        self._of |= dict.fromkeys(rules["marks"], _MARK) | dict.fromkeys(rules["told"], _TOLD)
        self._marks = pa.array(rules["retrievals"], pa.string())
        self._scores: list[str] = rules["scores"]
        self._texts: list[str] = rules["texts"]
        self._ids: list[str] = rules["ids"]
        self._keys: tuple[str, str] = (rules["count_key"], rules["score_key"])
        self._known: dict[str, int] = {}

    def rows(self, names: Sequence[str], code: I8, row: I8, items: Any) -> set[int]:
        """Rows whose documents are to be counted; pair k is `names[code[k]]: items[k]` of row `row[k]`."""
        kind = np.array([self._kind(name) for name in names], "i4")
        if not (kind != _NONE).any():
            return set()
        kind = kind[code]
        found = set(row[(kind == _PART) | (kind == _LIST)].tolist())
        marks = np.flatnonzero(kind == _MARK)
        if len(marks) and (kind == _OUTPUT).any():
            said = pc.is_in(items.take(pa.array(marks)), value_set=self._marks).to_numpy(zero_copy_only=False)
            found |= set(row[marks[said]].tolist()) & set(row[kind == _OUTPUT].tolist())
        return found - set(row[kind == _TOLD].tolist())

    def told(self, attributes: Mapping[str, str]) -> list[tuple[str, str]]:
        """The number of documents, and the best score where there are scores, under their keys; nothing if none tells."""
        scores = self._of_parts(attributes)
        for kind in (_LIST, _OUTPUT):
            for name, text in attributes.items():
                if scores is None and self._kind(name) == kind:
                    scores = self._of_text(text, whole=kind == _LIST)
        if scores is None:
            return []
        _COUNTED.inc()
        known = [score for score in scores if score is not None]
        best = [(self._keys[1], repr(max(known)))] if known else []
        return [(self._keys[0], str(len(scores))), *best]

    def texts(self, attributes: Mapping[str, str]) -> list[str]:
        """Texts of the documents that a retrieval found, as far as its attributes keep them."""
        return [each.text for each in self.documents(attributes) if each.text]

    def documents(self, attributes: Mapping[str, str]) -> list[Document]:
        """The documents that a retrieval found, as far as its attributes keep them, in its order.

        >>> head = "retrieval.documents.0.document."
        >>> Retrieved().documents({head + "id": "a", head + "score": "0.5", head + "content": "Hello."})
        [Document(id='a', score=0.5, text='Hello.')]
        """
        parts: dict[str, dict[str, str]] = {}
        for name, text in attributes.items():
            part = self._part(name) if self._kind(name) == _PART else None
            if part is not None:
                parts.setdefault(part[0], {})[part[1]] = text
        if parts:
            return [self._document(parts[number]) for number in sorted(parts, key=lambda each: (len(each), each))]
        for kind in (_LIST, _OUTPUT):
            for name, text in attributes.items():
                if self._kind(name) == kind and (found := self._listed(text, whole=kind == _LIST)):
                    return [self._document(one) for one in found]
        return []

    @property
    def names(self) -> list[str]:
        """Beginnings of the names by which a span tells of documents, or of how many they are."""
        whole = [name for name, kind in self._of.items() if kind in (_LIST, _TOLD)]
        return [*(head for head, _ in self._parts), *whole, *self._keys]

    def _document(self, given: Any) -> Document:
        return Document(self._first(given, self._ids), next(self._given(given), None), self._first(given, self._texts))

    @staticmethod
    def _first(document: Any, keys: Sequence[str]) -> str:
        """The first text of a document under one of these keys, its own or those of the `document` within it."""
        told = document if isinstance(document, dict) else {}
        inner = told.get("document")
        for place in (told, inner if isinstance(inner, dict) else {}):
            for key in keys:
                if isinstance(place.get(key), str):
                    return str(place[key])
        return ""

    def _kind(self, name: str) -> int:
        found = self._known.get(name)
        if found is None:
            if len(self._known) > _NAMES:  # names come from telemetry: bounded
                self._known.clear()
            found = self._of.get(name)
            if found is None:
                found = _NONE if self._part(name) is None else _PART
            self._known[name] = found
        return found

    def _part(self, name: str) -> tuple[str, str] | None:
        """Number of the document and key of the part that a name is of.

        >>> Retrieved()._part("retrieval.documents.2.document.score")
        ('2', 'score')
        """
        for head, middle in self._parts:
            if name.startswith(head):
                number, found, key = name[len(head) :].partition(middle)
                if found and number.isdigit():
                    return number, key
        return None

    def _of_parts(self, attributes: Mapping[str, str]) -> list[float | None] | None:
        found: dict[str, float | None] = {}
        for name, text in attributes.items():
            part = self._part(name) if self._kind(name) == _PART else None
            if part is not None:
                found.setdefault(part[0])
                if part[1] in self._scores:
                    found[part[0]] = _score(text)
        return list(found.values()) or None

    def _of_text(self, text: str, *, whole: bool) -> list[float | None] | None:
        found = self._listed(text, whole=whole)
        return None if found is None else [next(self._given(one), None) for one in found]

    @staticmethod
    def _listed(text: str, *, whole: bool) -> list[Any] | None:
        """The documents that a JSON text lists: itself, or under `documents`."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if isinstance(found, dict):
            found = found.get("documents")
        elif not whole:
            return None
        return found[:_MOST_DOCUMENTS] if isinstance(found, list) else None

    def _given(self, document: Any) -> Iterator[float]:
        told = document if isinstance(document, dict) else {}
        inner = told.get("document")
        for place in (told, inner if isinstance(inner, dict) else {}):
            for key in self._scores:
                score = _score(place.get(key))
                if score is not None:
                    yield score


def _score(given: Any) -> float | None:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return None
    try:
        found = float(given)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


@cache
def _rules() -> dict[str, Any]:
    text = files("tocsin.packs").joinpath("content.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["retrieved_documents"]
    return found
