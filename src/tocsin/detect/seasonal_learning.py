"""Learning kernels of the baseline: bounded influence on level, season, scale, and the choice of working scale."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tocsin.detect.seasonal import (
    ANCHOR,
    AS_DATE,
    AS_KIND,
    BORN,
    CORE,
    COUNTS,
    DAY,
    DAY_AT,
    DAY_NS,
    DAY_SLOTS,
    DEFAULT,
    DRIFT,
    ERROR,
    F4,
    FAST,
    GRAIN,
    HOUR,
    HOUR_AT,
    HOUR_NS,
    HOUR_SLOTS,
    JUMP,
    LAST,
    LATEST,
    LEAST,
    LEVEL,
    LOW,
    MOVED,
    MOVES,
    OFFSET,
    ONCE,
    PULL,
    REACH,
    SCALE,
    SD_OF_MEAN_ABS,
    SEEN,
    SLOTS,
    SPREAD_AT,
    SWING,
    SWITCHED,
    TOP,
    TRIED,
    TWICE,
    WEEK,
    WEEK_AT,
    WEEK_NS,
    Guess,
    Tuning,
    choose,
    cyclic,
    floor_of,
    predict,
    reading,
    trusted,
)
from tocsin.detect.seasonal_cycle import (
    I1,
    PERIOD,
    PROFILE,
    RHYTHM,
    RING,
    by_cycle,
    hopeless,
    learn_profile,
    restart,
    search,
)
from tocsin.detect.seasonal_runs import RUNS, WITHIN, learn_run, switches
from tocsin.detect.seasonal_shape import LOGARITHMIC, SHARE_OF_1, SHARE_OF_100, learn_shape, rate
from tocsin.detect.working_scale import to_work
from tocsin.model.arrays import F8, I4, I8, U1
from tocsin.stats.jit import njit, types_of

SETTLED: Final = 32.0
"""Values before other periods are looked for: the scale of a row's steps is known by then."""
NEW_DAY, NEW_CYCLE = 1, 2
CYCLES: Final = 4
"""Bit of `Baseline.earned`: a period was trusted."""


@njit(inline=True)
def clipped(gap: float, bound: float) -> float:
    """The gap, cut to [-bound, bound]."""
    return min(max(gap, -bound), bound)


@njit(inline=True)
def learn_motion(x: float, w: float, c: F8) -> None:
    """How the value moves: smallest change, share of steps with a change, size of a change."""
    change = abs(x - c[LAST])
    g = w * max(1.0 / (c[SEEN] + 1.0), 0.005)
    c[MOVES] += g * ((1.0 if change > 0.0 else 0.0) - c[MOVES])
    c[LOW] += g * ((1.0 if x <= 0.0 or 0.0 < c[TOP] <= x else 0.0) - c[LOW])
    if change > 0.0:
        first = c[GRAIN] <= 0.0
        c[JUMP] = change if first else c[JUMP] + 0.2 * w * (change - c[JUMP])
        c[GRAIN] = change if first else min(c[GRAIN], change)
    c[LAST] = x


@njit(inline=True)
def learn_errors(y: float, age: int, dt: float, w: float, least: float, guess: Guess, c: F8) -> None:
    """How far each predictor was off: its scale, and its error on values it had not seen."""
    for p in range(4):
        need = 0 if p <= HOUR else (23 * HOUR_NS if p == DAY else WEEK_NS)
        if math.isnan(guess[p]) or age < need:
            continue
        gap, m = abs(y - guess[p]), c[TRIED + p]
        # what a season says of a whole day must not be forgotten within a bad morning
        span = (6.0 if p <= HOUR else 24.0) * HOUR_NS
        bound = REACH * max(SD_OF_MEAN_ABS * c[SCALE + p], least) if m >= 8.0 else math.inf
        c[SCALE + p] += w * rate(m, dt, span, 0.001, 0.02) * (min(gap, bound) - c[SCALE + p])
        far = 3.0 * REACH * max(SD_OF_MEAN_ABS * c[SCALE + LEVEL], least) if m >= 8.0 else math.inf
        cut = min(gap, far)
        c[ERROR + p] += w * rate(m, dt, 3.0 * DAY_NS, 0.0003, 0.02) * (cut * cut - c[ERROR + p])
        c[TRIED + p] = m + 1.0


@njit(inline=True)
def pull_slot(slots: F4, counts: U1, at: int, target: float, bound: float, weight: float, share: float) -> None:
    """Move one slot towards `target`, by at most `bound` once it is known; `share` is the gain of one step."""
    if math.isnan(slots[at]):
        slots[at], counts[at] = target, 1
        return
    if counts[at] < 255:
        share = max(share, 1.0 / (counts[at] + 1.0))
        counts[at] += 1
    slots[at] += weight * share * clipped(target - float(slots[at]), bound)


