"""Inference records become samples: what a model says, how sure it is, what it is given, what comes of it.

Every signal has the labels `model` and `version`. Those of `SEGMENTED` have series of their own for each value of the
tags that packs name as segments, one tag at a time beside the whole, so that ten tags of ten values make a hundred
series and not ten to the tenth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow.compute as pc

from tocsin.derive.drawn import Drawn
from tocsin.derive.fields import Coded, coded, joined
from tocsin.derive.fingerprint import fingerprints
from tocsin.derive.sayings import Saying, confidence, right, saying, verdicts
from tocsin.derive.vocabulary import OTHER, Place, Vocabulary
from tocsin.model.frame import Frame
from tocsin.model.record import OUTCOME, PREDICTION
from tocsin.model.series import Series, Signal
from tocsin.spec.pack import PackSpec

PREDICTIONS: Final = Signal("tocsin.model.predictions", "{prediction}")
SCORE: Final = Signal("tocsin.model.score", "1")
NUMBER: Final = Signal("tocsin.model.prediction")
CONFIDENCE: Final = Signal("tocsin.model.confidence", "1")
CLASS_RATIO: Final = Signal("tocsin.model.class_ratio", "1")
MISSING_RATIO: Final = Signal("tocsin.model.missing_ratio", "1")
ATTRIBUTION_SHARE: Final = Signal("tocsin.model.attribution_share", "1")
ATTENTION: Final = Signal("tocsin.model.attention")
OUTPUT_LENGTH: Final = Signal("tocsin.model.output_length")
REFUSAL_RATIO: Final = Signal("tocsin.model.refusal_ratio", "1")
FEEDBACK: Final = Signal("tocsin.model.feedback")
ACCURACY_RATIO: Final = Signal("tocsin.model.accuracy_ratio", "1")
ABSOLUTE_ERROR: Final = Signal("tocsin.model.absolute_error")
SEGMENTED: Final = frozenset({PREDICTIONS, SCORE, NUMBER, CONFIDENCE, FEEDBACK, ACCURACY_RATIO, ABSOLUTE_ERROR})

MODELS, CLASSES, FEATURES, NAMES, SEGMENT_VALUES = 1_000, 20, 200, 20, 50
"""Most models (with their versions) of a tenant; classes, features, names of feedback and attention, and values of a
segment, of a model: what comes beyond is `(other)` or not told apart, and counted."""
_REFUSALS: Final = ("refusal", "refused")
_TRUE: Final = frozenset({"true", "1", "yes"})
_TEXTS: Final = ("kind", "model", "version", "prediction", "features", "truth", "feedback", "attributions", "attention")


class Sample(NamedTuple):
    """A value of a signal, under one more label than model and version or none."""

    signal: Signal
    value: float
    label: str = ""
    text: str = ""


class Record(NamedTuple):
    """One row, its texts as they are in the frame."""

    kind: str
    model: str
    version: str
    prediction: str
    features: str
    truth: str
    feedback: str
    attributions: str
    attention: str
    score: float
    tags: Mapping[str, str]


class RecordSignals:
    """Turns record frames into samples; what it has seen is state, bounded, and part of snapshots."""

    def __init__(self, packs: Sequence[PackSpec], words: Vocabulary | None = None) -> None:
        self._segments = tuple(dict.fromkeys(tag for pack in packs for tag in pack.segments))
        self.words = words or Vocabulary()

    def draw(self, frames: Sequence[Frame]) -> Drawn:
        """Samples of frames of one tenant, in the order of their rows."""
        tenant = frames[0].tenant
        series: dict[tuple[object, ...], int] = {}
        made: list[Series] = []
        place: list[int] = []
        key: list[int] = []
        value: list[float] = []
        for at, record in enumerate(_records(frames)):
            if record.kind not in (PREDICTION, OUTCOME):  # truth and feedback mean nothing before they are joined
                continue
            version = self._version(tenant, record)
            for sample, segment in self._samples(tenant, version, record):
                named = (sample.signal, version, sample.label, sample.text, segment)
                number = series.get(named)
                if number is None:
                    number = series[named] = len(made)
                    made.append(_series(tenant, version, sample, segment))
                place.append(at)
                key.append(number)
                value.append(sample.value)
        sizes = np.array([len(frame) for frame in frames])
        frame = np.repeat(np.arange(len(frames), dtype="i4"), sizes)
        row = np.arange(len(frame)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = np.array(place, "i8")
        order = np.arange(len(rows)) - (np.searchsorted(rows, rows) if len(rows) else rows)
        time = np.concatenate([one.i8("time") for one in frames])
        return Drawn(
            frame[rows],
            (row[rows] << 14) | np.minimum(order, (1 << 14) - 1),
            np.array(key, "i4"),
            time[rows],
            np.array(value, "f8"),
            _uids(frames)[rows],
            made,
        )

    def _version(self, tenant: str, record: Record) -> tuple[str, str]:
        """Model and version; beyond the cap they are others."""
        word = f"{record.model}\0{record.version}"
        return (record.model, record.version) if self.words.knows(("model", tenant), word, MODELS) else (OTHER, "")

    def _samples(
        self, tenant: str, version: tuple[str, str], record: Record
    ) -> Iterator[tuple[Sample, tuple[str, str]]]:
        """Samples of a record, each with the segment that it is of, ("", "") for the whole."""
        of = (tenant, *version)
        segments = [("", ""), *self._of_segments(of, record.tags)]
        for sample in self._told(of, record):
            for segment in segments if sample.signal in SEGMENTED else segments[:1]:
                yield sample, segment

    def _of_segments(self, of: Place, tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        for tag in self._segments:
            text = tags.get(tag)
            if text and self.words.knows(("segment", *of[:2], tag), text, SEGMENT_VALUES):
                yield tag, text

    def _told(self, of: Place, record: Record) -> Iterator[Sample]:
        said = saying(record.prediction)
        if record.kind == PREDICTION:
            yield Sample(PREDICTIONS, 1.0)
            yield from self._said(of, said, record)
            yield from self._given(of, record)
        yield from self._came_of_it(of, said, record)

    def _said(self, of: Place, said: Saying, record: Record) -> Iterator[Sample]:
        if np.isfinite(record.score):
            yield Sample(SCORE, record.score)
        if said.number is not None and said.label is None:
            yield Sample(NUMBER, said.number)
        sure = confidence(said, record.score)
        if sure is not None:
            yield Sample(CONFIDENCE, sure)
        if said.length is not None:
            yield Sample(OUTPUT_LENGTH, said.length)
        if said.label is not None:
            yield from self._classes(of, said.label)
        refused = next((record.tags[tag] for tag in _REFUSALS if tag in record.tags), None)
        # who tags nothing but refusals means that the rest is none
        if refused is not None or self.words.of(("refusal", *of)):
            self.words.knows(("refusal", *of), "refusal", 1)
            yield Sample(REFUSAL_RATIO, float((refused or "").lower() in _TRUE))

    def _classes(self, of: Place, label: str) -> Iterator[Sample]:
        place = ("class", *of)
        found = label if self.words.knows(place, label, CLASSES) else OTHER
        if found == OTHER:
            self.words.knows(place, OTHER, CLASSES + 1)
        for each in self.words.of(place):
            yield Sample(CLASS_RATIO, float(each == found), "class", each)

    def _given(self, of: Place, record: Record) -> Iterator[Sample]:
        features = _object(record.features)
        if features:
            place = ("feature", *of)
            for name in features:
                self.words.knows(place, name, FEATURES)
            for name in self.words.of(place):
                yield Sample(MISSING_RATIO, float(features.get(name) in (None, "")), "feature", name)
        shares = {name: abs(share) for name, share in _numbers(record.attributions)}
        total = sum(shares.values())
        if total > 0:
            place = ("attribution", *of)
            for name in shares:
                self.words.knows(place, name, FEATURES)
            for name in self.words.of(place):
                yield Sample(ATTRIBUTION_SHARE, shares.get(name, 0.0) / total, "feature", name)
        for name, number in _numbers(record.attention):
            if self.words.knows(("attention", *of), name, NAMES):
                yield Sample(ATTENTION, number, "statistic", name)

    def _came_of_it(self, of: Place, said: Saying, record: Record) -> Iterator[Sample]:
        for name, number in verdicts(record.feedback).items():
            if self.words.knows(("feedback", *of), name, NAMES):
                yield Sample(FEEDBACK, number, "feedback", name)
        truth = saying(record.truth)
        was_right = right(said, truth)
        if was_right is not None:
            yield Sample(ACCURACY_RATIO, was_right)
        elif said.number is not None and truth.number is not None:
            yield Sample(ABSOLUTE_ERROR, abs(said.number - truth.number))


class RecordFields:
    """Fields of record frames, as changes are looked for in them: those of predictions only."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        predictions = np.asarray(pc.equal(joined(frames, "kind"), PREDICTION))
        self._none = Coded(np.full(len(predictions), -1, "i4"), [])
        self._known = {}
        for name in ("model", "version"):
            column = coded(joined(frames, name))
            self._known[f"record.{name}"] = Coded(np.where(predictions, column.code, -1).astype("i4"), column.texts)

    def __getitem__(self, field: str) -> Coded:
        return self._known.get(field, self._none)


