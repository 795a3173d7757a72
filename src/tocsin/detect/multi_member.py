"""`Member`: one way to score an entity as a whole; the entity scorer hands each what it needs."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from tocsin.detect.multi_memory import Kept, ShingleMemory
from tocsin.detect.multi_scale import RobustScale
from tocsin.model.arrays import F8, I8


class Look(NamedTuple):
    """What is seen of an entity at one step.

    Attributes
    ----------
    latest : (LENGTH, signals), raw rows, newest first; NaN = missing
    z : (signals,), deviations of the newest row; NaN = missing or unknown
    before : (signals,), those of the row before
    reach : (signals,), see `RobustScale`
    past, when : the kept shingles (n, LENGTH, signals) and the numbers (n,) of their steps, see `ShingleMemory`
    step : number of this step
    """

    latest: F8
    z: F8
    before: F8
    reach: F8
    past: F8
    when: I8
    step: int


class Member(Kept):
    """A raw score (larger = stranger, about 1 on usual data) and what each signal gave to it.

    Call order per step: `score`, then `learn`; `refit` now and then. Nothing here looks ahead or at a clock.
    """

    name: ClassVar[str]
    specialist: ClassVar[bool] = False
    """Whether it sees one kind of fault only: it then speaks up when it is far out of line, and is silent otherwise."""

    def __init__(self, signals: int) -> None:
        """For an entity of so many signals."""

    def score(self, look: Look) -> tuple[float, F8]:
        """Score, NaN until fitted, and contributions >= 0, (signals,); pure."""
        raise NotImplementedError

    def learn(self, look: Look) -> None:
        """Take the step in; most members learn at `refit` only."""

    def refit(self, memory: ShingleMemory, scale: RobustScale) -> None:
        """Learn from the thinned past, which the step now judged is not part of."""
