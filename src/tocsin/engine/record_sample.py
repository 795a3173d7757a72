"""Rows of inference records for drift: a bounded, even sample that is the same in whatever order rows came."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import numpy as np

from tocsin.derive.sayings import saying
from tocsin.model.frame import Frame
from tocsin.model.record import OUTCOME, PREDICTION

MOST_ROWS: Final = 2_000
"""Rows of a chunk, and of a reference, that are looked at: enough to tell a stability index of 0.1 from noise."""
MOST_BYTES: Final = 2 << 20
"""The same in bytes, for models with long features."""
MOST_FEATURES: Final = 200
_ROW_BYTES: Final = 100
_TEXT_BYTES: Final = 64 << 10
_FEEDBACK_CHARS: Final = 1_000


class RecordRow(NamedTuple):
    """One record as drift sees it: its rank in a draw, and its texts as they are in the frame."""

    rank: int
    time: int
    prediction: str
    score: float | None
    features: str
    truth: str
    embedding: bytes
    feedback: str = ""

    @property
    def size_bytes(self) -> int:
        """About what it takes."""
        return _ROW_BYTES + len(self.prediction) + len(self.features) + len(self.truth) + len(self.embedding)


@dataclass(slots=True)
class Sample:
    """Of all rows those of lowest rank, within `MOST_ROWS` and `MOST_BYTES`; ranks are hashes, so this is an even draw.

    >>> sample = Sample()
    >>> for rank in range(3): sample.add(RecordRow(rank, rank, "1", None, "", "", b""))
    >>> sample.seen, [row.rank for row in sample.rows()]
    (3, [0, 1, 2])
    """

    seen: int = 0
    _heap: list[tuple[int, RecordRow]] = field(default_factory=list)
    _bytes: int = 0

    def add(self, row: RecordRow) -> None:
        """Take a row, or let the one of highest rank go."""
        self.seen += 1
        self._keep(row)

    def _keep(self, row: RecordRow) -> None:
        heapq.heappush(self._heap, (-row.rank, row))
        self._bytes += row.size_bytes
        while len(self._heap) > MOST_ROWS or (self._bytes > MOST_BYTES and len(self._heap) > 1):
            self._bytes -= heapq.heappop(self._heap)[1].size_bytes

    def merge(self, other: Sample) -> None:
        """Take all that another sample stands for."""
        self.seen += other.seen
        for row in other.rows():
            self._keep(row)

    def rows(self) -> list[RecordRow]:
        """Rows by rank."""
        return [row for _, row in sorted(self._heap, key=lambda each: each[1])]

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [self.seen, [row for _, row in self._heap]]

    @staticmethod
    def of(state: Sequence[Any]) -> Sample:
        """A sample back from a snapshot."""
        found = Sample(state[0])
        for row in state[1]:
            found._keep(RecordRow(*row))
        return found


class Arrival(NamedTuple):
    """A record on its way: whether it is an outcome, whose it is, the row, and those of its tags that are followed."""

    outcome: bool
    model: str
    version: str
    row: RecordRow
    tags: tuple[tuple[str, str], ...] = ()


def arrivals(frame: Frame, tags: frozenset[str] = frozenset()) -> Iterator[Arrival]:
    """Predictions and outcomes of a frame, with `tags` of these names; truth that is not joined yet says nothing."""
    names = ("time", "prediction_id", "model", "version", "prediction", "features", "truth", "feedback", "kind")
    columns = [frame.batch.column(name).to_pylist() for name in names]
    scores = frame.f8("score").tolist()
    told = frame.batch.column("tags").to_pylist() if tags else [()] * len(scores)
    for time, of, model, version, prediction, features, truth, feedback, kind, score, vector, pairs in zip(
        *columns, scores, _vectors(frame), told, strict=True
    ):
        outcome = kind == OUTCOME
        if not outcome and kind != PREDICTION:
            continue
        said, given, right = prediction or "", features or "", truth or ""
        other = right if outcome else "" if of else f"{said}\0{given}"
        digest = blake2b(f"{time}\0{of or ''}\0{outcome}\0{other}".encode(), digest_size=7).digest()
        row = RecordRow(
            int.from_bytes(digest, "big"), int(time), said[:_TEXT_BYTES], score if math.isfinite(score) else None,
            given if len(given) <= _TEXT_BYTES else "", right[:_TEXT_BYTES],
            vector, (feedback or "")[:_FEEDBACK_CHARS],
        )  # fmt: skip
        held = tuple((tag, value) for tag, value in pairs or () if tag in tags and value)
        yield Arrival(outcome, model or "", version or "", row, held)


def _vectors(frame: Frame) -> list[bytes]:
    column = frame.batch.column("embedding")
    if column.null_count == len(column):
        return [b""] * len(column)
    found = [column[i] for i in range(len(column))]
    return [
        b"" if each.values is None else each.values.to_numpy(zero_copy_only=False).astype("<f4").tobytes()
        for each in found
    ]


def columns_of(
    rows: Sequence[RecordRow], names: Sequence[str] | None = None, *, new: dict[str, int] | None = None
) -> dict[str, list[Any]]:
    """Features by name, and what else is told, of (n,) rows; only `names`, in full, where they are given.

    What else is told is `prediction`, of texts its length and as `prediction.text` what they say, `score` and
    `embedding`; a feature that bears one of these names is called `features.NAME`. `new` gets how many rows have a feature that
    `names` lack.
    """
    given = [features_of(row.features) for row in rows]
    if names is None:
        counts = _counted(given)
        names = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_FEATURES]
        told = {"prediction": any(r.prediction for r in rows), "score": any(r.score is not None for r in rows)}
        told["embedding"] = any(r.embedding for r in rows)
        told[TEXT] = any(r.prediction.startswith('"') and saying(r.prediction).length is not None for r in rows)
        names = [*sorted(names), *(name for name, held in told.items() if held)]
    elif new is not None:
        known = frozenset(names)
        for name, count in _counted([each for each in given if not known.issuperset(each)]).items():
            if name not in known:
                new[name] = new.get(name, 0) + count
    return {name: _column(name, rows, given) for name in names}


def _counted(given: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in given:
        for name in each:
            counts[name] = counts.get(name, 0) + 1
    return counts


def worded(column: Sequence[Any], *, named: bool) -> Sequence[Any]:
    """A column of categories (`named`), or one that holds texts and others, with all as texts; else as it is.

    What else comes in a batch does not change what a value is called.

    >>> worded(["A1", 12.0, None, True], named=False), worded([1.5, 2.0], named=False)
    (['A1', '12', None, 'true'], [1.5, 2.0])
    """
    kinds = set(map(type, column)) - {type(None)}
    if kinds <= {str} or not (named or str in kinds):
        return column
    return [value if value is None or isinstance(value, str) else _word(value) for value in column]


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _column(name: str, rows: Sequence[RecordRow], given: Sequence[Mapping[str, Any]]) -> list[Any]:
    if name == "prediction":
        return [_said(row.prediction) for row in rows]
    if name == TEXT:
        return [_text(row.prediction) for row in rows]
    if name == "score":
        return [row.score for row in rows]
    if name == "embedding":
        return [np.frombuffer(row.embedding, "<f4").tolist() or None for row in rows]
    return [each.get(name) for each in given]


def features_of(text: str) -> dict[str, Any]:
    """Features as columns may hold them: numbers as floats, lists and objects as their text."""
    try:
        found = _decode(text) if text else None
        if not isinstance(found, dict):
            return {}
        if _PLAIN.issuperset(map(type, found.values())) and _TAKEN.isdisjoint(found):
            return found
        return {
            f"features.{k}" if k in _TAKEN else k: v if type(v) in _PLAIN else json.dumps(v) for k, v in found.items()
        }
    except (ValueError, RecursionError):
        return {}


_decode: Final = json.JSONDecoder(parse_int=float).decode
_PLAIN: Final = frozenset({str, float, bool, type(None)})
TEXT: Final = "prediction.text"
_TAKEN: Final = frozenset({"prediction", "score", "embedding", TEXT})


def _text(prediction: str) -> str | None:
    """What was said, of a prediction that is a text."""
    if not prediction.startswith('"'):
        return None
    try:
        found = json.loads(prediction)
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def _said(text: str) -> Any:
    """A class, a number, or how long a text or list is."""
    said = saying(text)
    if said.label is not None:
        return said.label
    return said.number if said.number is not None else None if said.length is None else float(said.length)
