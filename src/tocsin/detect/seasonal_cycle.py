"""Kernels of the baseline for periods that are not the clock's: found in the series, proven on what follows, then used.

While nothing is found, `RING` bytes of a row hold the latest bucket means, as rounded steps from one to the next. A
full ring is searched for a lag at which it agrees with itself three times over; without one, pairs of buckets are
merged and the search goes on at half the resolution, from the row's own step to weeks. What is found takes the same
bytes for the profile of one period, `PROFILE` slots. It neither accuses nor excuses before it has predicted better
than what is trusted already, on values that it had not seen; what can't is dropped, and the search begins anew.

Reference: C. Chatfield, The Analysis of Time Series, 2003, chapters 2.7 and 7 (correlogram); T. Vlachos, P. Yu and
V. Castelli, On Periodicity Detection and Structural Periodic Similarity, SDM 2005 (a candidate is held to its ACF).
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.model.arrays import F8
from tocsin.stats.jit import njit

F4: TypeAlias = NDArray[np.float32]
Guess3: TypeAlias = tuple[float, float, float]
I1: TypeAlias = NDArray[np.int8]

RING: Final = 72
PROFILE: Final = RING // 4

# columns of a row's `rhythm`, (RHYTHM,) float32
PERIOD: Final = 0  # seconds of the period; < 0: less the seconds of a bucket, while the search is on; 0: not begun
OFF: Final = 1  # mean clipped squared residual of the profile,
WIDE: Final = 2  # mean clipped absolute residual,
PROVEN: Final = 3  # steps that it was tried on, at most a third of `TRIALS` a period,
BASE: Final = 4  # what it is relative to: `ON_LEVEL`, `ON_SEASON`, or a slow level of its own,
PHASE: Final = 5  # slots that it is ahead,
BESIDE: Final = 6  # and as OFF of what is trusted without it, on the same steps
SUM: Final = 1  # in the search: of the bucket under way,
WEIGHT: Final = 2  # its number of values,
FILL: Final = 3  # buckets in the ring,
HELD: Final = 4  # and the value that they lead to
RHYTHM: Final = 7
ON_LEVEL: Final = math.inf
ON_SEASON: Final = math.nan

TRIALS: Final = 100.0
"""Steps, over three periods at least, before a profile may be trusted."""
STEPS_OF_SD: Final = 8.0
"""Steps of the ring in one robust sd of the level; it follows by 16 sds a bucket at most."""
SHORTEST, LONGEST = 5, 18
"""Lags in buckets that may be a period; each period comes by at two resolutions."""
LAGS: Final = 3 * LONGEST + 2
ALIKE: Final = 0.6
"""Least correlation with itself one period later,"""
STILL_ALIKE: Final = 0.5
"""and two and three periods later."""
QUICK, QUICK_HALF = 12, 4
"""Longest lag, and half of what is smoothed over, of what is quick beside waves that are larger."""
TROUGH: Final = 0.5
"""Least fall of the correlation on the way to the period: what only moves slowly has none."""
LONGEST_S: Final = 64 * 86_400.0
AGAIN_S: Final = 14 * 86_400.0
"""Span of the ring at which the search begins anew, the first time and later."""
PHASE_GAIN: Final = 0.25
"""Share of an error in phase that a period mends,"""
PACE_GAIN: Final = 0.03
"""and of one in length: damped well."""
BETTER, HARDLY_BETTER = 0.6, 0.8
"""Squared error beside that of what is trusted, for a period to be trusted, and to be dropped."""
KNOWN_S: Final = (3_600.0, 86_400.0, 604_800.0)
UNITS_S: Final = (86_400.0, 3_600.0, 1_800.0, 900.0, 300.0, 60.0, 30.0, 10.0, 5.0, 1.0)
"""What people's periods are multiples of."""


@njit(inline=True)
def phase_of(t: int, born: int, rhythm: F4) -> float:
    """Place in the period, in slots, [0, PROFILE)."""
    period = int(float(rhythm[PERIOD]) * 1e9)
    phase = ((t - born) % period) / period * PROFILE + float(rhythm[PHASE])
    return phase - math.floor(phase / PROFILE) * PROFILE


