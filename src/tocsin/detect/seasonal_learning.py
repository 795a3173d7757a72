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
    CANDIDATE,
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
    JACOBIAN,
    JUMP,
    LAST,
    LATEST,
    LEAST,
    LEVEL,
    LINEAR,
    LOGGED,
    LOW,
    MOVED,
    MOVES,
    OFFSET,
    ONCE,
    PULL,
    RARE,
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
    WEEK_SLOTS,
    Guess,
    Tuning,
    choose,
    floor_of,
    from_work,
    predict,
    reading,
    slope,
    to_work,
    trusted,
)
from tocsin.detect.seasonal_runs import RUNS, learn_run, switches
from tocsin.model.arrays import F8, I4, I8, U1
from tocsin.stats.jit import njit, types_of

RESOLUTION: Final = 1e-4
"""Least part of a bounded scale that is told apart from its bounds: 99.99 % and 100 %."""
AUTO, SHARE_OF_1, SHARE_OF_100, LOGARITHMIC = 0, 1, 2, 3
"""What a row is told to be; see `Baseline.told`."""


@njit()
def rate(steps: float, dt: float, span: float, slowest: float, fastest: float) -> float:
    """Learning rate: a plain mean at first, then a time constant `span`, within bounds in steps."""
    return max(1.0 / (steps + 1.0), min(max(dt / span, slowest), fastest))


@njit()
def clipped(gap: float, bound: float) -> float:
    """The gap, cut to [-bound, bound]."""
    return min(max(gap, -bound), bound)


@njit()
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


@njit()
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


@njit()
def pull_slot(slots: F4, counts: U1, at: int, target: float, bound: float, weight: float, share: float) -> None:
    """Move one slot towards `target`, by at most `bound` once it is known; `share` is the gain of one step."""
    if math.isnan(slots[at]):
        slots[at], counts[at] = target, 1
        return
    if counts[at] < 255:
        share = max(share, 1.0 / (counts[at] + 1.0))
        counts[at] += 1
    slots[at] += weight * share * clipped(target - float(slots[at]), bound)


@njit()
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


@njit()
def learn_level(y: float, g: float, c: F8) -> None:
    """Brown's double smoothing: R. G. Brown, Smoothing, Forecasting and Prediction, 1963."""
    c[ONCE] += g * (y - c[ONCE])
    c[TWICE] += g * (c[ONCE] - c[TWICE])
    c[FAST] = 2.0 * c[ONCE] - c[TWICE]


@njit()
def candidate_for(centre: float, top: float) -> float:
    """Offset of the scale that is weighed against the plain one: a quarter of the distance to the nearer bound."""
    if top > 0.0:
        return max(0.25 * min(centre, top - centre), RESOLUTION * top)
    return 0.25 * centre


@njit()
def evidence_of(x: float, first: bool, dt: float, w: float, c: F8) -> float:
    """Evidence for the candidate scale by Laplace residuals and the Jacobian, as Box and Cox do; NaN without any."""
    n, offset, top = c[SEEN] + 1.0, c[CANDIDATE], c[TOP]
    centre = from_work(c[FAST] + c[ANCHOR], c[OFFSET], top)
    g = 1.0 if first else w * rate(n - 9.0, dt, 12.0 * HOUR_NS, 0.001, 0.02)
    linear = abs(x - centre)
    logged = abs(to_work(x, offset, top) - to_work(centre, offset, top))
    if n > 24.0:
        linear, logged = min(linear, 6.0 * c[LINEAR]), min(logged, 6.0 * c[LOGGED])
    c[LINEAR] += g * (linear - c[LINEAR])
    c[LOGGED] += g * (logged - c[LOGGED])
    c[JACOBIAN] += g * (-math.log(slope(x, offset, top)) - c[JACOBIAN])
    if c[LINEAR] <= 0.0 or c[LOGGED] <= 0.0:
        return math.nan
    found: float = math.log(c[LINEAR]) - math.log(c[LOGGED]) - c[JACOBIAN]
    return found


