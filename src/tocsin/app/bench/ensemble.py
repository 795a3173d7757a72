"""The ensemble of a series beside each of its members alone: on made series, and on the Numenta benchmark's files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.made_series import CALM_STEPS, KINDS, STEPS, Made, made
from tocsin.app.bench.nab import STANDARD, corpus
from tocsin.app.bench.nab_scoring import corpus_score
from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.news import News
from tocsin.detect.registry import build
from tocsin.engine.series_character import NAMES
from tocsin.engine.series_ensemble import Ensemble
from tocsin.model.arrays import F8, I4, I8
from tocsin.model.detection import Detector, Step

OF_BEST: Final = 95.0
SEED: Final = 2
"""Not that on whose series weights and members were chosen."""
BLOCK: Final = 20
"""Steps that a false alarm stands for."""
RATES: Final = (1 / 100, 1 / 300, 1 / 1000)
"""Shares of calm blocks that may alarm."""
AFTER: Final = 5
"""Steps after a fault in which it may still be found; its traces are false alarms only after `TRACES`."""
TRACES: Final = 30
DEEPEST: Final = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class Lives:
    """Series side by side: times and values (steps, n), and how many steps of each are its own (n,)."""

    time: I8
    value: F8
    sizes: I4


def measure(setting: Setting) -> Bench:
    """Judge the same series by the ensemble and by each member, and compare."""
    bench = Bench("ensemble", load=os.getloadavg())
    began = time.monotonic()
    for figure in _on_made(made(setting.sizes.made_series, SEED)):
        bench.add(figure)
    if setting.datasets is not None:
        for figure in _on_nab(setting):
            bench.add(figure)
    bench.elapsed_s = time.monotonic() - began
    return bench


def judged(detector: Detector, lives: Lives) -> tuple[F8, F8]:
    """Raw scores and decades of rarity among each series' own, (steps, n) each; 0 until warm."""
    score, decades = np.zeros(lives.value.shape), np.zeros(lives.value.shape)
    calibrator = Calibrator()
    for k in range(len(lives.value)):
        rows = np.flatnonzero(lives.sizes > k).astype("i4")
        step = Step(rows, lives.time[k, rows], lives.value[k, rows])
        found = detector.score(step).value
        log10_p, _ = calibrator.log10_p(rows, found)
        score[k, rows] = np.nan_to_num(found)
        decades[k, rows] = np.minimum(-np.nan_to_num(log10_p), DEEPEST)
        calibrator.learn(rows, found)
        detector.learn(step, np.ones(len(rows)))
        calibrator.follow(detector)
    return score, decades


def _judges() -> Iterator[tuple[str, Detector]]:
    yield "ensemble", Ensemble()
    for name in NAMES:
        yield name, build(name, {})


# -- made series -----------------------------------------------------------------------------------------------------


def _on_made(series: Sequence[Made]) -> Iterator[Figure]:
    start = 1_760_000_000
    at = [start + np.arange(STEPS) * one.step_s for one in series]
    lives = Lives(
        (np.stack(at, axis=1) * 1e9).astype("i8"),
        np.stack([one.value for one in series], axis=1),
        np.full(len(series), STEPS, "i4"),
    )
    found = {}
    for name, detector in _judges():
        score, decades = judged(detector, lives)
        found[name] = recall(series, score if name == "ensemble" else decades)
    how = f"{len(series) // len(KINDS)} series of each kind, one fault each; at 1, 3.3 and 10 false alarms in 20,000 steps"
    means = {name: float(np.mean(list(by_kind.values()))) for name, by_kind in found.items()}
    yield from _compared("faults found in made series", "share", means, how)
    for kind in KINDS:
        note = ", ".join(f"{name} {by_kind[kind]:.2f}" for name, by_kind in found.items() if name != "ensemble")
        yield Figure(f"of {kind} series", found["ensemble"][kind], "share", note=note)


def recall(series: Sequence[Made], score: F8) -> dict[str, float]:
    """Share of faults found by kind of series, the mean over limits at which so many calm blocks alarm."""
    found = {}
    for kind in KINDS:
        faults, calm = [], []
        for k, one in enumerate(series):
            if one.kind != kind:
                continue
            faults.append(score[one.first : one.last + AFTER, k].max())
            outside = np.concatenate([score[CALM_STEPS // 2 : one.first, k], score[one.last + TRACES :, k]])
            calm += [outside[b : b + BLOCK].max() for b in range(0, len(outside) - BLOCK + 1, BLOCK)]
        ordered = np.sort(calm)[::-1]
        limits = [ordered[max(round(rate * len(ordered)), 1) - 1] for rate in RATES]
        found[kind] = float(np.mean([np.mean(np.array(faults) > limit) for limit in limits]))
    return found


# -- the Numenta benchmark -------------------------------------------------------------------------------------------


def _on_nab(setting: Setting) -> Iterator[Figure]:
    assert setting.datasets is not None
    files = corpus(setting.datasets / "nab")
    sizes = np.array([len(file.time) for file in files], "i4")
    shape = (int(sizes.max()), len(files))
    lives = Lives(np.zeros(shape, "i8"), np.zeros(shape), sizes)
    for k, file in enumerate(files):
        # a clock that was set back stands still until it has caught up
        lives.time[: sizes[k], k], lives.value[: sizes[k], k] = np.maximum.accumulate(file.time), file.value
    labels = [file.labels for file in files]

    def points(score: F8) -> float:
        told = _as_news(score, sizes)
        return corpus_score([told[: sizes[k], k] for k in range(len(files))], labels, STANDARD).score

    means = {}
    for name, detector in _judges():
        score, decades = judged(detector, lives)
        means[name] = points(score)
        if name != "ensemble":
            means[name] = max(means[name], points(decades))
    how = "scores told as news, best threshold; of a member the better one of its scores and its decades"
    yield from _compared("Numenta benchmark, standard profile", "points", means, how)


def _as_news(score: F8, sizes: I4) -> F8:
    news, out = News(), np.zeros(score.shape)
    for k in range(len(score)):
        rows = np.flatnonzero(sizes > k).astype("i4")
        out[k, rows] = news.fold(rows, score[k, rows])
    return out


def _compared(what: str, unit: str, means: dict[str, float], how: str) -> Iterator[Figure]:
    alone = {name: value for name, value in means.items() if name != "ensemble"}
    best = max(alone, key=lambda name: alone[name])
    yield Figure(what, means["ensemble"], unit, note=how)
    note = ", ".join(f"{name} {value:.3g}" for name, value in alone.items())
    share = 100.0 * means["ensemble"] / alone[best]
    yield Figure(f"{what}, of the best member ({best})", share, "%", OF_BEST, note=note)
