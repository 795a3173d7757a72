"""`Guarded`: a fixed model and the drift of what it is given; beside it the baseline, which may judge in its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from tocsin.calibrate.inputs import Inputs
from tocsin.detect.array import ArrayDetector
from tocsin.detect.baseline import Baseline
from tocsin.engine.composed import Composed
from tocsin.model.arrays import F8, I4, I8, Mask
from tocsin.model.detection import Band, Params, Scores, Step
from tocsin.stats.columns import Columns


class Guarded(Composed):
    """A detector that doesn't learn, watched: where its input drifts, the baseline judges, or its scores rank anew.

    With `fallback` the baseline learns all along, and judges a row from the day on that its input has drifted until
    it is what it was. Without, the model goes on, and its scores are ranked against what they are from now on; what
    it is given now becomes the reference. Call `observe` with every step, before `score`.

    >>> from tocsin.detect.ewma import Ewma
    >>> d, row = Guarded(Ewma(), Inputs(), fallback=True), np.zeros(1, "i4")
    >>> for k in range(24 * 20):
    ...     s = Step(row, np.array([k * 3600 * 10**9]), np.array([k * 7 % 100 + (60.0 if k > 24 * 15 else 0.0)]))
    ...     d.observe(s)
    ...     d.learn(s, np.ones(1))
    >>> d.explain(0)["judged_by_baseline"], d.renewed().tolist()
    (1.0, [0])
    """

    name: ClassVar[str] = "guarded"

    def __init__(self, model: ArrayDetector, inputs: Inputs, *, fallback: bool) -> None:
        self.model, self.baseline, self.inputs = model, Baseline(), inputs
        self.fallback = fallback
        self._renewed: I4 = np.zeros(0, "i4")

    def observe(self, step: Step) -> None:
        """Take in what the detector is given, whether it learns it or not."""
        moved = self.inputs.fold(step.rows, step.time, step.value)
        if not moved.size:
            return
        self._renewed = np.union1d(self._renewed, moved).astype("i4")
        if not self.fallback:
            self.inputs.settle(moved)

    # -- the detector's contract -------------------------------------------------------------------------------------

    def score(self, step: Step) -> Scores:
        """The model's scores; the baseline's where it judges; pure."""
        found, fallen = self.model.score(step), self._fallen(step.rows)
        if fallen.any():
            value = found.value.copy()
            value[fallen] = self.baseline.score(step.take(fallen)).value
            found = Scores(found.rows, value, found.at)
        return found

    def expect(self, step: Step, limit: F8 | None = None) -> Band:
        """The model's band; the baseline's where it judges; pure."""
        found, fallen = self.model.expect(step, limit), self._fallen(step.rows)
        if fallen.any():
            other = self.baseline.expect(step.take(fallen), None if limit is None else limit[fallen])
            for bound, its in ((found.lower, other.lower), (found.centre, other.centre), (found.upper, other.upper)):
                bound[fallen] = its
        return found

    def learn(self, step: Step, weight: F8) -> None:
        """Take a step in with weights in [0, 1], (n,)."""
        self.model.learn(step, weight)
        if self.fallback:
            self.baseline.learn(step, weight)

    def renewed(self) -> I4:
        """Rows that someone else judges, or whose input has drifted, since the last call; or whose judge says so."""
        found, self._renewed = self._renewed, np.zeros(0, "i4")
        model, baseline = self.model.renewed(), self.baseline.renewed()
        judged = np.concatenate([model[~self._fallen(model)], baseline[self._fallen(baseline)]])
        return np.union1d(found, judged).astype("i4")

    def entrained(self) -> I4:
        """Rows judged by the baseline that have come to expect a period of their own since the last call."""
        found = self.baseline.entrained()
        return found[self._fallen(found)]

    def adopt(self, params: Params) -> None:
        """Take what fitting found, or what rows are told to be."""
        self.model.adopt(params)
        if self.fallback:
            self.baseline.adopt(params)

    def turn(self, rows: I4, hours: I8) -> None:
        """Move what the baseline learned of the hours of the day; see `Baseline.turn`."""
        self.baseline.turn(rows, hours)

    def explain(self, row: int) -> Mapping[str, float]:
        """Who judges, how far the input is from its reference, and what the judge says."""
        fallen = bool(self._fallen(np.array([row], "i4"))[0])
        judge: ArrayDetector = self.baseline if fallen else self.model
        return {**judge.explain(row), **self.inputs.explain(row), "judged_by_baseline": float(fallen)}

    def warm(self, rows: I4) -> F8:
        """Share of the needed history seen, (n,), in [0, 1]."""
        return np.where(self._fallen(rows), self.baseline.warm(rows), self.model.warm(rows))

    def drifted(self) -> int:
        """Rows whose input has drifted and is not what it was yet."""
        return int(np.count_nonzero(self.inputs.state[: self.inputs.size]))

    def foreign(self) -> float:
        """Share of rows with two weeks of values that are given what the model was not made for; NaN without such rows.

        Those that have drifted and, where the model goes on with a new reference, those that ever have.
        """
        known = np.isfinite(self.inputs.distance[: self.inputs.size, 0])
        moved = self.inputs.state if self.fallback else self.inputs.drifts
        return float(np.mean(moved[: self.inputs.size][known] > 0)) if known.any() else math.nan

    def _fallen(self, rows: I4) -> Mask:
        if not self.fallback:
            return np.zeros(rows.size, bool)
        return self.inputs.drifted(rows)

    def _parts(self) -> dict[str, Columns]:
        return {"model": self.model, "baseline": self.baseline, "inputs": self.inputs}

    def forget(self, rows: I4) -> None:
        """Make these rows new, all but what they were given: that is still what the model was not made for."""
        self.model.forget(rows)
        self.baseline.forget(rows)