@njit(inline=True)
def learn_season(  # noqa: PLR0917 - a kernel takes scalars and row views
    y: float,
    t: int,
    season: int,
    age: int,
    dt: float,
    w: float,
    sd: float,
    guess: Guess,
    c: F8,
    slots: F4,
    counts: U1,
    k: Tuning,
) -> None:
    """Move the slots of this time, and how far today lies off the learned day."""
    bound = PULL * sd
    at = HOUR_AT + int((t % HOUR_NS) / (HOUR_NS / HOUR_SLOTS))
    gain = min(0.3 * dt / (HOUR_NS / HOUR_SLOTS), 0.5)
    pull_slot(slots, counts, at, y - c[FAST], bound, w, gain)
    place = int((season % DAY_NS) / HOUR_NS)
    gain = min(0.3 * dt / HOUR_NS, 0.5)
    known = age >= 23 * HOUR_NS and not math.isnan(guess[DAY])
    pull_slot(slots, counts, DAY_AT + place, y - c[DRIFT], bound if known else math.inf, w, gain)
    if known:
        best = WEEK if not math.isnan(guess[WEEK]) and c[ERROR + WEEK] < c[ERROR + DAY] else DAY
        # noise of this hour is told beside that of the season that will be judged by
        judge = WEEK if best == WEEK and trusted(age, WEEK, DAY, c, k) else DAY
        ratio = min(max(abs(y - guess[judge]) / max(c[SCALE + judge], 1e-300), 0.25), REACH)
        spread = float(slots[SPREAD_AT + place])
        spread = 1.0 if math.isnan(spread) else spread
        slots[SPREAD_AT + place] = spread + w * 0.5 * gain * (ratio - spread)
        c[DRIFT] += w * min(dt / (6.0 * HOUR_NS), 0.05) * clipped(y - guess[best], bound)
    at = WEEK_AT + int((season % WEEK_NS) / HOUR_NS)
    pull_slot(slots, counts, at, y - c[DRIFT], bound if age >= WEEK_NS else math.inf, w, gain)


@njit(inline=True)
def learn_level(y: float, g: float, c: F8) -> None:
    """Brown's double smoothing: R. G. Brown, Smoothing, Forecasting and Prediction, 1963."""
    c[ONCE] += g * (y - c[ONCE])
    c[TWICE] += g * (c[ONCE] - c[TWICE])
    c[FAST] = 2.0 * c[ONCE] - c[TWICE]


@njit(inline=True)
def learn_moved_day(y: float, t: int, date: int, kind: int, w: float, sd: float, c: F8, slots: F4) -> int:
    """Compare a day that may be like another with both; gives the time of the season that it is learned for."""
    by_date, by_kind = predict(t, date, c, slots)[WEEK], predict(t, kind, c, slots)[WEEK]
    if math.isnan(by_date) or math.isnan(by_kind):
        return kind
    bound = 3.0 * REACH * sd
    off_date, off_kind = min(abs(y - by_date), bound), min(abs(y - by_kind), bound)
    gain = w * max(1.0 / (c[MOVED] + 1.0), 0.0005)
    c[AS_DATE] += gain * (off_date - c[AS_DATE])
    c[AS_KIND] += gain * (off_kind - c[AS_KIND])
    c[MOVED] += 1.0
    read = reading(date, kind, c)
    return date if read == -1 or (read == 0 and off_date < off_kind) else kind


@njit(inline=True)
def learn_swing(c: F8, slots: F4) -> None:
    """From the lowest to the highest hour of the learned day."""
    low, high = math.inf, -math.inf
    for b in range(DAY_AT, DAY_AT + DAY_SLOTS):
        if not math.isnan(slots[b]):
            low, high = min(low, float(slots[b])), max(high, float(slots[b]))
    c[SWING] = max(high - low, 0.0)


@njit(inline=True)
def begin_row(x: float, t: int, told: int, least: float, stamps: I8, c: F8) -> None:
    """A first value: what all else is relative to, and what the row is told to be."""
    c[ANCHOR], c[LAST] = x, x
    stamps[BORN], stamps[LATEST] = t, t
    c[TOP] = 1.0 if told == SHARE_OF_1 else (100.0 if told == SHARE_OF_100 else 0.0)
    c[LEAST] = -least if told == LOGARITHMIC else least


@njit(inline=True)
def learn_cycle(  # noqa: PLR0917 - a kernel takes scalars and row views
    y: float, t: int, stamps: I8, dt: float, w: float, floor: float, guess: Guess, c: F8, ring: I1, profile: F4,
    rhythm: F4, k: Tuning
) -> None:  # fmt: skip
    """Look for a period, or learn the one that was found, or drop it; see `seasonal_cycle`."""
    born, latest = stamps[BORN], stamps[LATEST]
    chosen = choose(t - born, guess, c, k)
    season = guess[chosen] if chosen >= DAY else math.nan
    sd = max(SD_OF_MEAN_ABS * c[SCALE + LEVEL], floor)
    if rhythm[PERIOD] <= 0.0:
        step_s = min(dt, (t - born) / c[SEEN]) * 1e-9
        hourly = guess[HOUR] if chosen == HOUR else guess[LEVEL]
        search(y, t, born, latest, step_s, dt, hourly, season, sd, ring, profile, rhythm)
        return
    expected = by_cycle(t, born, guess[LEVEL], season, profile, rhythm)
    far = 3.0 * REACH * sd
    learn_profile(y, t, born, dt, w, guess[LEVEL], season, guess[chosen], expected, PULL * sd, far, profile, rhythm)
    if hopeless(rhythm):
        restart(ring, rhythm)


