"""Tail of a score's own past: a log-histogram, and a generalised Pareto law beyond a high quantile.

The shape is never negative (a bounded tail would call the first larger score impossible). Scale and shape are
posterior-predictive: with few exceedances the prior widens the tail, which is the penalty of a cold start.

Reference: J. Pickands, Statistical Inference Using Extreme Order Statistics, Annals of Statistics 1975;
J. R. M. Hosking and J. R. Wallis, Parameter and Quantile Estimation for the Generalized Pareto Distribution,
Technometrics 1987 (probability-weighted moments).
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.model.arrays import F8, I4, I8
from tocsin.stats.jit import njit

F4: TypeAlias = NDArray[np.float32]

BINS: Final = 64
PER_OCTAVE: Final = 6.0
LOW_OCTAVE: Final = -4.0
TAIL_RATIO: Final = 0.08
PRIOR_COUNT: Final = 8.0
"""Pseudo-exceedances behind the prior mean excess."""
SHAPE_COUNT: Final = 75.0
"""Exceedances at which a series' own shape weighs as much as its family's."""
LN10: Final = math.log(10.0)

EPISODES: Final = 4
EPISODE_GAP: Final = 10
"""Calm scores that end an episode of extreme ones."""
RECURRENT: Final = 2
"""Earlier episodes as large as this one, at regular times, that make it part of the series' life."""
FREQUENT: Final = 3
"""Earlier episodes as large that do so whenever they come, if all lie within the last `FREQUENT_WITHIN` scores."""
FREQUENT_WITHIN: Final = 10_000
JITTER: Final = 0.1
"""How far an interval may lie off a multiple of the shortest one and still be regular, as a share of it."""
PIT: Final = 8
PIT_EVERY: Final = 16
"""Every so manieth p-value enters the running histogram of p-values."""
PIT_MEMORY: Final = 150.0
DRIFTED: Final = 0.35
"""Kolmogorov-Smirnov distance of that histogram from uniform at which the past no longer describes the present;
of 60 independent values (150 of an autocorrelated series) uniform ones come so far once in 10^6 times."""
KEPT_AFTER_DRIFT: Final = 500.0
"""Scores that what is kept of such a past weighs as much as."""
PROVISIONAL_BELOW: Final = 300.0
"""Effective scores under which a p-value is said to be provisional."""

EDGES: Final = np.array([0.0, *(math.pow(2.0, LOW_OCTAVE + b / PER_OCTAVE) for b in range(1, BINS + 1))])
"""Lower edges of bins, and the upper one of the last."""
HALF_BIN: Final = math.pow(2.0, 0.5 / PER_OCTAVE)
"""Middle of a bin over its lower edge."""

# columns of a row's fit
U, PHI, SIGMA, XI, N_EFF = 0, 1, 2, 3, 4
FIT: Final = 5


@njit(inline=True)
def bin_of(score: float) -> int:
    """Bin of a score >= 0: six per octave from 1/16, the last one open."""
    if score <= 0.0:
        return 0
    place = math.floor((math.log(score) / math.log(2.0) - LOW_OCTAVE) * PER_OCTAVE)
    return min(max(place, 0), BINS - 1)


@njit(inline=True)
def total_of(hist: F4) -> float:
    """Sum of a histogram; in four lanes, since one would wait for itself."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for k in range(0, BINS, 4):
        a += hist[k]
        b += hist[k + 1]
        c += hist[k + 2]
        d += hist[k + 3]
    return (a + b) + (c + d)


@njit(inline=True)
def fit_row(hist: F4, dependence: float, shape: float, ratio: float, fit: F8) -> None:
    """Fit one row: histogram (64,), share of scores that are independent, the family's shape and mean-excess ratio."""
    total = total_of(hist)
    above, place = 0.0, BINS
    floor = bin_of(1.0)  # a score under 1 is never interesting: the tail starts no lower
    # deeper into the tail as there is more to fit it with
    share = min(TAIL_RATIO, max(1.5 / math.sqrt(max(total * dependence, 1.0)), 0.002))
    while place > floor and above < share * total:
        place -= 1
        above += hist[place]
    u = EDGES[place]
    excess, weighted, below = 0.0, 0.0, 0.0
    for b in range(place, BINS):
        if hist[b] > 0.0:
            middle = EDGES[b] * HALF_BIN - u
            excess += hist[b] * middle
            # probability-weighted moment: middle * (1 - F) at the centre of the bin's own mass
            weighted += hist[b] * middle * (1.0 - (below + 0.5 * hist[b]) / above)
            below += hist[b]
    k = above * dependence
    prior_mean = ratio * max(u, 1.0)
    mean = (PRIOR_COUNT * prior_mean + excess * dependence) / (PRIOR_COUNT + k)
    # beyond u a Pareto law has a mean excess in proportion to u, and the more the heavier it is
    shape = max(shape, min(1.2 * (mean / max(u, 1.0) - 0.22), 0.5))
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


