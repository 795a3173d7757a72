"""Tail of a score's own past: a log-histogram, and a generalised Pareto law beyond a high quantile.

The shape is never negative (a bounded tail would call the first larger score impossible). Scale and shape are
posterior-predictive: with few exceedances the prior widens the tail, which is the penalty of a cold start.

Reference: J. Pickands, Statistical Inference Using Extreme Order Statistics, Annals of Statistics 1975;
J. R. M. Hosking and J. R. Wallis, Parameter and Quantile Estimation for the Generalized Pareto Distribution,
Technometrics 1987 (probability-weighted moments).
"""

from __future__ import annotations

import math
from typing import Final

from tocsin.model.arrays import F8
from tocsin.stats.jit import njit

BINS: Final = 64
PER_OCTAVE: Final = 6.0
LOW_OCTAVE: Final = -4.0
TAIL_RATIO: Final = 0.08
PRIOR_COUNT: Final = 6.0
"""Pseudo-exceedances behind the prior mean excess."""
SHAPE_COUNT: Final = 60.0
"""Exceedances at which a series' own shape weighs as much as its family's."""
LN10: Final = math.log(10.0)

# columns of a row's fit
U, PHI, SIGMA, XI, N_EFF = 0, 1, 2, 3, 4
FIT: Final = 5


@njit()
def bin_of(score: float) -> int:
    """Bin of a score >= 0: six per octave from 1/16, the last one open."""
    if score <= 0.0:
        return 0
    place = int(math.floor((math.log(score) / math.log(2.0) - LOW_OCTAVE) * PER_OCTAVE))
    return min(max(place, 0), BINS - 1)


@njit()
def edge_of(place: int) -> float:
    """Lower edge of a bin; 0 for the first."""
    return math.pow(2.0, LOW_OCTAVE + place / PER_OCTAVE) if place > 0 else 0.0


@njit()
def fit_row(hist: F8, dependence: float, shape: float, ratio: float, fit: F8) -> None:
    """Fit one row: histogram (64,), share of scores that are independent, the family's shape and mean-excess ratio."""
    total = 0.0
    for b in range(BINS):
        total += hist[b]
    above, place = 0.0, BINS
    floor = bin_of(1.0)  # a score under 1 is never interesting: the tail starts no lower
    # deeper into the tail as there is more to fit it with
    share = min(TAIL_RATIO, max(1.5 / math.sqrt(max(total * dependence, 1.0)), 0.002))
    while place > floor and above < share * total:
        place -= 1
        above += hist[place]
    u = edge_of(place)
    excess, weighted, below = 0.0, 0.0, 0.0
    for b in range(place, BINS):
        if hist[b] > 0.0:
            middle = edge_of(b) * math.pow(2.0, 0.5 / PER_OCTAVE) - u
            excess += hist[b] * middle
            # probability-weighted moment: middle * (1 - F) at the centre of the bin's own mass
            weighted += hist[b] * middle * (1.0 - (below + 0.5 * hist[b]) / above)
            below += hist[b]
    k = above * dependence
    prior_mean = ratio * max(u, 1.0)
    mean = (PRIOR_COUNT * prior_mean + excess * dependence) / (PRIOR_COUNT + k)
    own = shape
    if above > 0.0 and excess > 2.0 * weighted:
        own = min(max(2.0 - excess / (excess - 2.0 * weighted), -0.5), 0.9)
    xi = max((k * own + SHAPE_COUNT * shape) / (k + SHAPE_COUNT), 0.0) + 1.0 / (PRIOR_COUNT + k)
    xi = min(xi, 0.9)
    fit[U] = u
    # a prior of one exceedance in twelve: no share of zero from a short calm past
    fit[PHI] = (above + 1.0) / (total + 12.0)
    fit[SIGMA] = mean * (1.0 - xi)
    fit[XI] = xi
    fit[N_EFF] = total * dependence


@njit()
def log10_survival(score: float, hist: F8, fit: F8) -> float:
    """log10 of P(another score is at least this), for one row."""
    if score >= fit[U]:
        x = (score - fit[U]) / fit[SIGMA]
        return (math.log(fit[PHI]) - math.log1p(fit[XI] * x) / fit[XI]) / LN10
    place = bin_of(score)
    total, above = 0.0, 0.0
    for b in range(BINS):
        total += hist[b]
        if b > place:
            above += hist[b]
    low, high = edge_of(place), edge_of(place + 1)
    inside = (high - score) / (high - low)
    ratio = (above + inside * hist[place] + 1.0) / (total + 1.0)
    return math.log(min(max(ratio, fit[PHI]), 1.0)) / LN10


@njit()
def score_at_row(log10_p: float, fit: F8) -> float:
    """Score whose tail probability is 10**log10_p, for one row; at least the tail's start."""
    ratio = math.log(fit[PHI]) - log10_p * LN10
    if ratio <= 0.0:
        return float(fit[U])
    return float(fit[U] + fit[SIGMA] * math.expm1(fit[XI] * ratio) / fit[XI])
