"""How good a model of classes is before its truth is known, and what its late truth says of that estimate.

The first outcomes of a model are the reference: they tell what its scores are worth. Every chunk of predictions is then
estimated from scores alone; outcomes that come later, however late, are both estimated and counted, which corrects
what is estimated from then on (`tocsin.assess.estimate`, `tocsin.assess.estimate_error`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from tocsin.assess.estimate import LEAST_REFERENCE, Estimator, Said, Task
from tocsin.assess.estimate_error import EstimateError
from tocsin.assess.intervals import Measure
from tocsin.assess.performance import accuracy, of_classes
from tocsin.assess.performance_alarm import PerformanceNorm, blocks_of, error_of
from tocsin.derive.sayings import Saying, saying
from tocsin.engine.model_errors import ModelErrors, norm_of, since_text
from tocsin.engine.model_moved import ModelMoved, Truths, truths_of
from tocsin.engine.record_sample import MOST_ROWS, RecordRow, Sample
from tocsin.model.arrays import Array
from tocsin.model.errors import BadInput
from tocsin.spec.drift import DAY, DriftSpec

LEAST_ROWS: Final = 30
_SEED: Final = 20150
DEVIATES: Final = 3.1
"""Normal deviates below which one chunk in a thousand falls by chance: what is judged at."""
_SHOWN: Final = ("accuracy", "auc", "mae")


class Known(NamedTuple):
    """The reference at work: what estimates, and what is normal of estimates and of truth."""

    estimator: Estimator
    classes: Mapping[str, int]
    confident: bool
    estimated: PerformanceNorm
    realised: PerformanceNorm


class Looked(NamedTuple):
    """What some rows say of performance: numbers for the evidence, the worst fall in words, and since when, if known."""

    numbers: dict[str, float | str]
    reason: str = ""
    ratio: float = 0.0
    since: int = 0


NOTHING: Final = Looked({})


@dataclass
class ModelPerformance:
    """State of one model: outcomes to learn from, and what estimates were off by.

    `shared_by` is how many parts of a model share the rate of false alarms.
    """

    reference: Sample = field(default_factory=Sample)
    since: int = 0
    ready: bool = False
    errors: dict[str, EstimateError] = field(default_factory=dict)
    corrected_rows: int = 0
    stream: ModelErrors = field(default_factory=ModelErrors)
    moved: ModelMoved = field(default_factory=ModelMoved)
    shared_by: int = 1

    def learn(self, outcomes: Sample, end: int, policy: DriftSpec) -> Looked:
        """Take the outcomes of a chunk that ends at `end`; what they say once there is a reference."""
        if not outcomes.seen:
            return NOTHING
        if self.ready:
            return self._look(outcomes.rows(), policy)
        self.since = self.since or end - policy.chunk
        self.reference.merge(outcomes)
        rows = self.reference.seen
        span = policy.reference.span_ns or 7 * DAY
        enough = rows >= MOST_ROWS or (end - self.since >= span and rows >= max(policy.min_n, LEAST_REFERENCE))
        if enough:
            self.ready = True
            for name in ("known", "error_norm", "truths"):
                self.__dict__.pop(name, None)
            self.stream.learn(self.reference.rows())
        return NOTHING

    def begin(self, rows: Sequence[RecordRow]) -> None:
        """Take a reference that is there from the first: those of its rows that have a truth."""
        known = [row for row in rows if row.truth and row.prediction]
        if len(known) < LEAST_REFERENCE:
            return
        for row in known:
            self.reference.add(row)
        self.ready = True
        self.stream.learn(known)

    def _look(self, rows: Sequence[RecordRow], policy: DriftSpec) -> Looked:
        """What truth says by itself, by the stream of errors where that is silent, and of what moved."""
        found, mean = self._realise(rows), self.stream.fold(rows)
        if self.stream.kind == "mae" and self.error_norm is not None and mean.n >= LEAST_ROWS:
            numbers = _numbers("realised", {"mae": mean}) | _of_reference(self.error_norm.reference)
            found = _worst(
                self.error_norm, {"mae": mean.value}, {"mae": error_of(mean)}, "realised", numbers, self.shared_by
            )
        self.moved.judge(rows, self.truths, policy.threshold / 2)
        fall = self.stream.fall(self.error_norm, self.shared_by)
        if fall is not None and not found.reason:
            found = Looked(found.numbers, fall.said("realised"), max(1.0, min(-fall.z / DEVIATES, 10.0)))
        if not found.reason or not self.stream.since:
            return found
        told = f"{found.reason}, since {since_text(self.stream.since)}"
        return found._replace(numbers=found.numbers | self.stream.numbers(), reason=told, since=self.stream.since)

    @cached_property
    def error_norm(self) -> PerformanceNorm | None:
        """How large errors of the reference are."""
        return norm_of(self.reference.rows()) if self.ready else None

    @cached_property
    def truths(self) -> Truths | None:
        """What the reference's truths teach."""
        return truths_of(self.reference.rows()) if self.ready else None

    @cached_property
    def known(self) -> Known | None:
        """What the reference teaches, None where its outcomes are no classes with scores."""
        if not self.ready:
            return None
        try:
            return _known(self.reference.rows())
        except BadInput:
            return None

    def estimate(self, rows: Sequence[RecordRow]) -> Looked:
        """What a chunk of predictions lets expect, corrected by what truth has shown."""
        known = self.known
        told = _told(rows, known, truth=False) if known is not None else None
        if known is None or told is None or len(told[0]) < LEAST_ROWS:
            return NOTHING
        found = known.estimator.estimate(told[0])
        measures = {n: self.errors[n].corrected(m) if n in self.errors else m for n, m in found.measures.items()}
        numbers = _numbers("estimated", measures) | _of_reference(known.realised.reference)
        if self.corrected_rows:
            numbers["estimate.corrected_by_rows"] = float(self.corrected_rows)
            numbers["estimate.mean_error"] = self.errors["accuracy"].mean_absolute
        values = {name: each.value for name, each in measures.items()}
        return _worst(known.estimated, values, found.errors, "estimated", numbers, self.shared_by)

    def _realise(self, rows: Sequence[RecordRow]) -> Looked:
        """Count outcomes, beside what was estimated of the very same rows; then learn from the difference."""
        known = self.known
        told = _told(rows, known, truth=True) if known is not None else None
        if known is None or told is None or len(told[0]) < LEAST_ROWS:
            return NOTHING
        said, truth = told
        real = _realised(known.estimator.task, said, truth)
        guessed = known.estimator.estimate(said).measures
        numbers = _numbers("realised", real)
        numbers["realised.estimated_before"] = guessed["accuracy"].value + (
            self.errors["accuracy"].correction if "accuracy" in self.errors else 0.0
        )
        for name, each in guessed.items():
            if name in real:
                self.errors.setdefault(name, EstimateError()).learn(each.value, real[name].value)
        self.corrected_rows += len(said)
        values = {name: each.value for name, each in real.items()}
        errors = {name: error_of(each) for name, each in real.items()}
        numbers |= _of_reference(known.realised.reference)
        return _worst(known.realised, values, errors, "realised", numbers, self.shared_by)

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "reference": self.reference.snapshot(),
            "marks": [self.since, self.ready, self.corrected_rows],
            "stream": self.stream.snapshot(),
            "moved": self.moved.snapshot(),
            "errors": {n: [e.weight, e.gap, e.square, e.chunks, e.absolute] for n, e in self.errors.items()},
        }

    @staticmethod
    def of(state: Mapping[str, Any]) -> ModelPerformance:
        """A state back from a snapshot."""
        since, ready, rows = state["marks"]
        errors = {name: EstimateError(*each) for name, each in state["errors"].items()}
        found = ModelPerformance(Sample.of(state["reference"]), since, ready, errors, rows)
        if "stream" in state:  # snapshots of before had none
            found.stream, found.moved = ModelErrors.of(state["stream"]), ModelMoved.of(state["moved"])
        return found


