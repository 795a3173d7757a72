"""A level that holds a budget by counting: how often the past reached it, in episodes."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tocsin.model.arrays import F8, I8
from tocsin.model.detection import State
from tocsin.model.errors import Corrupt

PER_DECADE: Final = 10
BINS: Final = 100
"""-log10 p from 0 to 10, the last bin open."""
LEAST: Final = 1.5
"""-log10 p under which nothing is worth an alarm, however large the budget, and under which an episode ends."""
SLACK: Final = 0.5
"""Decades by which counts may make a level harder than theory: beyond, it is real trouble that is counted."""
PRIOR_WEEKS: Final = 0.5
"""Weeks that the theoretical rate weighs."""
MEMORY_WEEKS: Final = 12.0
"""Weeks after which weeks and counts are halved: the old fades."""


class EntityLevel:
    """Counts of the largest -log10 p of each episode, and the level that a budget of them a week sets.

    Every episode counts, true or false, for nothing tells them apart; but an entity that is really in trouble more
    often than the budget allows must not be silenced, so counts harden a level by `SLACK` at most. Until much is
    counted the theoretical rate, one chance per `episode_steps`, decides with it.

    >>> e = EntityLevel(steps_per_week=10_080)
    >>> for k in range(40_000):
    ...     e.learn(2.9 if k % 720 == 0 else 0.1)
    >>> 2.8 < e.level(budget=2, episode_steps=10) <= 3.1, e.level(budget=40, episode_steps=10) < 2.0
    (True, True)
    """

    def __init__(self, *, steps_per_week: float, gap: int = 15) -> None:
        self.steps_per_week, self.gap = steps_per_week, gap
        self.counts: F8 = np.zeros(BINS)
        self.weeks: F8 = np.zeros(1)
        self.now: F8 = np.zeros(1)  # largest of the episode that is going on, 0: none
        self.calm: I8 = np.zeros(1, np.int64)

    def level(self, budget: float, episode_steps: float) -> float:
        """Smallest -log10 p that is expected to be reached in at most `budget` episodes a week."""
        chances = self.steps_per_week / max(episode_steps, 1.0)
        expected = chances * np.power(10.0, -np.arange(BINS) / PER_DECADE)
        above = np.cumsum(self.counts[::-1])[::-1]
        much = np.flatnonzero(PRIOR_WEEKS * expected + above > budget * (PRIOR_WEEKS + self.weeks[0]))
        found = (int(much[-1]) + 1) / PER_DECADE if much.size else 0.0
        theory = math.log10(chances / budget) if budget > 0.0 else found
        return max(min(found, theory + SLACK), LEAST)

    def learn(self, surprise: float) -> None:
        """Take the -log10 p of a step in; NaN is no evidence and passes no time."""
        if math.isnan(surprise):
            return
        self.weeks[0] += 1.0 / self.steps_per_week
        if self.weeks[0] > MEMORY_WEEKS:
            self.weeks[0] *= 0.5
            self.counts *= 0.5
        if surprise >= LEAST:
            self.now[0] = max(self.now[0], surprise)
            self.calm[0] = 0
            return
        self.calm[0] += 1
        if self.calm[0] >= self.gap and self.now[0] > 0.0:
            self.counts[min(BINS - 1, int(self.now[0] * PER_DECADE))] += 1.0
            self.now[0] = 0.0

    def snapshot(self) -> State:
        """Copy of all state."""
        return {name: getattr(self, name).copy() for name in ("counts", "weeks", "now", "calm")}

    def restore(self, state: State) -> None:
        """Take a snapshot back.

        Raises
        ------
        Corrupt
            The snapshot is of another class or layout; nothing was taken.
        """
        mine = self.snapshot()
        fits = state.keys() == mine.keys() and all(
            state[name].shape == kept.shape and state[name].dtype == kept.dtype for name, kept in mine.items()
        )
        if not fits:
            raise Corrupt(f"EntityLevel: the snapshot has {sorted(state)}, this version wants {sorted(mine)}")
        for name, kept in state.items():
            np.copyto(getattr(self, name), kept)
