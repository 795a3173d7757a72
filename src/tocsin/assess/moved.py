"""Which of P(x), P(y) and P(y|x) moved: data drift, label drift and concept drift told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from tocsin.assess.cells import NumericCells
from tocsin.assess.column import AnyColumn, FeatureKind, codes, numbers, texts
from tocsin.assess.drift import DriftPolicy, FeatureDrift, compare_all
from tocsin.assess.drift_test import e_benjamini_hochberg, share_bet
from tocsin.assess.reference import FeatureReference, learn_table
from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.errors import BadInput

DATA, LABEL, CONCEPT = "data drift", "label drift", "concept drift"
GROUPS: Final = 8
"""Groups of rows with like predictions within which the truth is compared."""
LEAST_ROWS: Final = 30
"""Rows of the reference that a group needs."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What moved, each decided at a third of the level; `said` is one sentence for each."""

    data: bool
    label: bool
    concept: bool
    features: tuple[FeatureDrift, ...]
    truth: FeatureDrift
    groups: tuple[Group, ...]
    said: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of what moved."""
        flags = ((DATA, self.data), (LABEL, self.label), (CONCEPT, self.concept))
        return tuple(name for name, moved in flags if moved)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows with like predictions: the share whose truth is high (or is what was predicted), then and now.

    `what` says in words what is counted.
    """

    name: str
    reference_n: int
    n: int
    reference_share: float
    share: float
    log_e: float
    what: str = "turned out high"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows of a model whose truth is known: features by name, prediction (label, score or number) and truth."""

    features: Mapping[str, AnyColumn]
    prediction: AnyColumn
    truth: AnyColumn


def told_apart(
    reference: Labelled, current: Labelled, policy: DriftPolicy | None = None, *, least_change: float = 0.03
) -> Moved:
    """Tell which of P(x), P(y) and P(y|x) moved between two sets of rows.

    P(y|x) is looked at through the prediction: within groups of rows that the model takes for alike, did the share of
    high (or rightly predicted) truths change by `least_change` or more? A model knows the reference's P(y|x) as far as
    it is good; drift of the data within a group looks like concept drift to a model that ignores what moved.

    Raises
    ------
    BadInput
        A column is missing, or a reference is too small.
    """
    policy = policy or DriftPolicy()
    third = DriftPolicy(policy.level / 3, policy.min_effect, policy.min_share, policy.min_n)
    learned = learn_table(reference.features)
    gone = [name for name in learned if name not in current.features]
    if gone:
        raise BadInput(f"no current data of {', '.join(gone)}; the column is gone or renamed")
    features = compare_all(
        learned, {name: each.sketch(current.features[name]) for name, each in learned.items()}, third
    )
    truth_reference = FeatureReference.learn("truth", reference.truth)
    truth = compare_all({"truth": truth_reference}, {"truth": truth_reference.sketch(current.truth)}, third)[0]
    alike = Alike(reference, truth_reference)
    groups = alike.groups(current)
    return tell(features, truth, groups, changed([groups], third.level, least_change)[0])


def changed(groups: Sequence[Sequence[Group]], level: float, least_change: float = 0.03) -> list[Mask]:
    """Which groups of each window changed, decided on together over all windows."""
    log_e = [
        group.log_e if abs(group.share - group.reference_share) >= least_change else -math.inf
        for window in groups
        for group in window
    ]
    differ = e_benjamini_hochberg(np.array(log_e, "f8"), level)
    ends = np.cumsum([len(window) for window in groups], dtype="i8")
    return np.split(differ, ends[:-1])


def tell(features: Sequence[FeatureDrift], truth: FeatureDrift, groups: Sequence[Group], differ: Mask) -> Moved:
    """What moved in one window, from what was decided on its features, its truth and its groups."""
    moved = [row for row in features if row.alarm]
    said = []
    if moved:
        worst = max(moved, key=lambda row: row.log10_e)
        said.append(
            f"{DATA}: {len(moved)} of {len(features)} features moved, first of all {worst.name}: {worst.reason}"
        )
    if truth.alarm:
        said.append(f"{LABEL}: {truth.reason}")
    if differ.any():
        said.append(f"{CONCEPT}: {_said(groups, differ)}")
    return Moved(bool(moved), truth.alarm, bool(differ.any()), tuple(features), truth, tuple(groups), tuple(said))


def _said(groups: Sequence[Group], differ: Any) -> str:
    chosen = [group for group, is_one in zip(groups, differ, strict=True) if is_one]
    worst = max(chosen, key=lambda group: group.log_e)
    return (
        f"of {worst.n:,} rows {worst.name}, {100 * worst.share:.3g} % {worst.what}, {100 * worst.reference_share:.3g} % in the "
        f"reference; {len(chosen)} of {len(groups)} groups changed"
    )


class Alike:
    """Groups of rows with like predictions, cut by the reference.

    Parameters
    ----------
    reference : predictions and truths of all when all was well; features are not looked at
    truth : learned of the reference's truth
    what : is counted of the truth, in words
    """

    def __init__(self, reference: Labelled, truth: FeatureReference, what: str = "") -> None:
        self._truth = truth
        counted = "turned out high" if isinstance(truth.cells, NumericCells) else "were predicted rightly"
        self._what = what or counted
        self._high = _high(reference, truth)
        learned = FeatureReference.learn("prediction", reference.prediction)
        self._edges, self._kept = np.empty(0), np.empty(0)
        self._ordered = isinstance(learned.cells, NumericCells)
        if self._ordered:
            value = _number(reference.prediction)
            self._edges = np.unique(np.nanquantile(value, np.arange(1, GROUPS) / GROUPS))
            self.names = _ranges(self._edges)
        else:
            known, counts = np.unique(
                texts(reference.prediction).drop_null().to_numpy(zero_copy_only=False), return_counts=True
            )
            self._kept = known[np.argsort(-counts)][:GROUPS]
            self.names = [f"predicted {name!r}" for name in self._kept]
        self._place = self._places(reference.prediction)

    def _places(self, prediction: AnyColumn) -> I8:
        if not self._ordered:
            return _index(prediction, self._kept)
        value = _number(prediction)
        return np.where(np.isnan(value), -1, np.searchsorted(self._edges, value, "left"))

    def groups(self, current: Labelled, weights: F8 | None = None) -> list[Group]:
        """The truth within the groups, then and now, (groups,).

        With `weights` (reference rows,) the reference is made to look like the current data first, so that data drift
        within a group is not taken for concept drift; the reference then counts for as many rows as the weights leave.
        """
        place, high = self._places(current.prediction), _high(current, self._truth)
        found = []
        for k, name in enumerate(self.names):
            then, now = _counted(self._place, self._high, k, weights), _counted(place, high, k)
            n, m = float(then.sum()), int(now.sum())
            if n < LEAST_ROWS or not m:
                continue
            bet = share_bet(then + 0.5, both=True)
            shares = float(then[0]) / n, float(now[0]) / m
            found.append(Group(name, int(n), m, *shares, float(bet.log_e(now)), self._what))
        return found


def _counted(place: I8, high: F8, k: int, weights: F8 | None = None) -> F8:
    """Rows of a group that are high, and that are not; of weighted ones as many as say as much (Kish 1965)."""
    inside = (place == k) & ~np.isnan(high)
    held = high[inside] > 0
    if weights is None:
        return np.array([float(held.sum()), float((~held).sum())])
    used = weights[inside]
    total = float(used.sum())
    if total <= 0:
        return np.zeros(2)
    size = total**2 / float((used**2).sum())
    share = float(used[held].sum()) / total
    return np.array([share * size, (1 - share) * size])


def _ranges(edges: F8) -> list[str]:
    text = [f"{edge:.3g}" for edge in edges.tolist()]
    if not text:
        return ["predicted alike"]
    middle = [f"predicted {low} to {high}" for low, high in pairwise(text)]
    return [f"predicted up to {text[0]}", *middle, f"predicted above {text[-1]}"]


def _index(column: AnyColumn, kept: Any) -> I8:
    where = {name: k for k, name in enumerate(kept)}
    return np.array([where.get(name, -1) for name in texts(column).to_pylist()], "i8")


def _number(column: AnyColumn) -> F8:
    found = numbers(column)
    return np.where(found.corrupted, np.nan, found.value)


def _high(rows: Labelled, truth: FeatureReference) -> F8:
    """1 where the truth is high (a number above the reference's middle) or as predicted, else 0; NaN where unknown."""
    if isinstance(truth.cells, NumericCells):
        value = _number(rows.truth)
        own = truth.own
        middle = float(own.sums.sum()) / max(own.present, 1)
        return np.where(np.isnan(value), np.nan, (value > middle).astype("f8"))
    told, happened = texts(rows.prediction), texts(rows.truth)
    if len(told) != len(happened):
        raise BadInput(f"predictions and truths are of the same rows, got {len(told)} and {len(happened)}")
    unknown = np.isnan(codes(happened, FeatureKind.CATEGORICAL))
    right = np.array([a == b for a, b in zip(told.to_pylist(), happened.to_pylist(), strict=True)], "f8")
    return np.where(unknown, np.nan, right)
