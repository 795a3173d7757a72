"""Kernels of novelty: features of the last 48 values of one row and their ranges, and the shapes of its windows."""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.model.arrays import F8, I4
from tocsin.stats.jit import njit, types_of
from tocsin.stats.past import BINS, bin_of, decades
from tocsin.stats.scale import honest_sd

F4: TypeAlias = NDArray[np.float32]

HELD: Final = 48
SHORT: Final = 12
FEATURES: Final = 5
VALUE, MEAN, MEDIAN, VARIATION, LONG_VARIATION = 0, 1, 2, 3, 4
WEIGHTS: Final = (2.5, 0.5, 0.5, 0.5, 1.0)
FIRST: Final = (0, SHORT - 1, SHORT - 1, SHORT - 1, HELD - 1)
"""Values seen before a feature has a value."""
NEEDED: Final = (1, 2 * SHORT, 2 * SHORT, 2 * SHORT, 2 * HELD)
"""Values seen before a feature is judged."""
HIGHEST: Final = 8.0
YOUTH: Final = (20.0, 60.0, 60.0, 60.0, 120.0)
"""A range of n values is granted this share over n of its width on either side: the young are not known yet."""
WIDEST: Final = 1.0
"""Of its own width, what one record may widen a range by."""

SHAPE_WEIGHT: Final = 0.5
SHAPE_BINS: Final = 8
KNOWN: Final = 24
"""Distributions that a row remembers; the one least met gives way."""
ALIKE: Final = 18.0
"""99 % quantile of chi-square with 7 degrees of freedom: what is nearer counts as the same distribution."""
FARTHEST: Final = 200.0
OUTGROWN: Final = 1.5
"""Growth of the range from which on its bins are drawn anew, and the distributions learned anew."""
BLUR: Final = 0.01
"""Added to every count, so that an empty bin has a logarithm."""
RAREST: Final = 8.0


class Rows(NamedTuple):
    """State of many rows, as `Novelty` declares it."""

    seen: I4
    ring: F8
    low: F8
    high: F8
    span: F8
    shapes: F8
    windows: F8
    past: F4


def empty_rows() -> Rows:
    """State of no rows: what the kernels are compiled for."""
    return Rows(
        np.empty(0, "i4"),
        np.empty((0, HELD)),
        np.empty((0, FEATURES)),
        np.empty((0, FEATURES)),
        np.empty((0, 2)),
        np.empty((0, KNOWN, SHAPE_BINS)),
        np.empty((0, KNOWN)),
        np.empty((0, BINS), "f4"),
    )