@njit()
def learn_shape(x: float, dt: float, w: float, told: int, c: F8, slots: F4) -> None:
    """Choose the working scale: the plain one, or a logarithm (of a share: its logit) that is likelier, or told."""
    if c[TOP] > 0.0 and (x > c[TOP] or x < 0.0):
        rescale(0.0, 0.0, c, slots)  # no share of this after all
        c[CANDIDATE] = 0.0
    n = c[SEEN] + 1.0
    first = c[CANDIDATE] <= 0.0
    if first:
        centre = from_work(c[FAST] + c[ANCHOR], c[OFFSET], c[TOP])
        if n < 9.0 or centre <= 0.0:
            return
        c[CANDIDATE] = candidate_for(centre, c[TOP])
    evidence = evidence_of(x, first, dt, w, c)
    due = n in {32.0, 64.0, 128.0, 256.0} or n % 512.0 == 0.0
    if told == LOGARITHMIC:
        evidence, due = math.inf, due or n == 16.0
    if not due or math.isnan(evidence):
        return
    if c[OFFSET] <= 0.0 and c[LOW] < RARE and evidence > 0.05:
        rescale(c[CANDIDATE], c[TOP], c, slots)
    elif c[OFFSET] > 0.0 and (c[LOW] >= RARE or evidence < -0.02):
        rescale(0.0, c[TOP], c, slots)


@njit()
def rescale(offset: float, top: float, c: F8, slots: F4) -> None:
    """Carry a row over to another working scale."""
    old, bound, base = c[OFFSET], c[TOP], c[ANCHOR]
    centre = from_work(c[FAST] + base, old, bound)
    factor = slope(centre, offset, top) / slope(centre, old, bound)
    c[OFFSET], c[TOP] = offset, top
    c[ANCHOR] = to_work(from_work(base, old, bound), offset, top)
    for p in (FAST, ONCE, TWICE):
        c[p] = to_work(from_work(c[p] + base, old, bound), offset, top) - c[ANCHOR]
    c[DRIFT] *= factor
    c[SWING] *= factor
    c[AS_DATE] *= factor
    c[AS_KIND] *= factor
    for p in range(4):
        c[SCALE + p] *= factor
        c[ERROR + p] *= factor * factor
    for b in range(HOUR_AT, HOUR_AT + HOUR_SLOTS):
        slots[b] *= factor
    for b in range(DAY_AT, DAY_AT + DAY_SLOTS + WEEK_SLOTS):
        slots[b] = to_work(from_work(float(slots[b]) + base, old, bound), offset, top) - c[ANCHOR]


@njit()
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


@njit()
def learn_swing(c: F8, slots: F4) -> None:
    """From the lowest to the highest hour of the learned day."""
    low, high = math.inf, -math.inf
    for b in range(DAY_AT, DAY_AT + DAY_SLOTS):
        if not math.isnan(slots[b]):
            low, high = min(low, float(slots[b])), max(high, float(slots[b]))
    c[SWING] = max(high - low, 0.0)


@njit()
def begin_row(x: float, t: int, told: int, least: float, stamps: I8, c: F8) -> None:
    """A first value: what all else is relative to, and what the row is told to be."""
    c[ANCHOR], c[LAST] = x, x
    stamps[BORN], stamps[LATEST] = t, t
    c[TOP] = 1.0 if told == SHARE_OF_1 else (100.0 if told == SHARE_OF_100 else 0.0)
    c[LEAST] = -least if told == LOGARITHMIC else least


@njit(
    types_of(
        np.empty(0, "i4"), np.empty(0, "i8"), np.empty(0), np.empty(0), np.empty((0, 2), "i8"), np.empty(0, "u1"),
        np.empty(0, "f4"), np.empty((0, 2), "i8"), np.empty((0, CORE)), np.empty((0, SLOTS), "f4"),
        np.empty((0, COUNTS), "u1"), np.empty((0, RUNS), "f4"), np.empty(0, "u1"), DEFAULT, np.empty(0, "u1"),
    )
)  # fmt: skip
def learn_rows(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, time: I8, value: F8, weight: F8, season: I8, told: U1, least: F4, times: I8, core: F8, slots: F4,
    counts: U1, runs: F4, earned: U1, k: Tuning, fresh: U1
) -> None:  # fmt: skip
    """Take one step in; see `Baseline`. `fresh` (n,) is set where the season of a day is trusted for the first time."""
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
        bound = PULL * sd if c[SEEN] >= 8.0 else math.inf
        learn_level(c[FAST] + clipped(y - c[FAST], bound), w * rate(c[SEEN], dt, 1.0 * HOUR_NS, 0.002, 0.05), c)
        learn_shape(x, dt, w, told[r], c, s)
        if int(c[SEEN]) % 16 == 0:
            learn_swing(c, s)
            c[SWITCHED] = 1.0 if switches(runs[r]) else 0.0
            chosen = choose(age, guess, c, k)
            if chosen > earned[r]:
                # an hour changes little of what is strange, and six hours are a short past to let go
                earned[r], fresh[i] = chosen, 1 if earned[r] < DAY == chosen else 0
        c[SEEN] += 1.0
        times[r, LATEST] = max(t, times[r, LATEST])