@njit(inline=True)
def by_cycle(t: int, born: int, level: float, season: float, profile: F4, rhythm: F4) -> tuple[float, float, float]:
    """Prediction by the profile of the period, on the working scale, and its least and greatest; NaN: none.

    Where a burst begins or ends within a slot, nobody knows: all between the slots is as good. `season` is NaN where
    none is trusted.
    """
    if rhythm[PERIOD] <= 0.0:
        return math.nan, math.nan, math.nan
    base = float(rhythm[BASE])
    if math.isinf(base):
        base = level
    elif math.isnan(base):
        base = season
    phase = phase_of(t, born, rhythm)
    here = int(phase) % PROFILE
    part = phase - math.floor(phase) - 0.5
    own, before, after = float(profile[here]), float(profile[here - 1]), float(profile[(here + 1) % PROFILE])
    neighbour = after if part > 0.0 else before
    if math.isnan(neighbour):
        return base + own, base + own, base + own
    low, high = min(own, neighbour), max(own, neighbour)
    if min(before, after) < own < max(before, after):
        low, high = min(before, after), max(before, after)
    return base + own + abs(part) * (neighbour - own), base + low, base + high


@njit(inline=True)
def on_level(period_s: float, dt: float) -> bool:
    """Whether a period is so short beside the level's own hour that the level goes along."""
    return bool(period_s <= 3.0 * max(3_600.0, 20.0 * dt * 1e-9))


@njit(inline=True)
def restart(ring: I1, rhythm: F4) -> None:
    """Begin the search anew."""
    ring[:] = 0
    rhythm[:] = 0.0


@njit(inline=True)
def track(t: int, born: int, gap: float, slots: float, profile: F4, rhythm: F4) -> None:
    """Move phase and period by what a residual says of them, in `slots` of time; a phase-locked loop of order two.

    Reference: F. M. Gardner, Phaselock Techniques, 2005, chapter 2.
    """
    energy = 0.0
    for k in range(PROFILE):
        rise = float(profile[(k + 1) % PROFILE]) - float(profile[k])
        energy += rise * rise
    if not energy > rhythm[WIDE] * rhythm[WIDE]:
        return
    phase = phase_of(t, born, rhythm)
    low = int(phase - 0.5 + PROFILE) % PROFILE
    rise = float(profile[(low + 1) % PROFILE]) - float(profile[low])
    most = 0.5 * math.sqrt(energy)
    ahead = min(max(gap, -most), most) * rise / energy * slots
    rhythm[PERIOD] *= 1.0 - PACE_GAIN * ahead / PROFILE
    moved = phase + PHASE_GAIN * ahead - phase_of(t, born, rhythm) + float(rhythm[PHASE])
    rhythm[PHASE] = moved - math.floor(moved / PROFILE) * PROFILE


@njit(inline=True)
def learn_profile(  # noqa: PLR0917 - a kernel takes scalars and row views
    y: float, t: int, born: int, dt: float, w: float, level: float, season: float, other: float, guess: Guess3,
    bound: float, far: float, profile: F4, rhythm: F4
) -> None:  # fmt: skip
    """Take a value into the profile, and compare its guess with `other`, which is trusted without it.

    `bound` is how hard one value pulls, `far` how far off one counts.
    """
    period = float(rhythm[PERIOD])
    count = min(1.0, TRIALS / 3.0 * dt * 1e-9 / period)
    centre, low, high = guess
    if not math.isnan(centre):
        m = float(rhythm[PROVEN])
        slow = max(1.0 / (m + 1.0), 0.0005)
        rhythm[WIDE] += w * max(slow, 0.002) * (min(max(low - y, y - high, 0.0), far / 3.0) - rhythm[WIDE])
        cut = min(abs(y - centre), far)
        rhythm[OFF] += w * slow * (cut * cut - rhythm[OFF])
        cut = min(abs(y - other), far)
        rhythm[BESIDE] += w * slow * (cut * cut - rhythm[BESIDE])
        rhythm[PROVEN] = m + count
        if m >= TRIALS / 3.0:
            track(t, born, w * (y - centre), min(PROFILE * dt * 1e-9 / period, 1.0), profile, rhythm)
    base = float(rhythm[BASE])
    if math.isinf(base):
        base = level
    elif math.isnan(base):
        base = season
    elif not math.isnan(centre):
        span = max(6.0 * 3600.0, period / 4.0)
        rhythm[BASE] += w * min(dt * 1e-9 / span, 0.05) * min(max(y - centre, -bound), bound)
    if math.isnan(base):
        return
    at = int(phase_of(t, born, rhythm)) % PROFILE
    if math.isnan(profile[at]):
        profile[at] = y - base
        return
    young = rhythm[PROVEN] < TRIALS
    steps = rhythm[PROVEN] / max(count, 1e-9) / PROFILE if young else math.inf
    share = max(min(0.3 * dt * 1e-9 * PROFILE / period, 0.5), 1.0 / (steps + 2.0))
    pull = y - base - profile[at]
    profile[at] += w * share * (pull if young else min(max(pull, -bound), bound))


