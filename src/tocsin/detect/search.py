"""The band of a score that has no closed form, sought outwards from its centre."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from tocsin.model.arrays import F8, I4

OCTAVES: Final = 16
HALVINGS: Final = 8


def outwards(score: Callable[[I4, F8], F8], rows: I4, centre: F8, unit: F8, limit: F8) -> tuple[F8, F8]:
    """Lowest and highest value about `centre` (n,) that scores at most `limit` (n,), to 5 % of their distance.

    `unit` (n,) > 0 is a distance to begin with; ends between 1/256 and 256 of it are found. Where a score
    isn't monotonic, an end is one of the places where it passes the limit.

    >>> rows, ones = np.zeros(1, "i4"), np.ones(1)
    >>> low, high = outwards(lambda _, x: abs(x - 5.0), rows, 5 * ones, ones, 3 * ones)
    >>> bool(abs(low[0] - 2.0) < 0.15), bool(abs(high[0] - 8.0) < 0.15)
    (True, True)
    """
    both = np.concatenate([rows, rows])
    middle, signed = np.concatenate([centre, centre]), np.concatenate([-unit, unit])
    wanted = np.concatenate([limit, limit])
    inside, outside = np.full(both.size, -OCTAVES / 2.0), np.full(both.size, OCTAVES / 2.0)
    for _ in range(HALVINGS):
        tried = (inside + outside) / 2.0
        calm = score(both, middle + signed * np.exp2(tried)) <= wanted
        inside, outside = np.where(calm, tried, inside), np.where(calm, outside, tried)
    ends = middle + signed * np.exp2(inside)
    return ends[: rows.size], ends[rows.size :]
