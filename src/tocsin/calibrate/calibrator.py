"""`Calibrator`: from raw scores to log10 p-values against each row's own past scores, tested before learned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.calibrate.budget import family_rows
from tocsin.calibrate.tail import (
    BINS,
    EPISODES,
    FIT,
    LOW_OCTAVE,
    N_EFF,
    PER_OCTAVE,
    PIT,
    PROVISIONAL_BELOW,
    learn_rows,
    log10_p_rows,
    score_at_rows,
    uniformity,
)
from tocsin.model.arrays import F8, I4, I8, Mask
from tocsin.model.detection import Detector
from tocsin.stats.columns import Columns, column, numbers_of, rows_of

RENEWED_COUNT: Final = 100.0
"""Scores that the normal law weighs as much as when a row begins anew."""


def _normal_scores() -> NDArray[np.float32]:
    """Histogram of absolute values of a normal law, (64,)."""
    below = [math.erf(2.0 ** (LOW_OCTAVE + (b + 1) / PER_OCTAVE) / math.sqrt(2.0)) for b in range(BINS - 1)]
    return (RENEWED_COUNT * np.diff([0.0, *below, 1.0])).astype("f4")


NORMAL_SCORES: Final = _normal_scores()
KEPT: Final = 0.1
"""Share of what was counted that is kept when another model gives the scores."""


class Calibrator(Columns):
    """Tail p-values of scores, one row a series; call `log10_p`, then `learn`, each step.

    Every score is learned, anomalies too, each with bounded influence: a score counts at most as one whose
    p-value is a tenth of 1/n, and a run of such scores counts like its logarithm. What comes back as large as
    before, a third time at regular times or a fourth time soon, is life, not news, and gets its empirical rate.
    Its own p-values are watched: when they are no longer uniform (too many small ones), nearly all of the past is
    let go, so that few scores and the prior decide (wider, and of a younger family) until there is a new past.

    Parameters: `min_scores` before p-values are given; `memory` in scores, after which counts are halved.

    >>> c = Calibrator(min_scores=30)
    >>> row = np.zeros(1, "i4")
    >>> for k in range(200):
    ...     c.learn(row, np.array([k % 20 / 10]))
    >>> p, n_eff = c.log10_p(row, np.array([30.0]))
    >>> bool(p[0] < -6), bool(c.provisional(row)[0])
    (True, True)
    """

    kind: ClassVar[str] = "calibrator"
    hist: NDArray[np.float32] = column(0.0, "f4", (BINS,))
    fit: F8 = column(0.0, "f8", (FIT,))
    seen: I8 = column(0, "i8")
    lag: F8 = column(0.0, "f8", (4,))
    run: I4 = column(0, "i4")
    calm: I4 = column(0, "i4")
    peak: NDArray[np.float32] = column(0.0, "f4", (EPISODES,))
    peak_seen: I4 = column(-1, "i4", (EPISODES,))
    episodes: I4 = column(0, "i4")
    pit: NDArray[np.float32] = column(0.0, "f4", (PIT,))
    drifts: I4 = column(0, "i4")

    def __init__(self, *, min_scores: int = 30, memory: int = 40_000) -> None:
        super().__init__()
        self.min_scores, self.memory = min_scores, memory
        self.family_shape: F8 = np.array([0.03])
        self.family_ratio: F8 = np.array([0.28])

    def log10_p(self, rows: I4, score: F8) -> tuple[F8, F8]:
        """log10 p-value and effective number of past scores, each (n,); NaN for a NaN score and until warm."""
        rows, score = rows_of(rows), numbers_of(score)
        self.reserve(rows)
        out, n_eff = np.full(rows.size, np.nan), np.zeros(rows.size)
        log10_p_rows(
            rows, score, self.hist, self.fit, self.seen, self.calm, self.peak, self.peak_seen, self.episodes,
            self.min_scores, self.memory, out, n_eff,
        )  # fmt: skip
        return out, n_eff

    def score_at(self, rows: I4, log10_p: F8) -> F8:
        """Score that would get this p-value, (n,): what the level means for each row; NaN until warm."""
        rows, log10_p = rows_of(rows), numbers_of(log10_p)
        self.reserve(rows)
        out = np.full(rows.size, np.nan)
        score_at_rows(rows, log10_p, self.fit, self.seen, self.min_scores, out)
        return out

    def learn(self, rows: I4, score: F8, family: I4 | None = None) -> None:
        """Take scores in, (n,); a NaN score teaches nothing."""
        known = np.isfinite(score)
        rows, score = rows_of(rows[known]), numbers_of(score[known])
        families = np.zeros(rows.size, np.int32) if family is None else rows_of(family[known])
        self.touch(rows)
        learn_rows(
            rows, score, families, self.hist, self.fit, self.seen, self.lag,
            self.run, self.calm, self.peak, self.peak_seen, self.episodes, self.pit, self.drifts,
            self.family_shape, self.family_ratio, self.min_scores, self.memory,
        )  # fmt: skip

    def renew(self, rows: I4) -> None:
        """Begin nearly anew for rows whose scores come from another model now, with those of a normal law for a start.

        What was large for the old model would be life to the new one. What is known to recur goes on to recur.
        """
        rows = rows_of(rows[rows < self.size])
        # sharp edges, which a season of hours draws soft, stay life; the tail is fitted again within 16 scores
        self.hist[rows], self.pit[rows] = NORMAL_SCORES + KEPT * self.hist[rows], 0.0
        self.run[rows] = 0

    def follow(self, detector: Detector) -> I4:
        """Begin nearly anew where the detector's expectation stands on new ground since the last call; gives the rows.

        Where it has come to expect a period of the row's own, what recurred is no excuse any more: it is expected.
        """
        renewed = detector.renewed()
        if renewed.size:
            self.renew(renewed)
        entrained = detector.entrained()
        if entrained.size:
            entrained = entrained[entrained < self.size]
            self.hist[entrained], self.episodes[entrained] = NORMAL_SCORES, 0
        return renewed

    def family(self, rows: I4) -> I4:
        """Family of each row in the alert budget, (n,): by how much of its past is known and how heavy its tail is."""
        rows = rows_of(rows)
        self.reserve(rows)
        out = np.zeros(rows.size, np.int32)
        family_rows(rows, self.fit, out)
        return out

    def explain(self, row: int) -> Mapping[str, float]:
        """How well the p-values of one row fit their past: distance from uniform in [0, 1], and refits so far."""
        if row >= self.size:
            return {}
        return {"p_off_uniform": float(uniformity(self.pit[row])), "refits": float(self.drifts[row])}

    def warm(self, rows: I4) -> F8:
        """Share of `min_scores` seen, (n,), in [0, 1]."""
        self.reserve(rows)
        return np.minimum(self.seen[rows] / float(self.min_scores), 1.0)

    def provisional(self, rows: I4) -> Mask:
        """Whether p-values of these rows still lean on the prior, (n,)."""
        self.reserve(rows)
        found: Mask = self.fit[rows, N_EFF] < PROVISIONAL_BELOW
        return found
