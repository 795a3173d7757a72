"""Kernels of the baseline: four predictors of one row (level, hour, day, week), their errors and their trust.

Values are held on a working scale y: y = x, or y = log(x + offset) where the row's noise grows with its level.
All state is relative to `anchor`, a value on the working scale, so that float32 slots keep their digits.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.model.arrays import F8, I4, I8, U1
from tocsin.stats.jit import njit

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


class Rows(NamedTuple):
    """State columns of all rows, as kernels take them."""

    seen: I4
    anchor: F8
    offset: F8  # 0: linear; > 0: log(x + offset)
    fast: F8
    drift: F8
    error: F8  # (n, 4) mean clipped squared residual of each predictor
    tried: F8  # (n, 4) steps that each predictor was tried on
    scale: F8  # (n, 4) mean clipped absolute residual
    hour: NDArray[np.float32]
    day: NDArray[np.float32]
    week: NDArray[np.float32]
    spread: NDArray[np.float32]
    hour_count: U1
    day_count: U1
    week_count: U1
    grain: F8  # smallest change seen, in the signal's unit
    moves: F8  # share of steps with a change
    jump: F8  # size of a change, where there was one
    low: F8
    last: F8
    born: I8
    latest: I8
    linear: F8  # mean absolute residual on either scale, and mean log(x + candidate): which scale is likelier
    logged: F8
    jacobian: F8
    candidate: F8


class Tuning(NamedTuple):
    """What the constructor was told."""

    warmup: int
    floor: float
    floor_ratio: float
    use_hour: bool
    use_day: bool
    use_week: bool
    told: bool  # the season was named, so it is trusted earlier


@njit()
def to_work(x: float, offset: float) -> float:
    """From the signal's unit to the working scale; below zero the log goes on as its tangent."""
    if offset <= 0.0:
        return x
    return math.log(x + offset) if x >= 0.0 else math.log(offset) + x / offset


@njit()
def from_work(y: float, offset: float) -> float:
    """Inverse of `to_work`."""
    if offset <= 0.0:
        return y
    start = math.log(offset)
    return math.exp(min(y, 700.0)) - offset if y >= start else offset * (y - start)


@njit()
def slope(x: float, offset: float) -> float:
    """Derivative of `to_work` at x."""
    return 1.0 if offset <= 0.0 else 1.0 / (max(x, 0.0) + offset)


@njit()
def between(slots: NDArray[np.float32], phase: float) -> float:
    """Circular linear interpolation between slot centres; `phase` in slots; NaN where the slot is unseen."""
    n = slots.size
    here = int(phase) % n
    part = phase - math.floor(phase) - 0.5
    other = (here + 1) % n if part > 0.0 else (here + n - 1) % n
    own, next_to = float(slots[here]), float(slots[other])
    if math.isnan(next_to):
        return own
    return own + abs(part) * (next_to - own)


@njit()
def predict(r: int, t: int, s: Rows) -> tuple[float, float, float, float]:
    """Predictions of row r at time t by level, hour, day and week, on the working scale; NaN where unlearned."""
    hour = s.fast[r] + between(s.hour[r], (t % HOUR_NS) / (HOUR_NS / HOUR_SLOTS))
    day = s.drift[r] + between(s.day[r], (t % DAY_NS) / HOUR_NS)
    week = s.drift[r] + between(s.week[r], (t % WEEK_NS) / HOUR_NS)
    return s.fast[r], hour, day, week


@njit()
def floor_of(r: int, s: Rows, k: Tuning) -> float:
    """Least scale of row r on the working scale: from what the value's own changes can tell, and the user."""
    x = from_work(s.fast[r] + s.anchor[r], s.offset[r])
    least = max(k.floor, k.floor_ratio * abs(x))
    if not math.isfinite(s.grain[r]):
        # never changed: its scale is not known; a tenth of it, or one if it counts things
        least = max(least, 0.1 * abs(x), 1.0 if x == math.floor(x) and x != 0.0 else 0.0)
    else:
        least = max(least, s.grain[r])
        if s.moves[r] < 0.2:  # rests more than it moves: judge a move by the size of moves
            least = max(least, s.jump[r])
    return least * slope(x, s.offset[r])


