"""How long a trained model takes for one window, as the detector runs it: in one thread, checked, padded."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Final

import numpy as np

from tocsin.app.bench.figure import Figure, quantile
from tocsin.app.train import autoencoder, forest
from tocsin.app.train.fitted import Trainer
from tocsin.app.train.history import History, Track
from tocsin.app.train.run import one_thread
from tocsin.app.train.windows import Windows, cut
from tocsin.detect.onnx_model import ModelCard, OnnxModel
from tocsin.model.errors import BadConfig

ROWS: Final = 400
LENGTH: Final = 12
FEATURES: Final = 10
RUNS: Final = 2_000
AIM_MS: Final = 1.0
_STEP_NS: Final = 60 * 10**9


def inference() -> Iterator[Figure]:
    """One window of an autoencoder and of a forest; nothing but a word on stderr without the extra."""
    windows = _windows()
    early, late = windows.split(int(windows.end_ns[len(windows) * 4 // 5]))
    trainers: tuple[tuple[str, Trainer], ...] = (
        ("temporal autoencoder", autoencoder.fit),
        ("isolation forest", forest.fit),
    )
    for name, trainer in trainers:
        try:
            with one_thread():
                fitted = trainer(early, late, seed=0, say=lambda _: None)
            model = OnnxModel(fitted.export(ModelCard(name).metadata()))
        except BadConfig as missing:
            sys.stderr.write(f"  ONNX inference is not measured: {missing}\n")
            return
        yield _figure(name, model, late)


def _figure(name: str, model: OnnxModel, windows: Windows) -> Figure:
    values = windows.values()
    took_ms = []
    for k in range(RUNS):
        window = values[k % len(values)][None]
        began = time.perf_counter()
        model.error(window)
        took_ms.append(1e3 * (time.perf_counter() - began))
    much = np.tile(values, (-(-RUNS // len(values)), 1, 1))[:RUNS]
    began = time.perf_counter()
    model.error(much)
    each_us = 1e6 * (time.perf_counter() - began) / RUNS
    how = (
        f"{LENGTH} steps of {FEATURES} signals, {RUNS:,} windows one by one, p99 {quantile(took_ms, 0.99):.3g} ms; "
        f"together {each_us:.2g} us each"
    )
    p50_ms = quantile(took_ms, 0.5)
    return Figure(f"ONNX inference, one window, {name}, p50", p50_ms, "ms", AIM_MS, aim_high=False, note=how)


def _windows() -> Windows:
    """Signals that follow one load, each with noise of its own."""
    rng = np.random.default_rng(1)
    load = np.sin(np.arange(ROWS) / 15.0)[:, None] * np.linspace(1.0, 3.0, FEATURES)
    value = 10.0 + load + 0.2 * rng.normal(size=(ROWS, FEATURES))
    track = Track("", np.arange(ROWS), value)
    names = tuple(f"signal-{k}" for k in range(FEATURES))
    history = History("bench", names, _STEP_NS, (track,), ROWS, 0, ROWS * _STEP_NS, "")
    return cut(history, LENGTH, ())
