"""Whether a breach of a quantile lasts: what came since it began must show it by itself.

Windows overlap: ten slow calls of one second make every window breach that holds them, for as long as it is long.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.detection import Band
from tocsin.window.lane import Closed

SLICES: Final = 2
"""Slices that must hold observations beyond the band, of several: a burst from the end of one goes on in the next."""


def lasting(closed: Closed, ripe: Mask, since: I8, band: Band, direction: F8, most_ns: int) -> Mask:
    """Which of the rows that would open now may, all (n,): `ripe` are asked, their breach began at `since`.

    After `most_ns` of breach none is asked any more. Windows that don't say what they stand on are not asked.
    """
    found = np.ones(len(closed.groups), bool)
    for i in np.flatnonzero(ripe).tolist() if closed.slices else ():
        if closed.end - since[i] >= most_ns:
            continue
        above = bool(direction[i] >= 0)
        limit = float(band.upper[i] if above else band.lower[i])
        found[i] = _shown(closed, int(closed.groups[i]), int(since[i]), limit, above=above)
    return found


def _shown(closed: Closed, group: int, since: int, limit: float, *, above: bool) -> bool:
    """Whether those that came since are beyond the limit as often as the quantile asks, and not all in one slice."""
    seen = [each.since(group, since, limit, above=above) for each in closed.slices]
    beyond, total = (np.concatenate(column) for column in zip(*seen, strict=True))
    share, parts = closed.slices[0].share, len(closed.slices[0].parts)
    enough = float(beyond.sum()) > (1.0 - share if above else share) * float(total.sum())
    return enough and int(np.count_nonzero(beyond)) >= min(SLICES, parts)