def _series(tenant: str, version: tuple[str, str], sample: Sample, segment: tuple[str, str]) -> Series:
    pairs = (("model", version[0]), ("version", version[1]), (sample.label, sample.text), segment)
    own = {"model", "version", sample.label}
    return Series.of(
        tenant,
        sample.signal,
        [
            (f"tag.{name}" if place == 3 and name in own else name, text)
            for place, (name, text) in enumerate(pairs)
            if name and text
        ],
    )


def _records(frames: Sequence[Frame]) -> Iterator[Record]:
    for frame in frames:
        texts = [frame.batch.column(name).to_pylist() for name in _TEXTS]
        scores = frame.f8("score").tolist()
        for *told, score, tags in zip(*texts, scores, frame.batch.column("tags").to_pylist(), strict=True):
            yield Record._make([*(text or "" for text in told), score, dict(tags or ())])


def _uids(frames: Sequence[Frame]) -> Any:
    """What tells two records of one time apart: the id of the prediction and what came of it, else all that it says."""
    outcome = pc.equal(joined(frames, "kind"), OUTCOME)
    ids = joined(frames, "prediction_id")
    told = pc.binary_join_element_wise(*(_texts(frames, name) for name in ("truth", "feedback")), "\0")
    said = pc.binary_join_element_wise(*(_texts(frames, name) for name in ("prediction", "features")), "\0")
    named = pc.not_equal(ids, "")
    content = pc.if_else(outcome, told, pc.if_else(named, "", said))
    return fingerprints(pc.binary_join_element_wise(ids, content, "\0"))


def _texts(frames: Sequence[Frame], name: str) -> Any:
    return pc.fill_null(joined(frames, name), "")


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _numbers(text: str) -> Iterable[tuple[str, float]]:
    return ((name, float(value)) for name, value in _object(text).items() if isinstance(value, int | float))