@njit(inline=True)
def collect(t: int, born: int, latest: int, u: float, sd: float, ring: I1, rhythm: F4) -> bool:
    """Take a value into the bucket under way; whether the ring is full."""
    width = int(-float(rhythm[PERIOD]) * 1e9)
    here, before = (t - born) // width, (latest - born) // width
    if here > before and rhythm[WEIGHT] > 0.0:
        mean, fill, step = float(rhythm[SUM]) / float(rhythm[WEIGHT]), int(rhythm[FILL]), sd / STEPS_OF_SD
        if here - before > RING // 10:  # too much is missing
            restart(ring, rhythm)
            return False
        if fill == 0:
            rhythm[HELD] = mean
        moved = min(max(math.floor((mean - rhythm[HELD]) / step + 0.5), -127.0), 127.0) if step > 0.0 else 0.0
        rhythm[HELD] += moved * step
        ring[fill] = int(moved)
        for k in range(fill + 1, min(fill + here - before, RING)):
            ring[k] = 0
        rhythm[FILL] = min(fill + here - before, RING)
        rhythm[SUM], rhythm[WEIGHT] = 0.0, 0.0
    rhythm[SUM] += u
    rhythm[WEIGHT] += 1.0
    return bool(rhythm[FILL] >= RING)


@njit(inline=True)
def merge(ring: I1, rhythm: F4) -> None:
    """Halve the resolution: each two buckets become one."""
    at, before, k = 0.0, 0.0, 0
    for i in range(0, RING, 2):
        first = at + ring[i]
        at = first + ring[i + 1]
        mean = 0.5 * (first + at)
        moved = min(max(math.floor(mean - before + 0.5), -127.0), 127.0) if i > 0 else 0.0
        before = before + moved if i > 0 else mean
        ring[k] = int(moved)
        k += 1
    ring[k:] = 0
    rhythm[FILL] = k
    rhythm[PERIOD] *= 2.0


@njit(inline=True)
def flattened(ring: I1, half: int) -> F8:
    """Values of a full ring without what is slower than 2 `half` + 1 buckets, a little smoothed, (RING,)."""
    x, out = np.empty(RING), np.empty(RING)
    at, mean, slope = 0.0, 0.0, 0.0
    middle, square = 0.5 * (RING - 1), RING * (RING * RING - 1.0) / 12.0
    for i in range(RING):
        at += ring[i]
        x[i] = at
        mean += at / RING
        slope += at * (i - middle) / square
    for i in range(RING):
        x[i] -= mean + slope * (i - middle)
    for i in range(RING):
        low, high = max(i - half, 0), min(i + half + 1, RING)
        around = 0.0
        for j in range(low, high):
            around += x[j]
        # a burst of one bucket must meet the next although their distance is no whole number of buckets
        out[i] = 0.25 * x[max(i - 1, 0)] + 0.5 * x[i] + 0.25 * x[min(i + 1, RING - 1)] - around / (high - low)
    return out


@njit(inline=True)
def correlogram(x: F8) -> F8:
    """Correlation of a ring with itself at lags 0 to LAGS."""
    r = np.zeros(LAGS + 1)
    for lag in range(LAGS + 1):
        both, early, late = 0.0, 0.0, 0.0
        for i in range(RING - lag):
            both += x[i] * x[i + lag]
            early += x[i] * x[i]
            late += x[i + lag] * x[i + lag]
        if early > 0.0 and late > 0.0:
            r[lag] = both / math.sqrt(early * late)
    return r


@njit(inline=True)
def top_near(r: F8, lag: int) -> int:
    """Lag of the largest correlation within one of `lag`."""
    best = lag
    for other in (lag - 1, lag + 1):
        if other < LAGS and r[other] > r[best]:
            best = other
    return best


@njit(inline=True)
def summit(r: F8, lag: int) -> float:
    """Place of a maximum between lags, by a parabola."""
    bend = r[lag - 1] - 2.0 * r[lag] + r[lag + 1]
    return lag + (0.5 * (r[lag - 1] - r[lag + 1]) / bend if bend < 0.0 else 0.0)


@njit(inline=True)
def lag_of(r: F8, longest: int) -> int:
    """The shortest lag at which a correlogram says that there is a period; 0: none."""
    best, most = 0, 0.0
    for lag in range(SHORTEST, longest + 1):
        if r[lag] < ALIKE or r[lag] < r[lag - 1] or r[lag] < r[lag + 1]:
            continue
        lowest = 1.0
        for k in range(1, lag):
            lowest = min(lowest, r[k])
        if lowest > r[lag] - TROUGH:
            continue
        place, again = summit(r, lag), True
        for times in (2, 3):
            again = again and r[top_near(r, min(int(times * place + 0.5), LAGS - 1))] >= STILL_ALIKE
        # a multiple of a period is one only where it says clearly more
        if again and r[lag] > most + 0.15:
            best, most = lag, r[lag]
    return best


