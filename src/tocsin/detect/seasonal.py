"""Kernels of the baseline: four predictors of one row (level, hour, day, week), their errors and their trust.

A fifth one, of a period that was found in the row itself, is in `seasonal_cycle`.

Values are held on a working scale y: y = x; y = log(x + offset) where the row's noise grows with its level; or
y = log((x + offset) / (top - x + offset)) where the row is a share of `top`, so that what is left counts as well.
All state is relative to `anchor`, a value on the working scale, so that float32 slots keep their digits.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.seasonal_cycle import BESIDE, OFF, PERIOD, PROFILE, RHYTHM, WIDE, by_cycle, proven
from tocsin.detect.seasonal_runs import RUNS, overdue
from tocsin.detect.working_scale import from_work, slope, to_work
from tocsin.model.arrays import F8, I4, I8
from tocsin.stats.jit import njit, types_of

HOUR_NS: Final = 3_600_000_000_000
DAY_NS: Final = 24 * HOUR_NS
WEEK_NS: Final = 7 * DAY_NS
HOUR_SLOTS: Final = 12
DAY_SLOTS: Final = 24
WEEK_SLOTS: Final = 168
LEVEL, HOUR, DAY, WEEK = 0, 1, 2, 3
SD_OF_MEAN_ABS: Final = 1.2533  # sqrt(pi / 2): sd of a normal law over its mean absolute deviation
REACH: Final = 4.0
"""Robust sds beyond which a residual adds no more to scale."""
PULL: Final = 2.0
"""Robust sds beyond which a residual pulls level and season no harder (Huber)."""


# columns of a row's `core`, (CORE,) float64
ANCHOR: Final = 0  # value on the working scale that all else is relative to
OFFSET: Final = 1  # 0: linear; > 0: log(x + offset)
FAST: Final = 2  # level, time constant one hour, free of lag on a steady trend: 2 ONCE - TWICE
DRIFT: Final = 3  # how far today lies off the learned day
GRAIN: Final = 4  # smallest change seen, in the signal's unit; 0: none yet
MOVES: Final = 5  # share of steps with a change
JUMP: Final = 6  # size of a change, where there was one
LOW: Final = 7  # share of steps with a value <= 0, or at the top of a share
LAST: Final = 8
LINEAR: Final = 9  # mean absolute residual on the linear scale,
LOGGED: Final = 10  # on the log scale,
JACOBIAN: Final = 11  # and mean log(x + candidate): which scale is likelier
CANDIDATE: Final = 12
SEEN: Final = 13
ERROR: Final = 14  # 4: mean clipped squared residual of each predictor
TRIED: Final = 18  # 4: steps that each predictor was tried on
SCALE: Final = 22  # 4: mean clipped absolute residual
ONCE: Final = 26  # smoothed once,
TWICE: Final = 27  # and twice (Brown)
TOP: Final = 28  # a share of this; 0: unbounded
AS_DATE: Final = 29  # on days that the calendar makes like another: mean absolute residual by the date itself,
AS_KIND: Final = 30  # by the kind of day,
MOVED: Final = 31  # and steps that both were tried on
SWING: Final = 32  # from the lowest to the highest hour of the learned day
SWITCHED: Final = 33  # > 0: the row switches between two states, with so much noise in them; see `seasonal_runs`
LEAST: Final = 34  # least scale that is told, in the signal's unit; below 0: less this share of the level
CORE: Final = 35

# slots of a row, (SLOTS,) float32, NaN until seen
HOUR_AT: Final = 0
DAY_AT: Final = HOUR_AT + HOUR_SLOTS
WEEK_AT: Final = DAY_AT + DAY_SLOTS
SPREAD_AT: Final = WEEK_AT + WEEK_SLOTS  # 24: noise of this hour of the day over all noise
COUNTS: Final = SPREAD_AT  # slots that are counted: all but the spread
SLOTS: Final = SPREAD_AT + DAY_SLOTS

BORN, LATEST = 0, 1  # columns of a row's `times`


RESTING: Final = 0.2
"""Share of steps with a change under which a series rests more than it moves."""
RIGID: Final = 0.03
"""Scale of a series that never moved, as a share of its level."""
RARE: Final = 0.01
"""Share of values <= 0 from which on a log scale is out of the question."""
TRIAL_STEPS: Final = 100.0
STRONG: Final = 6.0
"""Robust sds of the day's own residuals that it must swing by to be held against a level that follows."""
SHARE: Final = 0.02
"""Scale of a constant zero that turns out to be a share or a low rate: two per cent."""
PUNCTUAL: Final = 0.2
"""Squared error beside that of what is trusted, for the period of a row that switches between two states,"""
WITHIN_STATES: Final = 1.5
"""or mean absolute error beside the noise within those states."""
COUNTED: Final = 10_000.0
"""Whole numbers up to here are taken for counts."""

