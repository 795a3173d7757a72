"""How rare a score is among a row's own past scores, in decades, from a histogram of 64 bins with a Pareto tail."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.stats.jit import njit

F4: TypeAlias = NDArray[np.float32]

BINS: Final = 64
PER_OCTAVE: Final = 6.0
LOW_OCTAVE: Final = -4.0
NEEDED: Final = 100.0
"""Past scores from which on anything is said."""
TAIL_RATIO: Final = 0.02
TAIL_LEAST: Final = 5.0
HEAVINESS: Final = 0.02
"""Added to Hill's estimate, so that a short calm past gives no tail of no weight."""
LN10: Final = math.log(10.0)


@njit()
def bin_of(score: float) -> int:
    """Bin of a score >= 0: six per octave from 1/16; the first holds all below, the last is open.

    >>> bin_of(0.0), bin_of(1.0), bin_of(1e9)
    (0, 24, 63)
    """
    if score <= 0.0:
        return 0
    place = math.floor((math.log(score) / math.log(2.0) - LOW_OCTAVE) * PER_OCTAVE)
    return min(max(place, 0), BINS - 1)


@njit()
def decades(score: float, hist: F4) -> float:
    """-log10 of the share of past scores at least as large, (BINS,) counts; 0 while there are few.

    Beyond the top 2 % it is averaged with Hill's estimate of a Pareto tail, which alone speaks where nothing was seen.

    Reference: B. M. Hill, A Simple General Approach to Inference About the Tail of a Distribution, Annals of
    Statistics 1975.

    >>> hist = np.zeros(BINS, "f4"); hist[20:30] = 100.0
    >>> round(decades(0.5, hist), 2), decades(8.0, hist) > 2.5
    (0.0, True)
    """
    total = 0.0
    for b in range(BINS):
        total += hist[b]
    if total < NEEDED:
        return 0.0
    place = bin_of(score)
    above = 0.0
    for b in range(place, BINS):
        above += hist[b]
    p = (above + 0.5) / (total + 1.0)
    start, tail = BINS - 1, 0.0
    while start > 0 and tail < TAIL_RATIO * total:
        tail += hist[start]
        start -= 1
    if place > start + 1 and tail >= TAIL_LEAST:
        hill = 0.0
        for b in range(start + 1, BINS):
            hill += hist[b] * (b + 0.5 - (start + 1.0))
        octave = math.log(2.0) / PER_OCTAVE
        steepness = hill / tail * octave + HEAVINESS
        far = math.log(max(score, 1e-9)) - (LOW_OCTAVE + (start + 1.0) / PER_OCTAVE) * math.log(2.0)
        extrapolated = tail / total * math.exp(-far / steepness)
        p = min(p, extrapolated) if above < 3.0 else 0.5 * (p + extrapolated)
    return -math.log(max(p, 1e-30)) / LN10