@njit()
def describe(x: float, seen: int, ring: F8, f: F8) -> None:
    """Features of a row with `x` as its newest value, into (FEATURES,); NaN where too little was seen."""
    f[:] = math.nan
    f[VALUE] = x
    if seen < SHORT - 1:
        return
    window = np.empty(SHORT)
    window[0] = x
    total, short, long = x, 0.0, 0.0
    after = x
    steps = min(seen, HELD - 1)
    for j in range(1, steps + 1):
        before = ring[(seen - j) % HELD]
        change = abs(after - before)
        long += change
        if j < SHORT:
            total += before
            short += change
            window[j] = before
        after = before
    window.sort()
    f[MEAN] = total / SHORT
    f[MEDIAN] = 0.5 * (window[SHORT // 2 - 1] + window[SHORT // 2])
    f[VARIATION] = short
    if steps == HELD - 1:
        f[LONG_VARIATION] = long


@njit()
def records(seen: int, low: F8, high: F8, f: F8) -> float:
    """Weighted sum of what the features exceed their ranges by."""
    total = 0.0
    for k in range(FEATURES):
        if math.isnan(f[k]) or seen < NEEDED[k]:
            continue
        excess = max(f[k] - high[k], low[k] - f[k])
        reach = high[k] - low[k]
        excess -= YOUTH[k] / seen * reach
        if excess <= 0.0:
            continue
        if reach <= 0.0:
            # a constant past: its level is a scale; that of zero, or of no variation, is none
            if k >= VARIATION or high[k] == 0.0:
                continue
            reach = honest_sd(0.0, high[k], excess)
        total += WEIGHTS[k] * HIGHEST * math.tanh(3.0 * excess / reach)
    return total


@njit()
def shares(x: float, seen: int, ring: F8, span: F8, into: F8) -> None:
    """Shares of the bins among the newest value and those before it, (SHAPE_BINS,)."""
    into[:] = BLUR
    width = (span[1] - span[0]) / SHAPE_BINS
    for j in range(HELD):
        value = x if j == 0 else ring[(seen - j) % HELD]
        into[min(max(int((value - span[0]) / width), 0), SHAPE_BINS - 1)] += 1.0
    for k in range(SHAPE_BINS):
        into[k] /= HELD + BLUR * SHAPE_BINS


@njit()
def distance(x: float, seen: int, ring: F8, span: F8, shapes: F8, windows: F8, into: F8) -> tuple[float, int]:
    """Twice the window times the relative entropy to the nearest known shape, over `ALIKE`; and which, -1: none.

    Beyond 1 there is a step of 1: what is like nothing known is set apart from what is not.
    """
    if span[1] <= span[0]:
        return 0.0, -1
    shares(x, seen, ring, span, into)
    best, which = math.inf, -1
    for h in range(KNOWN):
        if windows[h] > 0.0:
            far = 0.0
            for k in range(SHAPE_BINS):
                far += into[k] * math.log(into[k] / shapes[h, k])
            if far < best:
                best, which = far, h
    if which < 0:
        return 0.0, -1
    best *= 2.0 * HELD
    return (max(best, 0.0) / ALIKE, which) if best < ALIKE else (min(best, FARTHEST) / ALIKE + 1.0, -1)


@njit(types_of(np.empty(0, "i4"), np.empty(0), 1, empty_rows(), np.empty(0)))
def score_rows(rows: I4, value: F8, warmup: int, s: Rows, out: F8) -> None:
    """Score of each row, (n,)."""
    features, shape = np.empty(FEATURES), np.empty(SHAPE_BINS)
    for i in range(rows.size):
        r, x = rows[i], value[i]
        seen = s.seen[r]
        if seen < warmup or not math.isfinite(x):
            continue
        describe(x, seen, s.ring[r], features)
        out[i] = records(seen, s.low[r], s.high[r], features)
        if seen >= HELD - 1:
            far, _ = distance(x, seen, s.ring[r], s.span[r], s.shapes[r], s.windows[r], shape)
            out[i] += SHAPE_WEIGHT * min(decades(far, s.past[r]), RAREST)


@njit()
def widen(f: float, weight: float, seen: int, low: F8, high: F8, k: int) -> None:
    """Move the bounds of one feature to hold a value, by little more than their distance once that is known."""
    reach = high[k] - low[k]
    most = WIDEST * reach if seen > NEEDED[k] + SHORT and reach > 0.0 else math.inf
    if f > high[k]:
        high[k] += weight * min(f - high[k], most)
    elif f < low[k]:
        low[k] -= weight * min(low[k] - f, most)


@njit()
def remember(x: float, weight: float, seen: int, r: int, s: Rows, shape: F8) -> None:
    """Learn the shape of the window that ends with this value, and how far it was from those known."""
    low, high, span = s.low[r, VALUE], s.high[r, VALUE], s.span[r]
    if high - low > OUTGROWN * (span[1] - span[0]):
        span[0], span[1] = low, high
        s.windows[r, :] = 0.0
    if seen < HELD - 1 or span[1] <= span[0]:
        return
    far, which = distance(x, seen, s.ring[r], span, s.shapes[r], s.windows[r], shape)
    s.past[r, bin_of(far)] += weight
    if which < 0:
        which = int(np.argmin(s.windows[r]))
        s.windows[r, which] = 0.0
        s.shapes[r, which] = shape
    s.windows[r, which] += weight


@njit(types_of(np.empty(0, "i4"), np.empty(0), np.empty(0), empty_rows()))
def learn_rows(rows: I4, value: F8, weight: F8, s: Rows) -> None:
    """Learn a value of each row: ranges, shapes, ring."""
    features, shape = np.empty(FEATURES), np.empty(SHAPE_BINS)
    for i in range(rows.size):
        r, x = rows[i], value[i]
        seen = s.seen[r]
        describe(x, seen, s.ring[r], features)
        for k in range(FEATURES):
            if not math.isnan(features[k]):
                if seen == FIRST[k]:
                    s.low[r, k] = s.high[r, k] = features[k]
                widen(features[k], weight[i], seen, s.low[r], s.high[r], k)
        remember(x, weight[i], seen, r, s, shape)
        s.ring[r, seen % HELD] = x
        s.seen[r] += 1
