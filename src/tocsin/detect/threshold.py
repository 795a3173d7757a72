"""Fixed limits, without state."""

from __future__ import annotations

from tocsin.model.arrays import F8, Mask


def breach(value: F8, above: F8, below: F8) -> Mask:
    """Whether values (n,) lie beyond either limit (n,); infinite limits bind nothing, NaN is no breach.

    >>> import numpy as np
    >>> breach(np.array([1.0, 5.0, np.nan]), np.full(3, 4.0), np.full(3, -np.inf)).tolist()
    [False, True, False]
    """
    found: Mask = (value > above) | (value < below)
    return found
