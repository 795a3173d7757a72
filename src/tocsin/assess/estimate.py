"""How good predictions are before their truth is known.

Two ways, joined so that either may be wrong. **By confidence**: scores are calibrated on a reference with truth, and a
chunk's own calibrated scores say how many of its predictions will hold (Guillory et al. 2021; NannyML's CBPE).
**By importance**: the reference's rows are weighted until they look like the chunk, features, score and prediction
together, and the truth they have is averaged (Shimodaira 2000). The estimate is the first plus the weighted mean of
what the first got wrong on the reference - the augmented estimator of Robins, Rotnitzky and Zhao (1994), right if
either the calibration or the weights are. It knows nothing of a change of P(truth | features): only truth shows that,
and `tocsin.assess.estimate_error` keeps count of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from tocsin.assess.calibrated import Calibrated
from tocsin.assess.density_ratio import DensityRatio, effective_size
from tocsin.assess.estimate_measures import Expected, Known, binary, classes, numbers
from tocsin.assess.grid import Grid
from tocsin.assess.intervals import Measure
from tocsin.model.arrays import F8, I8, Array, Mask
from tocsin.model.errors import BadInput

LEAST_REFERENCE: Final = 100
"""Rows with truth below which nothing is estimated."""
FEATURE_CELLS: Final = 20
SCORE_CELLS: Final = 20
MOST_CELLS: Final = 400
ROWS_PER_CELL: Final = 20


class Task(Enum):
    """What a model says of a row."""

    BINARY = "binary"
    CLASSES = "classes"
    NUMBERS = "regression"


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a model had of (n,) rows and said of them.

    Attributes
    ----------
    features : (n,) each; float64 are numbers (NaN = missing), int64 categories numbered as in the reference
    predicted : (n,) bool for BINARY, int64 category for CLASSES, float64 for NUMBERS
    score : (n,) float64 or None; BINARY: of the positive class, CLASSES: of the predicted one
    """

    features: tuple[Array, ...]
    predicted: Array
    score: F8 | None = None

    def __len__(self) -> int:
        return int(self.predicted.size)

    def part(self, rows: slice | I8 | Mask) -> Said:
        """Some of the rows."""
        score = None if self.score is None else self.score[rows]
        return Said(tuple(each[rows] for each in self.features), self.predicted[rows], score)


@dataclass(frozen=True, slots=True)
class Estimated:
    """An estimate of one chunk.

    Attributes
    ----------
    measures : by name; the interval is where the truth of these rows should put the measure
    errors : standard error of each as an estimate of the expected measure
    effective_rows : how many rows of the reference speak for this chunk (Kish)
    unknown_share : share of rows with something that the reference never had, which no estimate can know
    """

    measures: dict[str, Measure]
    errors: dict[str, float]
    n: int
    effective_rows: float
    unknown_share: float