F4: TypeAlias = NDArray[np.float32]
Guess: TypeAlias = tuple[float, float, float, float]


class Tuning(NamedTuple):
    """What the constructor was told."""

    warmup: int
    floor: float
    floor_ratio: float
    use_hour: bool
    use_day: bool
    use_week: bool
    told: bool  # the season was named, so it is trusted earlier
    use_cycle: bool  # look for other periods


DEFAULT: Final = Tuning(15, 0.0, 0.001, True, True, True, False, True)


@njit(inline=True)
def between(slots: F4, start: int, n: int, phase: float) -> float:
    """Circular linear interpolation between slot centres; `phase` in slots; NaN where the slot is unseen."""
    here = int(phase) % n
    part = phase - math.floor(phase) - 0.5
    other = (here + 1) % n if part > 0.0 else (here + n - 1) % n
    own, neighbour = float(slots[start + here]), float(slots[start + other])
    if math.isnan(neighbour):
        return own
    return own + abs(part) * (neighbour - own)


@njit(inline=True)
def predict(t: int, season: int, c: F8, slots: F4) -> tuple[float, float, float, float]:
    """Predictions at time t, `season` by the local clock, by level, hour, day and week; NaN where unlearned."""
    hour = c[FAST] + between(slots, HOUR_AT, HOUR_SLOTS, (t % HOUR_NS) / (HOUR_NS / HOUR_SLOTS))
    day = c[DRIFT] + between(slots, DAY_AT, DAY_SLOTS, (season % DAY_NS) / HOUR_NS)
    week = c[DRIFT] + between(slots, WEEK_AT, WEEK_SLOTS, (season % WEEK_NS) / HOUR_NS)
    return c[FAST], hour, day, week


@njit(inline=True)
def floor_of(c: F8, k: Tuning) -> float:
    """Least scale on the working scale: from what the value's own changes can tell, its kind, and the user."""
    offset, top = c[OFFSET], c[TOP]
    x = from_work(c[FAST] + c[ANCHOR], offset, top)
    # what counts of a share is how far it is from the nearer bound
    size = abs(min(x, top - x)) if top > 0.0 else abs(x)
    least = max(k.floor, k.floor_ratio * size, c[LEAST] if c[LEAST] >= 0.0 else -c[LEAST] * size)
    if c[GRAIN] <= 0.0:
        # never changed: its scale is not known; a little of it, or one if it counts things
        least = max(least, RIGID * abs(x), 1.0 if x == math.floor(x) and x != 0.0 else 0.0)
    else:
        least = max(least, c[GRAIN])
        if c[MOVES] < RESTING:
            least = max(least, c[JUMP])
    if top > 0.0 and offset > 0.0:
        # towards the middle: near a bound a step on the working scale is many steps of the value
        least = abs(to_work(x + (least if 2.0 * x < top else -least), offset, top) - to_work(x, offset, top))
    else:
        least *= slope(x, offset, top)
    return float(least)


@njit(inline=True)
def scale_of_first(x: float, c: F8) -> float:
    """Scale for the first move of a series that was never anything but zero; 0 where nothing can be said.

    One for a count, two per cent for what may be a share; how many bytes or seconds are much, nobody knows.
    """
    if c[GRAIN] > 0.0 or c[LAST] != 0.0 or x == 0.0:
        return 0.0
    if x == math.floor(x) and abs(x) <= COUNTED:
        return 1.0
    return SHARE if abs(x) <= 1.0 else 0.0


@njit(inline=True)
def trusted(age: int, p: int, parent: int, c: F8, k: Tuning) -> bool:
    """Whether a season may accuse alone: old enough, and it explains enough variance that it had not seen."""
    need, enough = 6 * HOUR_NS, 0.6
    if p == DAY:
        need = (2 if k.told else 8) * DAY_NS
    elif p == WEEK:
        need, enough = (2 if k.told else 3) * WEEK_NS + DAY_NS, 0.7
    return bool(age >= need and c[TRIED + p] >= TRIAL_STEPS and c[ERROR + p] < enough * c[ERROR + parent])


@njit(inline=True)
def plausible(age: int, p: int, parent: int, c: F8) -> bool:
    """Whether a season on trial may excuse: it has seen this time once, and is not refuted."""
    need = 2 * HOUR_NS
    if p == DAY:
        need = 23 * HOUR_NS
    elif p == WEEK:
        need = WEEK_NS - HOUR_NS
    return bool(age >= need and (c[TRIED + p] < TRIAL_STEPS or c[ERROR + p] < 1.5 * c[ERROR + parent]))


@njit(inline=True)
def choose(age: int, guess: Guess, c: F8, k: Tuning) -> int:
    """The predictor that is trusted: the longest season that has earned it."""
    chosen = LEVEL
    for p, used in ((HOUR, k.use_hour), (DAY, k.use_day), (WEEK, k.use_week)):
        if used and not math.isnan(guess[p]) and trusted(age, p, chosen, c, k):
            chosen = p
    return chosen


