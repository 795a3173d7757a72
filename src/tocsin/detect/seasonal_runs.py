"""Kernels of the baseline for series that switch between two states: how long a state has lasted, beside its past.

The lengths of a state's runs are held to be Weibull distributed, which has regular runs and runs of pure chance
(exponential) as special cases; shape and scale come from the mean and the variance of the logarithms.

References: L. S. Nelson, A Control Chart for Parts-per-Million Nonconforming Items, Journal of Quality Technology
1994; M. V. Menon, Estimation of the Shape and Scale Parameters of the Weibull Distribution, Technometrics 1963.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.stats.jit import njit

F4: TypeAlias = NDArray[np.float32]

LOW, HIGH = 0, 1  # the two values that steps lie near,
WITHIN: Final = 2  # mean distance to the nearer one,
AWAY: Final = 3  # and to the other
STATE: Final = 4  # 0: unknown, 1: low, 2: high
LASTED: Final = 5  # steps in this state
WHOLE: Final = 6  # 1: the beginning of this run was seen
LOG_AT: Final = 7  # 2: mean log (see WHOLE_STEPS) of the lengths of low and high runs,
VARIANCE_AT: Final = 9  # 2: their variance
COUNT_AT: Final = 11  # 2: and their number
STEPS: Final = 13
RUNS: Final = 14

APART: Final = 8.0
"""How much nearer the own value must be than the other for a series to be one of two states."""
ENOUGH: Final = 8.0
"""Whole runs of each state before one can be too long."""
LEAST_SD: Final = 0.25
"""Least sd of log lengths: a run twice as long as its like is never ordinary for less."""
SLOWEST: Final = 1.0 / 5000.0
"""Gain of what is learned of the two values: over days, or a daily wave would pass for states that last hours."""
WHOLE_STEPS: Final = 4.0
"""Added to lengths before logs are taken: a run of two steps is no double of one, steps are whole."""
MOST: Final = 6.0
"""Log of the largest cumulative hazard that is told apart: 28 sds."""
EULER: Final = 0.5772156649
SD_OF_LOG: Final = math.pi / math.sqrt(6.0)
"""Sd of the log of an exponential length."""


@njit(inline=True)
def state_of(x: float, r: F4) -> int:
    """1 near the lower value, 2 near the higher; in the middle third the state stays as it was."""
    third = (r[HIGH] - r[LOW]) / 3.0
    if x <= r[LOW] + third:
        return 1
    if x >= r[HIGH] - third:
        return 2
    return int(r[STATE])


@njit(inline=True)
def switches(r: F4) -> bool:
    """Whether the row is a series of two states, with runs of both known."""
    known = min(r[COUNT_AT], r[COUNT_AT + 1]) >= ENOUGH
    return bool(known and r[AWAY] > APART * r[WITHIN] and r[HIGH] > r[LOW])


@njit(inline=True)
def overdue(x: float, r: F4) -> float:
    """How far beyond its like this run is with a step x more, as sds of a normal law of that rarity; >= 0."""
    state = state_of(x, r)
    if state != int(r[STATE]):
        return 0.0
    sd = max(math.sqrt(r[VARIANCE_AT + state - 1]), LEAST_SD)
    shape = SD_OF_LOG / sd
    log_scale = r[LOG_AT + state - 1] + EULER / shape
    hazard = math.exp(min(shape * (math.log(r[LASTED] + 1.0 + WHOLE_STEPS) - log_scale), MOST))
    return math.sqrt(2.0 * max(hazard - 1.0, 0.0))


@njit(inline=True)
def learn_run(x: float, w: float, first: bool, r: F4) -> None:
    """Take a step in: the two values, and the run that goes on or ends."""
    if first:
        r[LOW], r[HIGH] = x, x
    r[STEPS] += 1.0
    gain = w * max(1.0 / r[STEPS], SLOWEST)
    gap = r[HIGH] - r[LOW]
    if gap > 0.0:
        x = min(max(x, r[LOW] - gap), r[HIGH] + gap)
    elif x != r[LOW]:
        r[LOW], r[HIGH] = min(x, r[LOW]), max(x, r[HIGH])
    near = LOW if 2.0 * x < r[LOW] + r[HIGH] else HIGH
    r[WITHIN] += gain * (abs(x - r[near]) - r[WITHIN])
    r[AWAY] += gain * (abs(x - r[1 - near]) - r[AWAY])
    r[near] += min(gain, 0.05) * (x - r[near])
    state, before = state_of(x, r), int(r[STATE])
    if state == before:
        r[LASTED] += 1.0
        return
    if before > 0:
        if r[WHOLE] > 0.0:
            learn_length(math.log(r[LASTED] + WHOLE_STEPS), before - 1, r)
        r[WHOLE] = 1.0
    r[STATE], r[LASTED] = float(state), 1.0


@njit(inline=True)
def learn_length(log_length: float, which: int, r: F4) -> None:
    """Mean and variance of log lengths: plain at first, then over about thirty runs; one pulls by 2 sds at most."""
    n = r[COUNT_AT + which]
    gain = max(1.0 / (n + 1.0), 1.0 / 30.0)
    gap = log_length - r[LOG_AT + which]
    if n >= ENOUGH:
        bound = 2.0 * max(math.sqrt(r[VARIANCE_AT + which]), LEAST_SD)
        gap = min(max(gap, -bound), bound)
    r[LOG_AT + which] += gain * gap
    r[VARIANCE_AT + which] = (1.0 - gain) * (r[VARIANCE_AT + which] + gain * gap * gap)
    r[COUNT_AT + which] = n + 1.0
