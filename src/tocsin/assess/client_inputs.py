"""`ClientInputs`: what one client asks a model, in bounded memory: cells covered, near-duplicates, answers that flip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tocsin.assess.input_space import BINS, CELLS, PAIRS
from tocsin.model.arrays import F8, I4

NEAR: Final = 0.1
"""Root mean square distance of near-duplicates, in robust standard deviations."""
RECENT: Final = 64
"""Inputs with which later ones are compared."""
BALLS: Final = 8
"""Records around which inputs are counted."""
UNSURE: Final = 0.6
"""Confidence at or below which an answer lies at the boundary."""


@dataclass(slots=True)
class Asked:
    """Inputs in their order: places (n, d), digests that tell equal ones, answers ("" for none), confidence (NaN: none)."""

    points: F8
    digests: Sequence[int]
    answers: Sequence[str]
    sure: F8

    def of(self, rows: Sequence[int]) -> Asked:
        """Some of them."""
        return Asked(
            self.points[list(rows)], [self.digests[i] for i in rows], [self.answers[i] for i in rows],
            self.sure[list(rows)],
        )  # fmt: skip


@dataclass(slots=True)
class Ball:
    """Different inputs that lie near one; too few by at most the share that the summary of balls lets go."""

    centre: list[float]
    count: int = 1


@dataclass(slots=True)
class ClientInputs:
    """Counts of a day. `near` inputs have a different one nearby that came shortly before, `flips` of them another answer.

    `balls` are a Misra-Gries summary of records that are asked about again and again with small changes: of those `near`
    inputs the count of a record is too low by at most `near / (BALLS + 1)`.
    """

    rows: int = 0
    near: int = 0
    flips: int = 0
    unsure: int = 0
    answered: int = 0
    cells: I4 = field(default_factory=lambda: np.zeros(CELLS, "i4"))
    balls: list[Ball] = field(default_factory=list)
    recent: Asked | None = None

    def fold(self, asked: Asked, cells: I4) -> None:
        """Take inputs in, at most some hundred at once; `cells` (n, pairs) are those they lie in."""
        n = len(asked.digests)
        self.rows += n
        self.cells += np.bincount(cells.ravel(), minlength=CELLS).astype("i4")
        self.unsure += int((asked.sure <= UNSURE).sum())
        self.answered += int(np.isfinite(asked.sure).sum())
        before = self.recent
        points = asked.points if before is None else np.concatenate([before.points, asked.points])
        digests = [*(before.digests if before else ()), *asked.digests]
        answers = [*(before.answers if before else ()), *asked.answers]
        sure = asked.sure if before is None else np.concatenate([before.sure, asked.sure])
        self._compare(points, digests, answers, n)
        first = max(len(digests) - RECENT, 0)
        self.recent = Asked(points[first:], digests[first:], answers[first:], sure[first:])

    def _compare(self, points: F8, digests: Sequence[int], answers: Sequence[str], n: int) -> None:
        old = len(digests) - n
        known = np.array(digests)
        away = ((points[old:, None, :] - points[None, :, :]) ** 2).mean(axis=2)
        earlier = np.arange(len(digests))[None, :] < np.arange(old, len(digests))[:, None]
        same = known[old:, None] == known[None, :]
        repeated = (same & earlier).any(axis=1)
        away = np.where(earlier & ~same, away, np.inf)
        nearest = away.argmin(axis=1)
        close = away[np.arange(n), nearest] <= NEAR * NEAR
        for at in np.flatnonzero(close & ~repeated).tolist():
            self._gather(points[old + at])
            mine, other = answers[old + at], answers[int(nearest[at])]
            self.near += 1
            self.flips += bool(mine) and bool(other) and mine != other

    def _gather(self, point: F8) -> None:
        """Count a point in the ball that holds it, or begin one, or let one of each ball go."""
        if self.balls:
            away = ((np.array([each.centre for each in self.balls]) - point) ** 2).mean(axis=1)
            best = int(away.argmin())
            if away[best] <= NEAR * NEAR:
                self.balls[best].count += 1
                return
        if len(self.balls) < BALLS:
            self.balls.append(Ball(point.tolist()))
            return
        for each in self.balls:
            each.count -= 1
        self.balls = [each for each in self.balls if each.count > 0]

    @property
    def around(self) -> int:
        """Different inputs around the record that is asked about most."""
        return max((each.count for each in self.balls), default=0)

    @property
    def squares(self) -> F8:
        """Counts by square of cells, (PAIRS, BINS * BINS)."""
        found: F8 = self.cells.reshape(PAIRS, BINS * BINS).astype("f8")
        return found

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        held = self.recent
        return [
            self.rows, self.near, self.flips, self.unsure, self.answered, self.cells.copy(),
            [[each.centre, each.count] for each in self.balls],
            None
            if held is None
            else [held.points.copy(), list(held.digests), list(held.answers), held.sure.copy()],
        ]  # fmt: skip

    @staticmethod
    def back(state: Sequence[Any]) -> ClientInputs:
        """Counts back from a snapshot."""
        rows, near, flips, unsure, answered, cells, balls, held = state
        recent = None if held is None else Asked(np.asarray(held[0], "f8"), held[1], held[2], np.asarray(held[3], "f8"))
        around = [Ball(*each) for each in balls]
        return ClientInputs(rows, near, flips, unsure, answered, np.array(cells, "i4"), around, recent)