@njit(inline=True)
def log10_survival(score: float, hist: F4, fit: F8) -> float:
    """log10 of P(another score is at least this), for one row."""
    if score >= fit[U]:
        x = (score - fit[U]) / fit[SIGMA]
        return float(math.log(fit[PHI]) - math.log1p(fit[XI] * x) / fit[XI]) / LN10
    place = bin_of(score)
    total, above = total_of(hist), 0.0
    for b in range(place + 1, BINS):
        above += hist[b]
    low, high = EDGES[place], EDGES[place + 1]
    inside = (high - score) / (high - low)
    ratio = (above + inside * hist[place] + 1.0) / (total + 1.0)
    return float(math.log(min(max(ratio, fit[PHI]), 1.0))) / LN10


@njit(inline=True)
def score_at_row(log10_p: float, fit: F8) -> float:
    """Score whose tail probability is 10**log10_p, for one row; at least the tail's start."""
    ratio = math.log(fit[PHI]) - log10_p * LN10
    if ratio <= 0.0:
        return float(fit[U])
    return float(fit[U] + fit[SIGMA] * math.expm1(fit[XI] * ratio) / fit[XI])


@njit(inline=True)
def recurrence(score: float, seen: int, calm: int, peak: F4, at: I4, episodes: int, memory: int) -> float:
    """Rate at which episodes as large as this score have come, if that is life: regularly, or often; else 0.

    The episode still going on can't excuse itself. What comes back now and then, at no special time, is an
    incident each time.
    """
    if episodes < RECURRENT:
        return 0.0
    latest = (episodes - 1) % EPISODES if episodes > 0 and calm < EPISODE_GAP else -1
    count, recent, oldest = 0, 0, seen
    before, shortest = seen, memory
    for back in range(1, EPISODES + 1):  # newest first
        e = (episodes - back) % EPISODES
        if episodes < back or e == latest or seen - at[e] > memory or peak[e] < 0.5 * score:
            continue
        count += 1
        recent += 1 if seen - at[e] <= FREQUENT_WITHIN else 0
        shortest = min(shortest, before - at[e])
        before = oldest = at[e]
    if count >= FREQUENT and recent >= FREQUENT:
        return count / (seen - oldest + 1.0)
    if count < RECURRENT:
        return 0.0
    before = seen
    for back in range(1, EPISODES + 1):
        e = (episodes - back) % EPISODES
        if episodes < back or e == latest or seen - at[e] > memory or peak[e] < 0.5 * score:
            continue
        times = math.floor((before - at[e]) / shortest + 0.5)
        if times > 8 or abs(before - at[e] - times * shortest) > JITTER * shortest + 1.0:
            return 0.0
        before = at[e]
    return count / (seen - oldest + 1.0)


@njit("void(i4[::1],f8[::1],f4[:,::1],f8[:,::1],i8[::1],i4[::1],f4[:,::1],i4[:,::1],i4[::1],i8,i8,f8[::1],f8[::1])")
def log10_p_rows(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, score: F8, hist: F4, fit: F8, seen: I8, calm: I4, peak: F4, peak_seen: I4, episodes: I4,
    min_scores: int, memory: int, out: F8, n_eff: F8,
) -> None:  # fmt: skip
    """log10 p of each score, and the effective number of scores behind it."""
    for i in range(rows.size):
        r = rows[i]
        n_eff[i] = fit[r, N_EFF]
        if seen[r] < min_scores or math.isnan(score[i]):
            continue
        p = log10_survival(score[i], hist[r], fit[r])
        rate = recurrence(score[i], seen[r], calm[r], peak[r], peak_seen[r], episodes[r], memory)
        if rate > 0.0:
            p = max(p, math.log(rate) / LN10)
        out[i] = min(p, 0.0)


@njit("void(i4[::1],f8[::1],f8[:,::1],i8[::1],i8,f8[::1])")
def score_at_rows(rows: I4, log10_p: F8, fit: F8, seen: I8, min_scores: int, out: F8) -> None:
    """Score that each p-value stands for."""
    for i in range(rows.size):
        if seen[rows[i]] >= min_scores:
            out[i] = score_at_row(log10_p[i], fit[rows[i]])


