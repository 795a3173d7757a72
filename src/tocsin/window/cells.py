"""The kernel of a lane: slices of one step are emptied, filled and combined, in one fixed order of addition."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tocsin.model.arrays import F8, I4, I8
from tocsin.stats.jit import njit

MEAN, SUM, COUNT, RATE, MIN, MAX, LAST, QUANTILE = range(8)
_CODES: Final = {
    "mean": MEAN,
    "std": MEAN,
    "sum": SUM,
    "count": COUNT,
    "rate": RATE,
    "min": MIN,
    "max": MAX,
    "last": LAST,
}
FILL: Final = (0.0, 0.0, 0.0, 0.0, math.inf, -math.inf, math.nan, 0.0)
"""What a slice's value starts from, by code."""
FORGET_NS: Final = 24 * 3600 * 10**9
"""A group of a dense lane that was not heard of for this long is no longer zero, but unknown."""
_FILLS = np.array(FILL)


def code_of(aggregate: str) -> int:
    """Number of an aggregate as the kernel knows it; all quantiles are one, and a spread is gathered beside its mean."""
    return _CODES.get(aggregate, QUANTILE)


@njit()
def _fill(  # noqa: PLR0917 - a kernel takes its columns
    local: I4, time: I8, x: F8, w: F8, cell: int, code: int, value: F8, weight: F8, seen: I8, born: I8, heard: I8,
) -> None:  # fmt: skip
    for i in range(local.size):
        g = local[i]
        seen[g, cell] += 1
        weight[g, cell] += w[i]
        if code <= SUM:
            value[g, cell] += x[i] * w[i]
        elif code == MIN:
            value[g, cell] = min(value[g, cell], x[i])
        elif code == MAX:
            value[g, cell] = max(value[g, cell], x[i])
        elif code == LAST and time[i] >= heard[g]:
            value[g, cell] = x[i]
        heard[g] = max(heard[g], time[i])
        born[g] = min(born[g], time[i])


@njit()
def _combined(value: F8, weight: F8, now: int, code: int, size: int) -> float:
    """The aggregate of one group over its slices, (slices,) each, oldest first."""
    slices = value.size
    total, weights = 0.0, 0.0
    if code >= MIN:
        total = value[(now + 1) % slices]
    for k in range(slices):
        cell = (now + 1 + k) % slices
        weights += weight[cell]
        if code <= SUM:
            total += value[cell]
        elif code == MIN:
            total = min(total, value[cell])
        elif code == MAX:
            total = max(total, value[cell])
        elif code == LAST and not math.isnan(value[cell]):
            total = value[cell]
    if code == MEAN:
        return total / weights
    if code == COUNT:
        return weights
    return weights / (size / 1e9) if code == RATE else total


@njit(
    "i8(i4[::1],i8[::1],f8[::1],f8[::1],i8,i8,i8,i8,i8,i8,b1,i8,f8[:,::1],f8[:,::1],i8[:,::1],i8[::1],i8[::1],"
    "i4[::1],f8[::1],i8[::1])"
)
def advance(  # noqa: PLR0917 - a kernel takes its columns
    local: I4, time: I8, x: F8, w: F8, end: int, left: int, size: int, step: int, code: int, min_samples: int,
    dense: bool, n: int, value: F8, weight: F8, seen: I8, born: I8, heard: I8,
    out_group: I4, out_value: F8, out_seen: I8,
) -> int:  # fmt: skip
    """Go on to the window that ends at `end`, `left` slices further; how many groups have a value in it.

    `local`, `time`, `x`, `w` are the samples of the newest slice in their order. A window of a sum that began
    before its group did holds only a part, and is not given.
    """
    slices = size // step
    now = (end // step) % slices
    for back in range(left):
        cell = (now + slices - back) % slices
        for g in range(n):
            value[g, cell], weight[g, cell], seen[g, cell] = _FILLS[code], 0.0, 0
    _fill(local, time, x, w, now, code, value, weight, seen, born, heard)
    m = 0
    for g in range(n):
        whole = born[g] <= end - size + step
        if dense:
            if not (whole and heard[g] > end - FORGET_NS):
                continue
        elif seen[g, now] == 0 or (SUM <= code <= RATE and not whole):
            continue
        count = 0
        for k in range(slices):
            count += seen[g, k]
        if not dense and count < min_samples:
            continue
        out_group[m], out_seen[m] = g, count
        if code != QUANTILE:
            out_value[m] = _combined(value[g], weight[g], now, code, size)
        m += 1
    return m
