"""When it began, where nobody says: the time at which most of what was measured changes its level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tocsin.correlate.metric_shift import Readings, role_of
from tocsin.correlate.traces import Spans
from tocsin.model.arrays import F8

LEAST = 8
MOST_POINTS = 2000
BEST = 7
"""Series with the clearest changes whose times are weighed."""
CLEAR = 1.5
"""Statistic of Kolmogorov's bridge beyond which a change of level is hardly chance (p about 0.02)."""


def find_onset(series: Sequence[Readings], spans: Spans | None) -> tuple[float, bool] | None:
    """Seconds since the origin at which levels change, and whether that is clear; None where there are no levels."""
    unclear: list[tuple[float, float]] = []
    for candidates in _candidates(series, spans):
        found = [each for each in map(_split, candidates) if each is not None]
        clear = sorted((each for each in found if each[0] > CLEAR), key=lambda each: (-each[0], each[1]))[:BEST]
        if clear:
            return _middle(clear), True
        unclear += found
    return (max(unclear)[1], False) if unclear else None


def _middle(clear: Sequence[tuple[float, float]]) -> float:
    """Weighted median of the times of changes (statistic, time)."""
    times = np.array(sorted((time, weight) for weight, time in clear))
    half = np.searchsorted(np.cumsum(times[:, 1]), times[:, 1].sum() / 2)
    return float(times[half, 0])


def _candidates(series: Sequence[Readings], spans: Spans | None) -> Iterator[list[tuple[F8, F8]]]:
    """Levels to look at, the next where those before show nothing: requests, metrics that are symptoms, all metrics."""
    if spans is not None:
        roots = np.flatnonzero(spans.parent < 0)
        roots = roots[np.argsort(spans.start[roots], kind="stable")]
        yield [(spans.start[roots], level[roots]) for level in (spans.duration, spans.failed.astype("f8"))]
    yield [(each.time, each.value) for each in series if role_of(each.metric) == "symptom"]
    yield [(each.time, each.value) for each in series]


def _split(readings: tuple[F8, F8]) -> tuple[float, float] | None:
    """How clearly a series has two levels, and when the second begins (CUSUM of ranks)."""
    time, value = readings
    if len(time) < LEAST:
        return None
    if len(time) > MOST_POINTS:
        every = -(-len(time) // MOST_POINTS)
        time, value = time[::every], value[::every]
    if np.ptp(value) == 0:
        return None
    _, which, count = np.unique(value, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[which]  # equal values share a rank: their order says nothing
    rank = (rank - rank.mean()) / rank.std()
    bridge = np.abs(np.cumsum(rank))[:-1] / np.sqrt(len(rank))
    at = int(np.argmax(bridge))
    return float(bridge[at]), float(time[at + 1])
