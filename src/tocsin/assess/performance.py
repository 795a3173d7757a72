"""How good predictions were, once the truth is known; every measure with an interval, also where it is undefined."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tocsin.assess.intervals import Measure, mean_of, rate_of, undefined, wilson, within_unit
from tocsin.model.arrays import F8, Array, Mask

CONFIDENCE: Final = 0.95
EPSILON: Final = 1e-15
"""Scores are kept this far from 0 and 1 before their logarithm is taken."""
BINS: Final = 10
REPLICATES: Final = 400
NO_ROWS: Final = "no rows with truth"


def accuracy(truth: Array, predicted: Array, confidence: float = CONFIDENCE) -> Measure:
    """Share of (n,) predictions equal to the truth, with Wilson's interval.

    >>> accuracy(np.array([1, 0, 1, 1]), np.array([1, 0, 0, 1])).value
    0.75
    """
    return rate_of(int(np.count_nonzero(truth == predicted)), truth.size, confidence, NO_ROWS)


def precision(truth: Mask, predicted: Mask, confidence: float = CONFIDENCE) -> Measure:
    """Share of the predicted positives that are positive."""
    hits = int(np.count_nonzero(truth & predicted))
    return rate_of(hits, int(np.count_nonzero(predicted)), confidence, "nothing was predicted positive")


def recall(truth: Mask, predicted: Mask, confidence: float = CONFIDENCE) -> Measure:
    """Share of the positives that were predicted so."""
    hits = int(np.count_nonzero(truth & predicted))
    return rate_of(hits, int(np.count_nonzero(truth)), confidence, "no row is positive in truth")


def f1(truth: Mask, predicted: Mask, confidence: float = CONFIDENCE) -> Measure:
    """Harmonic mean of precision and recall.

    F1 = 2p / (1 + p), where p = TP / (TP + FP + FN) is a share of its own rows, so the ends of Wilson's interval for p
    map to those of F1.

    >>> round(f1(np.array([True, True, False]), np.array([True, False, False])).value, 3)
    0.667
    """
    hits = int(np.count_nonzero(truth & predicted))
    either = int(np.count_nonzero(truth | predicted))
    if either == 0:
        return undefined("no row is positive, neither in truth nor as predicted", truth.size)
    low, high = wilson(hits, either, confidence)
    return Measure(_f1(hits / either), _f1(low), _f1(high), truth.size)


def _f1(share: float) -> float:
    return 2 * share / (1 + share)


def auc(truth: Mask, score: F8, confidence: float = CONFIDENCE) -> Measure:
    """Chance that a positive scores above a negative, ties counted half, with DeLong's interval on the logit scale.

    DeLong, DeLong, Clarke-Pearson (1988), by the midranks of Sun and Xu (2014). Where the classes are parted wholly,
    the variance is 0 and says nothing: then the interval is Wilson's with the smaller class as its size.

    >>> auc(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8])).value
    0.75
    """
    positive, negative = score[truth], score[~truth]
    m, k = positive.size, negative.size
    if m == 0 or k == 0:
        return undefined("the truth holds one class" if truth.size else NO_ROWS, truth.size)
    everyone = midranks(np.concatenate([positive, negative]))
    above = (everyone[:m] - midranks(positive)) / k
    below = 1 - (everyone[m:] - midranks(negative)) / m
    value = float(above.mean())
    if m < 2 or k < 2 or value in (0.0, 1.0):
        low, high = wilson(value * min(m, k), min(m, k), confidence)
        return Measure(value, low, high, truth.size)
    error = math.sqrt(float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / k)
    low, high = within_unit(value, error, confidence)
    return Measure(value, low, high, truth.size)


def midranks(values: F8) -> F8:
    """Ranks of (n,) values from 1, equal ones sharing the mean of their places.

    >>> midranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: F8 = (last - (counts - 1) / 2)[place]
    return ranks


def log_losses(truth: F8, score: F8) -> F8:
    """Log loss of each of (n,) scores; `truth` may be a probability in [0, 1], which gives the expected loss."""
    p = np.clip(score, EPSILON, 1 - EPSILON)
    losses: F8 = -(truth * np.log(p) + (1 - truth) * np.log1p(-p))
    return losses


def log_loss(truth: Mask, score: F8, confidence: float = CONFIDENCE) -> Measure:
    """Mean negative log likelihood of the truth, in nats."""
    return mean_of(log_losses(truth.astype("f8"), score), confidence, NO_ROWS)


def calibration_error(truth: Mask, score: F8, rng: np.random.Generator, confidence: float = CONFIDENCE) -> Measure:
    """Mean gap between score and rate of positives over 10 bins of equal width, weighted by their rows (ECE).

    Naeini, Cooper, Hauskrecht (2015). The interval is a parametric bootstrap: the gap of each bin is drawn anew from
    its normal law, and the excess that noise alone adds is taken off the ends.
    """
    n = truth.size
    if n == 0:
        return undefined(NO_ROWS)
    which = np.minimum((score * BINS).astype("i8"), BINS - 1)
    rows = np.bincount(which, minlength=BINS).astype("f8")
    gap = np.bincount(which, truth - score, BINS)
    square = np.bincount(which, (truth - score) ** 2, BINS)
    used = rows > 0
    gap, rows, square = gap[used] / rows[used], rows[used], square[used]
    value = float((rows * np.abs(gap)).sum() / n)
    error = np.sqrt(np.maximum(square / rows - gap**2, 0) / np.maximum(rows - 1, 1))
    drawn = (rows * np.abs(gap + error * rng.standard_normal((REPLICATES, gap.size)))).sum(1) / n
    excess = max(0.0, float(drawn.mean()) - value)
    low, high = (float(np.quantile(drawn, (1 + side * confidence) / 2)) - excess for side in (-1, 1))
    return Measure(value, max(0.0, min(low, value)), min(1.0, max(high, value)), n)


