"""A rate of quality from few labels: a sample is judged, a cheap proxy (an automatic judge, a score) covers all.

Prediction-powered inference (Angelopoulos et al. 2023, "Prediction-powered inference"; the power-tuned form is
Angelopoulos, Duchi, Zrnic 2023, "PPI++"): the mean of the proxy over all rows, plus what the proxy gets wrong on
the labelled ones. A proxy that says nothing costs nothing, one that is biased biases nothing, one that is good makes
the interval narrower. The interval is Wilson's with the size that the labels are worth: the normal interval of the
papers fails where few labels or few failures are in, which is where quality rates live.

Labels must be of rows drawn at random within their segment; otherwise no method is honest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tocsin.assess.intervals import Measure, quantile, undefined, wilson
from tocsin.model.arrays import F8, Array, Mask
from tocsin.model.errors import BadInput

CONFIDENCE: Final = 0.95
LEAST_PAIRS: Final = 8
"""Labels of the rarer kind (good or bad) below which a proxy is not used: what it is worth can't be known."""
LEAST_LOSSES: Final = 40
"""Labels below which a proxy of a loss is not used."""
CAUTION: Final = 1.0
"""Standard errors by which the proxy is trusted less than it seems to deserve."""


@dataclass(frozen=True, slots=True)
class QualityRate:
    """A rate with its interval.

    Attributes
    ----------
    rate : estimate and interval (of a share, or of a mean loss); `n` is the number of labels
    rows : rows of the segment, labelled or not
    worth : how many labels without a proxy would say as much; the number of labels where no proxy is used
    """

    rate: Measure
    rows: int
    worth: float

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {**self.rate.to_json(), "labels": self.rate.n, "rows": self.rows, "worth_labels": self.worth}


def quality_rate(label: F8, proxy: F8 | None = None, confidence: float = CONFIDENCE) -> QualityRate:
    """The share of good rows.

    Parameters
    ----------
    label : (n,) 1 good, 0 bad, NaN where nobody judged
    proxy : (n,) any number that goes with quality, NaN where there is none; rows without one are counted without
    confidence : of the interval

    Raises
    ------
    BadInput
        A label is neither 0, 1 nor missing, or the columns differ in length.

    >>> found = quality_rate(np.array([1.0, 1.0, 0.0, np.nan]))
    >>> round(found.rate.value, 3), found.rate.n, found.rows
    (0.667, 3, 4)
    """
    if not np.all(np.isnan(label) | (label == 0) | (label == 1)):
        raise BadInput("a label of quality is 1 (good), 0 (bad) or missing")
    if proxy is not None and proxy.shape != label.shape:
        raise BadInput(f"{label.size} labels and {proxy.size} values of the proxy are of different rows")
    judged = ~np.isnan(label)
    count, rows = int(np.count_nonzero(judged)), int(label.size)
    if count == 0:
        return QualityRate(undefined("no row has a label"), rows, 0.0)
    plain = float(label[judged].mean())
    if proxy is None or not _usable(label, proxy, judged):
        low, high = wilson(plain * count, count, confidence)
        return QualityRate(Measure(plain, low, high, count, _census(count, rows)), rows, float(count))
    return _powered(label, proxy, judged, confidence)


def _usable(label: F8, proxy: F8, judged: Mask) -> bool:
    good = float(label[judged].sum())
    rarer = min(good, np.count_nonzero(judged) - good)
    known = np.isfinite(proxy)
    return bool(rarer >= LEAST_PAIRS and known.all() and proxy[judged].std() > 0)


def _census(count: int, rows: int) -> str:
    return "every row has a label" if count == rows else ""


def _powered(label: F8, proxy: F8, judged: Mask, confidence: float) -> QualityRate:
    """The regression estimator with the slope that serves best, trusted as far as the labels let it be."""
    y, f = label[judged], proxy[judged]
    n, rows = y.size, label.size
    share = n / rows
    covariance = float(((y - y.mean()) * (f - f.mean())).mean())
    slope = covariance / float(f.var())  # of the labelled rows alone: a good proxy then has it right in any sample
    value = float(y.mean() + slope * (proxy.mean() - f.mean()))
    correlation = min(max(covariance / math.sqrt(float(y.var()) * float(f.var())), -0.999), 0.999)
    # what the proxy explains, taken at the cautious end (Fisher's z), by the labels that are rare
    rarer = min(float(y.sum()), n - float(y.sum()))
    sure = math.tanh(max(math.atanh(abs(correlation)) - CAUTION / math.sqrt(rarer - 3), 0.0))
    variance_left = 1 - sure**2 * (1 - share)
    worth = n / variance_left
    value = min(max(value, 0.0), 1.0)
    low, high = wilson(value * worth, worth, confidence)
    return QualityRate(Measure(value, low, high, n, _census(n, rows)), rows, worth)


def mean_loss(loss: F8, proxy: F8, confidence: float = CONFIDENCE) -> QualityRate:
    """The mean of a loss such as an absolute error, from few labels: the same estimator with an interval of its own.

    Half of the interval is Student's quantile, by its first terms (Fisher, Cornish 1960), times the standard error.

    Parameters
    ----------
    loss : (n,) not below 0, NaN where the truth is not known
    proxy : (n,) any number that goes with the loss

    Raises
    ------
    BadInput
        The columns differ in length.

    >>> found = mean_loss(np.array([1.0, 3.0, np.nan]), np.array([1.0, 1.0, 1.0]))
    >>> found.rate.value, found.rate.n, found.worth
    (2.0, 2, 2.0)
    """
    if proxy.shape != loss.shape:
        raise BadInput(f"{loss.size} labels and {proxy.size} values of the proxy are of different rows")
    judged = ~np.isnan(loss)
    y, f = loss[judged], proxy[judged]
    n, rows = y.size, loss.size
    if n < 2:
        note = "one row gives no interval" if n else "no row has a label"
        return QualityRate(Measure(float(y[0]), n=1, note=note) if n else undefined(note), rows, float(n))
    value, left = float(y.mean()), 1.0
    if n >= LEAST_LOSSES and np.isfinite(proxy).all() and f.std() > 0 and y.std() > 0:
        covariance = float(((y - value) * (f - f.mean())).mean())
        value += covariance / float(f.var()) * (float(proxy.mean()) - float(f.mean()))
        correlation = min(abs(covariance) / float(y.std() * f.std()), 0.999)
        sure = math.tanh(max(math.atanh(correlation) - CAUTION / math.sqrt(n - 3), 0.0))
        left = 1 - sure**2 * (1 - n / rows)
    z = quantile(confidence)
    half = (z + (z**3 + z) / (4 * (n - 1))) * math.sqrt(float(y.var(ddof=1)) * left / n)
    value = max(value, 0.0)
    return QualityRate(Measure(value, max(value - half, 0.0), value + half, n, _census(n, rows)), rows, n / left)


def by_segment(
    segment: Array, label: F8, proxy: F8 | None = None, confidence: float = CONFIDENCE
) -> Mapping[str, QualityRate]:
    """The rate of each segment, by its own labels and proxy; the confidence is that of each, not of all together."""
    names = np.asarray(segment)
    found = {}
    for name in np.unique(names):
        inside = names == name
        found[str(name)] = quality_rate(label[inside], None if proxy is None else proxy[inside], confidence)
    return found
