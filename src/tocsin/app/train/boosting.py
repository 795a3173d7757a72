"""Gradient-boosted trees that learn from labelled incidents: supervised detection."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from tocsin.app.train.features import FeatureGraph
from tocsin.app.train.fitted import Fitted, Said, library
from tocsin.app.train.graph import Graph, Trees
from tocsin.app.train.windows import F4, Scale, Windows
from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.errors import BadInput

MOST_NORMAL: Final = 10_000
MOST_BAD: Final = 5_000
STAGES: Final = 120
RATE: Final = 0.1
DEPTH: Final = 3
HEAVIEST: Final = 100.0
"""What a window of an incident weighs at most beside a normal one."""


def fit(train: Windows, held: Windows, *, seed: int, say: Said) -> Fitted:
    """Fit on windows inside incidents against normal ones; those that only touch an incident teach nothing.

    Incidents are rare: the two kinds weigh alike, up to a factor of 100. Average precision is that of the later,
    held-out windows; a model that knows nothing has the share of bad ones.

    Reference: J. H. Friedman, Greedy Function Approximation: A Gradient Boosting Machine, Annals of Statistics 2001.
    """
    ensemble, metrics = library("sklearn.ensemble"), library("sklearn.metrics")
    normal, bad = _parts(train)
    if not len(bad):
        raise BadInput("no labelled incident lies in the time to learn from; give the labels of earlier ones as well")
    values = np.concatenate([normal.values(), bad.values()])
    truth = np.arange(len(values)) >= len(normal)
    scale = Scale.of(normal.values())
    features = FeatureGraph(train.length, values.shape[2], scale)
    weight = np.where(truth, min(len(normal) / len(bad), HEAVIEST), 1.0)
    trees = ensemble.GradientBoostingClassifier(
        n_estimators=STAGES, learning_rate=RATE, max_depth=DEPTH, subsample=0.5, max_features="sqrt",
        min_samples_leaf=5, random_state=seed,
    ).fit(features(values), truth, sample_weight=weight)  # fmt: skip

    def reference(windows: F4) -> F8:
        found: F8 = np.logaddexp(0.0, trees.decision_function(features(windows)))
        return found

    later = held.take(~held.near | held.bad).thinned(2 * MOST_NORMAL)
    told = {"windows_bad": float(len(bad)), "windows_normal": float(len(normal))}
    if later.bad.any() and not later.bad.all():
        judged = reference(later.values())
        told["average_precision"] = float(metrics.average_precision_score(later.bad, judged))
        told["share_bad"] = float(later.bad.mean())
        say(
            f"average precision {told['average_precision']:.3f} on {len(later)} held-out windows, "
            f"{told['share_bad']:.2%} of them bad (which is what chance would reach)"
        )

    def export(metadata: Mapping[str, str]) -> bytes:
        graph = Graph(train.length, values.shape[2], scale)
        made, some = Trees(), features(values[:1])
        sum_of_trees = 0.0
        for (stage,) in trees.estimators_:
            made.add(stage.tree_, RATE * stage.tree_.value[:, 0, 0])
            sum_of_trees += RATE * float(stage.predict(some)[0])
        base = float(trees.decision_function(some)[0]) - sum_of_trees
        odds = graph.trees(graph.window_features(), made, base)
        return graph.finished(graph.node("Softplus", odds), None, metadata)

    return Fitted(export, reference, least_edge=math.log(2.0), told=told)


def _parts(train: Windows) -> tuple[Windows, Windows]:
    """Normal windows and bad ones, each thinned evenly over time."""
    return train.take(~(train.bad | train.near)).thinned(MOST_NORMAL), train.take(train.bad).thinned(MOST_BAD)


def split_time(windows: Windows, least: float = 0.5, most: float = 0.9) -> int:
    """A time about 70 % of the way after which some incidents are held out, and before which some are learned from.

    Raises
    ------
    BadInput
        There are fewer than two incidents with windows.
    """
    ends = windows.end_ns
    at = _beginnings(ends, windows.bad, windows.length * windows.history.step_ns)
    if len(at) < 2:
        raise BadInput(
            f"{len(at)} labelled incidents lie in this history; at least 2 are needed, one to learn from and one to hold out"
        )
    first, last = int(ends[0]), int(ends[-1])
    held = max(round(0.3 * len(at)), 1)
    middle = (int(at[-held - 1]) + int(at[-held])) // 2
    low, high = (first + int(share * (last - first)) for share in (least, most))
    wanted = min(max(middle, low), high)
    # bounds must not leave either side without an incident
    return wanted if at[0] < wanted <= at[-1] else middle


def _beginnings(ends: I8, bad: Mask, apart_ns: int) -> I8:
    """Times at which incidents begin: the first bad window, and each so long after the last."""
    at = np.unique(ends[bad])
    if not len(at):
        return at
    found: I8 = at[np.concatenate([[True], np.diff(at) > apart_ns])]
    return found
