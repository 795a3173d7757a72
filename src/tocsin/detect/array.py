"""`ArrayDetector`: what every detector with array state shares; a new detector is one file that extends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Band, Params, Scores, Step
from tocsin.stats.columns import Columns, column, numbers_of, rows_of, times_of

__all__ = ["ArrayDetector", "column"]


class ArrayDetector(Columns):
    """Base of detectors: state declared with `column`, arithmetic in `_score`, `_band` and `_learn`.

    Subclasses get arrays that kernels can take as they are (contiguous, writeable, rows reserved).
    """

    name: ClassVar[str]
    seen: I4 = column(0, "i4")

    def __init__(self, *, warmup: float = 15, **shapes: tuple[int, ...]) -> None:
        super().__init__(**shapes)
        if not warmup >= 1:
            raise ValueError(f"{self.name}: warmup must be at least 1 step, got {warmup}")
        self.warmup = int(warmup)

    def score(self, step: Step) -> Scores:
        """Score each row against what was learned before, (n,); pure; NaN until warm."""
        step = self._plain(step)
        return Scores(step.rows, self._score(step), step.time)

    def expect(self, step: Step, limit: F8 | None = None) -> Band:
        """Band in which a value at `step.time` scores at most `limit` (n,), by default 3; pure."""
        step = self._plain(step)
        width = np.full(len(step), 3.0) if limit is None else numbers_of(limit)
        lower, centre, upper = self._band(step, width)
        cold = self.seen[step.rows] < self.warmup
        if np.count_nonzero(cold):
            for bound in (lower, centre, upper):
                bound[cold] = np.nan
        return Band(lower, centre, upper)

    def learn(self, step: Step, weight: F8) -> None:
        """Take a step in with weights in [0, 1], (n,); 0 and values that are not finite teach nothing."""
        step = self._plain(step)
        useful = np.isfinite(step.value) & (weight > 0)
        if np.count_nonzero(useful) < len(useful):
            step, weight = step.take(useful), weight[useful]
        if len(step):
            self.touch(step.rows)
            self._learn(step, numbers_of(np.minimum(weight, 1.0)))

    def renewed(self) -> I4:
        """Rows whose expectation stands on new ground since the last call; most detectors have none."""
        return np.zeros(0, "i4")

    def entrained(self) -> I4:
        """Rows that have come to expect a period of their own since the last call; most detectors find none."""
        return np.zeros(0, "i4")

    def adopt(self, params: Params) -> None:
        """Take what fitting found: columns of this detector by name, with `rows` that they are for."""
        if "rows" not in params:
            return
        rows = rows_of(params["rows"].astype(np.int32))
        self.touch(rows)
        for name in sorted(self._columns.keys() & params.keys()):
            getattr(self, name)[rows] = params[name]

    def explain(self, row: int) -> Mapping[str, float]:
        """The scalar state of one row, by name."""
        if row >= self.size:
            return {}
        scalars = (name for name, found in self._columns.items() if not found.shape)
        return {name: float(getattr(self, name)[row]) for name in scalars}

    def warm(self, rows: I4) -> F8:
        """Share of the needed history seen, (n,), in [0, 1]; 1 = scores are given."""
        self.reserve(rows)
        return np.minimum(self.seen[rows] / float(self.warmup), 1.0)

    def _plain(self, step: Step) -> Step:
        self.reserve(step.rows)
        season = None if step.season is None else times_of(step.season)
        beside = None if step.beside is None else numbers_of(step.beside)
        return Step(rows_of(step.rows), times_of(step.time), numbers_of(step.value), season, beside)

    def _score(self, step: Step) -> F8:
        raise NotImplementedError

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        raise NotImplementedError

    def _learn(self, step: Step, weight: F8) -> None:
        raise NotImplementedError
