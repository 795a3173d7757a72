"""Graphs of ONNX: normalisation, window features, dense layers and trees, from standard operators alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from tocsin.app.train.windows import F4, Scale
from tocsin.detect.onnx_model import CONTRIBUTION, ERROR
from tocsin.model.arrays import F8, I8
from tocsin.model.errors import BadConfig

OPSET: Final = 17
TREES_OPSET: Final = 3
IR_VERSION: Final = 8
LIMIT: Final = 30.0
"""Spreads from the centre beyond which all is equally strange."""
INPUT: Final = "window"
FEATURES: Final = ("last", "mean", "sd", "min", "max", "off_mean", "rise", "drift")
"""What a window is told by, for each signal: `rise` over the last step, `drift` over the whole window."""


def onnx_helper() -> Any:
    """The module that makes nodes.

    Raises
    ------
    BadConfig
        The extra is not installed.
    """
    try:
        from onnx import helper  # noqa: PLC0415 - an extra
    except ImportError:
        raise BadConfig(
            "training needs scikit-learn and onnx, which are not installed: pip install 'tocsin[train]'"
        ) from None
    return helper


@dataclass(slots=True)
class Trees:
    """Trees as ONNX holds them: one entry a node, leaves with a weight."""

    columns: dict[str, list[Any]] = field(
        default_factory=lambda: {
            name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
        }
    )
    leaves: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    )

    def add(self, tree: Any, weights: F8) -> None:
        """Take a scikit-learn tree in, with the weight (nodes,) that each of its leaves gives."""
        number = len(set(self.columns["treeids"])) if self.columns["treeids"] else 0
        inner = tree.children_left >= 0
        n = len(inner)
        # scikit-learn compares float32 values with float64 limits: rounded down, the answer stays the same
        limits = tree.threshold.astype("f4")
        limits = np.where(limits > tree.threshold, np.nextafter(limits, np.float32(-np.inf)), limits)
        self.columns["treeids"] += [number] * n
        self.columns["nodeids"] += range(n)
        self.columns["featureids"] += np.where(inner, tree.feature, 0).tolist()
        self.columns["values"] += np.where(inner, limits, 0.0).tolist()
        self.columns["modes"] += ["BRANCH_LEQ" if branch else "LEAF" for branch in inner]
        self.columns["truenodeids"] += np.where(inner, tree.children_left, 0).tolist()
        self.columns["falsenodeids"] += np.where(inner, tree.children_right, 0).tolist()
        ends = np.flatnonzero(~inner)
        self.leaves["treeids"] += [number] * len(ends)
        self.leaves["nodeids"] += ends.tolist()
        self.leaves["ids"] += [0] * len(ends)
        self.leaves["weights"] += weights[ends].tolist()


class Graph:
    """A graph under way: each method adds nodes and gives the name of what they make."""

    def __init__(self, length: int, features: int, scale: Scale) -> None:
        self.helper = onnx_helper()
        self.length, self.features = length, features
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        moved = self.node("Sub", INPUT, self.constant(scale.centre))
        wide = self.node("Div", moved, self.constant(scale.spread))
        low, high = (self.constant(np.array(limit, "f4")) for limit in (-LIMIT, LIMIT))
        self.normal = self.node("Clip", wide, low, high)

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator."""
        name = f"n{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, values: F4 | I8) -> str:
        """Add fixed numbers."""
        name = f"c{len(self.constants)}"
        kind = 1 if values.dtype == np.float32 else 7  # TensorProto.FLOAT, INT64
        self.constants.append(self.helper.make_tensor(name, kind, values.shape, values.tobytes(), raw=True))
        return name

    def number(self, value: float) -> str:
        """Add one fixed number."""
        return self.constant(np.array(value, np.float32))

    def flat(self, name: str) -> str:
        """All of a window in one row, [batch, L * features]."""
        return self.node("Flatten", name, axis=1)

    def row(self, name: str, at: int) -> str:
        """One row of every window, [batch, features]."""
        index = self.constant(np.array(at, np.int64))
        return self.node("Gather", name, index, axis=1)

    def window_features(self) -> str:
        """What a window is told by, [batch, 8 * features]; see `FEATURES`."""
        z = self.normal
        last = self.row(z, self.length - 1)
        mean = self.node("ReduceMean", z, axes=[1], keepdims=0)
        off = self.node("Sub", z, self.node("ReduceMean", z, axes=[1], keepdims=1))
        variance = self.node("ReduceMean", self.node("Mul", off, off), axes=[1], keepdims=0)
        parts = [
            last,
            mean,
            self.node("Sqrt", variance),
            self.node("ReduceMin", z, axes=[1], keepdims=0),
            self.node("ReduceMax", z, axes=[1], keepdims=0),
            self.node("Sub", last, mean),
            self.node("Sub", last, self.row(z, self.length - 2)),
            self.node("Sub", last, self.row(z, 0)),
        ]
        return self.node("Concat", *parts, axis=1)

    def trees(self, name: str, trees: Trees, base: float) -> str:
        """Sum of the leaves that a row of features comes to, [batch]."""
        given: dict[str, Any] = {f"nodes_{key}": column for key, column in trees.columns.items()}
        given |= {f"target_{key}": column for key, column in trees.leaves.items()}
        total = self.node(
            "TreeEnsembleRegressor", name, domain="ai.onnx.ml", n_targets=1, aggregate_function="SUM",
            base_values=[base], **given,
        )  # fmt: skip
        return self.node("Reshape", total, self.constant(np.array([-1], np.int64)))

    def finished(self, error: str, contribution: str | None, metadata: Mapping[str, str]) -> bytes:
        """The file."""
        outputs: list[tuple[str, str, list[Any]]] = [(error, ERROR, ["batch"])]
        if contribution is not None:
            outputs.append((contribution, CONTRIBUTION, ["batch", self.features]))
        return self._file(outputs, metadata)

    def features_only(self, name: str) -> bytes:
        """A file that gives the features alone: what trees are trained on is what the model will see."""
        return self._file([(name, "features", ["batch", len(FEATURES) * self.features])], {})

    def _file(self, outputs: Sequence[tuple[str, str, list[Any]]], metadata: Mapping[str, str]) -> bytes:
        helper = self.helper
        named = [helper.make_node("Identity", [name], [public]) for name, public, _ in outputs]
        graph = helper.make_graph(
            [*self.nodes, *named],
            "tocsin",
            [helper.make_tensor_value_info(INPUT, 1, ["batch", self.length, self.features])],
            [helper.make_tensor_value_info(public, 1, shape) for _, public, shape in outputs],
            self.constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=IR_VERSION,
            producer_name="tocsin",
            producer_version=version("tocsin"),
        )
        helper.set_model_props(model, dict(metadata))
        raw: bytes = model.SerializeToString(deterministic=True)
        return raw