@njit()
def trusted(r: int, t: int, p: int, parent: int, s: Rows, k: Tuning) -> bool:
    """Whether a season may accuse alone: old enough, and it explains enough variance that it had not seen."""
    age = t - s.born[r]
    if p == HOUR:
        need, enough = 6 * HOUR_NS, 0.6
    elif p == DAY:
        need, enough = (2 if k.told else 8) * DAY_NS, 0.6
    else:
        need, enough = (2 if k.told else 3) * WEEK_NS + DAY_NS, 0.7
    return age >= need and s.tried[r, p] >= 100.0 and s.error[r, p] < enough * s.error[r, parent]


@njit()
def plausible(r: int, t: int, p: int, parent: int, s: Rows) -> bool:
    """Whether a season on trial may excuse: it has seen this time once, and is not refuted."""
    age = t - s.born[r]
    need = 2 * HOUR_NS if p == HOUR else (23 * HOUR_NS if p == DAY else WEEK_NS - HOUR_NS)
    return age >= need and (s.tried[r, p] < 100.0 or s.error[r, p] < 1.5 * s.error[r, parent])


@njit()
def expectation(r: int, t: int, s: Rows, k: Tuning) -> tuple[float, float, float, float, float, float]:
    """Scale, centre and the four predictions that count (NaN: does not), on the working scale."""
    level, hour, day, week = predict(r, t, s)
    chosen, centre = LEVEL, level
    if k.use_hour and not math.isnan(hour) and trusted(r, t, HOUR, LEVEL, s, k):
        chosen, centre = HOUR, hour
    if k.use_day and not math.isnan(day) and trusted(r, t, DAY, chosen, s, k):
        chosen, centre = DAY, day
    if k.use_week and not math.isnan(week) and trusted(r, t, WEEK, chosen, s, k):
        chosen, centre = WEEK, week
    if not (k.use_hour and chosen <= HOUR and plausible(r, t, HOUR, LEVEL, s)):
        hour = math.nan
    if not (k.use_day and chosen <= DAY and plausible(r, t, DAY, LEVEL, s)):
        day = math.nan
    if not (k.use_week and chosen <= WEEK and plausible(r, t, WEEK, chosen, s)):
        week = math.nan
    if chosen != LEVEL:
        level = math.nan
    if chosen > HOUR:
        hour = math.nan
    scale = SD_OF_MEAN_ABS * s.scale[r, chosen]
    if chosen >= DAY:
        scale *= float(s.spread[r, int((t % DAY_NS) / HOUR_NS)])
    # a young scale rests on few values
    scale *= 1.0 + 2.0 / max(s.seen[r], 1)
    return max(scale, floor_of(r, s, k)), centre, level, hour, day, week


@njit()
def nearest_gap(y: float, level: float, hour: float, day: float, week: float) -> float:
    """Distance to the nearest prediction that counts."""
    gap = math.inf
    for p in (level, hour, day, week):
        if not math.isnan(p):
            gap = min(gap, abs(y - p))
    return gap


@njit()
def score_rows(rows: I4, time: I8, value: F8, s: Rows, k: Tuning, out: F8) -> None:
    """Score of each row, (n,): distance to the nearest plausible prediction in robust sds."""
    for i in range(rows.size):
        r = rows[i]
        if s.seen[r] < k.warmup or not math.isfinite(value[i]):
            continue
        scale, _, level, hour, day, week = expectation(r, time[i], s, k)
        gap = nearest_gap(to_work(value[i], s.offset[r]) - s.anchor[r], level, hour, day, week)
        out[i] = min(gap / scale, 1e6) if scale > 0.0 else 0.0


@njit()
def band_rows(rows: I4, time: I8, width: F8, s: Rows, k: Tuning, lower: F8, centre: F8, upper: F8) -> None:
    """Band of each row in the signal's unit, (n,): where the score stays within `width`."""
    for i in range(rows.size):
        r = rows[i]
        scale, middle, level, hour, day, week = expectation(r, time[i], s, k)
        low, high = middle, middle
        for p in (level, hour, day, week):
            if not math.isnan(p):
                low, high = min(low, p), max(high, p)
        lower[i] = from_work(low - width[i] * scale + s.anchor[r], s.offset[r])
        centre[i] = from_work(middle + s.anchor[r], s.offset[r])
        upper[i] = from_work(high + width[i] * scale + s.anchor[r], s.offset[r])