def _known(rows: Sequence[RecordRow]) -> Known | None:
    said = [(saying(row.prediction), saying(row.truth), row) for row in rows]
    said = [(p, t, r) for p, t, r in said if r.score is not None or p.sure is not None]
    two = bool(said) and all(p.two and t.two for p, t, _ in said)
    named = bool(said) and all(p.label is not None and t.label is not None for p, t, _ in said)
    if not two and not named:
        return None
    labels = sorted({str(each.label) for p, t, _ in said for each in (p, t)})
    classes = {} if two else {label: number for number, label in enumerate(labels)}
    confident = two and _is_confidence([(p, r) for p, _, r in said])
    told = _rows(rows, classes, confident=confident, truth=True)
    if told is None or len(told[0]) < LEAST_REFERENCE:
        return None
    task = Task.BINARY if two else Task.CLASSES
    estimator = Estimator(task, *told)
    whole = _realised(task, *told)
    blocks = blocks_of(len(told[0]), len(told[0]))
    guesses = [estimator.on_reference(block) for block in blocks]
    truths = [_realised(task, told[0].part(block), told[1][block]) for block in blocks]
    estimated = PerformanceNorm.of(
        whole, [{n: m.value for n, m in g.measures.items()} for g in guesses], [g.errors for g in guesses]
    )
    real = PerformanceNorm.of(
        whole,
        [{n: m.value for n, m in each.items()} for each in truths],
        [{n: error_of(m) for n, m in each.items()} for each in truths],
    )
    return Known(estimator, classes, confident, estimated, real)


