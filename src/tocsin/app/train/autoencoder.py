"""The temporal autoencoder: a window through a narrow layer and back; what is not rebuilt is strange."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tocsin.app.train.fitted import Fitted, Said, library
from tocsin.app.train.graph import LIMIT, Graph
from tocsin.app.train.windows import F4, Scale, Windows
from tocsin.model.arrays import F8, I8
from tocsin.model.errors import BadInput

MOST_WINDOWS: Final = 20_000
EPOCHS: Final = 40
PATIENCE: Final = 5
BATCH: Final = 128
WIDEST: Final = 128


def layers(size: int) -> tuple[int, int, int]:
    """Widths of the layers between input and output of a window of `size` numbers.

    >>> layers(12), layers(456)
    ((24, 4, 24), (128, 32, 128))
    """
    wide = min(max(2 * size, 16), WIDEST)
    narrow = min(max(size // 3, 2), WIDEST // 4)
    return wide, narrow, wide


def fit(train: Windows, held: Windows, *, seed: int, say: Said) -> Fitted:
    """Fit by Adam until the held-out windows are rebuilt no better."""
    network = library("sklearn.neural_network")
    values = train.take(~(train.bad | train.near)).thinned(MOST_WINDOWS).values()
    later = held.take(~(held.bad | held.near)).thinned(MOST_WINDOWS // 4).values()
    scale = Scale.of(values)
    flat, check = _flat(scale, values), _flat(scale, later)
    model = network.MLPRegressor(
        hidden_layer_sizes=layers(flat.shape[1]), activation="tanh", solver="adam", alpha=1e-5, batch_size=min(BATCH, len(flat)),
        learning_rate_init=2e-3, random_state=seed,
    )  # fmt: skip
    best, kept, since, epochs = math.inf, _weights(model), 0, 0
    while epochs < EPOCHS and since < PATIENCE:
        model.partial_fit(flat, flat)
        epochs += 1
        loss = float(np.mean((model.predict(check) - check) ** 2))
        since = 0 if loss < best * 0.999 else since + 1
        if loss < best:
            best, kept = loss, _weights(model)
    if not math.isfinite(best):
        raise BadInput("the autoencoder learned nothing: its error is no number; give --value columns of usual size")
    model.coefs_, model.intercepts_ = ([part.copy() for part in parts] for parts in kept)
    say(f"{epochs} rounds over {len(flat)} windows; mean square error {best:.4g} on {len(check)} held-out ones")

    def reference(windows: F4) -> F8:
        wide = _flat(scale, windows)
        gap = model.predict(wide).astype("f8") - wide
        found: F8 = np.sqrt(np.mean(gap * gap, axis=1))
        return found

    def export(metadata: Mapping[str, str]) -> bytes:
        return _exported(model, scale, train.length, values.shape[2], metadata)

    return Fitted(export, reference, told={"rounds": float(epochs), "held_out_mse": best})


def _flat(scale: Scale, values: F4) -> F4:
    return scale.normal(values, LIMIT).reshape(len(values), -1)


def _weights(model: Any) -> tuple[list[F4], list[F4]]:
    if not hasattr(model, "coefs_"):
        return [], []
    return [part.copy() for part in model.coefs_], [part.copy() for part in model.intercepts_]


def _exported(model: Any, scale: Scale, length: int, features: int, metadata: Mapping[str, str]) -> bytes:
    graph = Graph(length, features, scale)
    wide = graph.flat(graph.normal)
    layer = wide
    for k, (weights, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        product = graph.node("MatMul", layer, graph.constant(weights.astype("f4")))
        layer = graph.node("Add", product, graph.constant(bias.astype("f4")))
        if k < len(model.coefs_) - 1:
            layer = graph.node("Tanh", layer)
    gap = graph.node("Sub", wide, layer)
    square = graph.node("Mul", gap, gap)
    error = graph.node("Sqrt", graph.node("ReduceMean", square, axes=[1], keepdims=0))
    shape: I8 = np.array([-1, length, features], np.int64)
    parts = graph.node("ReduceMean", graph.node("Reshape", square, graph.constant(shape)), axes=[1], keepdims=0)
    return graph.finished(error, parts, metadata)
