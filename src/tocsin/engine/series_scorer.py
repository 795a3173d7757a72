"""`SeriesScorer`: the chain of a monitor without log, windows and reports - for files, benches and experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.hysteresis import Hysteresis, Move
from tocsin.calibrate.level import level
from tocsin.calibrate.news import News
from tocsin.calibrate.quarantine import Quarantine
from tocsin.detect.registry import build
from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.detection import Band, Step
from tocsin.stats.columns import Columns, column

DETECTOR: Final = "baseline"
WEEK_NS: Final = 7 * 24 * 3600 * 1_000_000_000
LEAST_SCORE: Final = 3.0
"""However rare, what lies within the band that people are shown raises no alarm."""
DEEPEST: Final = -300.0
"""Log10 of the smallest p-value that is still a number."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What is held of the rows of a step.

    Attributes
    ----------
    score : (n,) float64 >= 0, decades of rarity as news: see `News`; 0 until warm and for no value
    log10_p : (n,) float64 in [-300, 0]; 0 until warm and for no value
    alarm : (n,) bool
    lower, upper : (n,) float64, band in the unit of the values; NaN until warm
    """

    score: F8
    log10_p: F8
    alarm: Mask
    lower: F8
    upper: F8


class _Pace(Columns):
    """First time and number of steps of each row: how long a step is, by what was seen so far."""

    kind: ClassVar[str] = "pace"
    first: I8 = column(0, "i8")
    steps: I8 = column(0, "i8")

    def fold(self, step: Step) -> F8:
        """Steps in a week at the pace so far, (n,); 1 for a first step."""
        self.touch(step.rows)
        new = self.steps[step.rows] == 0
        self.first[step.rows[new]] = step.time[new]
        span = (step.time - self.first[step.rows]) / np.maximum(self.steps[step.rows], 1)
        self.steps[step.rows] += 1
        return np.where(span > 0, WEEK_NS / np.maximum(span, 1.0), 1.0)


class SeriesScorer:
    """Scores many series, each alone, one step of them at a time: tested before it is learned, never looking ahead.

    The order is that of the running engine: score, p-value, level, hysteresis, quarantine, learn.

    Parameters: `detector` and its `params` by name; `false_alarms_per_week` of one series.

    >>> s = SeriesScorer()
    >>> for k in range(300):
    ...     v = 90.0 if k == 299 else float(k % 5)
    ...     got = s.fold(Step(np.zeros(1, "i4"), np.array([k * 60 * 10**9]), np.array([v])))
    >>> bool(got.alarm[0]), bool(got.upper[0] < 90)
    (True, True)
    """

    def __init__(
        self,
        detector: str = DETECTOR,
        params: Mapping[str, float | str] | None = None,
        *,
        false_alarms_per_week: float = 1.0,
    ) -> None:
        self.detector = build(detector, params or {})
        self.calibrator = Calibrator()
        self.hysteresis = Hysteresis()
        self.quarantine = Quarantine()
        self.news = News()
        self.pace = _Pace()
        self.false_alarms_per_week = false_alarms_per_week

    def fold(self, step: Step) -> Verdicts:
        """Judge one step, (n,), and learn it; no row may occur twice, times of a row never fall."""
        rows = step.rows
        scores = self.detector.score(step).value
        log10_p, _ = self.calibrator.log10_p(rows, scores)
        wanted = self._level(self.pace.fold(step))
        band = self._band(step, wanted)
        known = np.isfinite(log10_p)
        decades = np.where(known, np.minimum(-log10_p, -DEEPEST), np.nan)
        decades = np.where(known & (scores < LEAST_SCORE), np.minimum(decades, 0.5 * -wanted), decades)
        news = self.news.fold(rows, decades)
        alarm = np.asarray(news >= -wanted)
        self._learn(step, scores, np.asarray(known & (decades >= -wanted)), decades)
        return Verdicts(news, np.where(known, -decades, 0.0), alarm, band.lower, band.upper)

    def _learn(self, step: Step, scores: F8, odd: Mask, decades: F8) -> None:
        moves = self.hysteresis.step(step.rows, step.time, odd, decades, clear_ns=0)
        self.detector.forget(step.rows[moves.at[moves.move == Move.ABSORBED]])
        self.calibrator.learn(step.rows, scores)
        for calm in self.quarantine.fold(step, self.hysteresis.verdicts(step.rows)):
            self.detector.learn(calm, np.ones(len(calm)))

    def _band(self, step: Step, wanted: F8) -> Band:
        needed = self.calibrator.score_at(step.rows, wanted)
        return self.detector.expect(step, np.where(np.isfinite(needed), np.maximum(needed, LEAST_SCORE), LEAST_SCORE))

    def _level(self, steps_per_week: F8) -> F8:
        return np.array([level(self.false_alarms_per_week, 1, steps) for steps in steps_per_week.tolist()])
