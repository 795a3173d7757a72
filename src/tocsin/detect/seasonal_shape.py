"""Learning kernels of the baseline: which working scale a row's noise is even on, and carrying a row over to it."""

from __future__ import annotations

import math
from typing import Final

from tocsin.detect.seasonal import (
    ANCHOR,
    AS_DATE,
    AS_KIND,
    CANDIDATE,
    DAY_AT,
    DAY_SLOTS,
    DRIFT,
    ERROR,
    F4,
    FAST,
    HOUR_AT,
    HOUR_NS,
    HOUR_SLOTS,
    JACOBIAN,
    LINEAR,
    LOGGED,
    LOW,
    OFFSET,
    ONCE,
    RARE,
    SCALE,
    SEEN,
    SWING,
    TOP,
    TWICE,
    WEEK_SLOTS,
)
from tocsin.detect.working_scale import from_work, slope, to_work
from tocsin.model.arrays import F8
from tocsin.stats.jit import njit

RESOLUTION: Final = 1e-4
"""Least part of a bounded scale that is told apart from its bounds: 99.99 % and 100 %."""
AUTO, SHARE_OF_1, SHARE_OF_100, LOGARITHMIC = 0, 1, 2, 3
"""What a row is told to be; see `Baseline.told`."""


@njit(inline=True)
def rate(steps: float, dt: float, span: float, slowest: float, fastest: float) -> float:
    """Learning rate: a plain mean at first, then a time constant `span`, within bounds in steps."""
    return max(1.0 / (steps + 1.0), min(max(dt / span, slowest), fastest))


@njit(inline=True)
def candidate_for(centre: float, top: float) -> float:
    """Offset of the scale that is weighed against the plain one: a quarter of the distance to the nearer bound."""
    if top > 0.0:
        return max(0.25 * min(centre, top - centre), RESOLUTION * top)
    return 0.25 * centre


@njit(inline=True)
def weigh(x: float, first: bool, dt: float, w: float, c: F8) -> None:
    """Take a value into the residuals on both scales and the Jacobian between them."""
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


@njit(inline=True)
def evidence_of(c: F8) -> float:
    """Evidence for the candidate scale by Laplace residuals and the Jacobian, as Box and Cox do; NaN without any."""
    if c[LINEAR] <= 0.0 or c[LOGGED] <= 0.0:
        return math.nan
    found: float = math.log(c[LINEAR]) - math.log(c[LOGGED]) - c[JACOBIAN]
    return found


@njit(inline=True)
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
    weigh(x, first, dt, w, c)
    steps = int(n)
    # a set would be built anew at each call
    due = steps == 32 or steps == 64 or steps == 128 or steps == 256 or steps % 512 == 0  # noqa: PLR1714
    due = due or (told == LOGARITHMIC and steps == 16)
    if not due:
        return
    evidence = math.inf if told == LOGARITHMIC else evidence_of(c)
    if math.isnan(evidence):
        return
    if c[OFFSET] <= 0.0 and c[LOW] < RARE and evidence > 0.05:
        rescale(c[CANDIDATE], c[TOP], c, slots)
    elif c[OFFSET] > 0.0 and (c[LOW] >= RARE or evidence < -0.02):
        rescale(0.0, c[TOP], c, slots)


@njit(inline=True)
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