@njit()
def rate(steps: float, dt: float, span: float, slowest: float, fastest: float) -> float:
    """Learning rate: a plain mean at first, then a time constant `span`, within bounds in steps."""
    return max(1.0 / (steps + 1.0), min(max(dt / span, slowest), fastest))


@njit()
def pull_slot(
    slots: NDArray[np.float32], count: U1, place: int, target: float, bound: float, weight: float, share: float
) -> None:
    """Move one slot towards `target`, by at most `bound` once it is known; `share` is the gain of one step."""
    if math.isnan(slots[place]):
        slots[place], count[place] = target, 1
        return
    if count[place] < 255:
        share = max(share, 1.0 / (count[place] + 1.0))
        count[place] += 1
    gap = min(max(target - float(slots[place]), -bound), bound)
    slots[place] += weight * share * gap


@njit()
def learn_rows(rows: I4, time: I8, value: F8, weight: F8, s: Rows, k: Tuning) -> None:
    """Take one step in; see `Baseline`."""
    for i in range(rows.size):
        r, t, x, w = rows[i], time[i], value[i], weight[i]
        if s.seen[r] == 0:
            s.anchor[r], s.born[r], s.latest[r], s.last[r] = x, t, t, x
        n = float(s.seen[r])
        dt = float(max(t - s.latest[r], 0))
        learn_grain(r, x, n, w, s)
        y = to_work(x, s.offset[r]) - s.anchor[r]
        predictions = predict(r, t, s)
        least = floor_of(r, s, k)
        for p in range(4):
            if math.isnan(predictions[p]) or (p > HOUR and t - s.born[r] < (23 * HOUR_NS if p == DAY else WEEK_NS)):
                continue
            gap = abs(y - predictions[p])
            m = s.tried[r, p]
            g = w * rate(m, dt, 6.0 * HOUR_NS, 0.001, 0.02)
            bound = REACH * max(SD_OF_MEAN_ABS * s.scale[r, p], least) if m >= 8.0 else math.inf
            s.scale[r, p] += g * (min(gap, bound) - s.scale[r, p])
            far = 3.0 * REACH * max(SD_OF_MEAN_ABS * s.scale[r, LEVEL], least) if n >= 8.0 else math.inf
            g = w * rate(m, dt, 3.0 * DAY_NS, 0.0003, 0.02)
            s.error[r, p] += g * (min(gap, far) ** 2 - s.error[r, p])
            s.tried[r, p] = m + 1.0
        sd = max(SD_OF_MEAN_ABS * s.scale[r, LEVEL], least)
        learn_season(r, t, y, dt, w, sd, predictions, s)
        bound = PULL * sd if n >= 8.0 else math.inf
        gap = min(max(y - s.fast[r], -bound), bound)
        s.fast[r] += w * rate(n, dt, 1.0 * HOUR_NS, 0.002, 0.05) * gap
        learn_shape(r, x, n, dt, w, s)
        s.seen[r] += 1
        s.latest[r] = max(t, s.latest[r])
        s.last[r] = x


@njit()
def learn_grain(r: int, x: float, n: float, w: float, s: Rows) -> None:
    """How the value moves: smallest change, share of steps with a change, size of a change."""
    change = abs(x - s.last[r])
    g = w * max(1.0 / (n + 1.0), 0.005)
    s.moves[r] += g * ((1.0 if change > 0.0 else 0.0) - s.moves[r])
    s.low[r] = min(s.low[r], x)
    if change > 0.0:
        s.jump[r] = change if not math.isfinite(s.grain[r]) else s.jump[r] + 0.2 * w * (change - s.jump[r])
        s.grain[r] = min(s.grain[r], change)