def mae(truth: F8, predicted: F8, confidence: float = CONFIDENCE) -> Measure:
    """Mean absolute error, in the unit of the truth."""
    return _not_below_zero(mean_of(np.abs(truth - predicted), confidence, NO_ROWS))


def rmse(truth: F8, predicted: F8, confidence: float = CONFIDENCE) -> Measure:
    """Root of the mean squared error; its interval is the root of that of the mean square.

    >>> rmse(np.array([1.0, 2.0]), np.array([1.0, 4.0])).value == 2 ** 0.5
    True
    """
    square = _not_below_zero(mean_of((truth - predicted) ** 2, confidence, NO_ROWS))
    low, value, high = (math.sqrt(x) if not math.isnan(x) else x for x in (square.low, square.value, square.high))
    return Measure(value, low, high, square.n, square.note)


def mape(truth: F8, predicted: F8, confidence: float = CONFIDENCE) -> Measure:
    """Mean absolute error as a share of the truth; rows whose truth is 0 can't be part of it and are counted."""
    used = truth != 0
    zeros = int(truth.size - np.count_nonzero(used))
    empty = f"the truth is 0 in all {zeros} rows" if zeros else NO_ROWS
    found = _not_below_zero(mean_of(np.abs((truth[used] - predicted[used]) / truth[used]), confidence, empty))
    note = f"{zeros} rows with a truth of 0 left out" if zeros and found.defined else found.note
    return Measure(found.value, found.low, found.high, found.n, note)


def _not_below_zero(found: Measure) -> Measure:
    low = max(0.0, found.low) if found.defined and not math.isnan(found.low) else found.low
    return Measure(found.value, low, found.high, found.n, found.note)


def click_through_rate(clicks: int, shown: int, confidence: float = CONFIDENCE) -> Measure:
    """Clicks by items shown, with Wilson's interval.

    >>> click_through_rate(0, 0).note
    'nothing was shown'
    """
    return rate_of(clicks, shown, confidence, "nothing was shown")


def ndcg(query: Array, score: F8, gain: F8, at: int = 10, confidence: float = CONFIDENCE) -> Measure:
    """Normalised discounted cumulative gain of the first `at` items, averaged over queries.

    Järvelin and Kekäläinen (2002) with gains as given and log2 discounts; rows are items, of equal scores the one that
    comes first leads. Queries without any gain have none and are counted. The interval is over queries.

    >>> round(ndcg(np.array([1, 1]), np.array([0.9, 0.1]), np.array([0.0, 1.0])).value, 4)   # 1 / log2(3)
    0.6309
    """
    if query.size == 0:
        return undefined("no rows")
    _, number = np.unique(query, return_inverse=True)
    got, best = (_discounted(number, order, gain, at) for order in (-score, -gain))
    used = best > 0
    without = int(used.size - np.count_nonzero(used))
    found = mean_of(got[used] / best[used], confidence, "no query has an item of any gain")
    note = f"{without} queries without any gain left out" if without and found.defined else found.note
    low, high = (max(0.0, found.low), min(1.0, found.high)) if found.n > 1 else (math.nan, math.nan)
    return Measure(found.value, low, high, found.n, note)


def _discounted(number: Array, order: F8, gain: F8, at: int) -> F8:
    """DCG of each query, its items taken by `order`."""
    by = np.lexsort((order, number))
    sorted_number = np.asarray(number, "i8")[by]
    starts = np.flatnonzero(np.diff(sorted_number, prepend=-1))
    place = np.arange(by.size) - np.repeat(starts, np.diff(np.append(starts, by.size)))
    worth = np.where(place < at, gain[by] / np.log2(place + 2.0), 0.0)
    return np.asarray(np.bincount(sorted_number, worth), "f8")


def of_classes(
    truth: Mask, predicted: Mask, score: F8 | None, rng: np.random.Generator, confidence: float = CONFIDENCE
) -> dict[str, Measure]:
    """All measures of a model that says yes or no; those of scores only where there are some (0 to 1)."""
    found = {
        "accuracy": accuracy(truth, predicted, confidence),
        "precision": precision(truth, predicted, confidence),
        "recall": recall(truth, predicted, confidence),
        "f1": f1(truth, predicted, confidence),
    }
    if score is not None:
        found["auc"] = auc(truth, score, confidence)
        found["log_loss"] = log_loss(truth, score, confidence)
        found["calibration_error"] = calibration_error(truth, score, rng, confidence)
    return found


def of_numbers(truth: F8, predicted: F8, confidence: float = CONFIDENCE) -> dict[str, Measure]:
    """All measures of a model that gives numbers."""
    return {each.__name__: each(truth, predicted, confidence) for each in (mae, rmse, mape)}
