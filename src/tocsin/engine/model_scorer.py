"""`ModelScorer`: series judged each alone by a trained model, step by step, for files; see `SeriesScorer`."""

from __future__ import annotations

from typing import Final

import numpy as np

from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.news import News
from tocsin.detect.onnx import Onnx
from tocsin.detect.onnx_model import OnnxModel
from tocsin.engine.series_scorer import DEEPEST, LEAST_SCORE, Pace, Verdicts
from tocsin.model.arrays import Mask
from tocsin.model.detection import Step

BUDGET_PER_WEEK: Final = 3.0
"""Alarms a week that chance may raise on one series."""


class ModelScorer:
    """Scores many series, each alone, by one model: tested before it is learned, never looking ahead.

    The model's score, 3 being what hardly any normal window reached, is calibrated against the series' own past. An
    alarm needs a score of 3 and a p-value that chance reaches no more than `budget_per_week`, as news.
    """

    def __init__(self, model: OnnxModel, *, budget_per_week: float = BUDGET_PER_WEEK) -> None:
        self.budget_per_week = budget_per_week
        self.detector = Onnx(model=model)
        self.calibrator, self.news, self.pace = Calibrator(), News(), Pace()

    def fold(self, step: Step) -> Verdicts:
        """Judge one step, (n,), and learn it; no row may occur twice, and times of a row never fall."""
        rows = step.rows
        score = self.detector.score(step).value
        log10_p, _ = self.calibrator.log10_p(rows, score)
        wanted = np.log10(np.maximum(self.pace.fold(step) / self.budget_per_week, 10.0))
        needed = self.calibrator.score_at(rows, -wanted)
        limit = np.where(np.isfinite(needed), np.maximum(needed, LEAST_SCORE), LEAST_SCORE)
        band = self.detector.expect(step, limit)
        known = np.where(np.isfinite(log10_p), np.maximum(log10_p, DEEPEST), 0.0)
        surprise = self.news.fold(rows, np.where(score >= LEAST_SCORE, -known, np.where(np.isnan(score), np.nan, 0.0)))
        self.calibrator.learn(rows, score)
        self.detector.learn(step, np.ones(len(step)))
        alarm: Mask = np.greater_equal(surprise, wanted)
        return Verdicts(np.where(np.isnan(score), 0.0, score), known, alarm, band.lower, band.upper)