@njit(inline=True)
def earn(age: int, guess: Guess, c: F8, earned: U1, r: int, ring: I1, rhythm: F4, k: Tuning) -> int:
    """Note what a row has come to trust; what of that is a reason to rank its scores anew."""
    chosen = choose(age, guess, c, k)
    found, before, cycles = 0, int(earned[r]) & 3, int(earned[r]) & CYCLES
    if chosen > before:
        # an hour changes little of what is strange, and six hours are a short past to let go
        found = NEW_DAY if before < DAY == chosen else 0
        before = chosen
        if rhythm[PERIOD] <= 0.0:
            restart(ring, rhythm)  # other periods are looked for in what the season leaves
    if rhythm[PERIOD] <= 0.0:
        cycles = 0
    elif cycles == 0 and cyclic(age, c, rhythm):
        found, cycles = found | NEW_CYCLE, CYCLES
    earned[r] = before | cycles
    return found


@njit(
    types_of(
        np.empty(0, "i4"), np.empty(0, "i8"), np.empty(0), np.empty(0), np.empty((0, 2), "i8"), np.empty(0, "u1"),
        np.empty(0, "f4"), np.empty((0, 2), "i8"), np.empty((0, CORE)), np.empty((0, SLOTS), "f4"),
        np.empty((0, COUNTS), "u1"), np.empty((0, RUNS), "f4"), np.empty((0, RING), "i1"),
        np.empty((0, PROFILE), "f4"), np.empty((0, RHYTHM), "f4"), np.empty(0, "u1"), DEFAULT, np.empty(0, "u1"),
    )
)  # fmt: skip
def learn_rows(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, time: I8, value: F8, weight: F8, season: I8, told: U1, least: F4, times: I8, core: F8, slots: F4,
    counts: U1, runs: F4, ring: I1, profile: F4, rhythm: F4, earned: U1, k: Tuning, fresh: U1
) -> None:  # fmt: skip
    """Take one step in; see `Baseline`. `ring` and `profile` are the same bytes.

    `fresh` (n,) gets `NEW_DAY` where the season of a day is trusted for the first time, `NEW_CYCLE` where a period is.
    """
    for i in range(rows.size):
        r, t, x, w = rows[i], time[i], value[i], weight[i]
        c, s = core[r], slots[r]
        first = c[SEEN] == 0.0
        if first:
            begin_row(x, t, told[r], least[r], times[r], c)
        age, dt = t - times[r, BORN], float(max(t - times[r, LATEST], 0))
        learn_motion(x, w, c)
        learn_run(x, w, first, runs[r])
        y = to_work(x, c[OFFSET], c[TOP]) - c[ANCHOR]
        floor = floor_of(c, k)
        sd = max(SD_OF_MEAN_ABS * c[SCALE + LEVEL], floor)
        at = t
        if season.size:
            date, kind = season[i, 0], season[i, 1]
            at = date if date == kind else learn_moved_day(y, t, date, kind, w, sd, c, s)
        guess = predict(t, at, c, s)
        learn_errors(y, age, dt, w, floor, guess, c)
        sd = max(SD_OF_MEAN_ABS * c[SCALE + LEVEL], floor)
        learn_season(y, t, at, age, dt, w, sd, guess, c, s, counts[r], k)
        if k.use_cycle and c[SEEN] >= SETTLED:
            learn_cycle(y, t, times[r], dt, w, floor, guess, c, ring[r], profile[r], rhythm[r], k)
        bound = PULL * sd if c[SEEN] >= 8.0 else math.inf
        learn_level(c[FAST] + clipped(y - c[FAST], bound), w * rate(c[SEEN], dt, 1.0 * HOUR_NS, 0.002, 0.05), c)
        offset, top = c[OFFSET], c[TOP]
        learn_shape(x, dt, w, told[r], c, s)
        if c[OFFSET] != offset or c[TOP] != top:
            restart(ring[r], rhythm[r])  # the profile is of another scale
        if int(c[SEEN]) % 16 == 0:
            learn_swing(c, s)
            c[SWITCHED] = max(runs[r, WITHIN], 1e-30) if switches(runs[r]) else 0.0
            fresh[i] = earn(age, guess, c, earned, r, ring[r], rhythm[r], k)
        c[SEEN] += 1.0
        times[r, LATEST] = max(t, times[r, LATEST])
