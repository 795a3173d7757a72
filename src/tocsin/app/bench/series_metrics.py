"""How well scores and alarms agree with labelled spans: no point adjustment anywhere, for it flatters random scores."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from tocsin.model.arrays import F8, I8, Mask

BUFFER: Final = 100
"""Largest buffer of the volume under the surface, in rows; the literature's default."""
LEVELS: Final = 250
THRESHOLDS: Final = 100
MOST_FLAGGED: Final = 0.25
"""Share of rows that a threshold may flag (or twice the share that is labelled): flagging everything detects nothing."""


class Alarms(NamedTuple):
    """What an operator sees: shares of labelled spans caught and of alarms that touch one, and false alarms."""

    f1: float
    recall: float
    precision: float
    alarms: int
    false_alarms: int


def spans(labels: Mask) -> list[tuple[int, int]]:
    """First and last row of each run of labels.

    >>> spans(np.array([0, 1, 1, 0, 1], "?"))
    [(1, 2), (4, 4)]
    """
    edges = np.diff(np.concatenate([[0], labels.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True))


def auc_pr(labels: Mask, score: F8) -> float:
    """Average precision over rows, ties together.

    >>> auc_pr(np.array([0, 1, 0, 1], "?"), np.array([0.1, 0.9, 0.8, 0.7]))
    0.8333333333333333
    """
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(labels[order])
    ends = np.append(np.flatnonzero(np.diff(score[order]) != 0), len(score) - 1)
    recall = hits[ends] / max(1, int(labels.sum()))
    return float((np.diff(recall, prepend=0.0) * hits[ends] / (ends + 1)).sum())


def alarm_f1(labels: Mask, flagged: Mask) -> Alarms:
    """Each run of flags is one alarm, right if it touches a labelled span; each span is caught if any row is flagged."""
    events, runs = spans(labels), spans(flagged)
    caught = sum(bool(flagged[a : b + 1].any()) for a, b in events)
    right = sum(bool(labels[a : b + 1].any()) for a, b in runs)
    recall = caught / len(events) if events else 0.0
    precision = right / len(runs) if runs else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return Alarms(f1, recall, precision, len(runs), len(runs) - right)


def event_f1(labels: Mask, score: F8) -> float:
    """Best alarm F1 over quantile thresholds: an oracle, to be read beside the value at the own threshold."""
    most = max(MOST_FLAGGED, 2.0 * float(labels.mean())) * len(score)
    tried = np.unique(np.quantile(score, 1.0 - np.geomspace(2.0 / len(score), 0.5, THRESHOLDS)))
    kept = [score >= threshold for threshold in tried]
    return max((alarm_f1(labels, flagged).f1 for flagged in kept if flagged.sum() <= most), default=0.0)


def _merged(events: list[tuple[int, int]], reach: int, rows: int) -> list[tuple[int, int]]:
    """Spans widened by `reach` on both sides; those that meet become one."""
    found: list[tuple[int, int]] = []
    for a, b in events:
        low, high = max(a - reach, 0), min(b + reach, rows - 1)
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def _sloped(labels: Mask, events: list[tuple[int, int]], width: int) -> F8:
    """Labels as numbers, falling off over half the buffer before and after each span."""
    out: F8 = labels.astype(np.float64)
    if width:
        away = np.arange(1, width // 2 + 1)
        fall = np.sqrt(1.0 - away / width)
        for a, b in events:
            after, before = b + away, a - away
            out[after[after < len(out)]] += fall[after < len(out)]
            out[before[before >= 0]] += fall[before >= 0]
    np.minimum(out, 1.0, out=out)
    return out


def vus_pr(labels: Mask, score: F8, buffer: int = BUFFER) -> float:
    """Volume under the surface of precision and recall over buffers of 0 to `buffer` rows; NaN without a span.

    Reference: J. Paparrizos et al., Volume Under the Surface, VLDB 2022; the quantities of TSB-AD's `opt` version.
    """
    events, n = spans(labels), len(score)
    if not events or events == [(0, n - 1)]:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    levels = score[order][np.linspace(0, n - 1, LEVELS).astype(int)]
    flagged: I8 = np.searchsorted(-score[order], -levels, side="right")
    region = np.zeros(n, bool)
    for a, b in _merged(events, buffer // 2, n):
        region[a : b + 1] = True
    volume = 0.0
    for width in range(buffer + 1):
        sloped = np.where(region, _sloped(labels, events, width), 0.0)
        hits = np.cumsum(sloped[order])[flagged - 1]
        wide = _merged(events, width // 2, n)
        tops = np.sort([score[a : b + 1].max() for a, b in wide])
        exist = (len(wide) - np.searchsorted(tops, levels, side="left")) / len(wide)
        around = np.cumsum(np.where(labels, 0.0, sloped)[order])[flagged - 1]
        recall = np.minimum(hits / (labels.sum() + around / 2.0), 1.0) * exist
        volume += float((np.diff(recall, prepend=0.0) * hits / flagged).sum())
    return volume / (buffer + 1)
