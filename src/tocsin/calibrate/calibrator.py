"""`Calibrator`: from raw scores to log10 p-values against each row's own past scores, tested before learned."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.calibrate.tail import BINS, FIT, N_EFF, bin_of, fit_row, log10_survival, score_at_row
from tocsin.model.arrays import F8, I4, I8, Mask
from tocsin.stats.columns import Columns, column, numbers_of, rows_of
from tocsin.stats.jit import njit

EPISODES: Final = 4
EPISODE_GAP: Final = 10
"""Calm scores that end an episode of extreme ones."""
RECURRENT: Final = 2
"""Earlier episodes as large as this one that make it part of the series' life."""
PROVISIONAL_BELOW: Final = 300.0
"""Effective scores under which a p-value is said to be provisional."""


class Calibrator(Columns):
    """Tail p-values of scores, one row a series; call `log10_p`, then `learn`, each step.

    Every score is learned, anomalies too, each with bounded influence: a score counts at most as one whose
    p-value is a tenth of 1/n, and a run of such scores counts like its logarithm. What comes back a third
    time as large as before (`RECURRENT` earlier episodes) is life, not news, and gets its empirical rate.

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
    mean: F8 = column(0.0)
    var: F8 = column(0.0)
    cov: F8 = column(0.0)
    last: F8 = column(0.0)
    run: I4 = column(0, "i4")
    calm: I4 = column(0, "i4")
    peak: F8 = column(0.0, "f8", (EPISODES,))
    peak_seen: I8 = column(-1, "i8", (EPISODES,))
    episodes: I4 = column(0, "i4")

    def __init__(self, *, min_scores: int = 30, memory: int = 40_000) -> None:
        super().__init__()
        self.min_scores, self.memory = min_scores, memory
        self.family_shape: F8 = np.array([0.05])
        self.family_ratio: F8 = np.array([0.35])

    def log10_p(self, rows: I4, score: F8, family: I4 | None = None) -> tuple[F8, F8]:
        """log10 p-value and effective number of past scores, each (n,); NaN for a NaN score and until warm."""
        rows, score = rows_of(rows), numbers_of(score)
        self.reserve(rows)
        out, n_eff = np.full(rows.size, np.nan), np.zeros(rows.size)
        _log10_p(
            rows, score, self.hist, self.fit, self.seen, self.calm, self.peak, self.peak_seen, self.episodes,
            self.min_scores, self.memory, out, n_eff,
        )  # fmt: skip
        return out, n_eff

    def score_at(self, rows: I4, log10_p: F8) -> F8:
        """Score that would get this p-value, (n,): what the level means for each row; NaN until warm."""
        rows, log10_p = rows_of(rows), numbers_of(log10_p)
        self.reserve(rows)
        out = np.full(rows.size, np.nan)
        _score_at(rows, log10_p, self.fit, self.seen, self.min_scores, out)
        return out

    def learn(self, rows: I4, score: F8, family: I4 | None = None) -> None:
        """Take scores in, (n,); a NaN score teaches nothing."""
        known = np.isfinite(score)
        rows, score = rows_of(rows[known]), numbers_of(score[known])
        families = np.zeros(rows.size, np.int32) if family is None else rows_of(family[known])
        self.touch(rows)
        _learn(
            rows, score, families, self.hist, self.fit, self.seen, self.mean, self.var, self.cov, self.last,
            self.run, self.calm, self.peak, self.peak_seen, self.episodes,
            self.family_shape, self.family_ratio, self.min_scores, self.memory,
        )  # fmt: skip

    def warm(self, rows: I4) -> F8:
        """Share of `min_scores` seen, (n,), in [0, 1]."""
        self.reserve(rows)
        return np.minimum(self.seen[rows] / float(self.min_scores), 1.0)

    def provisional(self, rows: I4) -> Mask:
        """Whether p-values of these rows still lean on the prior, (n,)."""
        self.reserve(rows)
        found: Mask = self.fit[rows, N_EFF] < PROVISIONAL_BELOW
        return found


@njit("void(i4[::1],f8[::1],f4[:,::1],f8[:,::1],i8[::1],i4[::1],f8[:,::1],i8[:,::1],i4[::1],i8,i8,f8[::1],f8[::1])")
def _log10_p(
    rows: I4, score: F8, hist: F8, fit: F8, seen: I8, calm: I4, peak: F8, peak_seen: I8, episodes: I4,
    min_scores: int, memory: int, out: F8, n_eff: F8,
) -> None:  # fmt: skip
    for i in range(rows.size):
        r = rows[i]
        n_eff[i] = fit[r, N_EFF]
        if seen[r] < min_scores or math.isnan(score[i]):
            continue
        p = log10_survival(score[i], hist[r], fit[r])
        # episodes that are over and reached as far; the one still going on can't excuse itself
        latest = (episodes[r] - 1) % EPISODES if episodes[r] > 0 and calm[r] < EPISODE_GAP else -1
        count, oldest = 0, seen[r]
        for e in range(EPISODES):
            fresh = peak_seen[r, e] >= 0 and seen[r] - peak_seen[r, e] <= memory
            if e != latest and fresh and peak[r, e] >= 0.5 * score[i]:
                count += 1
                oldest = min(oldest, peak_seen[r, e])
        if count >= RECURRENT:
            p = max(p, math.log(count / (seen[r] - oldest + 1.0)) / math.log(10.0))
        out[i] = min(p, 0.0)


@njit("void(i4[::1],f8[::1],f8[:,::1],i8[::1],i8,f8[::1])")
def _score_at(rows: I4, log10_p: F8, fit: F8, seen: I8, min_scores: int, out: F8) -> None:
    for i in range(rows.size):
        if seen[rows[i]] >= min_scores:
            out[i] = score_at_row(log10_p[i], fit[rows[i]])


@njit(
    "void(i4[::1],f8[::1],i4[::1],f4[:,::1],f8[:,::1],i8[::1],f8[::1],f8[::1],f8[::1],f8[::1],i4[::1],i4[::1],"
    "f8[:,::1],i8[:,::1],i4[::1],f8[::1],f8[::1],i8,i8)"
)
def _learn(
    rows: I4, score: F8, family: I4, hist: F8, fit: F8, seen: I8, mean: F8, var: F8, cov: F8, last: F8,
    run: I4, calm: I4, peak: F8, peak_seen: I8, episodes: I4, shape: F8, ratio: F8, min_scores: int, memory: int,
) -> None:  # fmt: skip
    for i in range(rows.size):
        r, z = rows[i], score[i]
        bounded, weight = z, 1.0
        if seen[r] >= min_scores:
            cap = score_at_row(-math.log(10.0 * max(fit[r, N_EFF], 10.0)) / math.log(10.0), fit[r])
            if z > cap:
                run[r] += 1
                bounded, weight = cap, 1.0 / run[r]
                place = (episodes[r] - 1) % EPISODES
                if episodes[r] == 0 or calm[r] >= EPISODE_GAP:
                    place = episodes[r] % EPISODES
                    episodes[r] += 1
                    peak[r, place], peak_seen[r, place] = z, seen[r]
                peak[r, place] = max(peak[r, place], z)
                calm[r] = 0
            else:
                calm[r] = min(calm[r] + 1, 1_000_000)
                if calm[r] >= EPISODE_GAP:
                    run[r] = 0
        hist[r, bin_of(bounded)] += weight
        seen[r] += 1
        # dependence of neighbours, on a scale where no score is extreme
        light = min(bounded, 4.0)
        rate = 1.0 / min(seen[r], 1000.0)
        gap = light - mean[r]
        before = last[r] - mean[r]
        mean[r] += rate * gap
        var[r] += rate * (gap * gap - var[r])
        cov[r] += rate * (gap * before - cov[r])
        last[r] = light
        if seen[r] < 256 or seen[r] % 16 == 0:
            rho = min(max(cov[r] / var[r], 0.0), 0.98) if var[r] > 0.0 else 0.0
            total = 0.0
            for b in range(BINS):
                total += hist[r, b]
            if total > memory:
                for b in range(BINS):
                    hist[r, b] *= 0.5
            f = min(max(family[i], 0), shape.size - 1)
            fit_row(hist[r], (1.0 - rho) / (1.0 + rho), shape[f], ratio[f], fit[r])