@njit(
    "void(i4[::1],f8[::1],i4[::1],f4[:,::1],f8[:,::1],i8[::1],f8[:,::1],i4[::1],i4[::1],"
    "f4[:,::1],i4[:,::1],i4[::1],f4[:,::1],i4[::1],f8[::1],f8[::1],i8,i8)"
)
def learn_rows(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, score: F8, family: I4, hist: F4, fit: F8, seen: I8, lag: F8,
    run: I4, calm: I4, peak: F4, peak_seen: I4, episodes: I4, pit: F4, drifts: I4, shape: F8, ratio: F8,
    min_scores: int, memory: int,
) -> None:  # fmt: skip
    """Take scores in, each with bounded influence; see `Calibrator`."""
    for i in range(rows.size):
        r, z = rows[i], score[i]
        bounded, weight = z, 1.0
        if seen[r] >= 256 and seen[r] % PIT_EVERY == 0 and calm[r] >= EPISODE_GAP:
            watch_drift(z, hist[r], fit[r], pit[r], drifts, r)
        if seen[r] >= min_scores:
            # a cap is never below the tail's start, and few scores are above that
            cap = math.inf
            if z > fit[r, U]:
                cap = score_at_row(-math.log(10.0 * max(fit[r, N_EFF], 10.0)) / LN10, fit[r])
            if z > cap:
                run[r] += 1
                bounded, weight = cap, 1.0 / run[r]
                if episodes[r] == 0 or calm[r] >= EPISODE_GAP:
                    peak[r, episodes[r] % EPISODES], peak_seen[r, episodes[r] % EPISODES] = 0.0, seen[r]
                    episodes[r] += 1
                latest = (episodes[r] - 1) % EPISODES
                peak[r, latest] = max(peak[r, latest], z)
                calm[r] = 0
            else:
                calm[r] = min(calm[r] + 1, 1_000_000)
                run[r] = 0 if calm[r] >= EPISODE_GAP else run[r]
        hist[r, bin_of(bounded)] += weight
        seen[r] += 1
        learn_dependence(min(bounded, 4.0), 1.0 / min(seen[r], 1000.0), lag[r])
        if seen[r] < 256 or seen[r] % 16 == 0:
            halve(hist[r], memory)
            f = min(max(family[i], 0), shape.size - 1)
            fit_row(hist[r], independent_ratio(lag[r]), shape[f], ratio[f], fit[r])


@njit(inline=True)
def watch_drift(score: float, hist: F4, fit: F8, pit: F4, drifts: I4, r: int) -> None:
    """Take a p-value into the running histogram; when that is far from uniform, nearly all of the past is let go."""
    p = math.pow(10.0, log10_survival(score, hist, fit))
    total = 0.0
    for b in range(PIT):
        total += pit[b]
    fade = PIT_MEMORY / (PIT_MEMORY + 1.0) if total >= PIT_MEMORY else 1.0
    for b in range(PIT):
        pit[b] *= fade
    pit[min(int(p * PIT), PIT - 1)] += 1.0
    if total + 1.0 >= 0.5 * PIT_MEMORY and uniformity(pit) > DRIFTED:
        drifts[r] += 1
        for b in range(PIT):
            pit[b] = 0.0
        scores = total_of(hist)
        for b in range(BINS):
            hist[b] *= min(KEPT_AFTER_DRIFT / scores, 1.0)


@njit(inline=True)
def uniformity(pit: F4) -> float:
    """Kolmogorov-Smirnov distance of a histogram of p-values from the uniform law, over its edges; 0 when empty."""
    total, below, worst = 0.0, 0.0, 0.0
    for b in range(PIT):
        total += pit[b]
    if total <= 0.0:
        return 0.0
    for b in range(PIT):
        below += pit[b]
        # large p-values heap where scores are often 0: only too many small ones are a danger
        worst = max(worst, below / total - (b + 1.0) / PIT)
    return worst


@njit(inline=True)
def learn_dependence(score: float, rate: float, lag: F8) -> None:
    """Mean, variance, covariance with the score before, and that score."""
    gap, before = score - lag[0], lag[3] - lag[0]
    lag[0] += rate * gap
    lag[1] += rate * (gap * gap - lag[1])
    lag[2] += rate * (gap * before - lag[2])
    lag[3] = score


@njit(inline=True)
def independent_ratio(lag: F8) -> float:
    """Effective over actual number of scores, as for a first-order autoregression."""
    rho = min(max(lag[2] / lag[1], 0.0), 0.98) if lag[1] > 0.0 else 0.0
    return float((1.0 - rho) / (1.0 + rho))


@njit(inline=True)
def halve(hist: F4, memory: int) -> None:
    """Halve the counts of a row that holds more than `memory`: the old fades."""
    total = total_of(hist)
    if total > memory:
        for b in range(BINS):
            hist[b] *= 0.5
