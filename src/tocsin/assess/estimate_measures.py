"""Expected measures of a chunk: the mean of what is expected of its rows, mended by a weighted reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tocsin.assess.intervals import NONE, Measure, quantile, undefined
from tocsin.assess.performance import CONFIDENCE, log_losses
from tocsin.model.arrays import F8, I8, Array, Mask

_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Expected:
    """An expected measure: standard error as an estimate, and sd that the truth's own chance adds; both >= 0."""

    value: float
    error: float
    chance: float
    floor: float = 0.0
    ceiling: float = math.inf

    def measure(self, n: int, confidence: float = CONFIDENCE) -> Measure:
        """The value with the interval in which the truth of these rows should put it."""
        if math.isnan(self.value):
            return undefined("nothing to divide by", n)
        half = quantile(confidence) * math.hypot(self.error, self.chance)
        value = min(max(self.value, self.floor), self.ceiling)
        return Measure(value, max(self.floor, self.value - half), min(self.ceiling, self.value + half), n)


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """A measure that is a mean of `slope * truth + rest` over rows, on the chunk (asked) and the reference (known)."""

    slope_known: F8
    slope_asked: F8
    rest_asked: F8


def classes(correct: Mask, known: F8, asked: F8, weights: F8) -> dict[str, Expected]:
    """Accuracy of a model of several classes, from the chance that each prediction holds."""
    ones = np.ones_like
    part = _Linear(ones(known), ones(asked), np.zeros_like(asked))
    value = float(asked.mean() + (weights * (correct - known)).mean())
    return {"accuracy": _finished(value, part, correct - known, asked, weights, 1.0)}


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What of a reference enters every estimate of yes or no: (n,) each, made once.

    Attributes
    ----------
    chance : calibrated chance of yes; `missed` is truth less that
    said : 1 where yes was said
    slope : what the log loss of a row gains when its truth turns from no to yes; None without scores
    order : number of the row's score among the distinct ones; None without scores
    """

    truth: F8
    chance: F8
    missed: F8
    said: F8
    slope: F8 | None
    order: I8 | None

    @staticmethod
    def of(truth: Mask, chance: F8, said: Mask, score: F8 | None) -> Known:
        """From rows of a reference."""
        slope = order = None
        if score is not None:
            slope = _slope(score)
            order = np.unique(score, return_inverse=True)[1].astype("i8")
        real = truth.astype("f8")
        return Known(real, chance, real - chance, said.astype("f8"), slope, order)


def _slope(score: F8) -> F8:
    return log_losses(np.ones(1), score) - log_losses(np.zeros(1), score)


def binary(known: Known, chance: F8, said: Mask, score: F8 | None, weights: F8) -> dict[str, Expected]:
    """Measures of a model that says yes or no: `chance` of yes, whether yes was `said`, and `score`, of a chunk."""
    p0, p1, missed = known.said, said.astype("f8"), known.missed
    yes = float(p1.mean())
    hits = _share(chance * p1, missed * p0, weights)
    positive = max(_share(chance, missed, weights), hits)
    hits = min(hits, yes)
    both = yes + positive

    def made(value: float, slopes: tuple[F8, F8], rest: F8, ceiling: float = 1.0) -> Expected:
        return _finished(value, _Linear(*slopes, rest), missed, chance, weights, ceiling)

    found = {"accuracy": made(1 - yes - positive + 2 * hits, (2 * p0 - 1, 2 * p1 - 1), 1 - p1)}
    if yes > _LEAST:
        rate = hits / yes
        found["precision"] = made(rate, (p0 / yes, p1 / yes), -rate * p1 / yes)
    if positive > _LEAST:
        rate = hits / positive
        found["recall"] = made(rate, ((p0 - rate) / positive, (p1 - rate) / positive), np.zeros_like(p1))
    if both > _LEAST:
        rate = 2 * hits / both
        found["f1"] = made(rate, ((2 * p0 - rate) / both, (2 * p1 - rate) / both), -rate * p1 / both)
    if known.slope is not None and known.order is not None and score is not None:
        value = float(log_losses(chance, score).mean() + (weights * missed * known.slope).mean())
        found["log_loss"] = made(
            max(value, 0.0), (known.slope, _slope(score)), log_losses(np.zeros(1), score), math.inf
        )
        found["auc"] = _auc(known, chance, score, weights, positive)
    return found


def _share(asked: F8, missed: F8, weights: F8) -> float:
    return min(max(float(asked.mean() + (weights * missed).mean()), 0.0), 1.0)


def _finished(value: float, part: _Linear, missed: F8, asked: F8, weights: F8, ceiling: float) -> Expected:
    """Error from the spread of rows in the chunk and in the weighted reference; chance from truth not known yet."""
    n, m = asked.size, missed.size
    rows = part.slope_asked * asked + part.rest_asked
    own = float(rows.var(ddof=1)) / n if n > 1 else NONE
    lent = float(((weights * part.slope_known * missed) ** 2).mean()) / m
    chance = float((part.slope_asked**2 * asked * (1 - asked)).mean()) / n
    return Expected(value, math.sqrt(own + lent) if n > 1 else NONE, math.sqrt(chance), 0.0, ceiling)


def _auc(known: Known, chance: F8, score: F8, weights: F8, positive: float) -> Expected:
    """Area under the curve: that of the chances of the chunk, mended by what the chances missed of the reference.

    Its error is that of Hanley and McNeil (1982).
    """
    assert known.order is not None
    place = np.unique(score, return_inverse=True)[1].astype("i8")
    own = weighted_auc(place, chance, 1 - chance)
    real = weighted_auc(known.order, weights * known.truth, weights * (1 - known.truth))
    believed = weighted_auc(known.order, weights * known.chance, weights * (1 - known.chance))
    value = own + real - believed
    if math.isnan(value):
        return Expected(NONE, NONE, NONE)
    value = min(max(value, 0.0), 1.0)
    n = score.size
    ones, zeros = max(positive * n, 1.0), max((1 - positive) * n, 1.0)
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    spread = value * (1 - value) + (ones - 1) * (q1 - value**2) + (zeros - 1) * (q2 - value**2)
    error = math.sqrt(max(spread, 0.0) / (ones * zeros))
    return Expected(value, error, error, 0.0, 1.0)


def weighted_auc(order: I8, positive: F8, negative: F8) -> float:
    """Area under the curve of (n,) rows in `order`, each so much positive and so much negative; NaN if none.

    >>> weighted_auc(np.array([0, 1]), np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    1.0
    """
    yes, no = np.bincount(order, positive), np.bincount(order, negative)
    below = np.cumsum(no) - no / 2
    whole = float(yes.sum() * no.sum())
    return float((yes * below).sum()) / whole if whole > _LEAST else NONE


def numbers(truth: Array, predicted: Array, known: I8, asked: I8, weights: F8) -> dict[str, Expected]:
    """Errors of a model that gives numbers: expected by the cell of the prediction, mended by weights."""
    gap = np.abs(np.asarray(truth, "f8") - np.asarray(predicted, "f8"))
    size = int(max(known.max(), asked.max())) + 1
    found = {"mae": _loss(gap, known, asked, weights, size)}
    square = _loss(gap**2, known, asked, weights, size)
    root = math.sqrt(max(square.value, 0.0))
    by = 2 * root if root > 0 else 1.0
    found["rmse"] = Expected(root, square.error / by, square.chance / by)
    used = np.asarray(truth) != 0
    if used.any():
        share = gap[used] / np.abs(np.asarray(truth, "f8")[used])
        kept = weights[used]
        kept = kept / kept.mean() if kept.sum() > 0 else np.ones_like(kept)
        found["mape"] = _loss(share, known[used], asked, kept, size)
    return found


def _loss(loss: F8, known: I8, asked: I8, weights: F8, size: int) -> Expected:
    rows = np.bincount(known, minlength=size)
    mean = np.where(rows > 0, np.bincount(known, loss, size) / np.maximum(rows, 1), loss.mean())
    spread = np.bincount(known, (loss - mean[known]) ** 2, size) / np.maximum(rows, 1)
    spread = np.where(rows > 0, spread, loss.var())
    missed = loss - mean[known]
    value = max(float(mean[asked].mean() + (weights * missed).mean()), 0.0)
    n = asked.size
    own = float(mean[asked].var(ddof=1)) / n if n > 1 else NONE
    lent = float(((weights * missed) ** 2).mean()) / loss.size
    return Expected(value, math.sqrt(own + lent) if n > 1 else NONE, math.sqrt(float(spread[asked].mean()) / n))