@njit()
def learn_season(
    r: int, t: int, y: float, dt: float, w: float, sd: float, guess: tuple[float, float, float, float], s: Rows
) -> None:
    """Move the slots of this time, and how far today lies off the learned day."""
    bound = PULL * sd
    gain = min(0.3 * dt / (HOUR_NS / HOUR_SLOTS), 0.5)
    minute = int((t % HOUR_NS) / (HOUR_NS / HOUR_SLOTS))
    pull_slot(s.hour[r], s.hour_count[r], minute, y - s.fast[r], bound, w, gain)
    gain = min(0.3 * dt / HOUR_NS, 0.5)
    place = int((t % DAY_NS) / HOUR_NS)
    known = t - s.born[r] >= 23 * HOUR_NS and not math.isnan(guess[DAY])
    pull_slot(s.day[r], s.day_count[r], place, y - s.drift[r], bound if known else math.inf, w, gain)
    if known:
        usual = max(SD_OF_MEAN_ABS * s.scale[r, DAY], 1e-300)
        ratio = min(abs(y - guess[DAY]) / usual * SD_OF_MEAN_ABS, REACH)
        s.spread[r, place] += w * gain * 0.5 * (min(max(ratio, 0.25), REACH) - s.spread[r, place])
        best = guess[DAY]
        if not math.isnan(guess[WEEK]) and s.error[r, WEEK] < s.error[r, DAY]:
            best = guess[WEEK]
        gap = min(max(y - best, -bound), bound)
        s.drift[r] += w * min(dt / (6.0 * HOUR_NS), 0.05) * gap
    place = int((t % WEEK_NS) / HOUR_NS)
    pull_slot(s.week[r], s.week_count[r], place, y - s.drift[r], bound if s.seen[r] >= 8 else math.inf, w, gain)


@njit()
def learn_shape(r: int, x: float, n: float, dt: float, w: float, s: Rows) -> None:
    """Compare the two working scales by likelihood (Laplace residuals and the Jacobian, as Box and Cox do)."""
    centre = from_work(s.fast[r] + s.anchor[r], s.offset[r])
    due = n + 1.0 in (32.0, 64.0, 128.0, 256.0) or (n + 1.0) % 512.0 == 0.0
    if s.candidate[r] <= 0.0:
        if n >= 8.0 and centre > 0.0:
            s.candidate[r] = 0.05 * centre
        return
    c = s.candidate[r]
    g = w * rate(n - 8.0, dt, 12.0 * HOUR_NS, 0.001, 0.02)
    linear, logged = abs(x - centre), abs(to_work(x, c) - to_work(centre, c))
    if n >= 24.0:
        linear, logged = min(linear, 6.0 * s.linear[r]), min(logged, 6.0 * s.logged[r])
    s.linear[r] += g * (linear - s.linear[r])
    s.logged[r] += g * (logged - s.logged[r])
    s.jacobian[r] += g * (-math.log(slope(x, c)) - s.jacobian[r])
    if not due or s.linear[r] <= 0.0 or s.logged[r] <= 0.0:
        return
    evidence = math.log(s.linear[r]) - math.log(s.logged[r]) - s.jacobian[r]
    if s.offset[r] <= 0.0 and s.low[r] >= 0.0 and evidence > 0.05:
        rescale(r, c, s)
    elif s.offset[r] > 0.0 and (s.low[r] < 0.0 or evidence < -0.02):
        rescale(r, 0.0, s)


@njit()
def rescale(r: int, offset: float, s: Rows) -> None:
    """Carry the state of a row over to another working scale."""
    old, base = s.offset[r], s.anchor[r]
    centre = from_work(s.fast[r] + base, old)
    factor = slope(centre, offset) / slope(centre, old)
    s.offset[r] = offset
    s.anchor[r] = to_work(from_work(base, old), offset)
    s.fast[r] = to_work(centre, offset) - s.anchor[r]
    s.drift[r] *= factor
    for p in range(4):
        s.scale[r, p] *= factor
        s.error[r, p] *= factor * factor
    for b in range(HOUR_SLOTS):
        s.hour[r, b] *= factor
    for b in range(DAY_SLOTS):
        s.day[r, b] = to_work(from_work(s.day[r, b] + base, old), offset) - s.anchor[r]
    for b in range(WEEK_SLOTS):
        s.week[r, b] = to_work(from_work(s.week[r, b] + base, old), offset) - s.anchor[r]
