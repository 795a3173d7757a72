"""Distance to the nearest neighbours among shingles of an entity's own past."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.multi_member import Look, Member
from tocsin.detect.multi_scale import CAP
from tocsin.model.arrays import F8, I8
from tocsin.stats.jit import njit

NEIGHBOURS: Final = 5
NEEDED: Final = 20
"""Kept shingles before distances mean anything."""


class Neighbours(Member):
    """Score = mean distance (root mean square over rows and signals, in reaches) to the 5 nearest kept shingles.

    Shingles are the newest `rows` rows. A missing value is at no distance; only signals now seen are counted.

    Reference: S. Ramaswamy, R. Rastogi and K. Shim, Efficient Algorithms for Mining Outliers from Large Data Sets,
    SIGMOD 2000; F. Angiulli and C. Pizzuti, Fast Outlier Detection in High Dimensional Spaces, PKDD 2002 (mean of k).

    >>> from tocsin.detect.multi_memory import ShingleMemory
    >>> from tocsin.detect.multi_scale import RobustScale
    >>> memory, scale, d = ShingleMemory(1), RobustScale(1), Neighbours(1)
    >>> for t in range(200):
    ...     row = np.array([math.sin(t / 5)])
    ...     memory.push(row)
    ...     memory.learn()
    ...     scale.learn(row)
    >>> scale.refit(memory)
    >>> look = Look(memory.latest, row, row, scale.reach, memory.past[:200], memory.when[:200], 200)
    >>> d.score(look)[0] < 0.5 < d.score(look._replace(latest=np.abs(memory.latest) + 1))[0]
    True
    """

    name: ClassVar[str] = "neighbours"
    rows: ClassVar[int] = 5

    def __init__(self, signals: int) -> None:
        self.signals = signals

    def score(self, look: Look) -> tuple[float, F8]:
        """Mean distance and each signal's squared distance to the nearest shingle."""
        parts = np.zeros(self.signals)
        if len(look.past) < NEEDED:
            return math.nan, parts
        newest = look.step - self.rows  # what overlaps the rows now judged is no precedent
        return _distance(look.latest, look.past, look.when, newest, look.reach, self.rows, parts), parts


class NearRows(Neighbours):
    """`Neighbours` of the newest row alone: unusual combinations, however they came about; references as there."""

    name: ClassVar[str] = "near_rows"
    rows: ClassVar[int] = 1


@njit()
def _apart(query: F8, kept: F8, weight: F8) -> float:
    """Squared distance of two rows; what is missing on either side is at no distance."""
    total = 0.0
    for i in range(query.size):
        gap = abs(query[i] - kept[i]) * weight[i]
        if gap > 0.0:  # false for NaN as well
            gap = min(gap, CAP)
            total += gap * gap
    return total


@njit()
def _place(total: float, best: F8) -> None:
    """Put a squared distance among the smallest, in order."""
    at = best.size - 1
    while at > 0 and best[at - 1] > total:
        best[at] = best[at - 1]
        at -= 1
    best[at] = total


@njit()
def _weights(latest: F8, reach: F8, rows: int, weight: F8) -> int:
    """1 / reach where a value can be compared, 0 elsewhere; how many can."""
    known = 0
    for r in range(rows):
        for i in range(latest.shape[1]):
            if not math.isnan(latest[r, i]) and reach[i] > 0.0:
                weight[r, i] = 1.0 / reach[i]
                known += 1
    return known


@njit()
def _distance(latest: F8, past: F8, when: I8, newest: int, reach: F8, rows: int, parts: F8) -> float:
    weight = np.zeros((rows, latest.shape[1]))
    known = _weights(latest, reach, rows, weight)
    if known == 0:
        return math.nan
    # the newest row's distance bounds that of the shingle from below: most need no second look
    least = np.full(past.shape[0], np.inf)
    for m in range(past.shape[0]):
        if when[m] <= newest:
            least[m] = _apart(latest[0], past[m, 0], weight[0])
    best = np.full(NEIGHBOURS, np.inf)
    likely = _bound(least)
    first = _search(latest, past, weight, least, -1.0, likely, best, 0)  # likely ones first, for a tight bound
    first = _search(latest, past, weight, least, likely, np.inf, best, first)
    if not best[NEIGHBOURS - 1] < np.inf:
        return math.nan
    _parts(latest, past[first], weight, parts)
    mean = 0.0
    for at in range(NEIGHBOURS):
        mean += math.sqrt(best[at] / known)
    return mean / NEIGHBOURS


@njit()
def _search(latest: F8, past: F8, weight: F8, least: F8, above: float, most: float, best: F8, first: int) -> int:
    """Look at shingles with `above` < least <= `most`; the nearest so far."""
    for m in range(past.shape[0]):
        if not above < least[m] <= most or least[m] >= best[NEIGHBOURS - 1]:
            continue
        total = least[m]
        for r in range(1, weight.shape[0]):
            total += _apart(latest[r], past[m, r], weight[r])
            if total >= best[NEIGHBOURS - 1]:
                break
        if total < best[0]:
            first = m
        if total < best[NEIGHBOURS - 1]:
            _place(total, best)
    return first


@njit()
def _bound(least: F8) -> float:
    """The largest of the few smallest."""
    best = np.full(NEIGHBOURS, np.inf)
    for m in range(least.size):
        if least[m] < best[NEIGHBOURS - 1]:
            _place(least[m], best)
    return float(best[NEIGHBOURS - 1])


@njit()
def _parts(latest: F8, kept: F8, weight: F8, parts: F8) -> None:
    for r in range(weight.shape[0]):
        for i in range(parts.size):
            gap = abs(latest[r, i] - kept[r, i]) * weight[r, i]
            if gap > 0.0:
                parts[i] += min(gap, CAP) ** 2
