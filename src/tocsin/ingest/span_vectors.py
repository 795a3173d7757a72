"""`SpanVectors`: vectors of embeddings leave spans, which are not made for thousands of numbers, and some become records.

A record has the vector in at most 64 numbers, so that its drift can be told while neither the text nor the vector is kept:
sums by random signs keep lengths and distances (D. Achlioptas, Database-friendly random projections, 2003).
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from tocsin.ingest.identify import Redactor
from tocsin.ingest.record_numbers import MOST_DIMENSIONS
from tocsin.ingest.records import Row, rows_frame
from tocsin.model.arrays import F4, I8, Mask
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.record import PREDICTION
from tocsin.model.series import Labels
from tocsin.model.text import whole
from tocsin.selfmon.metrics import counter

KEPT_NUMBERS: Final = 64
"""Numbers of a vector in a record; a shorter one is kept as it is."""
MOST_PER_SPAN: Final = 16
"""Records of one span; of more vectors an even draw."""
_MOST_CHARS: Final = 32 * MOST_DIMENSIONS
_MOST_LIST_CHARS: Final = 1 << 24
_LARGEST: Final = 1e30
_NAMES: Final = 20_000
_NONE, _PART, _LIST, _REPEAT = range(4)
_SEEN = counter(
    "tocsin_ingest_span_vectors_total", "Vectors of embeddings taken out of spans, by what became of them.", ["outcome"]
)


class _Found(NamedTuple):
    """Vectors of one span, as its attributes and events have them."""

    row: int
    texts: list[str]
    by_event: bool


class SpanVectors:
    """A redactor that takes vectors out of spans before anything else looks at them.

    Parameters
    ----------
    redactor : what takes secrets and contents out of spans and records
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._rules = rules = _Rules.read()
        self._heads = [(head, tail) for head, _, tail in (name.partition("*") for name in rules.parts)]
        self._of = dict.fromkeys(rules.lists, _LIST) | dict.fromkeys(rules.repeats, _REPEAT)
        self._events = frozenset((*rules.events, *rules.repeats))
        self._pattern = "|".join(f'"{name}"'.replace(".", r"\.") for name in sorted(self._events))
        self._known: dict[str, int] = {}

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames without secrets, contents and vectors of embeddings, and frames of records of some of these."""
        kept: list[Frame] = []
        made: list[Frame] = []
        for frame in frames:
            if frame.kind is not FrameKind.SPANS or not len(frame):
                kept.append(frame)
                continue
            bare, rows = self._bare(frame)
            kept.append(bare)
            if rows:
                made.append(rows_frame(FrameKind.RECORDS, frame.tenant, frame.source, rows))
        return self._redactor.frames([*kept, *made])

    def labels(self, labels: Labels) -> Labels:
        """The labels without secrets."""
        return self._redactor.labels(labels)

    def _bare(self, frame: Frame) -> tuple[Frame, list[Row]]:
        before = frame.batch.column("attributes"), frame.batch.column("events")
        attributes, of_attributes = self._without(before[0])
        events, of_events = self._without_events(before[1])
        if attributes is before[0] and events is before[1]:
            return frame, []
        changed = {"attributes": attributes, "events": events}
        arrays = [changed.get(name, frame.batch.column(name)) for name in frame.batch.schema.names]
        batch = pa.RecordBatch.from_arrays(arrays, schema=frame.batch.schema)
        bare = Frame(frame.kind, frame.tenant, frame.source, batch)
        retrievals = _retrievals(bare, self._rules.marks, self._rules.retrievals)
        rows = [row for found in (*of_attributes, *of_events) for row in self._records(bare, found, retrievals)]
        return bare, rows

    def _without(self, column: Any) -> tuple[Any, list[_Found]]:
        """Attributes without vectors, how many they were in the place of the first of each span; and the vectors."""
        kinds = np.array([self._kind(name or "") for name in pc.unique(column.keys).to_pylist()], "i4")
        if not kinds.any():
            return column, []
        if column.offset or column.null_count:
            column = pa.array([value or [] for value in column.to_pylist()], column.type)
        keys = column.keys.dictionary_encode()
        kinds = np.array([self._kind(name or "") for name in keys.dictionary.to_pylist()], "i4")
        kind = kinds[keys.indices.to_numpy(zero_copy_only=False)]
        sizes = np.diff(np.asarray(column.offsets))
        row = np.repeat(np.arange(len(column)), sizes)
        at = np.flatnonzero((kind == _PART) | (kind == _LIST))
        texts: dict[int, list[str]] = {}
        for place, text in zip(at.tolist(), column.items.take(pa.array(at)).to_pylist(), strict=True):
            texts.setdefault(int(row[place]), []).extend(_several(text) if kind[place] == _LIST else [text or ""])
        first = at[np.unique(row[at], return_index=True)[1]]
        stays: Mask = kind == _NONE
        stays[first] = True
        counts = [str(len(texts[int(row[place])])) for place in first.tolist()]
        told = np.zeros(len(row), "?")
        told[first] = True
        new_keys = pc.replace_with_mask(column.keys, pa.array(told), pa.array([self._rules.count_key] * len(first)))
        new_items = pc.replace_with_mask(column.items, pa.array(told), pa.array(counts, pa.string()))
        offsets = np.concatenate([[0], np.cumsum(np.bincount(row[stays], minlength=len(column)))])
        left = pa.array(np.flatnonzero(stays))
        bare = pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), new_keys.take(left), new_items.take(left))
        return bare, [_Found(number, told, by_event=False) for number, told in texts.items()]

    def _without_events(self, column: Any) -> tuple[Any, list[_Found]]:
        hits = pc.indices_nonzero(pc.match_substring_regex(column, self._pattern)).to_pylist()
        if not hits:
            return column, []
        texts, found = column.to_pylist(), []
        for row in hits:
            vectors: list[str] = []
            events = json.loads(texts[row])
            for event in events:
                for name in self._events & event["attributes"].keys():
                    text = str(event["attributes"].pop(name))
                    vectors += [text] if name in self._rules.events else []
            texts[row] = json.dumps(events, separators=(",", ":"), ensure_ascii=False)
            found.append(_Found(row, vectors, by_event=True))
        return pa.array(texts, pa.string()), found

    def _kind(self, name: str) -> int:
        found = self._known.get(name)
        if found is None:
            if len(self._known) > _NAMES:  # names come from telemetry: bounded
                self._known.clear()
            found = self._of.get(name, _NONE)
            if found == _NONE and any(name.startswith(head) and name.endswith(tail) for head, tail in self._heads):
                found = _PART
            self._known[name] = found
        return found

    def _records(self, frame: Frame, found: _Found, retrievals: frozenset[bytes]) -> Iterator[Row]:
        """Records of an even draw of the vectors of a span."""
        texts = found.texts
        if not texts:
            return
        span = frame.batch.slice(found.row, 1).to_pylist()[0]
        told = {**dict(span["resource"] or ()), **dict(span["attributes"] or ())}
        role = "query" if found.by_event else self._role(span, told, len(texts), retrievals)
        asked, answered = (_first(told, names) for names in (self._rules.asked, self._rules.answered))
        drawn = _drawn(len(texts))
        _SEEN.labels("left_out").inc(len(texts) - len(drawn))
        for place in drawn:
            vector = _numbers(texts[place])
            if vector is None:
                _SEEN.labels("unusable" if len(texts[place]) <= _MOST_CHARS else "too_long").inc()
                continue
            _SEEN.labels("kept").inc()
            features = {"dimensions": len(vector), **({"answered by": answered} if answered else {})}
            yield {
                "time": span["time"],
                "prediction_id": f"{span['span_id'].hex()}-{place}",
                "model": f"{told.get('service.name') or 'unknown'}: embeddings of {role}",
                "version": asked,
                "prediction": "",
                "score": float("nan"),
                "features": json.dumps(features, separators=(",", ":"), ensure_ascii=False),
                "tags": [],
                "truth": "",
                "feedback": "",
                "kind": PREDICTION,
                "embedding": shortened(vector).tolist(),
                "attributions": "",
                "attention": "",
            }

    def _role(self, span: Mapping[str, Any], told: Mapping[str, str], n: int, retrievals: frozenset[bytes]) -> str:
        for text in (_first(told, self._rules.role_of), span["name"]):
            role = next((of for glob, of in self._rules.roles.items() if fnmatchcase(text.lower(), glob)), "")
            if role:
                return role
        return "query" if n == 1 or span["parent_id"] in retrievals else "documents"


class _Rules(NamedTuple):
    """What packs/content.yaml knows of vectors."""

    parts: list[str]
    lists: list[str]
    events: list[str]
    repeats: list[str]
    asked: list[str]
    answered: list[str]
    roles: dict[str, str]
    role_of: list[str]
    count_key: str
    marks: list[str]
    retrievals: list[str]

    @staticmethod
    @cache
    def read() -> _Rules:
        found = yaml.safe_load(files("tocsin.packs").joinpath("content.yaml").read_text(encoding="utf-8"))
        retrieved = found["retrieved_documents"]
        return _Rules(**found["embedding_vectors"], marks=retrieved["marks"], retrievals=retrieved["retrievals"])


def shortened(vector: F4) -> F4:
    """A vector in `KEPT_NUMBERS` numbers whose lengths and distances are nearly those of the whole.

    >>> shortened(np.ones(3, "f4")).tolist(), len(shortened(np.ones(1536, "f4")))
    ([1.0, 1.0, 1.0], 64)
    """
    if len(vector) <= KEPT_NUMBERS:
        return vector
    found: F4 = vector @ _signs(len(vector))
    return found


@lru_cache(maxsize=16)
def _signs(dimensions: int) -> F4:
    """Random signs (dimensions, KEPT_NUMBERS) over the root of their number, the same for ever."""
    signs = np.random.Generator(np.random.PCG64(dimensions)).integers(0, 2, (dimensions, KEPT_NUMBERS))
    found: F4 = ((2 * signs - 1) / np.sqrt(KEPT_NUMBERS)).astype("f4")
    return found


def _retrievals(frame: Frame, marks: Sequence[str], values: Sequence[str]) -> frozenset[bytes]:
    """Ids of the spans of a frame that retrieve."""
    attributes = frame.batch.column("attributes")
    hits: I8 = np.zeros(0, "i8")
    for name in marks:
        said = pc.is_in(pc.map_lookup(attributes, pa.scalar(name), "first"), value_set=pa.array(values))
        hits = np.concatenate([hits, np.flatnonzero(said.to_numpy(zero_copy_only=False))])
    return frozenset(frame.batch.column("span_id").take(pa.array(hits)).to_pylist())


def _first(told: Mapping[str, str], names: Sequence[str]) -> str:
    """The first text of these names that is told; `NAME#KEY` is a key of the JSON that an attribute holds."""
    for name in names:
        outer, inner, key = name.partition("#")
        text = told.get(outer, "")
        if inner and text:
            found = _json(text)
            value = found.get(key) if isinstance(found, dict) else None
            text = whole(value) if isinstance(value, str) else ""
        if text:
            return text
    return ""


def _several(text: str | None) -> list[str]:
    """Texts of the vectors in a list of them."""
    found = _json(text) if text and len(text) <= _MOST_LIST_CHARS else None
    if not isinstance(found, list):
        return [text or ""]
    return [one if isinstance(one, str) else json.dumps(one) for one in found]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _drawn(n: int) -> list[int]:
    """Places of at most `MOST_PER_SPAN` of n, evenly.

    >>> _drawn(3), len(_drawn(1000))
    ([0, 1, 2], 16)
    """
    return [k * n // min(n, MOST_PER_SPAN) for k in range(min(n, MOST_PER_SPAN))]


def _numbers(text: str) -> F4 | None:
    """A vector of finite numbers; None for what is none.

    >>> _numbers("[0.5,1]").tolist(), _numbers("AACAPwAAAEA=").tolist(), _numbers("{}")
    ([0.5, 1.0], [1.0, 2.0], None)
    """
    if len(text) > _MOST_CHARS:
        return None
    try:
        found = np.array(json.loads(text), "f8") if text.startswith("[") else np.frombuffer(b64decode(text), "<f4")
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    with np.errstate(over="ignore"):
        vector: F4 = found.astype("f4")
    fits = vector.ndim == 1 and 0 < len(vector) <= MOST_DIMENSIONS
    return vector if fits and bool((np.abs(vector) < _LARGEST).all()) else None  # NaN is not below
