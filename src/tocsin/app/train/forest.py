"""The isolation forest over features of windows: what few random cuts set apart is strange."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tocsin.app.train.features import FeatureGraph
from tocsin.app.train.fitted import Fitted, Said, library
from tocsin.app.train.graph import Graph, Trees
from tocsin.app.train.windows import F4, Scale, Windows
from tocsin.model.arrays import F8, I8

MOST_WINDOWS: Final = 20_000
TREES: Final = 100
SAMPLES: Final = 256
SD_OF_QUARTILES: Final = 1.349


def usual_depth(samples: I8 | int) -> F8:
    """Mean depth of an unsuccessful search in a binary tree of so many samples, c(n) of Liu et al. 2008.

    >>> usual_depth(np.array([1, 2, 256])).round(3).tolist()
    [0.0, 1.0, 10.245]
    """
    n = np.maximum(np.asarray(samples, "f8"), 1.0)
    above = np.maximum(n, 3.0) - 1.0
    found = 2.0 * (np.log(above) + np.euler_gamma) - 2.0 * above / (above + 1.0)
    depth: F8 = np.where(n > 2.0, found, n - 1.0)
    return depth


def fit(train: Windows, held: Windows, *, seed: int, say: Said) -> Fitted:
    """Grow the forest; its score is told in robust sds from that of an ordinary held-out window.

    Reference: F. T. Liu, K. M. Ting and Z.-H. Zhou, Isolation Forest, ICDM 2008.
    """
    ensemble = library("sklearn.ensemble")
    values = train.take(~(train.bad | train.near)).thinned(MOST_WINDOWS).values()
    later = held.take(~(held.bad | held.near)).thinned(MOST_WINDOWS // 4).values()
    scale = Scale.of(values)
    features = FeatureGraph(train.length, values.shape[2], scale)
    seen = features(values)
    samples = min(SAMPLES, len(seen))
    forest = ensemble.IsolationForest(n_estimators=TREES, max_samples=samples, random_state=seed, n_jobs=1).fit(seen)
    usual = -forest.score_samples(features(later))
    centre = float(np.median(usual))
    width = max(float(np.subtract(*np.quantile(usual, [0.75, 0.25]))) / SD_OF_QUARTILES, 1e-3)
    say(f"{TREES} trees of {samples} windows each, over {len(seen)}; the usual score is {centre:.3f} +- {width:.3f}")

    def reference(windows: F4) -> F8:
        found: F8 = np.logaddexp(0.0, (-forest.score_samples(features(windows)) - centre) / width)
        return found

    def export(metadata: Mapping[str, str]) -> bytes:
        graph = Graph(train.length, values.shape[2], scale)
        trees = Trees()
        for grown in forest.estimators_:
            trees.add(grown.tree_, _paths(grown.tree_) / TREES)
        depth = graph.trees(graph.window_features(), trees, 0.0)
        power = graph.node("Mul", depth, graph.number(-math.log(2.0) / float(usual_depth(samples))))
        score = graph.node("Exp", power)
        sds = graph.node("Div", graph.node("Sub", score, graph.number(centre)), graph.number(width))
        return graph.finished(graph.node("Softplus", sds), None, metadata)

    return Fitted(export, reference, told={"trees": float(TREES), "usual_score": centre})


def _paths(tree: Any) -> F8:
    """Path length at each node of a scikit-learn tree: edges from the root, and what a leaf of many would have below."""
    left, right = tree.children_left, tree.children_right
    depth = np.zeros(len(left))
    for node in range(len(left)):  # children come after their parents
        if left[node] >= 0:
            depth[[left[node], right[node]]] = depth[node] + 1.0
    return depth + usual_depth(tree.n_node_samples)
