"""Features of windows as trees see them: computed by the very graph that the model will have."""

from __future__ import annotations

import numpy as np

from tocsin.app.train.fitted import library
from tocsin.app.train.graph import LIMIT, Graph
from tocsin.app.train.windows import F4, Scale
from tocsin.detect.onnx_model import BATCH, padded
from tocsin.model.arrays import F8


class FeatureGraph:
    """Runs the first part of a graph over windows, in batches as the detector does: trees split hairs."""

    def __init__(self, length: int, features: int, scale: Scale) -> None:
        graph = Graph(length, features, scale)
        raw = graph.features_only(graph.window_features())
        runtime = library("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        self._session = runtime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, windows: F4) -> F4:
        """Features (n, 8 * features) of windows (n, length, features)."""
        rows = [
            self._session.run(None, {self._input: padded(windows[k : k + BATCH], BATCH)})[0]
            for k in range(0, len(windows), BATCH)
        ]
        found: F4 = np.concatenate(rows)[: len(windows)]
        return found


def plain_features(windows: F4, scale: Scale) -> F8:
    """The same in plain numpy, to verify the graph by: (n, 8 * features)."""
    z = scale.normal(windows, LIMIT).astype("f8")
    last, mean = z[:, -1], z.mean(axis=1)
    parts = (last, mean, z.std(axis=1), z.min(axis=1), z.max(axis=1), last - mean, last - z[:, -2], last - z[:, 0])
    return np.concatenate(parts, axis=1)
