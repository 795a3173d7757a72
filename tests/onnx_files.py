"""Small ONNX files for tests: whole ones, and ones that must be refused."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from tocsin.app.train.graph import Graph
from tocsin.app.train.windows import Scale
from tocsin.detect.onnx_model import ERROR, ModelCard


def mean_model(length=8, names=("load",), *, centre=0.0, spread=1.0, card=None):
    """A model whose error is how far a window is from its own mean, root mean square, in spreads."""
    features = len(names)
    scale = Scale(np.full(features, centre, "f4"), np.full(features, spread, "f4"))
    graph = Graph(length, features, scale)
    z = graph.normal
    gap = graph.node("Sub", z, graph.node("ReduceMean", z, axes=[1], keepdims=1))
    square = graph.node("Mul", gap, gap)
    parts = graph.node("ReduceMean", square, axes=[1], keepdims=0)
    error = graph.node("Sqrt", graph.node("ReduceMean", parts, axes=[1], keepdims=0))
    if card is None:
        card = ModelCard("mean", tuple(names), 60 * 10**9, usual=1.0, unit=0.5, more={"length": str(length)})
    return graph.finished(error, parts, card.metadata() if card else {})


def made(
    nodes=None,
    shape=("batch", 8, 1),
    kind=TensorProto.FLOAT,
    output=ERROR,
    out_shape=("batch",),
    constants=(),
    domains=("",),
):
    """Any file: by default the mean absolute value of a window."""
    if nodes is None:
        nodes = [
            helper.make_node("Abs", ["window"], ["size"]),
            helper.make_node("ReduceMean", ["size"], [output], axes=[1, 2], keepdims=0),
        ]
    graph = helper.make_graph(
        nodes,
        "any",
        [helper.make_tensor_value_info("window", kind, list(shape))],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, list(out_shape))],
        list(constants),
    )
    opsets = [helper.make_opsetid(domain, 1 if domain else 17) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
