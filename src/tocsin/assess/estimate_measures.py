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


def binary(
    *, truth: Mask, known: tuple[F8, Mask, F8 | None], asked: tuple[F8, Mask, F8 | None], weights: F8
) -> dict[str, Expected]:
    """Measures of a model that says yes or no; `known` and `asked` are (chance of yes, said yes, score)."""
    q0, p0, s0 = known[0], known[1].astype("f8"), known[2]
    q1, p1, s1 = asked[0], asked[1].astype("f8"), asked[2]
    missed = truth - q0
    said = float(p1.mean())
    hits = _share(q1 * p1, missed * p0, weights)
    positive = max(_share(q1, missed, weights), hits)
    hits = min(hits, said)
    both = said + positive

    def made(value: float, slopes: tuple[F8, F8], rest: F8, ceiling: float = 1.0) -> Expected:
        return _finished(value, _Linear(*slopes, rest), missed, q1, weights, ceiling)

    found = {"accuracy": made(1 - said - positive + 2 * hits, (2 * p0 - 1, 2 * p1 - 1), 1 - p1)}
    if said > _LEAST:
        rate = hits / said
        found["precision"] = made(rate, (p0 / said, p1 / said), -rate * p1 / said)
    if positive > _LEAST:
        rate = hits / positive
        found["recall"] = made(rate, ((p0 - rate) / positive, (p1 - rate) / positive), np.zeros_like(p1))
    if both > _LEAST:
        rate = 2 * hits / both
        found["f1"] = made(rate, ((2 * p0 - rate) / both, (2 * p1 - rate) / both), -rate * p1 / both)
    if s0 is not None and s1 is not None:
        yes, no = np.ones(1), np.zeros(1)
        slopes = (log_losses(yes, s0) - log_losses(no, s0), log_losses(yes, s1) - log_losses(no, s1))
        value = float(log_losses(q1, s1).mean() + (weights * missed * slopes[0]).mean())
        found["log_loss"] = made(max(value, 0.0), slopes, log_losses(no, s1), math.inf)
        found["auc"] = _auc(truth, (q0, s0), (q1, s1), weights, positive)
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


def _auc(truth: Mask, known: tuple[F8, F8], asked: tuple[F8, F8], weights: F8, positive: float) -> Expected:
    """Area under the curve: that of the chances of the chunk, mended by what the chances missed of the reference.

    Its error is that of Hanley and McNeil (1982).
    """
    own = weighted_auc(asked[1], asked[0], 1 - asked[0])
    real = weighted_auc(known[1], weights * truth, weights * ~truth)
    believed = weighted_auc(known[1], weights * known[0], weights * (1 - known[0]))
    value = own + real - believed
    if math.isnan(value):
        return Expected(NONE, NONE, NONE)
    value = min(max(value, 0.0), 1.0)
    n = asked[0].size
    ones, zeros = max(positive * n, 1.0), max((1 - positive) * n, 1.0)
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    spread = value * (1 - value) + (ones - 1) * (q1 - value**2) + (zeros - 1) * (q2 - value**2)
    error = math.sqrt(max(spread, 0.0) / (ones * zeros))
    return Expected(value, error, error, 0.0, 1.0)


def weighted_auc(score: F8, positive: F8, negative: F8) -> float:
    """Area under the curve of (n,) scores where each row is so much positive and so much negative; NaN if none.

    >>> weighted_auc(np.array([0.1, 0.9]), np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    1.0
    """
    _, place = np.unique(score, return_inverse=True)
    yes, no = np.bincount(place, positive), np.bincount(place, negative)
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
