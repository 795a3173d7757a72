"""One training from end to end: read, cut, split by time, fit, export, verify, put in its place, report."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from tocsin.app.score.layout import Wanted
from tocsin.app.score.table import Table
from tocsin.app.train import autoencoder, boosting, forest
from tocsin.app.train.fitted import Fitted, Said, Trainer, library
from tocsin.app.train.history import History, read_history, read_incidents, time_column
from tocsin.app.train.place import Kept, check_place, put
from tocsin.app.train.windows import HELD_OUT, LEAST, Windows, cut
from tocsin.detect.onnx_model import ModelCard, OnnxModel
from tocsin.model.errors import BadInput
from tocsin.model.times import time_to_json

MODELS: Final[dict[str, Trainer]] = {
    "temporal-autoencoder": autoencoder.fit,
    "isolation-forest": forest.fit,
    "gradient-boosting": boosting.fit,
}
SUPERVISED: Final = "gradient-boosting"
WEEKS: Final = 2.0
CHECKED: Final = 500
"""Held-out windows on which the exported file is compared with the trained model."""
TOLERANCE: Final = 1e-3
"""Largest difference from the trained model, as a share of what it says, at least of 1."""
EDGE: Final = 0.999
"""Share of normal held-out windows whose score must be below 3."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the command was told."""

    history: Path
    model: str
    out: Path
    labels: Path | None = None
    time: str = ""
    values: tuple[str, ...] = ()
    series: str | None = None
    entity: str | None = None
    window: int = 12
    step_ns: int | None = None
    seed: int = 0


def train(order: Order, say: Said) -> dict[str, Any]:
    """Train, export, verify; what came of it, as JSON has it.

    Raises
    ------
    BadInput
        The history or the labels won't do, or the exported file is not what was trained (it is gone then).
    """
    _check(order)
    library("sklearn.ensemble")
    library("onnx")
    table = Table(order.history)
    time = time_column(table, order.time)
    wanted = Wanted(time, order.out.parent, order.values, order.series, order.entity)
    history = read_history(order.history, wanted, order.step_ns)
    incidents = read_incidents(order.labels) if order.labels is not None else []
    windows = cut(history, order.window, incidents)
    _tell(history, windows, say)
    at_ns = _split(order, windows)
    early, late = windows.split(at_ns)
    _enough(early, late)
    with one_thread():
        fitted = MODELS[order.model](early, late, seed=order.seed, say=say)
        return _finish(order, history, fitted, early, late, say)


def one_thread() -> AbstractContextManager[Any]:
    """Sums in one order: the same seed gives the same model."""
    limits: AbstractContextManager[Any] = library("threadpoolctl").threadpool_limits(1)
    return limits


def _check(order: Order) -> None:
    if order.model not in MODELS:
        raise BadInput(f"there is no model {order.model!r}; this build trains {', '.join(MODELS)}")
    if order.model == SUPERVISED and order.labels is None:
        raise BadInput(
            f"{SUPERVISED} learns from labelled incidents: name their file with --labels (start,end[,series])"
        )
    check_place(order.out)


def _tell(history: History, windows: Windows, say: Said) -> None:
    say(
        f"{history.file}: {history.rows} rows over {history.days:.1f} days, {len(history.tracks)} series of "
        f"{len(history.names)} signals, {len(windows)} windows of {windows.length} x {history.step_ns / 1e9:g} s"
    )
    if history.days < 7 * WEEKS:
        say(
            f"warning: less than {WEEKS:g} weeks: peaks and troughs of a week, and what deploys look like, may be "
            "missing from what is learned as normal"
        )


def _split(order: Order, windows: Windows) -> int:
    if order.model == SUPERVISED:
        return boosting.split_time(windows)
    first, last = int(windows.end_ns[0]), int(windows.end_ns[-1])
    return first + int((1.0 - HELD_OUT) * (last - first))


