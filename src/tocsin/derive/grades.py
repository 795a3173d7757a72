"""Grades: what people say of an answer on a scale - stars, points, a share - that is told with it or to be learned."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

_OF: Final = re.compile(
    r"\s*(-?[0-9]{1,4}(?:\.[0-9]{1,6})?)\s*(?:/|of|out of)\s*([0-9]{1,4}(?:\.[0-9]{1,6})?)\s*", re.IGNORECASE
)
_STARS: Final = re.compile(r"\s*(★{1,10})(☆{0,9})\s*")
_FINEST: Final = 20
_TEN: Final = 10.0
_SCALES: Final = ((0.0, 1.0), (1.0, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
_SIGNED: Final = (1.0, 5.0, 10.0, 100.0)


class Grade(NamedTuple):
    """A number on a scale from `low` (worst) to `high`; both 0 where the scale is not told."""

    value: float
    low: float = 0.0
    high: float = 0.0


def grade_of(said: Any, low: Any = None, high: Any = None) -> Grade | None:
    """A grade, of a number, a text or an object with its scale; None for what is none.

    >>> grade_of("4/5"), grade_of(3, 1, 5), grade_of({"value": 7, "max": 10})
    (Grade(value=4.0, low=0.0, high=5.0), Grade(value=3.0, low=1.0, high=5.0), Grade(value=7.0, low=0.0, high=10.0))
    >>> grade_of("★★★☆☆"), grade_of("fine"), grade_of(True)
    (Grade(value=3.0, low=1.0, high=5.0), None, None)
    """
    if isinstance(said, dict):
        value = next((said[name] for name in ("value", "score", "rating") if name in said), None)
        most = next((said[name] for name in ("max", "high", "scale", "of") if name in said), None)
        return None if isinstance(value, dict) else grade_of(value, said.get("min", said.get("low")), most)
    if isinstance(said, str):
        if (shown := _STARS.fullmatch(said)) is not None:
            return (
                _checked(float(len(shown[1])), 1.0, float(len(shown[1]) + len(shown[2])))
                if shown[2]
                else _checked(float(len(shown[1])), 1.0, 5.0)
            )
        if (shown := _OF.fullmatch(said)) is not None:
            return _checked(float(shown[1]), 0.0, float(shown[2]))
    value, most = _number(said), _number(high)
    if value is None:
        return None
    return Grade(value) if most is None else _checked(value, _number(low) or 0.0, most)


def _checked(value: float, low: float, high: float) -> Grade | None:
    return Grade(value, low, high) if low < high and low <= value <= high else None


def _number(told: Any) -> float | None:
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    try:
        found = float(told)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def rounded(value: float) -> float | None:
    """A value to the fineness that is counted; None beyond any scale.

    >>> rounded(0.333), rounded(4.4), rounded(87.0), rounded(1e6)
    (0.35, 4.5, 85.0, None)
    """
    size = abs(value)
    if not size <= _SCALES[-1][1]:  # nor NaN
        return None
    if size <= 1:
        return round(value * _FINEST) / _FINEST
    step = 0.5 if size <= _TEN else 5.0
    return round(value / step) * step


def scale_of(values: Iterable[float]) -> tuple[float, float]:
    """The smallest usual scale that holds all values.

    >>> scale_of([1.0, 4.0]), scale_of([0.0, 0.35]), scale_of([-1.0, 0.5]), scale_of([3.0, 9.0])
    ((1.0, 5.0), (0.0, 1.0), (-1.0, 1.0), (1.0, 10.0))
    """
    held = list(values)
    least, most = min(held), max(held)
    if least < 0:
        size = next(each for each in _SIGNED if max(-least, most) <= each)
        return -size, size
    return next((low, high) for low, high in _SCALES if low <= least and most <= high)
