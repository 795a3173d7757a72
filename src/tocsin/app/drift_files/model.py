"""The performance of a model, chunk by chunk: estimated before its truth, realised with it, corrected by the past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tocsin.app.drift_files.few import FewLabels, few_labels
from tocsin.app.drift_files.outcome import Outcome, Rows
from tocsin.assess.estimate import LEAST_REFERENCE, Estimated, Estimator, Task
from tocsin.assess.estimate_error import EstimateError
from tocsin.assess.intervals import Measure, number
from tocsin.assess.performance import accuracy, of_classes, of_numbers
from tocsin.assess.performance_alarm import PerformanceNorm, blocks_of, error_of
from tocsin.model.arrays import F8, I8, Array, Mask

LEAST_ROWS: Final = 30
"""Rows of a chunk below which its performance is shown, never judged."""
MOST_REFERENCE: Final = 200_000
"""Rows of the reference that estimates rest on; more would tell no more."""
_SEED: Final = 20150


@dataclass(frozen=True, slots=True)
class Performance:
    """Of one chunk or one segment of it; None where there is nothing to say."""

    n: int
    estimated: Estimated | None
    corrected: Mapping[str, Measure]
    realised: Mapping[str, Measure] | None
    coverage: float
    reasons: tuple[str, ...]
    few: FewLabels = field(default_factory=FewLabels)

    @property
    def alarm(self) -> bool:
        """Whether it is worse than the reference."""
        return bool(self.reasons)

    def estimated_json(self) -> dict[str, Any] | None:
        """Values by measure, their intervals, and what they rest on."""
        found = self.estimated
        if found is None:
            return None
        shown: dict[str, Any] = {
            **values(found.measures), "interval": intervals(found.measures), "n": found.n,
            "effective_rows": number(found.effective_rows), "unknown_share": number(found.unknown_share),
        }  # fmt: skip
        if self.corrected:
            shown["corrected"] = {**values(self.corrected), "interval": intervals(self.corrected)}
        return shown

    def realised_json(self) -> dict[str, Any] | None:
        """Values by measure, their intervals, rows with truth and their share."""
        if self.realised is None:
            return None
        known = max((each.n for each in self.realised.values()), default=0)
        notes = {name: each.note for name, each in self.realised.items() if each.note}
        shown: dict[str, Any] = {
            **values(self.realised), "interval": intervals(self.realised), "n": known, "coverage": self.coverage,
        }  # fmt: skip
        if self.few.rates:
            shown["few_labels"] = {
                "worth_labels": {name: each.worth for name, each in self.few.rates.items()}, "unlike": self.few.unlike,
            }  # fmt: skip
        return {**shown, "notes": notes} if notes else shown


def values(measures: Mapping[str, Measure]) -> dict[str, float | None]:
    """Values by name, null where there is none."""
    return {name: number(each.value) for name, each in measures.items()}


def intervals(measures: Mapping[str, Measure]) -> dict[str, list[float | None]]:
    """Intervals by name, [low, high]."""
    return {name: [number(each.low), number(each.high)] for name, each in measures.items()}


def realised(task: Task, truth: Array, predicted: Array, score: Array | None) -> dict[str, Measure]:
    """Measures of rows whose truth is known."""
    if task is Task.NUMBERS:
        return of_numbers(np.asarray(truth, "f8"), np.asarray(predicted, "f8"))
    if task is Task.CLASSES:
        return {"accuracy": accuracy(truth, predicted)}
    rng = np.random.default_rng(_SEED)
    scores = None if score is None else np.asarray(score, "f8")
    return of_classes(np.asarray(truth, bool), np.asarray(predicted, bool), scores, rng)


def measured(task: Task, rows: Rows, chosen: I8 | Mask) -> dict[str, Measure]:
    """Measures of chosen rows of a file, all of known truth."""
    said = rows.said.part(chosen)
    return realised(task, rows.truth[chosen], said.predicted, said.score)


class ModelWatch:
    """Follows the chunks of a model in order."""

    def __init__(self, outcome: Outcome, chunk_rows: int) -> None:
        self.outcome, self.task = outcome, outcome.task
        known = np.flatnonzero(outcome.reference.known)
        self.notes: list[str] = list(outcome.notes)
        if known.size > MOST_REFERENCE:
            known = known[np.linspace(0, known.size - 1, MOST_REFERENCE).astype("i8")]
            self.notes.append(
                f"performance is judged by {MOST_REFERENCE:,} rows of the reference, evenly spread over it"
            )
        self.estimator: Estimator | None = None
        self.errors: dict[str, EstimateError] = {}
        self.known, self._chunk_rows = known, max(chunk_rows, 1)
        self._segments: dict[tuple[str, str], tuple[PerformanceNorm, PerformanceNorm] | None] = {}
        if known.size < LEAST_REFERENCE:
            self.notes.append(
                f"the reference has {known.size} rows with prediction and truth, {LEAST_REFERENCE} are needed: "
                "nothing is estimated, and nothing is called worse"
            )
            return
        said = outcome.reference.said.part(known)
        self.estimator = Estimator(self.task, said, outcome.reference.truth[known])
        self.whole = self._norm(np.ones(known.size, bool))

    @property
    def reference(self) -> dict[str, Measure]:
        """Measures of the reference."""
        return dict(self.whole[1].reference) if self.estimator is not None else {}

    def _norm(self, chosen: Mask) -> tuple[PerformanceNorm, PerformanceNorm]:
        """What is normal of estimates and of truth, for some of the reference's known rows."""
        assert self.estimator is not None
        inside = np.flatnonzero(chosen)
        whole = measured(self.task, self.outcome.reference, self.known[inside])
        share = inside.size / chosen.size
        blocks = [inside[block] for block in blocks_of(inside.size, int(self._chunk_rows * share))]
        guesses = [self.estimator.on_reference(block) for block in blocks]
        truths = [measured(self.task, self.outcome.reference, self.known[block]) for block in blocks]
        estimated = PerformanceNorm.of(
            whole,
            [{n: m.value for n, m in each.measures.items()} for each in guesses],
            [each.errors for each in guesses],
        )
        real = PerformanceNorm.of(
            whole,
            [{n: m.value for n, m in each.items()} for each in truths],
            [{n: error_of(m) for n, m in each.items()} for each in truths],
        )
        return estimated, real

    def chunk(self, rows: I8) -> Performance:
        """The performance of the next chunk; its truth corrects only later ones."""
        found = self._judge(rows, self.whole if self.estimator is not None else None)
        enough = rows.size * found.coverage >= LEAST_ROWS
        if found.estimated is not None and found.realised is not None and enough:
            for name, estimate in found.estimated.measures.items():
                if name in found.realised:
                    error = self.errors.setdefault(name, EstimateError())
                    error.learn(estimate.value, found.realised[name].value)
        return found

    def _judge(self, rows: I8, norm: tuple[PerformanceNorm, PerformanceNorm] | None, shared_by: int = 1) -> Performance:
        current = self.outcome.current
        used, known = rows[current.usable[rows]], rows[current.known[rows]]
        estimated = (
            self.estimator.estimate(current.said.part(used)) if self.estimator is not None and used.size else None
        )
        corrected = {}
        if estimated is not None:
            both = ((name, each, self.errors.get(name)) for name, each in estimated.measures.items())
            corrected = {
                name: error.corrected(each) for name, each, error in both if error is not None and error.chunks
            }
        real = measured(self.task, current, known) if known.size else None
        few = self._few(used)
        real = few.over(real) if real is not None else None
        reasons: list[str] = []
        if norm is not None:
            reasons = self._reasons(norm, estimated, real, used.size, known.size, shared_by)
        return Performance(
            int(rows.size), estimated, corrected, real, known.size / max(rows.size, 1), tuple(reasons), few
        )

    def _few(self, used: I8) -> FewLabels:
        """What all rows say of performance where the truth of some is known; nothing where it is of all, or of none."""
        current = self.outcome.current
        known = current.known[used]
        if self.estimator is None or not known.any() or known.all():
            return FewLabels()
        said = current.said.part(used)
        return few_labels(self.task, said, current.truth[used], known, self.estimator.expected(said))

    @staticmethod
    def _reasons(
        norm: tuple[PerformanceNorm, PerformanceNorm],
        estimated: Estimated | None,
        real: Mapping[str, Measure] | None,
        used: int,
        known: int,
        shared_by: int,
    ) -> list[str]:
        said: list[str] = []
        if estimated is not None and used >= LEAST_ROWS:
            guess = {name: each.value for name, each in estimated.measures.items()}
            said += [each.said("estimated") for each in norm[0].falls(guess, estimated.errors, shared_by)[:2]]
        if real is not None and known >= LEAST_ROWS:
            value = {name: each.value for name, each in real.items()}
            error = {name: error_of(each) for name, each in real.items()}
            said += [each.said("realised") for each in norm[1].falls(value, error, shared_by)[:2]]
        return said

    def weights(self, rows: I8) -> F8 | None:
        """How much likelier each known row of the reference is among these rows (known,); None where nothing tells."""
        used = rows[self.outcome.current.usable[rows]]
        if self.estimator is None or not used.size:
            return None
        return self.estimator.weights(self.outcome.current.said.part(used))

    def segment(self, rows: I8, column: str, value: str, chosen: Mask, shared_by: int) -> Performance:
        """The performance of a segment of a chunk, against the same segment of the reference.

        `chosen` are the reference's rows of the segment (all rows, not only those with truth).
        """
        norm = None
        if self.estimator is not None:
            key = (column, value)
            inside = chosen[self.known]
            if key not in self._segments:
                few = np.count_nonzero(inside) < LEAST_REFERENCE
                self._segments[key] = None if few else self._norm(inside)
            norm = self._segments[key]
        return self._judge(rows, norm, shared_by)
