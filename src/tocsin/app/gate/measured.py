"""Measures of records by name: of predictions against truth, and of any column of numbers."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.gate.records import Records
from tocsin.assess import performance
from tocsin.assess.intervals import Measure
from tocsin.assess.quantiles import quantile
from tocsin.assess.slices import Losses
from tocsin.model.arrays import F8, Mask
from tocsin.model.errors import BadInput
from tocsin.spec.gate import ColumnsSpec

POSITIVE: Final = ("1", "true", "yes", "positive")
NEGATIVE: Final = ("0", "false", "no", "negative", "-1")
NUMBERS: Final = {"mae": performance.mae, "rmse": performance.rmse, "mape": performance.mape}
_DECIDED: Final = {"precision": performance.precision, "recall": performance.recall, "f1": performance.f1}


def outcome(records: Records, columns: ColumnsSpec, name: str, level: float) -> Measure:
    """How good predictions were where the truth is known.

    Raises
    ------
    BadInput
        A column holds what the measure can't be taken of.
    KeyError
        A column is missing.
    """
    if name in NUMBERS:
        truth, said = records.numbers(columns.truth), records.numbers(columns.prediction)
        known = np.isfinite(truth) & np.isfinite(said)
        return NUMBERS[name](truth[known], said[known], 1 - level)
    if name == "accuracy":
        right, known = agreement(records, columns)
        return performance.accuracy(np.ones(int(known.sum()), bool), right[known], 1 - level)
    truth_of = records.labels(columns.truth)
    known = pc.is_valid(truth_of).to_numpy(zero_copy_only=False)
    positive = positive_of(records, columns)
    true = is_positive(truth_of, positive)
    if name in _DECIDED:
        said_of = records.labels(columns.prediction)
        known &= pc.is_valid(said_of).to_numpy(zero_copy_only=False)
        return _DECIDED[name](true[known], is_positive(said_of, positive)[known], 1 - level)
    score = records.numbers(columns.score)
    known &= np.isfinite(score)
    truth_known, score_known = true[known], score[known]
    if score_known.size and (score_known.min() < 0 or score_known.max() > 1) and name != "auc":
        raise BadInput(f"{records.path}: {name} needs scores between 0 and 1, and {columns.score!r} holds others")
    if name == "auc":
        return performance.auc(truth_known, score_known, 1 - level)
    if name == "log_loss":
        return performance.log_loss(truth_known, score_known, 1 - level)
    return performance.calibration_error(truth_known, score_known, np.random.default_rng(0), 1 - level)


def agreement(records: Records, columns: ColumnsSpec) -> tuple[Mask, Mask]:
    """Where prediction and truth are the same, and where both are known, (n,) each; 1, 1.0 and "1" are the same."""
    said, truth = records.labels(columns.prediction), records.labels(columns.truth)
    equal = pc.equal(pc.utf8_lower(said), pc.utf8_lower(truth))
    known = pc.is_valid(equal).to_numpy(zero_copy_only=False)
    return pc.fill_null(equal, False).to_numpy(zero_copy_only=False), known


def is_positive(labels: Any, positive: str) -> Mask:
    """Where a label is the positive class, (n,)."""
    equal = pc.equal(pc.utf8_lower(labels), pa.scalar(positive.lower(), pa.large_string()))
    found: Mask = pc.fill_null(equal, False).to_numpy(zero_copy_only=False)
    return found


def positive_of(records: Records, columns: ColumnsSpec) -> str:
    """The positive class: as the policy says, else what means yes.

    Raises
    ------
    BadInput
        Which it is, is open.
    """
    if columns.positive is not None:
        return columns.positive
    seen: set[str] = set()
    for name in (columns.prediction, columns.truth):
        if records.has(name):
            seen |= {text.lower() for text in pc.unique(records.labels(name).drop_null()).slice(0, 1000).to_pylist()}
    yes = [name for name in POSITIVE if name in seen]
    if seen <= {*POSITIVE, *NEGATIVE}:
        return yes[0] if yes else POSITIVE[0]
    raise BadInput(
        f"{records.path}: which of {', '.join(sorted(seen)[:5])} is the positive class is open; "
        "say it in the policy: `columns: {positive: ...}`"
    )


def aggregate(values: F8, name: str, level: float) -> Measure:
    """One number of many, with its interval; those of the rows themselves (min, max) have none."""
    values = values[np.isfinite(values)]
    if not values.size:
        return Measure(math.nan, note="no row holds a number")
    if name == "mean":
        return Losses(values).mean_of(values, level)
    if name in ("min", "max"):
        value = float(values.min() if name == "min" else values.max())
        return Measure(value, value, value, int(values.size))
    return quantile(values, float(name[1:]) / 100, level)
