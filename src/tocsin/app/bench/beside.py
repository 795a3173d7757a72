"""Streaming detectors of other libraries on the same points, in the same run and thread: River, PySAD and PyOD."""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tocsin.app.bench.bodies import SECOND, STEP_NS, readings
from tocsin.app.bench.figure import Figure
from tocsin.app.bench.sizes import Sizes
from tocsin.calibrate.calibrator import Calibrator
from tocsin.detect.baseline import Baseline
from tocsin.model.arrays import F8
from tocsin.model.detection import Step
from tocsin.model.errors import BadInput

_ORIGIN_NS: Final = 1_790_000_000 * SECOND
_SEASON: Final = 24
_WINDOW: Final = 256
"""Points that a detector which does not stream is fitted to."""
_REFIT: Final = 32
"""Points after which it is fitted anew."""
_BUDGET_S: Final = 3.0
"""CPU seconds after which a slow peer is stopped: its rate is known by then."""

Judge = Callable[[float], object]
"""Judges a value and learns it, of one series."""


@dataclass(frozen=True, slots=True)
class Beside:
    """One detector of another library: how to make it for a series, and what it is comparable in."""

    name: str
    make: Callable[[F8], Judge]
    kind: str


def beside(sizes: Sizes) -> Iterator[Figure]:
    """Points judged and learned in a CPU-second, ours first; peers see the same values of as many series as time allows.

    Raises
    ------
    BadInput
        The peers are not installed.
    """
    try:
        for name in ("river", "pysad", "pyod"):
            importlib.import_module(name)
    except ImportError as error:
        raise BadInput(f"peers of `bench detect` are not installed ({error}): pip install 'tocsin[peers]'") from None
    values = readings(sizes.warm_steps + sizes.beside_steps, sizes.beside_series, 3)
    own = _own(values, sizes.warm_steps)
    how = f"{values.shape[1]:,} series side by side; score, p-value, band, learning, calibration"
    yield Figure("ours, points judged", own, "points/CPU-s", note=how)
    for peer in PEERS:
        rate, series = _rate(peer, values, sizes.warm_steps)
        how = f"{peer.kind}; {series:,} of the same series, one after another; ours is {own / rate:,.2g} times as fast"
        yield Figure(f"{peer.name}, points judged", rate, "points/CPU-s", note=how)


def _own(values: F8, warm: int) -> float:
    n = values.shape[1]
    rows, every = np.arange(n, dtype="i4"), np.ones(n)
    detector, calibrator = Baseline(), Calibrator()
    began = time.process_time()
    for turn, row in enumerate(values):
        if turn == warm:
            began = time.process_time()
        step = Step(rows, np.full(n, _ORIGIN_NS + turn * STEP_NS), row)
        score = detector.score(step).value
        calibrator.log10_p(rows, score)
        detector.expect(step, np.full(n, 3.0))
        detector.learn(step, every)
        calibrator.learn(rows, score)
    spent_s = max(time.process_time() - began, 1e-9)
    return float(n * (len(values) - warm) / spent_s)


def _rate(peer: Beside, values: F8, warm: int) -> tuple[float, int]:
    """Points in a CPU-second after warming up, and of how many series."""
    spent, points, series = 0.0, 0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they warn of each other's versions
        for column in values.T:
            judge = peer.make(column[:warm])
            for value in column[:warm].tolist():
                judge(value)
            began = time.process_time()
            for value in column[warm:].tolist():
                judge(value)
            spent += time.process_time() - began
            points += len(column) - warm
            series += 1
            if spent > _BUDGET_S:
                break
    return points / max(spent, 1e-9), series


def _river(make: Callable[[Any], Any]) -> Callable[[F8], Judge]:
    def for_series(_past: F8) -> Judge:
        model = make(importlib.import_module("river.anomaly"))

        def judge(value: float) -> object:
            score = model.score_one(None, value)
            model.learn_one(None, value)
            return score

        return judge

    return for_series


def _river_trees(_past: F8) -> Judge:
    anomaly = importlib.import_module("river.anomaly")
    scaled = importlib.import_module("river.preprocessing").MinMaxScaler() | anomaly.HalfSpaceTrees(seed=1)

    def judge(value: float) -> object:
        point = {"value": value}
        score = scaled.score_one(point)
        scaled.learn_one(point)
        return score

    return judge


def _river_seasonal(_past: F8) -> Judge:
    seasonal = importlib.import_module("river.time_series").HoltWinters(
        alpha=0.3, beta=0.1, gamma=0.5, seasonality=_SEASON
    )
    model = importlib.import_module("river.anomaly").PredictiveAnomalyDetection(seasonal, warmup_period=0)
    seen = 0

    def judge(value: float) -> object:
        nonlocal seen
        seen += 1
        score = model.score_one(None, value) if seen > _SEASON else 0.0  # it can't forecast before a whole season
        model.learn_one(None, value)
        return score

    return judge


def _pysad(name: str, **settings: Any) -> Callable[[F8], Judge]:
    def for_series(past: F8) -> Judge:
        bounds = {}
        if name == "HalfSpaceTrees":
            bounds = {"feature_mins": past.min(keepdims=True), "feature_maxes": past.max(keepdims=True)}
        model = getattr(importlib.import_module("pysad.models"), name)(**settings, **bounds)

        def judge(value: float) -> object:
            point = np.array([value])
            model.fit_partial(point)
            return model.score_partial(point)

        return judge

    return for_series


def _pyod(module: str, name: str, **settings: Any) -> Callable[[F8], Judge]:
    """A detector for tables, fitted anew to the latest points every now and then."""

    def for_series(_past: F8) -> Judge:
        kind = getattr(importlib.import_module(f"pyod.models.{module}"), name)
        recent: list[float] = []
        model: Any = None

        def judge(value: float) -> object:
            nonlocal model
            score = model.decision_function(np.array([[value]])) if model is not None else 0.0
            recent.append(value)
            if len(recent) % _REFIT == 0:
                model = kind(**settings).fit(np.array(recent[-_WINDOW:])[:, None])
            return score

        return judge

    return for_series


PEERS: Final = (
    Beside("River GaussianScorer", _river(lambda anomaly: anomaly.GaussianScorer(grace_period=48)), "mean and sd"),
    Beside("PySAD StandardAbsoluteDeviation", _pysad("StandardAbsoluteDeviation"), "mean and sd"),
    Beside("River PredictiveAnomalyDetection", _river_seasonal, "forecast with a season of 24 points"),
    Beside("River HalfSpaceTrees", _river_trees, "half-space trees"),
    Beside("PySAD HalfSpaceTrees", _pysad("HalfSpaceTrees"), "half-space trees"),
    Beside("PySAD KNNCAD", _pysad("KNNCAD", probationary_period=48), "nearest neighbours, conformal"),
    Beside("PyOD ECOD", _pyod("ecod", "ECOD"), f"of tables, fitted to {_WINDOW} points every {_REFIT}"),
    Beside("PyOD IForest", _pyod("iforest", "IForest", random_state=1), f"the same, every {_REFIT}"),
)
"""What others offer for a stream of one series, from the plainest to the dearest."""