@njit(inline=True)
def cyclic(age: int, c: F8, rhythm: F4) -> bool:
    """Whether a period that was found is trusted; one of more than three hours must have outlived a weekend."""
    if rhythm[PERIOD] <= 0.0:
        return False
    punctual = rhythm[OFF] < PUNCTUAL * rhythm[BESIDE]
    if c[SWITCHED] > 0.0 and not punctual and (c[OFFSET] > 0.0 or rhythm[WIDE] > WITHIN_STATES * c[SWITCHED]):
        return False  # states that come a little late or early are judged by how long they last
    return proven(rhythm) and (rhythm[PERIOD] <= 3.0 * 3_600.0 or age >= 8 * DAY_NS)


@njit(inline=True)
def reading(date: int, kind: int, c: F8) -> int:
    """Which of the two a day is judged by: -1 the date alone, 1 the kind of day alone, 0 not known, 2 they agree."""
    if date == kind:
        return 2
    if c[MOVED] >= TRIAL_STEPS:
        if c[AS_DATE] < 0.5 * c[AS_KIND]:
            return -1
        if c[AS_KIND] < 0.5 * c[AS_DATE]:
            return 1
    return 0


@njit(inline=True)
def spread_at(season: int, slots: F4) -> float:
    """Noise of this hour of the day over all noise."""
    spread = float(slots[SPREAD_AT + int((season % DAY_NS) / HOUR_NS)])
    return 1.0 if math.isnan(spread) else spread


@njit(inline=True)
def expectation(  # noqa: PLR0917 - a kernel takes scalars and row views
    t: int, date: int, kind: int, born: int, c: F8, slots: F4, profile: F4, rhythm: F4, k: Tuning
) -> tuple[int, float, float, float, float, float, float, float, float, float]:
    """Choice, scale, centre, and the predictions that count (NaN: does not), on the working scale.

    The first four are by level, hour, day and week, then one of a day that may be like another, and the least and the
    greatest by a period that was found; where these count, the choice is what is trusted without them.
    """
    read = reading(date, kind, c)
    season = date if read == -1 else kind
    guess = predict(t, season, c, slots)
    level, hour, day, week = guess
    age = t - born
    chosen = choose(age, guess, c, k)
    cycle, low, high = math.nan, math.nan, math.nan
    if cyclic(age, c, rhythm):
        cycle, low, high = by_cycle(
            t, born, guess[LEVEL], guess[chosen] if chosen >= DAY else math.nan, profile, rhythm
        )
    if not math.isnan(cycle):
        level, hour, day, week = beside(age, guess, c, float(rhythm[OFF]), k)
    else:
        if chosen != LEVEL:
            level = math.nan
        if chosen != HOUR and not (k.use_hour and chosen < HOUR and plausible(age, HOUR, LEVEL, c)):
            hour = math.nan
        if chosen != DAY and not (k.use_day and chosen < DAY and plausible(age, DAY, LEVEL, c)):
            day = math.nan
        if chosen != WEEK and not (k.use_week and plausible(age, WEEK, chosen, c)):
            week = math.nan
    other = predict(t, date, c, slots)[WEEK] if read == 0 and not math.isnan(week) else math.nan
    # a young scale rests on few values
    young = 1.0 + 2.0 / max(c[SEEN], 1.0)
    if not math.isnan(cycle):
        scale = max(SD_OF_MEAN_ABS * float(rhythm[WIDE]) * young, floor_of(c, k))
        return chosen, scale, cycle, level, hour, day, week, other, low, high
    scale = SD_OF_MEAN_ABS * c[SCALE + chosen] * young
    if chosen >= DAY:
        scale *= spread_at(season, slots)
    return chosen, max(scale, floor_of(c, k)), guess[chosen], level, hour, day, week, other, low, high


@njit(inline=True)
def beside(age: int, guess: Guess, c: F8, error: float, k: Tuning) -> Guess:
    """Which seasons of the clock may excuse beside a trusted period: those on trial that do about as well."""
    hour = guess[HOUR] if k.use_hour and c[ERROR + HOUR] < 1.5 * error else math.nan
    day = guess[DAY] if k.use_day and plausible(age, DAY, LEVEL, c) and c[ERROR + DAY] < 1.5 * error else math.nan
    untried = c[TRIED + WEEK] < TRIAL_STEPS and age >= WEEK_NS
    fits = k.use_week and age >= WEEK_NS - HOUR_NS and (untried or c[ERROR + WEEK] < 1.5 * error)
    return math.nan, hour, day, guess[WEEK] if fits else math.nan