@njit(inline=True)
def of_the_clock(r: F8, lag: int, found: float, doubt: float, bucket_s: float) -> bool:
    """Whether a period is the hour, the day or the week, or a multiple of one that says as much."""
    days = math.floor(found / 86_400.0 + 0.5)
    if 1.0 <= days <= 4.0 and abs(found - days * 86_400.0) <= 0.1 * 86_400.0:
        return True
    for known in KNOWN_S:
        if abs(found - known) <= max(0.03 * known, 2.0 * doubt):
            return True
        place = int(known / bucket_s + 0.5)
        if 2 <= place < lag:
            top = top_near(r, place)
            if r[top] >= r[lag] - 0.15 and r[top] >= r[top - 1] and r[top] >= r[top + 1]:
                return True
            times = math.floor(found / known + 0.5)
            if place <= SHORTEST and times <= 4.0 and abs(found - times * known) <= 0.06 * known:
                return True  # told apart at a finer resolution, if it is one
    return False


@njit(inline=True)
def period_of(ring: I1, bucket_s: float, quick: bool) -> float:
    """Period in seconds that a full ring shows; 0: none. As round as its precision allows.

    With `quick` one that is quick beside slower and larger waves, such as those of days that are not yet trusted.
    """
    r = correlogram(flattened(ring, QUICK_HALF if quick else LONGEST))
    lag = lag_of(r, QUICK if quick else LONGEST)
    if lag == 0:
        return 0.0
    place, times = summit(r, lag), 1
    while (times + 1) * place + 1.0 < LAGS:
        top = top_near(r, int((times + 1) * place + 0.5))
        if r[top] < STILL_ALIKE or top + 1 > LAGS:
            break
        times += 1
        place = summit(r, top) / times
    found, doubt = place * bucket_s, 0.3 * bucket_s / times
    if of_the_clock(r, lag, found, doubt, bucket_s):
        return 0.0
    for unit in UNITS_S:
        rounded = math.floor(found / unit + 0.5) * unit
        if rounded > 0.0 and abs(found - rounded) <= doubt:
            return float(rounded)
    return float(found)


@njit(inline=True)
def search(  # noqa: PLR0917 - a kernel takes scalars and row views
    y: float, t: int, born: int, latest: int, step_s: float, dt: float, hourly: float, season: float, sd: float,
    ring: I1, profile: F4, rhythm: F4
) -> None:  # fmt: skip
    """Go on with the search: y beside `hourly` for short periods, beside `season` (NaN: none trusted) for long ones."""
    if step_s <= 0.0 or sd <= 0.0:
        return
    if rhythm[PERIOD] == 0.0:
        rhythm[PERIOD] = -step_s
    short = on_level(LONGEST * -float(rhythm[PERIOD]), dt)
    u = y - hourly if short else (y if math.isnan(season) else y - season)
    if not collect(t, born, latest, u, sd, ring, rhythm):
        return
    bucket = -float(rhythm[PERIOD])
    found, quick = period_of(ring, bucket, False), False
    if found <= 0.0 and not short and math.isnan(season):
        found, quick = period_of(ring, bucket, True), True
    if found > 0.0:
        rhythm[:] = 0.0
        profile[:] = math.nan
        rhythm[PERIOD] = found
        rhythm[BASE] = ON_LEVEL if quick or on_level(found, dt) else (y if math.isnan(season) else ON_SEASON)
        return
    limit = LONGEST_S if (t - born) * 1e-9 < LONGEST_S else AGAIN_S
    if 2.0 * bucket * RING > limit:
        restart(ring, rhythm)
    elif short and not on_level(LONGEST * 2.0 * bucket, dt):
        restart(ring, rhythm)  # what is looked at changes
        rhythm[PERIOD] = -2.0 * bucket
    else:
        merge(ring, rhythm)


@njit(inline=True)
def proven(rhythm: F4) -> bool:
    """Whether a profile predicts clearly better than what is trusted without it, on values that it had not seen."""
    return bool(rhythm[PROVEN] >= TRIALS and rhythm[OFF] < BETTER * rhythm[BESIDE])


@njit(inline=True)
def hopeless(rhythm: F4) -> bool:
    """Whether a profile had time enough and predicts hardly better than what is trusted without it."""
    return bool(rhythm[PROVEN] >= 4.0 * TRIALS and not rhythm[OFF] < HARDLY_BETTER * rhythm[BESIDE])
