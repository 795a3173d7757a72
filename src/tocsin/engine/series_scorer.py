"""`SeriesScorer`: series judged each alone, step by step, without log, windows and reports - for files and benches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.news import News
from tocsin.detect.baseline import Baseline
from tocsin.detect.novelty import Novelty
from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.detection import Step
from tocsin.stats.columns import Columns, column

LIMIT: Final = 1.3
"""Score from which on a verdict is an alarm, for a series of one row in five minutes."""
USUAL_STEPS: Final = 2016.0
"""Rows a week of such a series. Of ten times as many, chance offers ten times as many strange ones: a decade more."""
LIMIT_DECADE: Final = 0.5
WEEK_NS: Final = 7 * 24 * 3600 * 1_000_000_000
UNUSUAL: Final = 6.0
"""Decades of rarity that the baseline grants to life; what is beyond adds to the score."""
BASELINE_WEIGHT: Final = 0.5
BASELINE_MOST: Final = 8.0
LEAST_SCORE: Final = 3.0
"""However rare, what lies within the band that people are shown is the baseline's business no more."""
DEEPEST: Final = -300.0
"""Log10 of the smallest p-value that is still a number."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What is held of the rows of a step.

    Attributes
    ----------
    score : (n,) float64 >= 0, how strange as news, see `News`; 0 until warm and for no value
    log10_p : (n,) float64 in [-300, 0], rank among the row's own past scores, extrapolated; 0 as above
    alarm : (n,) bool, whether the score reaches the limit
    lower, upper : (n,) float64, band in the unit of the values beyond which the baseline objects; NaN until warm
    """

    score: F8
    log10_p: F8
    alarm: Mask
    lower: F8
    upper: F8


class Pace(Columns):
    """First time and number of steps of each row: how many there are in a week, by what was seen so far."""

    kind: ClassVar[str] = "pace"
    first: I8 = column(0, "i8")
    steps: I8 = column(0, "i8")

    def fold(self, step: Step) -> F8:
        """Steps in a week, (n,); `USUAL_STEPS` for a first one."""
        self.touch(step.rows)
        new = self.steps[step.rows] == 0
        self.first[step.rows[new]] = step.time[new]
        span = (step.time - self.first[step.rows]).astype("f8")
        taken = self.steps[step.rows]
        self.steps[step.rows] += 1
        found: F8 = np.where(span > 0.0, WEEK_NS / np.maximum(span, 1.0) * taken, USUAL_STEPS)
        return found


class SeriesScorer:
    """Scores many series, each alone, one step of them at a time: tested before it is learned, never looking ahead.

    Two detectors work together. Novelty sees what leaves the range of all that was seen, at several time scales;
    the engine's seasonal baseline, calibrated as in the engine, sees what is far out of line for its time of day or
    week although it lies within that range. Their sum is reported as news and calibrated against its own past.

    Parameters: `limit` from which on a score is an alarm; series of more than one row in five minutes need more.

    >>> s = SeriesScorer()
    >>> for k in range(300):
    ...     v = 90.0 if k == 299 else float(k * 7 % 5)
    ...     got = s.fold(Step(np.zeros(1, "i4"), np.array([k * 60 * 10**9]), np.array([v])))
    >>> bool(got.alarm[0]), bool(got.upper[0] < 90)
    (True, True)
    """

    def __init__(self, *, limit: float = LIMIT) -> None:
        self.limit = limit
        self.baseline, self.novelty = Baseline(), Novelty()
        self.rarity, self.calibrator = Calibrator(), Calibrator()
        self.news, self.pace = News(), Pace()

    def fold(self, step: Step) -> Verdicts:
        """Judge one step, (n,), and learn it; no row may occur twice, and times of a row never fall."""
        rows, every = step.rows, np.ones(len(step))
        distance = self.baseline.score(step).value
        rare, _ = self.rarity.log10_p(rows, distance)
        band = self.baseline.expect(step, self._width(step))
        score = self.novelty.score(step).value + self._unusual(rare, distance)
        log10_p, _ = self.calibrator.log10_p(rows, score)
        news = self.news.fold(rows, score)
        self.rarity.learn(rows, distance)
        self.calibrator.learn(rows, score)
        self.baseline.learn(step, every)
        self.rarity.follow(self.baseline)
        self.novelty.learn(step, every)
        known = np.where(np.isfinite(log10_p), np.maximum(log10_p, DEEPEST), 0.0)
        haste = np.maximum(np.log10(self.pace.fold(step) / USUAL_STEPS), 0.0)
        alarm: Mask = np.greater_equal(news, self.limit + LIMIT_DECADE * haste)
        return Verdicts(news, known, alarm, band.lower, band.upper)

    def _unusual(self, rare: F8, distance: F8) -> F8:
        """What the baseline adds to the score, (n,)."""
        beyond = np.where(np.isfinite(rare) & (distance >= LEAST_SCORE), -rare - UNUSUAL, 0.0)
        return BASELINE_WEIGHT * np.clip(beyond, 0.0, BASELINE_MOST)

    def _width(self, step: Step) -> F8:
        needed = self.rarity.score_at(step.rows, np.full(len(step), -UNUSUAL))
        return np.where(np.isfinite(needed), np.maximum(needed, LEAST_SCORE), LEAST_SCORE)
