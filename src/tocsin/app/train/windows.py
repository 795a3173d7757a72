"""Windows of history: cut at full steps without holes, split by time, and told apart by labelled incidents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.app.train.history import History, Incident
from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.errors import BadInput

F4: TypeAlias = NDArray[np.float32]

LEAST: Final = 50
"""Windows without which nothing can be learned or verified."""
HELD_OUT: Final = 0.2
"""Share of the time, at its end, that is kept for validation."""
SPREAD_OF_MAD: Final = 1.4826
TAILS: Final = (0.005, 0.995)
SDS_OF_TAILS: Final = 5.152
"""Distance of these quantiles under a normal law, in sds."""
RIGID: Final = 0.03
"""Spread of a signal that never moved, as a share of its level."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Places of windows in a history, in order of their ends; values are gathered when they are needed.

    Attributes
    ----------
    track, first : (n,) which track, and the row of it that the window begins with
    end_ns : (n,) time of the newest row
    bad : (n,) whether the newest row lies within an incident
    near : (n,) whether any other row does
    """

    history: History
    length: int
    track: I8
    first: I8
    end_ns: I8
    bad: Mask
    near: Mask

    def __len__(self) -> int:
        return len(self.first)

    def take(self, pick: I8 | Mask) -> Windows:
        """Some of them."""
        track, first, end_ns = self.track[pick], self.first[pick], self.end_ns[pick]
        return Windows(self.history, self.length, track, first, end_ns, self.bad[pick], self.near[pick])

    def thinned(self, most: int) -> Windows:
        """At most so many, evenly over time."""
        if len(self) <= most:
            return self
        return self.take(np.linspace(0, len(self) - 1, most).astype("i8"))

    def values(self) -> F4:
        """All values, (n, length, features)."""
        tracks = self.history.tracks
        out = np.empty((len(self), self.length, len(self.history.names)), np.float32)
        for k, track in enumerate(tracks):
            mine = np.flatnonzero(self.track == k)
            rows = self.first[mine, None] + np.arange(self.length)
            out[mine] = track.value[rows]
        return out

    def start_ns(self) -> I8:
        """Times of the oldest rows, (n,)."""
        return self.end_ns - (self.length - 1) * self.history.step_ns

    def split(self, at_ns: int) -> tuple[Windows, Windows]:
        """Those that end before a time, and those that begin at it or later; what lies across is in neither."""
        return self.take(self.end_ns < at_ns), self.take(self.start_ns() >= at_ns)


def cut(history: History, length: int, incidents: Sequence[Incident]) -> Windows:
    """Every window of so many steps without a gap or a missing value.

    Raises
    ------
    BadInput
        There are too few; or an incident names a series that isn't there.
    """
    names = {track.name for track in history.tracks}
    for incident in incidents:
        if incident.series and incident.series not in names:
            raise BadInput(
                f"an incident is of {incident.series!r}, which {history.file} has no rows of; its series are "
                f"{', '.join(sorted(names)[:8]) or 'not named: name their column with --series or --entity'}"
            )
    places: list[tuple[I8, I8, I8, Mask, Mask]] = []
    for k, track in enumerate(history.tracks):
        n = len(track.step) - length + 1
        if n <= 0:
            continue
        holes = np.concatenate([[0], np.cumsum(np.isnan(track.value).any(axis=1))])
        whole = track.step[length - 1 :] - track.step[:n] == length - 1
        first = np.flatnonzero(whole & (holes[length:] - holes[:n] == 0))
        odd = _within(track.step * history.step_ns, history.step_ns, track.name, incidents)
        before = np.concatenate([[0], np.cumsum(odd)])
        last = first + length - 1
        near = before[last] - before[first] > 0
        places.append((np.full(len(first), k), first, track.step[last] * history.step_ns, odd[last], near))
    if sum(len(place[1]) for place in places) < LEAST:
        raise BadInput(
            f"{history.file}: fewer than {LEAST} windows of {length} steps of {history.step_ns / 1e9:g} s without gaps; "
            "give more history, a smaller --window, or a longer --step that bridges the gaps"
        )
    track_of, begin, end, bad, close = (np.concatenate(part) for part in zip(*places, strict=True))
    order = np.lexsort((track_of, end))
    return Windows(history, length, track_of[order], begin[order], end[order], bad[order], close[order])


def _within(at: I8, step_ns: int, name: str, incidents: Sequence[Incident]) -> Mask:
    """Which steps an incident touches."""
    odd: Mask = np.zeros(len(at), np.bool_)
    for incident in incidents:
        if incident.series in ("", name):
            odd |= (at + step_ns > incident.start_ns) & (at <= incident.end_ns)
    return odd


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Normalisation of each feature: centre and spread, (features,) float32; it becomes part of the model."""

    centre: F4
    spread: F4

    @staticmethod
    def of(values: F4) -> Scale:
        """Median and spread of each feature of windows (n, length, features).

        The spread is 1.48 MAD, or what the middle 99 % suggest where that is more: bursts are part of a life. Of a
        signal that hardly ever moves it is the sd.
        """
        flat: F8 = values.reshape(-1, values.shape[2]).astype("f8")
        centre = np.median(flat, axis=0)
        low, high = np.quantile(flat, TAILS, axis=0)
        spread = np.maximum(SPREAD_OF_MAD * np.median(np.abs(flat - centre), axis=0), (high - low) / SDS_OF_TAILS)
        spread = np.where(spread > 1e-9 * np.abs(centre), spread, flat.std(axis=0))
        rigid = np.where(centre != 0.0, RIGID * np.abs(centre), 1.0)
        spread = np.where(spread > 1e-9 * np.abs(centre), spread, rigid)
        return Scale(centre.astype("f4"), np.maximum(spread, 1e-30).astype("f4"))

    def normal(self, values: F4, limit: float) -> F4:
        """Values in spreads from the centre, held within the limit: what the graph computes first."""
        found: F4 = np.clip((values - self.centre) / self.spread, np.float32(-limit), np.float32(limit))
        return found
