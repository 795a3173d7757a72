"""Each law catches the bug it is there for."""

import numpy as np
import pytest

from tocsin.detect.array import column
from tocsin.detect.ewma import Ewma
from tocsin.model.detection import Scores, Step
from tocsin.testing import laws

_calls = {"n": 0}


class Whimsical(Ewma):
    def _learn(self, step, weight):
        _calls["n"] += 1
        super()._learn(step, weight)
        self.mean[step.rows] += 1e-9 * _calls["n"]


class Batchwise(Ewma):
    def _learn(self, step, weight):
        super()._learn(step, weight / len(step))


class Positional(Ewma):
    def _score(self, step):
        return super()._score(step) + 1e-6 * np.arange(len(step))


class Gossiping(Ewma):
    def _learn(self, step, weight):
        super()._learn(step, weight)
        self.mean[step.rows] += 1e-6 * (np.sort(step.value)[0] - self.mean[step.rows])


class Amnesic(Ewma):
    def __init__(self):
        super().__init__()
        self.hidden = 0

    def _learn(self, step, weight):
        self.hidden += 1
        super()._learn(step, weight)
        self.mean[step.rows] += 1e-6 * self.hidden


class Sharing(Ewma):
    def snapshot(self):
        return {name: getattr(self, name)[: self.size] for name in self._columns}


class Impure(Ewma):
    def _score(self, step):
        self.mean[step.rows] += 1e-6
        return super()._score(step)


class Poisoned(Ewma):
    def learn(self, step, weight):
        step = self._plain(step)
        keep = weight > 0
        self.touch(step.rows[keep])
        self._learn(step.take(keep), weight[keep])


class Greedy(Ewma):
    def learn(self, step, weight):
        super().learn(step, np.maximum(weight, 0.1))


class Credulous(Ewma):
    def _learn(self, step, weight):
        for row, value in zip(step.rows, step.value, strict=True):
            first = self.seen[row] == 0
            gap = 0.0 if first else value - self.mean[row]
            self.mean[row] = value if first else self.mean[row] + self.alpha * gap
            self.var[row] = (1 - self.alpha) * (self.var[row] + self.alpha * gap * gap)
            self.seen[row] += 1


class Moody(Ewma):
    def adopt(self, params):
        _calls["n"] += 1
        super().adopt(params)
        self.mean[: self.size] += 1e-6 * _calls["n"]


class Hasty(Ewma):
    def warm(self, rows):
        return np.ones(len(rows))


class Clinging(Ewma):
    kept = column(0.0)

    def forget(self, rows):
        mean = self.mean[rows].copy()
        super().forget(rows)
        self.seen[rows], self.mean[rows] = 15, mean


class Blind(Ewma):
    def _score(self, step):
        return np.minimum(super()._score(step), 1.0)


class Prophetic(Ewma):
    def score(self, step):
        found = super().score(step)
        return Scores(found.rows, found.value, found.at + 1)


MUTANTS = [
    (Whimsical, laws.law_is_deterministic),
    (Batchwise, laws.law_splits_mean_nothing),
    (Positional, laws.law_order_of_rows_means_nothing),
    (Gossiping, laws.law_series_do_not_touch_each_other),
    (Amnesic, laws.law_restart_is_no_restart),
    (Sharing, laws.law_snapshot_is_a_copy),
    (Impure, laws.law_scoring_is_pure),
    (Poisoned, laws.law_bad_values_are_harmless),
    (Greedy, laws.law_weight_zero_learns_nothing),
    (Credulous, laws.law_influence_is_bounded),
    (Moody, laws.law_adopt_replays),
    (Hasty, laws.law_silent_until_warm),
    (Clinging, laws.law_forget_makes_new),
    (Blind, laws.law_a_planted_spike_is_found),
    (Prophetic, laws.law_scores_and_bands_are_sane),
]


@pytest.mark.parametrize(("mutant", "law"), MUTANTS, ids=lambda case: case.__name__)
def test_law_kills_mutant(mutant, law):
    law(Ewma)
    with pytest.raises(AssertionError):
        law(mutant)


def test_every_law_has_its_mutant():
    assert {law for _, law in MUTANTS} == set(laws.LAWS)


def test_check_detector_names_the_broken_law():
    laws.check_detector(Ewma)
    with pytest.raises(AssertionError, match="law_a_planted_spike_is_found"):
        laws.check_detector(Blind)


def test_a_step_is_taken_by_mask():
    step = Step(np.arange(3, dtype="i4"), np.zeros(3, "i8"), np.array([1.0, 2.0, 3.0]))
    assert step.take(np.array([False, True, False])).value.tolist() == [2.0]
