"""Stream matrices of values through detector, calibrator, level and hysteresis, as the engine does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tocsin.calibrate.budget import Counted, Episodes
from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.hold import Hold
from tocsin.calibrate.hysteresis import Hysteresis, Move, Verdict
from tocsin.detect.registry import build
from tocsin.model.detection import Step

SECOND = 10**9
DAY_S = 86_400
MONDAY = 20_377 * DAY_S * SECOND + 4 * DAY_S * SECOND  # 2025-10-20, 00:00 UTC


@dataclass
class Path:
    """One monitor: what opens, as (step, row)."""

    series: int
    step_s: int
    budget: float = 3.0
    of_series: int | None = None
    size_s: int | None = None  # of a window, where windows overlap
    detector: str = "baseline"
    params: dict = field(default_factory=dict)

    def __post_init__(self):
        self.rows = np.arange(self.series, dtype="i4")
        self.detect = build(self.detector, self.params)
        self.calibrator, self.hysteresis, self.hold = Calibrator(), Hysteresis(), Hold()
        windows = 7 * DAY_S / (self.size_s or self.step_s)
        self.wanted = self.budget / ((self.of_series or self.series) * windows)
        self.counted, self.episodes = Counted(), Episodes()
        self.levels = self.counted.levels(self.wanted)
        self.opened: list[tuple[int, int]] = []
        self.at = 0

    def push(self, values):
        step = Step(self.rows, np.full(self.series, MONDAY + self.at * self.step_s * SECOND), values)
        score = self.detect.score(step).value
        log10_p, _ = self.calibrator.log10_p(self.rows, score)
        strange, family = np.where(score < 3.0, 0.0, log10_p), self.calibrator.family(self.rows)
        share = self.step_s / (self.size_s or self.step_s)
        self.episodes.fold(self.rows, step.time, strange, family, gap_ns=60 * SECOND, share=share)
        wanted, none = self.levels[family], np.zeros(self.series)
        needed = self.hold.eased(self.rows, self.calibrator.score_at(self.rows, wanted), none)
        odd = (strange <= wanted) | (np.isfinite(log10_p) & (score >= 3.0) & self.hold.stays(self.rows, score, none))
        known = np.where(np.isfinite(log10_p), score, np.nan)
        moves = self.hysteresis.step(self.rows, step.time, odd, known, clear_ns=300 * SECOND)
        self.hold.follow(self.rows, moves, needed, none)
        self.opened += [(self.at, int(row)) for row in moves.at[moves.move == Move.OPENED]]
        self.calibrator.learn(self.rows, score)
        held = self.hysteresis.verdicts(self.rows) != Verdict.CALM
        self.detect.learn(step, np.where(odd | held, 0.0, 1.0))
        self.calibrator.follow(self.detect)
        self.at += 1
        if self.at * self.step_s % DAY_S == 0:
            self.counted.add(*self.episodes.drain())
            self.levels = self.counted.levels(self.wanted)
        return odd

    def run(self, matrix):
        for values in matrix:
            self.push(values)
        return self


def sliding(points, size_s, step_s, aggregate, min_samples=15):
    """Windows over one point a second, (t, n) -> (steps, n)."""
    ends = range(step_s, len(points) + 1, step_s)
    spans = [points[max(0, end - size_s) : end] for end in ends]
    return np.array([aggregate(span) for span in spans if len(span) >= min_samples])


def _autoregression(shape, rho, noise):
    x = np.zeros(shape)
    for k in range(1, shape[0]):
        x[k] = rho * x[k - 1] + np.sqrt(1 - rho * rho) * noise.normal(size=shape[1])
    return x


def families(steps, series, step_s, seed):
    """Ordinary life of many kinds of series, by name: {name: (steps, series)}."""
    noise = np.random.default_rng(seed)
    shape = (steps, series)
    day = (1 + 0.5 * np.sin(2 * np.pi * np.arange(steps) * step_s / DAY_S))[:, None]
    busy = noise.random(shape) < 0.02
    return {
        "normal": 100 + 10 * noise.normal(size=shape),
        "lognormal": np.exp(3 + 0.5 * noise.normal(size=shape)),
        "laplace": 50 + noise.laplace(size=shape),
        "daily": 200 * day * np.exp(0.1 * noise.normal(size=shape)),
        "daily_sum": 200 * day + 10 * noise.normal(size=shape),
        "autocorrelated": 20 + _autoregression(shape, 0.95, noise),
        "random_walk": 1000 + np.cumsum(noise.normal(size=shape), 0),
        "counts": noise.poisson(5, shape).astype(float),
        "daily_counts": noise.poisson(20 * day * np.ones(shape)).astype(float),
        "rare_counts": noise.poisson(0.05, shape).astype(float),
        "on_off": busy * 1.0,
        "on_off_noisy": busy * (100 + 5 * noise.normal(size=shape)),
        "ratio": noise.beta(2, 50, shape),
        "share_of_few": noise.binomial(50, 0.02, shape) / 50,
        "utilisation": np.clip(0.7 + 0.1 * _autoregression(shape, 0.9, noise), 0, 1),
        "collections": 50 + noise.normal(size=shape) + (np.arange(steps)[:, None] % 37 == 0) * 15,
        "hourly_job": np.where(np.arange(steps) * step_s % 3600 < 120, 5.0, 1.0)[:, None]
        * 100
        * np.exp(0.1 * noise.normal(size=shape)),
        "constant": np.full(shape, 7.5),
        "zero": np.zeros(shape),
        "three_replicas": 3.0 + (noise.random(shape) < 0.001).cumsum(0) % 2,
    }