@njit(inline=True)
def nearest(
    y: float, level: float, hour: float, day: float, week: float, other: float, low: float, high: float
) -> float:
    """Distance to the nearest prediction that counts, or to what lies between `low` and `high`."""
    gap = math.inf
    for p in (level, hour, day, week, other):
        if not math.isnan(p):
            gap = min(gap, abs(y - p))
    return gap if math.isnan(low) else min(gap, max(low - y, y - high, 0.0))


@njit(inline=True)
def missed(  # noqa: PLR0917 - a kernel takes scalars and row views
    y: float, age: int, season: int, day: float, week: float, other: float, c: F8, slots: F4, k: Tuning
) -> float:
    """Distance to a strong season in its own robust sds, where a level that follows predicts as well; else 0.

    A peak that does not come is no surprise to a level that follows; it is one to a day that swings by many sds.
    """
    if not k.use_day or c[TRIED + DAY] < TRIAL_STEPS or age < (2 if k.told else 8) * DAY_NS or math.isnan(day):
        return 0.0
    p = WEEK if not math.isnan(week) and trusted(age, WEEK, DAY, c, k) else DAY
    sd = SD_OF_MEAN_ABS * c[SCALE + p]
    if c[SWING] < STRONG * max(sd, floor_of(c, k)):
        return 0.0
    gap = nearest(y, math.nan, math.nan, day if p == DAY else math.nan, week, other, math.nan, math.nan)
    distance: float = gap / max(sd * spread_at(season, slots), floor_of(c, k))
    return distance


@njit(
    types_of(
        np.empty(0, "i4"), np.empty(0, "i8"), np.empty(0), np.empty((0, 2), "i8"), np.empty((0, 2), "i8"),
        np.empty((0, CORE)), np.empty((0, SLOTS), "f4"), np.empty((0, RUNS), "f4"), np.empty((0, PROFILE), "f4"),
        np.empty((0, RHYTHM), "f4"), DEFAULT, np.empty(0),
    )
)  # fmt: skip
def score_rows(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, time: I8, value: F8, season: I8, times: I8, core: F8, slots: F4, runs: F4, profile: F4, rhythm: F4,
    k: Tuning, out: F8
) -> None:  # fmt: skip
    """Score of each row, (n,): distance to the nearest plausible prediction in robust sds; see `Baseline`."""
    for i in range(rows.size):
        r, t = rows[i], time[i]
        c, s = core[r], slots[r]
        if c[SEEN] < k.warmup or not math.isfinite(value[i]):
            continue
        date, kind = (season[i, 0], season[i, 1]) if season.size else (t, t)
        chosen, scale, _, level, hour, day, week, other, low, high = expectation(
            t, date, kind, times[r, BORN], c, s, profile[r], rhythm[r], k
        )
        if scale <= 0.0:
            scale = scale_of_first(value[i], c)
        y = to_work(value[i], c[OFFSET], c[TOP]) - c[ANCHOR]
        z = nearest(y, level, hour, day, week, other, low, high) / scale if scale > 0.0 else 0.0
        if chosen < DAY and scale > 0.0:
            z = max(z, missed(y, t - times[r, BORN], kind, day, week, other, c, s, k))
            if c[SWITCHED] > 0.0 and date == kind:
                z = max(z, overdue(value[i], runs[r]))
        out[i] = min(z, 1e6)


@njit(
    types_of(
        np.empty(0, "i4"), np.empty(0, "i8"), np.empty(0), np.empty((0, 2), "i8"), np.empty((0, 2), "i8"),
        np.empty((0, CORE)), np.empty((0, SLOTS), "f4"), np.empty((0, PROFILE), "f4"), np.empty((0, RHYTHM), "f4"),
        DEFAULT, np.empty((0, 3)),
    )
)  # fmt: skip
def band_rows(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, time: I8, width: F8, season: I8, times: I8, core: F8, slots: F4, profile: F4, rhythm: F4, k: Tuning,
    out: F8
) -> None:  # fmt: skip
    """Lower, centre, upper of each row in the signal's unit, (n, 3): where the score stays within `width`."""
    for i in range(rows.size):
        r, t = rows[i], time[i]
        c = core[r]
        date, kind = (season[i, 0], season[i, 1]) if season.size else (t, t)
        _, scale, middle, level, hour, day, week, other, least, most = expectation(
            t, date, kind, times[r, BORN], c, slots[r], profile[r], rhythm[r], k
        )
        low, high = middle, middle
        for p in (level, hour, day, week, other, least, most):
            if not math.isnan(p):
                low, high = min(low, p), max(high, p)
        out[i, 0] = from_work(low - width[i] * scale + c[ANCHOR], c[OFFSET], c[TOP])
        out[i, 1] = from_work(middle + c[ANCHOR], c[OFFSET], c[TOP])
        out[i, 2] = from_work(high + width[i] * scale + c[ANCHOR], c[OFFSET], c[TOP])
