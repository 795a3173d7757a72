"""Learning kernels of the baseline: bounded influence on level, season, scale, and the choice of working scale."""

from __future__ import annotations

import math

import numpy as np

from tocsin.detect.seasonal import (
    ANCHOR,
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
    LEVEL,
    LINEAR,
    LOGGED,
    LOW,
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
    TRIED,
    TWICE,
    WEEK,
    WEEK_AT,
    WEEK_NS,
    WEEK_SLOTS,
    Guess,
    Tuning,
    floor_of,
    from_work,
    predict,
    slope,
    to_work,
)
from tocsin.model.arrays import F8, I4, I8, U1
from tocsin.stats.jit import njit, types_of


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
    c[LOW] += g * ((1.0 if x <= 0.0 else 0.0) - c[LOW])
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
    y: float, t: int, age: int, dt: float, w: float, sd: float, guess: Guess, c: F8, slots: F4, counts: U1
) -> None:
    """Move the slots of this time, and how far today lies off the learned day."""
    bound = PULL * sd
    at = HOUR_AT + int((t % HOUR_NS) / (HOUR_NS / HOUR_SLOTS))
    gain = min(0.3 * dt / (HOUR_NS / HOUR_SLOTS), 0.5)
    pull_slot(slots, counts, at, y - c[FAST], bound, w, gain)
    place = int((t % DAY_NS) / HOUR_NS)
    gain = min(0.3 * dt / HOUR_NS, 0.5)
    known = age >= 23 * HOUR_NS and not math.isnan(guess[DAY])
    pull_slot(slots, counts, DAY_AT + place, y - c[DRIFT], bound if known else math.inf, w, gain)
    if known:
        usual = max(c[SCALE + DAY], 1e-300)
        ratio = min(max(abs(y - guess[DAY]) / usual, 0.25), REACH)
        spread = float(slots[SPREAD_AT + place])
        spread = 1.0 if math.isnan(spread) else spread
        slots[SPREAD_AT + place] = spread + w * 0.5 * gain * (ratio - spread)
        best = guess[DAY]
        if not math.isnan(guess[WEEK]) and c[ERROR + WEEK] < c[ERROR + DAY]:
            best = guess[WEEK]
        c[DRIFT] += w * min(dt / (6.0 * HOUR_NS), 0.05) * clipped(y - best, bound)
    at = WEEK_AT + int((t % WEEK_NS) / HOUR_NS)
    pull_slot(slots, counts, at, y - c[DRIFT], bound if age >= WEEK_NS else math.inf, w, gain)


@njit()
def learn_level(y: float, g: float, c: F8) -> None:
    """Brown's double smoothing: R. G. Brown, Smoothing, Forecasting and Prediction, 1963."""
    c[ONCE] += g * (y - c[ONCE])
    c[TWICE] += g * (c[ONCE] - c[TWICE])
    c[FAST] = 2.0 * c[ONCE] - c[TWICE]


@njit()
def learn_shape(x: float, dt: float, w: float, c: F8, slots: F4) -> None:
    """Compare the two working scales by likelihood: Laplace residuals and the Jacobian, as Box and Cox do."""
    centre = from_work(c[FAST] + c[ANCHOR], c[OFFSET])
    n = c[SEEN] + 1.0
    if c[CANDIDATE] <= 0.0 and (n < 9.0 or centre <= 0.0):
        return
    first = c[CANDIDATE] <= 0.0
    if first:
        c[CANDIDATE] = 0.25 * centre
    g = 1.0 if first else w * rate(n - 9.0, dt, 12.0 * HOUR_NS, 0.001, 0.02)
    linear = abs(x - centre)
    logged = abs(to_work(x, c[CANDIDATE]) - to_work(centre, c[CANDIDATE]))
    if n > 24.0:
        linear, logged = min(linear, 6.0 * c[LINEAR]), min(logged, 6.0 * c[LOGGED])
    c[LINEAR] += g * (linear - c[LINEAR])
    c[LOGGED] += g * (logged - c[LOGGED])
    c[JACOBIAN] += g * (-math.log(slope(x, c[CANDIDATE])) - c[JACOBIAN])
    due = n in {32.0, 64.0, 128.0, 256.0} or n % 512.0 == 0.0
    if not due or c[LINEAR] <= 0.0 or c[LOGGED] <= 0.0:
        return
    evidence = math.log(c[LINEAR]) - math.log(c[LOGGED]) - c[JACOBIAN]
    if c[OFFSET] <= 0.0 and c[LOW] < RARE and evidence > 0.05:
        rescale(c[CANDIDATE], c, slots)
    elif c[OFFSET] > 0.0 and (c[LOW] >= RARE or evidence < -0.02):
        rescale(0.0, c, slots)


@njit()
def rescale(offset: float, c: F8, slots: F4) -> None:
    """Carry a row over to another working scale."""
    old, base = c[OFFSET], c[ANCHOR]
    centre = from_work(c[FAST] + base, old)
    factor = slope(centre, offset) / slope(centre, old)
    c[OFFSET] = offset
    c[ANCHOR] = to_work(from_work(base, old), offset)
    for p in (FAST, ONCE, TWICE):
        c[p] = to_work(from_work(c[p] + base, old), offset) - c[ANCHOR]
    c[DRIFT] *= factor
    for p in range(4):
        c[SCALE + p] *= factor
        c[ERROR + p] *= factor * factor
    for b in range(HOUR_AT, HOUR_AT + HOUR_SLOTS):
        slots[b] *= factor
    for b in range(DAY_AT, DAY_AT + DAY_SLOTS + WEEK_SLOTS):
        slots[b] = to_work(from_work(float(slots[b]) + base, old), offset) - c[ANCHOR]


@njit(
    types_of(
        np.empty(0, "i4"), np.empty(0, "i8"), np.empty(0), np.empty(0), np.empty((0, 2), "i8"), np.empty((0, CORE)),
        np.empty((0, SLOTS), "f4"), np.empty((0, COUNTS), "u1"), DEFAULT,
    )
)  # fmt: skip
def learn_rows(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, time: I8, value: F8, weight: F8, times: I8, core: F8, slots: F4, counts: U1, k: Tuning
) -> None:
    """Take one step in; see `Baseline`."""
    for i in range(rows.size):
        r, t, x, w = rows[i], time[i], value[i], weight[i]
        c, s = core[r], slots[r]
        if c[SEEN] == 0.0:
            c[ANCHOR], c[LAST] = x, x
            times[r, BORN], times[r, LATEST] = t, t
        age, dt = t - times[r, BORN], float(max(t - times[r, LATEST], 0))
        learn_motion(x, w, c)
        y = to_work(x, c[OFFSET]) - c[ANCHOR]
        guess = predict(t, c, s)
        least = floor_of(c, k)
        learn_errors(y, age, dt, w, least, guess, c)
        sd = max(SD_OF_MEAN_ABS * c[SCALE + LEVEL], least)
        learn_season(y, t, age, dt, w, sd, guess, c, s, counts[r])
        bound = PULL * sd if c[SEEN] >= 8.0 else math.inf
        learn_level(c[FAST] + clipped(y - c[FAST], bound), w * rate(c[SEEN], dt, 1.0 * HOUR_NS, 0.002, 0.05), c)
        learn_shape(x, dt, w, c, s)
        c[SEEN] += 1.0
        times[r, LATEST] = max(t, times[r, LATEST])
