"""What an entity's data are like, and which members of the ensemble suit them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from tocsin.detect.multi_memory import ShingleMemory
from tocsin.detect.multi_scale import RobustScale

WIDE: Final = 150
"""Signals beyond which members whose work grows with the square of them are left out."""
DEPENDENT: Final = 0.2
"""Correlation of a signal with itself one step before, from which on the way into a state tells something."""
SPARSE: Final = 0.9
"""Share of values that are missing or equal to the one before, from which on an entity hardly ever moves."""


class Character(NamedTuple):
    """Character of an entity, read from its thinned past; NaN before the first fit.

    `signals` that ever moved; `dependence`: median correlation with the step before; `stillness`: share of values of
    the moving signals that are missing or as the one before.
    """

    signals: float
    dependence: float
    stillness: float


def character_of(memory: ShingleMemory, scale: RobustScale) -> Character:
    """Character of what the memory keeps."""
    moving = np.flatnonzero(scale.spread > 0.0)
    if not moving.size:
        return Character(0.0, 0.0, 1.0)
    now, before = (memory.past[: memory.size, k][:, moving] for k in (0, 1))
    still = np.isnan(now) | (now == before)
    gaps = []
    for k, column in enumerate(moving):
        both = ~np.isnan(now[:, k]) & ~np.isnan(before[:, k])
        bound = 5.0 * scale.spread[column]
        a, b = (np.clip(rows[both, k] - scale.centre[column], -bound, bound) for rows in (now, before))
        size = float(np.sqrt((a * a).sum() * (b * b).sum()))
        if size > 0.0:
            gaps.append(float((a * b).sum()) / size)
    return Character(float(moving.size), float(np.median(gaps)) if gaps else 0.0, float(still.mean()))


def affordable(member: str, signals: int) -> bool:
    """Whether a member's work stays small for an entity of so many signals."""
    return signals <= WIDE or member in {"spread", "near_rows", "neighbours", "subspace"}


def suited(member: str, character: Character) -> bool:
    """Whether a member suits the data; before anything is known of them, only the plainest does.

    >>> suited("kmeans", Character(20.0, 0.9, 0.1)), suited("kmeans", Character(20.0, 0.05, 0.1))
    (True, False)
    """
    if member in {"spread", "near_rows"}:
        return True
    moving, dependence, stillness = character
    if not moving >= 2.0:
        return member == "neighbours" and moving == 1.0 and dependence >= DEPENDENT
    if member == "relation":
        return True
    if member == "subspace":
        return moving >= 4.0
    # the rest look at the way into a state: rows that don't depend on each other, or hardly ever move, have none
    return dependence >= DEPENDENT and stillness < SPARSE
