"""`ModelErrors`: the errors of one model in the order in which truth came, watched for the moment from which they are more.

ADWIN says since when; DDM (classes) or Page-Hinkley (numbers) stand beside it. None of them raises anything: whether what
came since is worse is decided by the same test as of a chunk, against the same reference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from tocsin.assess.error_stream import Adwin, Bucket, Change, Ddm, PageHinkley, State, joined
from tocsin.assess.intervals import Measure, mean_of
from tocsin.assess.performance_alarm import Fall, PerformanceNorm, blocks_of, error_of
from tocsin.derive.sayings import right, saying
from tocsin.engine.record_sample import RecordRow
from tocsin.model.arrays import F8
from tocsin.model.times import time_to_json

LARGEST: Final = 10.0
"""Errors of numbers count as at most so many times the mean one of the reference, which makes them shares of it."""
LEAST_SINCE: Final = 30
"""Truths after a change without which it is not judged."""

Kind = Literal["", "accuracy", "mae"]


@dataclass(slots=True)
class ModelErrors:
    """State of one version; `kind` is what is measured, "" before a reference, or where truth is neither.

    `risen` are the errors from the moment on from which they are more, None if they are not, and `before` their mean until
    then; `seconded` says that the second test says so too.
    """

    kind: Kind = ""
    scale: float = 1.0
    adwin: Adwin = field(default_factory=Adwin)
    ddm: Ddm = field(default_factory=Ddm)
    page: PageHinkley = field(default_factory=lambda: PageHinkley(delta=0.25 / LARGEST, threshold=25.0 / LARGEST))
    risen: Bucket | None = None
    before: float = math.nan
    seconded: bool = False

    @property
    def since(self) -> int:
        """Event time from which errors are more, 0 if they are not."""
        return 0 if self.risen is None else self.risen.start

    def learn(self, rows: Sequence[RecordRow]) -> None:
        """Take the rows of the reference."""
        self.kind, errors = _kind_of(rows)
        if self.kind == "mae":
            self.scale = max(float(np.mean([error for _, error in errors])), 1e-300) * LARGEST
        self._fold(errors)
        self.risen, self.seconded = None, False

    def fold(self, rows: Sequence[RecordRow]) -> Measure:
        """Take truth in, in the order in which it came; the mean error of these rows."""
        errors = _errors(rows, self.kind) if self.kind else []
        self._fold(errors)
        return mean_of(np.array([error for _, error in errors], "f8"), 0.95)

    def _fold(self, errors: Sequence[tuple[int, float]]) -> None:
        for time, error in errors:
            value = min(error / self.scale, 1.0)
            if self.risen is not None:
                self.risen = joined(self.risen, Bucket(1, value, 0.0, time))
            if self.adwin.update(value, time) is State.CHANGED and self.adwin.change is not None:
                self._take(self.adwin.change)
            second = self.ddm.update(value) if self.kind == "accuracy" else self.page.update(value)
            self.seconded |= second is State.CHANGED

    def _take(self, change: Change) -> None:
        """A rise begins once, and ends with a fall."""
        if change.since.mean < change.before.mean:
            self.risen, self.seconded = None, False
        elif self.risen is None:
            self.risen, self.before = change.since, change.before.mean

    def fall(self, norm: PerformanceNorm | None, shared_by: int = 1) -> Fall | None:
        """What came since the change, if that is worse than the reference by more than chance and custom."""
        if self.risen is None or norm is None or self.risen.rows < LEAST_SINCE:
            return None
        error = math.sqrt(self.risen.spread) / self.risen.rows * self.scale
        value = self.risen.mean * self.scale
        found = norm.falls(
            {self.kind: 1.0 - value if self.kind == "accuracy" else value}, {self.kind: error}, shared_by
        )
        return found[0] if found else None

    def numbers(self) -> dict[str, float | str]:
        """What is told of a change."""
        if self.risen is None:
            return {}
        tests = ["ADWIN"]
        if self.seconded:
            tests.append("DDM" if self.kind == "accuracy" else "Page-Hinkley")
        return {
            "errors.since": since_text(self.since),
            "errors.before": self.before * self.scale,
            "errors.mean": self.risen.mean * self.scale,
            "errors.rows": float(self.risen.rows),
            "errors.tests": " and ".join(tests),
        }

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        a, d, p = self.adwin, self.ddm, self.page
        return {
            "marks": [self.kind, self.scale, self.before, self.seconded],
            "risen": None if self.risen is None else _told(self.risen),
            "adwin": [a.seen, [_told(each) for each in a.buckets]],
            "ddm": [d.rows, d.rate, d.best, d.best_rate, d.best_sd],
            "page": [p.rows, p.mean, p.total, p.lowest],
        }

    @staticmethod
    def of(state: Mapping[str, Any]) -> ModelErrors:
        """A state back from a snapshot."""
        found = ModelErrors(*state["marks"][:2])
        found.before, found.seconded = state["marks"][2:]
        found.risen = None if state["risen"] is None else Bucket(*state["risen"])
        found.adwin.seen, buckets = state["adwin"]
        found.adwin.buckets.extend(Bucket(*each) for each in buckets)
        d, p = found.ddm, found.page
        d.rows, d.rate, d.best, d.best_rate, d.best_sd = state["ddm"]
        p.rows, p.mean, p.total, p.lowest = state["page"]
        return found


def norm_of(rows: Sequence[RecordRow]) -> PerformanceNorm | None:
    """What errors the reference has, and how far blocks of it lie apart; None where truth is neither class nor number."""
    kind, errors = _kind_of(rows)
    if not kind:
        return None
    values: F8 = np.array([1.0 - error if kind == "accuracy" else error for _, error in errors])
    blocks = [mean_of(values[block], 0.95) for block in blocks_of(len(values), len(values))]
    means: list[dict[str, float]] = [{kind: each.value} for each in blocks]
    noise: list[dict[str, float]] = [{kind: error_of(each)} for each in blocks]
    return PerformanceNorm.of({kind: mean_of(values, 0.95)}, means, noise)


def since_text(time_ns: int) -> str:
    """A moment, to the minute, as findings tell it."""
    return f"{time_to_json(time_ns)[:16]}Z"


def _told(bucket: Bucket) -> list[Any]:
    return [bucket.rows, bucket.total, bucket.spread, bucket.start]


def _kind_of(rows: Sequence[RecordRow]) -> tuple[Kind, list[tuple[int, float]]]:
    """Classes where more than half of the truths can be right or wrong, numbers where they have a distance."""
    kinds: tuple[Kind, Kind] = ("accuracy", "mae")
    for kind in kinds:
        errors = _errors(rows, kind)
        if 2 * len(errors) > len(rows) and len(errors) >= LEAST_SINCE:
            return kind, errors
    return "", []


def _errors(rows: Sequence[RecordRow], kind: Kind) -> list[tuple[int, float]]:
    """Event time and error of each row that has one, by time."""
    found = []
    for row in sorted(rows, key=lambda each: (each.time, each.rank)):
        said, truth = saying(row.prediction), saying(row.truth)
        if kind == "accuracy":
            was_right = right(said, truth)
            error = None if was_right is None else 1.0 - was_right
        else:
            error = None if said.number is None or truth.number is None else abs(said.number - truth.number)
        if error is not None:
            found.append((row.time, error))
    return found
