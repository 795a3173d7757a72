"""The scoring rule of the Numenta Anomaly Benchmark: windows, early detection rewarded, false alarms charged.

Reference: A. Lavin and S. Ahmad, Evaluating Real-Time Anomaly Detection Algorithms - the Numenta Anomaly Benchmark,
ICMLA 2015, section III.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from tocsin.model.arrays import F8, I4, I8, Mask

PROBATION_RATIO: Final = 0.15
PROBATION_ROWS: Final = 750
"""Rows at the start of a file that nobody judges: 15 % of it, and of at most 5,000 rows."""
FAR: Final = 3.0
"""Widths of a window behind it from which on a false alarm costs in full."""


class Profile(NamedTuple):
    """What a detection, a missed window and a false alarm weigh."""

    found: float
    missed: float
    false: float


PROFILES: Final = {
    "standard": Profile(1.0, 1.0, 0.11),
    "reward_low_FP_rate": Profile(1.0, 1.0, 0.22),
    "reward_low_FN_rate": Profile(1.0, 2.0, 0.11),
}


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What the rows of one file are worth.

    Attributes
    ----------
    worth : (n,) float64 in [-1, 1], what an alarm at this row brings, before weights
    window : (n,) int32, the window that a row is in, -1 for none
    judged : (n,) bool, False in the probationary part
    windows : number of windows of the file
    """

    worth: F8
    window: I4
    judged: Mask
    windows: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Score of a corpus, 0 for silence and 100 for every window found at its first row, and how it came about."""

    score: float
    threshold: float
    found: int
    windows: int
    false: int


def sigmoid(place: float) -> float:
    """Worth of an alarm at `place`: -1 at the start of a window, 0 at its end, in widths beyond it behind.

    >>> sigmoid(0.0), round(sigmoid(-1.0), 3), round(sigmoid(3.0), 3)
    (0.0, 0.987, -1.0)
    """
    return 2.0 / (1.0 + math.exp(5.0 * place)) - 1.0


def labels_of(time: I8, windows: Sequence[tuple[int, int]]) -> Labels:
    """Worth of every row, given the times of a file, (n,), and first and last time of each window, in order."""
    n = len(time)
    worth, window = np.full(n, -1.0), np.full(n, -1, "i4")
    spans = [(int(np.flatnonzero(time == a)[0]), int(np.flatnonzero(time == b)[0])) for a, b in windows]
    for k, (first, last) in enumerate(spans):
        window[first : last + 1] = k
        width = last - first + 1.0
        for row in range(first, last + 1):
            worth[row] = sigmoid(-(last - row + 1) / width) / sigmoid(-1.0)
        until = spans[k + 1][0] if k + 1 < len(spans) else n
        for row in range(last + 1, until):
            place = (row - last) / max(width - 1.0, 1.0)
            worth[row] = -1.0 if place > FAR else sigmoid(place)
    probation = min(math.floor(PROBATION_RATIO * n), PROBATION_ROWS)
    return Labels(worth, window, np.arange(n) >= probation, len(spans))


def corpus_score(
    scores: Sequence[F8], labels: Sequence[Labels], profile: Profile, threshold: float | None = None
) -> Outcome:
    """Score of files, each (n,), at one threshold for all: the best one, or the one given.

    An alarm is a score of at least the threshold. Of each window only the best alarm counts.
    """
    score, worth, window = _together(scores, labels)
    order = np.argsort(-score, kind="stable")
    score, worth, window = score[order], worth[order], window[order]
    gain, first = _gains(worth, window)
    total = sum(of.windows for of in labels)
    found = np.cumsum(first)
    false = np.cumsum(window < 0)
    charged = np.cumsum(np.where(window < 0, worth, 0.0))
    raw = profile.found * np.cumsum(gain) - profile.missed * (total - found) + profile.false * charged
    # a threshold takes in all rows of equal score
    ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    at = -1
    if threshold is None:
        best = ends[int(np.argmax(raw[ends]))]
        at = int(best) if raw[best] > -profile.missed * total else -1
    else:
        passed = ends[score[ends] >= threshold]
        at = int(passed[-1]) if len(passed) else -1
    silence = -profile.missed * total
    reached = float(raw[at]) if at >= 0 else silence
    share = 100.0 * (reached - silence) / (profile.found * total - silence)
    limit = threshold if threshold is not None else (float(score[at]) if at >= 0 else math.inf)
    return Outcome(share, limit, int(found[at]) if at >= 0 else 0, total, int(false[at]) if at >= 0 else 0)


def _together(scores: Sequence[F8], labels: Sequence[Labels]) -> tuple[F8, F8, I4]:
    """Judged rows of all files, with windows numbered through."""
    kept_score, kept_worth, kept_window = [], [], []
    base = 0
    for score, of in zip(scores, labels, strict=True):
        if len(score) != len(of.worth):
            raise ValueError(f"{len(score)} scores for {len(of.worth)} rows")
        kept_score.append(np.asarray(score, "f8")[of.judged])
        kept_worth.append(of.worth[of.judged])
        kept_window.append(np.where(of.window >= 0, of.window + base, -1)[of.judged])
        base += of.windows
    return np.concatenate(kept_score), np.concatenate(kept_worth), np.concatenate(kept_window).astype("i4")


def _gains(worth: F8, window: I4) -> tuple[F8, Mask]:
    """What each row, taken in this order, adds to its window's best alarm; and whether it is the window's first."""
    gain, first = np.zeros(len(worth)), np.zeros(len(worth), bool)
    for k in range(int(window.max(initial=-1)) + 1):
        rows = np.flatnonzero(window == k)
        if len(rows):
            gain[rows] = np.diff(np.maximum.accumulate(worth[rows]), prepend=0.0)
            first[rows[0]] = True
    return gain, first
