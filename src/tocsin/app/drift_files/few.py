"""Performance of rows of which the truth is known for some only: the rest is spoken for by what the model said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tocsin.assess.estimate import Said, Task
from tocsin.assess.few_labels import QualityRate, mean_loss, quality_rate
from tocsin.assess.intervals import Measure
from tocsin.model.arrays import F8, Array, Mask

UNLIKE_Z: Final = 3.3
"""Standard errors between rows with and without truth from which they are called unlike (one in a thousand by chance)."""
UNLIKE_GAP: Final = 0.02
LEAST_LABELS: Final = 10


@dataclass(frozen=True, slots=True)
class FewLabels:
    """Measures by prediction-powered inference, by name; `unlike` says how labelled rows differ from the others."""

    rates: Mapping[str, QualityRate] = field(default_factory=dict)
    unlike: str = ""

    def over(self, plain: Mapping[str, Measure]) -> dict[str, Measure]:
        """Measures of the labelled rows with those that all rows speak for in their place."""
        return {**plain, **{name: each.rate for name, each in self.rates.items() if name in plain}}


def few_labels(task: Task, said: Said, truth: Array, known: Mask, expected: F8) -> FewLabels:
    """Measures of (n,) rows by the truth of the known ones.

    `expected` (n,) is what the reference lets expect of each row: the chance of yes (BINARY), that the prediction holds
    (CLASSES), or the absolute error (NUMBERS). Rows with truth must be drawn at random; where they visibly are not, it
    is said.
    """
    if task is Task.NUMBERS:
        gap = np.where(known, np.abs(np.asarray(truth, "f8") - np.asarray(said.predicted, "f8")), math.nan)
        rates = {"mae": mean_loss(gap, expected), "rmse": _root(mean_loss(gap**2, expected**2))}
        return FewLabels(rates, _unlike(expected, known, "an expected error", relative=True))
    predicted = said.predicted
    right = expected if task is Task.CLASSES else np.where(np.asarray(predicted, bool), expected, 1 - expected)
    label = np.where(known, (truth == predicted).astype("f8"), math.nan)
    rates = {"accuracy": quality_rate(label, right)}
    if task is Task.BINARY:
        yes = np.asarray(predicted, bool)
        if (known & yes).any():
            rates["precision"] = quality_rate(label[yes], expected[yes])
    return FewLabels(rates, _unlike(right, known, "an expected accuracy", relative=False))


def _root(square: QualityRate) -> QualityRate:
    """Of a mean square: its root, and that of the ends."""
    found = square.rate
    value, low, high = (
        math.sqrt(max(x, 0.0)) if not math.isnan(x) else x for x in (found.value, found.low, found.high)
    )
    return QualityRate(Measure(value, low, high, found.n, found.note), square.rows, square.worth)


def _unlike(expected: F8, known: Mask, what: str, *, relative: bool) -> str:
    """How rows with truth differ from those without, empty if by no more than chance."""
    with_truth, without = expected[known], expected[~known]
    if min(with_truth.size, without.size) < LEAST_LABELS:
        return ""
    one, other = float(with_truth.mean()), float(without.mean())
    error = math.sqrt(float(with_truth.var()) / with_truth.size + float(without.var()) / without.size)
    least = UNLIKE_GAP * (abs(other) if relative else 1.0)
    if abs(one - other) < max(least, UNLIKE_Z * error):
        return ""
    return f"rows with truth have {what} of {one:.3g}, those without one of {other:.3g}"