class Estimator:
    """Estimates without truth, by a reference that has it.

    Parameters
    ----------
    task : what the model says
    said : the reference's rows
    truth : (n,) of the same kind as `said.predicted`

    Raises
    ------
    BadInput
        The reference has fewer than 100 rows.
    """

    def __init__(self, task: Task, said: Said, truth: Array) -> None:
        n = len(said)
        if n < LEAST_REFERENCE:
            raise BadInput(f"the reference has {n} rows with truth; an estimate needs {LEAST_REFERENCE} or more")
        self.task, self.n = task, n
        self._said, self.truth = said, truth
        if task is Task.BINARY:
            target = truth.astype("f8")
        elif task is Task.CLASSES:
            target = (truth == said.predicted).astype("f8")
        else:
            target = np.abs(truth.astype("f8") - said.predicted.astype("f8"))
        self._calibrated = self._calibrate(said, target)
        self._chance = np.empty(0) if self._calibrated is None else self._calibrated(_score_of(said))
        self._known: Known | None = None
        if task is Task.BINARY:
            self._known = Known.of(np.asarray(truth, bool), self._chance, np.asarray(said.predicted, bool), said.score)
        self._used = _telling(said.features, target, n)
        columns = self._columns(said)
        grid = Grid.of(columns, _cells_of(len(columns), n))
        self._coded = grid.code(columns)
        self._ratio = DensityRatio(grid, self._coded)

    def _calibrate(self, said: Said, target: F8) -> Calibrated | None:
        """What a score, or for numbers a prediction, says of the target."""
        by = said.predicted.astype("f8") if self.task is Task.NUMBERS or said.score is None else said.score
        if self.task is not Task.NUMBERS:
            return Calibrated.fit(by, target)
        return None

    def _columns(self, said: Said) -> list[Array]:
        """All that rows are compared by: chosen features, score, prediction."""
        chosen = [said.features[k] for k in self._used]
        predicted = said.predicted.astype("f8" if self.task is not Task.CLASSES else "i8")
        return [*chosen, predicted] if said.score is None else [*chosen, said.score, predicted]

    def estimate(self, said: Said) -> Estimated:
        """Estimate the measures of a chunk.

        Raises
        ------
        BadInput
            The chunk has no rows.
        """
        if len(said) == 0:
            raise BadInput("a chunk without rows has no performance")
        return self._estimate(said, self._ratio.grid.code(self._columns(said)))

    def weights(self, said: Said) -> F8:
        """How much likelier each row of the reference is in a chunk: (n,), their mean is 1."""
        return self._ratio.weights(self._ratio.grid.code(self._columns(said)))

    def expected(self, said: Said) -> F8:
        """What to expect of each row, (n,): the chance of yes, that the prediction holds, or the absolute error."""
        if self._calibrated is not None:
            return self._calibrated(_score_of(said))
        last = self._ratio.grid.first[-1]  # the cells of the prediction
        here, there = self._ratio.grid.code(self._columns(said))[:, -1] - last, self._coded[:, -1] - last
        gap = np.abs(self.truth.astype("f8") - self._said.predicted.astype("f8"))
        size = int(max(here.max(initial=0), there.max())) + 1
        rows = np.bincount(there, minlength=size)
        found: F8 = np.where(rows > 0, np.bincount(there, gap, size) / np.maximum(rows, 1), gap.mean())[here]
        return found

    def on_reference(self, rows: slice | I8) -> Estimated:
        """The estimate of some of the reference's own rows, as if they were a chunk."""
        return self._estimate(self._said.part(rows), self._coded[rows])

    def _estimate(self, said: Said, coded: I8) -> Estimated:
        weights = self._ratio.weights(coded)
        expected = self._expected(said, coded, weights)
        return Estimated(
            {name: each.measure(len(said)) for name, each in expected.items()},
            {name: each.error for name, each in expected.items()},
            len(said),
            effective_size(weights),
            self._ratio.unknown_share(coded),
        )

    def _expected(self, said: Said, coded: I8, weights: F8) -> dict[str, Expected]:
        reference = self._said
        if self.task is Task.NUMBERS:
            last = self._ratio.grid.first[-1]  # the cells of the prediction
            here, there = coded[:, -1] - last, self._coded[:, -1] - last
            return numbers(self.truth, reference.predicted, there, here, weights)
        assert self._calibrated is not None
        chance = self._calibrated(_score_of(said))
        if self._known is None:
            return classes(self.truth == reference.predicted, self._chance, chance, weights)
        return binary(self._known, chance, np.asarray(said.predicted, bool), said.score, weights)


def _score_of(said: Said) -> F8:
    return said.predicted.astype("f8") if said.score is None else said.score


def _cells_of(columns: int, rows: int) -> int:
    """How finely each column is cut: few enough cells in all for the rows and for the matrix to invert."""
    room = min(MOST_CELLS, rows // ROWS_PER_CELL)
    return max(2, min(FEATURE_CELLS, room // max(columns, 1) - 2))


def _telling(features: Sequence[Array], target: F8, rows: int) -> tuple[int, ...]:
    """Which features to compare rows by: all if there is room, else those that tell most of the target."""
    room = max(1, min(MOST_CELLS, rows // ROWS_PER_CELL) // 6)
    if len(features) <= room:
        return tuple(range(len(features)))
    grid = Grid.of(features, 4)
    coded = grid.code(features)
    centred = target - target.mean()
    told = np.bincount(coded.ravel(), np.repeat(centred, len(features)), grid.size) ** 2 / np.maximum(
        grid.counts(coded), 1
    )
    by_feature = np.add.reduceat(told, grid.first)
    return tuple(sorted(int(k) for k in np.argsort(-by_feature, kind="stable")[:room]))
