"""Signs that one client attacks a model: each compares what it does in a day with what all others do and did.

Every sign needs an effect that matters, evidence that chance does not give (each test one in a million), and to be beyond
the highest that any client showed on days that were well: so clients may differ as much as they usually do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tocsin.assess.client_inputs import NEAR, ClientInputs
from tocsin.assess.coverage import Coverage, compared
from tocsin.assess.input_space import BINS, PAIRS
from tocsin.assess.intervals import wilson
from tocsin.model.arrays import F8

SURE: Final = 1.0 - 2e-6
DEVIATES: Final = 6.0
LEAST_KNOWN: Final = 1_000
"""Inputs of others below which no client is compared with them."""
LEAST_TOLD: Final = 200
"""Truths of others below which no source is compared with them."""
LEAST_SWEPT: Final = 500
"""Inputs of a client below which its coverage is not compared."""
LEAST_ROWS: Final = 50
"""Inputs, or truths, of a client below which its rate is not held against others."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What was found: the measure, what it may be at most, and it in words."""

    kind: str
    value: float
    limit: float
    n: int
    said: str
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Highest:
    """The most that any client showed on a day that was well: coverage ratio, flip rate, inputs around a record, and so on."""

    ratio: float = 0.0
    flips: float = 0.0
    around: float = 0.0
    wrong: float = 0.0
    rows: float = 0.0

    def of(self, other: Highest) -> Highest:
        """The higher of each."""
        return Highest(*(max(getattr(self, name), getattr(other, name)) for name in self.__slots__))

    def faded(self, share: float) -> Highest:
        """All times `share`."""
        return Highest(*(share * getattr(self, name) for name in self.__slots__))


@dataclass(slots=True)
class Peers:
    """All others: counts by cell (PAIRS, BINS * BINS), inputs, flips, truths and how many were wrong, the highest, a draw."""

    squares: F8 = field(default_factory=lambda: np.zeros((PAIRS, BINS * BINS)))
    rows: float = 0.0
    flips: float = 0.0
    told: float = 0.0
    wrong: float = 0.0
    highest: Highest = field(default_factory=Highest)
    drawn: F8 = field(default_factory=lambda: np.zeros((0, 0)))


def coverage_of(own: ClientInputs, peers: Peers) -> Coverage | None:
    """How much of the space one covers beside the others."""
    return compared(own.squares, peers.squares)


def extraction(own: ClientInputs, peers: Peers) -> Sign | None:
    """Many inputs, spread more widely than as many of all others: who copies a model sweeps its space.

    After M. Juuti et al. 2019, PRADA (EuroS&P): queries of a thief are spread otherwise than people's.
    """
    much = max(LEAST_SWEPT, peers.highest.rows / 2.0)
    found = coverage_of(own, peers) if own.rows >= much and peers.rows >= LEAST_KNOWN else None
    limit = max(1.25, 1.2 * peers.highest.ratio)
    if found is None or found.deviates < DEVIATES or found.ratio <= limit:
        return None
    said = (
        f"{own.rows:,} inputs cover {found.ratio:.2g} times as much of what the model may be given as equally many of "
        "all others"
    )
    return Sign(
        "extraction", found.ratio, limit, own.rows, said,
        {"covered_cells": found.covered, "expected_cells": found.expected, "deviates": found.deviates},
    )  # fmt: skip


def probing(own: ClientInputs, peers: Peers) -> Sign | None:
    """Near-duplicates whose answers flip: who looks for the boundary walks along it."""
    if own.flips < 20 or peers.rows < LEAST_KNOWN:
        return None
    limit = max(0.05, 2.0 * wilson(peers.flips, peers.rows)[1], 1.5 * peers.highest.flips)
    if wilson(own.flips, own.rows, SURE)[0] <= limit:
        return None
    said = f"{own.flips:,} of {own.rows:,} inputs are nearly the same as one just before and are answered otherwise"
    numbers = {"near_duplicates": float(own.near), "flips": float(own.flips)}
    if own.answered:
        numbers["unsure_ratio"] = own.unsure / own.answered
        said += f"; of {own.unsure / own.answered:.0%} the model is unsure"
    return Sign("probing", own.flips / own.rows, limit, own.rows, said, numbers)


def inversion(own: ClientInputs, peers: Peers) -> Sign | None:
    """Many different inputs around one record: who wants to know what a model remembers of it asks so."""
    around = own.around
    if around < 100 or peers.rows < LEAST_KNOWN:
        return None
    best = max(own.balls, key=lambda each: each.count)
    drawn = peers.drawn
    near = ((drawn - np.array(best.centre)) ** 2).mean(axis=1) <= NEAR * NEAR if len(drawn) else np.zeros(0, bool)
    share = wilson(float(near.sum()), float(max(len(drawn), 1)))[1] if near.any() else 1.0 / (len(drawn) + 1.0)
    limit = max(100.0, 4.0 * peers.highest.around, 4.0 * own.rows * share)
    if around <= limit:
        return None
    said = f"{around:,} of {own.rows:,} inputs are small changes of one record"
    return Sign("inversion", float(around), limit, own.rows, said)


def poisoning(told: int, wrong: int, peers: Peers) -> Sign | None:
    """Truth or feedback of one source that contradicts the model far more than that of others: labels may be flipped."""
    if told < LEAST_ROWS or peers.told < LEAST_TOLD:
        return None
    usual = peers.wrong / peers.told
    limit = max(wilson(peers.wrong, peers.told)[1] + 0.15, 1.5 * peers.highest.wrong)
    if wilson(float(wrong), float(told), SURE)[0] <= limit:
        return None
    said = f"{wrong:,} of {told:,} truths or verdicts contradict the model, {wrong / told:.0%} where others have {usual:.0%}"
    return Sign("poisoning", wrong / told, limit, told, said, {"others_ratio": usual})
