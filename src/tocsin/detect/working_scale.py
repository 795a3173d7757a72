"""Kernels of the baseline's working scale: plain, log(x + offset), or of a share the logit.

Reference: G. E. P. Box and D. R. Cox, An Analysis of Transformations, JRSS B 1964.
"""

from __future__ import annotations

import math

from tocsin.stats.jit import njit


@njit(inline=True)
def to_work(x: float, offset: float, top: float) -> float:
    """From the signal's unit to the working scale; out of bounds it goes on as its tangent."""
    if offset <= 0.0:
        return x
    if top > 0.0:
        at = min(max(x, 0.0), top)
        return math.log((at + offset) / (top - at + offset)) + (x - at) * slope(at, offset, top)
    return math.log(x + offset) if x >= 0.0 else math.log(offset) + x / offset


@njit(inline=True)
def from_work(y: float, offset: float, top: float) -> float:
    """Inverse of `to_work`."""
    if offset <= 0.0:
        return y
    if top > 0.0:
        end = math.log((top + offset) / offset)
        at = min(max(y, -end), end)
        odds = math.exp(at)
        return (odds * (top + offset) - offset) / (1.0 + odds) + (y - at) / slope(0.0, offset, top)
    start = math.log(offset)
    return math.exp(min(y, 700.0)) - offset if y >= start else offset * (y - start)


@njit(inline=True)
def slope(x: float, offset: float, top: float) -> float:
    """Derivative of `to_work` at x."""
    if offset <= 0.0:
        return 1.0
    if top > 0.0:
        at = min(max(x, 0.0), top)
        return 1.0 / (at + offset) + 1.0 / (top - at + offset)
    return 1.0 / (max(x, 0.0) + offset)