def _is_confidence(rows: Sequence[tuple[Saying, RecordRow]]) -> bool:
    """Whether scores are those of what was predicted, not of the positive class: then noes have high ones too."""
    noes = [row.score for said, row in rows if not said.number and row.score is not None]
    return bool(noes) and float(np.mean(noes)) > 0.5


def _told(rows: Sequence[RecordRow], known: Known | None, *, truth: bool) -> tuple[Said, Array] | None:
    return None if known is None else _rows(rows, known.classes, confident=known.confident, truth=truth)


def _rows(
    rows: Sequence[RecordRow], classes: Mapping[str, int], *, confident: bool, truth: bool
) -> tuple[Said, Array] | None:
    """Rows that say what is needed, as arrays; without `classes` two classes are meant. None of none."""
    predicted, scores, right = [], [], []
    for row in rows:
        said = saying(row.prediction)
        p = _class_of(said, classes)
        t = _class_of(saying(row.truth), classes) if truth else 0
        score = row.score if row.score is not None else said.sure
        if p is None or t is None or score is None or not 0 <= score <= 1:
            continue
        predicted.append(p)
        right.append(t)
        scores.append(1 - score if confident and not p else score)
    if not predicted:
        return None
    kind = "i8" if classes else "?"
    return Said((), np.array(predicted, kind), np.array(scores, "f8")), np.array(right, kind)


def _class_of(said: Saying, classes: Mapping[str, int]) -> int | None:
    if not classes:
        return int(said.number or 0) if said.two else None
    return None if said.label is None else classes.get(said.label, len(classes))


def _realised(task: Task, said: Said, truth: Array) -> dict[str, Measure]:
    if task is Task.CLASSES:
        return {"accuracy": accuracy(truth, said.predicted)}
    rng = np.random.default_rng(_SEED)
    return of_classes(np.asarray(truth, bool), np.asarray(said.predicted, bool), said.score, rng)


def _numbers(kind: str, measures: Mapping[str, Measure]) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for name in _SHOWN:
        each = measures.get(name)
        if each is not None and math.isfinite(each.value):
            found |= {f"{kind}.{name}": each.value, f"{kind}.{name}.low": each.low, f"{kind}.{name}.high": each.high}
            found[f"{kind}.rows"] = float(each.n)
    return {name: value for name, value in found.items() if isinstance(value, str) or math.isfinite(value)}


def _of_reference(measures: Mapping[str, Measure]) -> dict[str, float | str]:
    return {f"reference.{n}": measures[n].value for n in _SHOWN if n in measures and math.isfinite(measures[n].value)}


def _worst(
    norm: PerformanceNorm, values: Mapping[str, float], errors: Mapping[str, float], kind: str,
    numbers: dict[str, float | str], shared_by: int,
) -> Looked:  # fmt: skip
    falls = norm.falls(values, errors, shared_by)
    if not falls:
        return Looked(numbers)
    worst = min(falls, key=lambda each: each.z)
    return Looked(numbers, worst.said(kind), max(1.0, min(-worst.z / DEVIATES, 10.0)))
