"""An evenly thinned past of one entity: shingles of raw rows, kept at a stride that doubles when the room is full."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from tocsin.model.arrays import F8, I8
from tocsin.model.detection import State
from tocsin.model.errors import Corrupt

LENGTH: Final = 10
"""Rows of a kept shingle; members look at the newest 1, 5 or all of them."""
ROOM: Final = 400_000
"""Numbers an entity may keep in its past, whatever the number of its signals."""
MOST, LEAST = 512, 96
"""Shingles kept of a small and of a very wide entity."""
STRIDE_MOST: Final = 64
"""The widest stride: past it the oldest shingles give way, so that the past reaches back MOST * STRIDE_MOST steps."""


class Kept:
    """Base of all state of an entity: `_kept` names its arrays; snapshot and restore are inherited."""

    _kept: ClassVar[tuple[str, ...]] = ()

    def snapshot(self) -> State:
        """Copy of all state."""
        return {name: np.array(getattr(self, name)) for name in self._kept}

    def restore(self, state: State) -> None:
        """Take a snapshot back.

        Raises
        ------
        Corrupt
            The snapshot is of another class, layout or number of signals; nothing was taken.
        """
        label = type(self).__name__
        if state.keys() != set(self._kept):
            raise Corrupt(f"{label}: the snapshot has {sorted(state)}, this version wants {sorted(self._kept)}")
        for name in self._kept:
            mine, theirs = getattr(self, name), state[name]
            if theirs.dtype != mine.dtype or theirs.shape != mine.shape:
                raise Corrupt(
                    f"{label}.{name}: the snapshot holds {theirs.dtype}{theirs.shape}, "
                    f"this entity wants {mine.dtype}{mine.shape}"
                )
        for name in self._kept:
            np.copyto(getattr(self, name), state[name])


class ShingleMemory(Kept):
    """The latest rows, newest first, and shingles of them from the whole past.

    Attributes
    ----------
    latest : (LENGTH, signals) float64, newest row first; NaN where nothing was seen
    past : (capacity, LENGTH, signals) float64; the first `size` are filled
    when : (capacity,) int64, number of the step at which each was the latest

    >>> m = ShingleMemory(2)
    >>> for t in range(3000):
    ...     m.push(np.array([t, -t], "f8")); m.learn()
    >>> m.size, int(m.counts[1]), m.past[:3, 0, 0].tolist()
    (375, 8, [0.0, 8.0, 16.0])
    """

    _kept: ClassVar[tuple[str, ...]] = ("latest", "past", "when", "counts")

    def __init__(self, signals: int) -> None:
        self.capacity = min(max(ROOM // (LENGTH * signals), LEAST), MOST) // 2 * 2
        self.latest: F8 = np.full((LENGTH, signals), np.nan)
        self.past: F8 = np.full((self.capacity, LENGTH, signals), np.nan)
        self.when: I8 = np.zeros(self.capacity, np.int64)
        self.counts: I8 = np.array([0, 1, 0, 0])  # size, stride, steps seen, place that gives way next

    @property
    def size(self) -> int:
        """Shingles kept."""
        return int(self.counts[0])

    @property
    def seen(self) -> int:
        """Steps learned."""
        return int(self.counts[2])

    def push(self, values: F8) -> None:
        """Make these (signals,) the newest row."""
        self.latest[1:] = self.latest[:-1].copy()
        self.latest[0] = values

    def learn(self) -> None:
        """Keep the latest shingle if its turn has come."""
        size, stride, seen, oldest = self.counts.tolist()
        self.counts[2] = seen + 1
        if seen % stride:
            return
        if size == self.capacity and stride < STRIDE_MOST:
            half = self.capacity // 2
            self.past[:half] = self.past[::2].copy()
            self.when[:half] = self.when[::2].copy()
            self.counts[0], self.counts[1] = half, 2 * stride
            self.past[half:] = np.nan
            size, stride = half, 2 * stride
            if seen % stride:
                return
        at = size
        if size == self.capacity:
            at = oldest
            self.counts[3] = (oldest + 1) % self.capacity
        else:
            self.counts[0] = size + 1
        self.past[at], self.when[at] = self.latest, seen