def _enough(early: Windows, late: Windows) -> None:
    for part, what in ((early, "to learn from"), (late, "to verify with")):
        normal = int(np.count_nonzero(~(part.bad | part.near)))
        if normal < LEAST // 5:
            raise BadInput(f"only {normal} windows without an incident are left {what}; give a longer history")


def _finish(order: Order, history: History, fitted: Fitted, early: Windows, late: Windows, say: Said) -> dict[str, Any]:
    normal = late.take(~(late.bad | late.near))
    usual = fitted.reference(normal.thinned(10 * CHECKED).values())
    edge = max(float(np.quantile(usual, EDGE)), fitted.least_edge, 1e-6)
    card = ModelCard(
        kind=order.model,
        names=history.names,
        step_ns=history.step_ns,
        usual=float(np.mean(usual)),
        unit=edge / 3.0,
        more=_provenance(order, history, early),
    )
    raw = fitted.export(card.metadata())
    checked = late.thinned(CHECKED).values()
    model = OnnxModel(raw)
    worst = difference(model, fitted, checked)
    kept = put(order.out, raw)
    try:
        _compare(OnnxModel(order.out.read_bytes()), fitted, checked, card)
    except BadInput:
        kept.undo()
        raise
    say(f"verified: {len(checked)} held-out windows, largest difference from the trained model {worst:.2g}")
    _say_kept(kept, say)
    say(f"{order.out}: {len(raw):,} bytes, {order.model} of {len(history.names)} signals, window {order.window}")
    before = str(kept.before) if kept.before is not None else None
    told = {"out": str(order.out), "kept": before, "bytes": len(raw), "max_difference": worst}
    return told | _report(fitted, model, history, (early, late))


def difference(model: OnnxModel, fitted: Fitted, windows: Any) -> float:
    """Largest difference between the file's and the trained model's errors, as a share of the latter or of 1."""
    wanted = fitted.reference(windows)
    return float(np.max(np.abs(model.error(windows) - wanted) / np.maximum(np.abs(wanted), 1.0)))


def _compare(model: OnnxModel, fitted: Fitted, windows: Any, card: ModelCard) -> None:
    """See that a file is what was trained.

    Raises
    ------
    BadInput
        Shapes, metadata or numbers differ.
    """
    shape = (model.length, model.features)
    if shape != windows.shape[1:] or model.card != card:
        raise BadInput(f"the exported file has windows of {shape}, trained were {windows.shape[1:]}; it was deleted")
    worst = difference(model, fitted, windows)
    if not worst <= TOLERANCE:
        raise BadInput(
            f"the exported file differs from the trained model by {worst:.2g}, more than {TOLERANCE:g}; it was deleted. "
            "Please report this with the versions of scikit-learn, onnx and onnxruntime"
        )


def _provenance(order: Order, history: History, early: Windows) -> Mapping[str, str]:
    return {
        "version": version("tocsin"),
        "length": str(order.window),
        "trained_from": time_to_json(history.first_ns),
        "trained_until": time_to_json(int(early.end_ns[-1])),
        "data_sha256": history.sha256,
        "seed": str(order.seed),
        "scikit_learn": version("scikit-learn"),
    }


def _say_kept(kept: Kept, say: Said) -> None:
    if kept.before is not None:
        say(f"the model that was at {kept.path} is kept as {kept.before}")


def _report(fitted: Fitted, model: OnnxModel, history: History, parts: tuple[Windows, Windows]) -> dict[str, Any]:
    early, late = parts
    card = model.card
    return {
        "sha256": model.sha256,
        "model": card.kind,
        "features": list(card.names),
        "window": model.length,
        "step_s": history.step_ns / 1e9,
        "windows": {"learned": len(early), "held_out": len(late)},
        "trained_from": card.more["trained_from"],
        "trained_until": card.more["trained_until"],
        "usual": card.usual,
        "unit": card.unit,
        **{name: value for name, value in fitted.told.items() if np.isfinite(value)},
    }
