"""From breaches to findings: `for`, clear time and flap holding, one state machine a row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, NamedTuple

import numpy as np

from tocsin.model.arrays import F8, I4, I8, U1, Mask
from tocsin.stats.columns import Columns, column, numbers_of, rows_of, times_of
from tocsin.stats.jit import njit, types_of


class Verdict(IntEnum):
    """What is held of a row now."""

    CALM = 0
    PENDING = 1
    OPEN = 2


class Move(IntEnum):
    """What a step did to a row's finding."""

    OPENED = 1
    UPDATED = 2
    CLOSED = 3
    ABSORBED = 4


FLAPS: Final = 3
"""Openings that, one soon after another's close, make a row one that flaps."""
FLAP_HOLD: Final = 5
"""How many times longer a flapping row must stay calm before it clears, and the span that counts as soon."""


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """What changed in a step, (m,) each: `at` indexes the step's rows; `score` is the largest of the finding."""

    at: I8
    move: U1
    start: I8
    end: I8
    score: F8


_NOTHING: Final = Transitions(np.zeros(0, "i8"), np.zeros(0, "u1"), np.zeros(0, "i8"), np.zeros(0, "i8"), np.zeros(0))


class Hysteresis(Columns):
    """Breach mask in, transitions out; a step without a score moves no timer, so absence resolves nothing.

    A finding opens when breaches have lasted `for_ns` without a calm step between, and closes when rows have
    been calm for `clear_ns`. It is news again when its score grows by a tenth or `update_ns` went by. A row
    that opened `FLAPS` times in short succession is held open `FLAP_HOLD` times longer. After `absorb_ns`
    (0: never) an open finding is given up as the new normal: the caller forgets what the detector knew.

    >>> h = Hysteresis()
    >>> row, s = np.zeros(1, "i4"), 10**9
    >>> for t, hot in ((1, True), (2, True), (3, False), (9, False)):
    ...     got = h.step(row, np.array([t * s]), np.array([hot]), np.array([5.0]), for_ns=s, clear_ns=5 * s)
    ...     print(t, [Move(m).name for m in got.move], got.start // s)
    1 [] []
    2 ['OPENED'] [1]
    3 [] []
    9 ['CLOSED'] [1]
    """

    kind: ClassVar[str] = "hysteresis"
    verdict: U1 = column(0, "u1")
    start: I8 = column(0, "i8")
    end: I8 = column(0, "i8")  # latest breach
    closed: I8 = column(-1, "i8")
    news: I8 = column(0, "i8")
    score: F8 = column(0.0)
    told: F8 = column(0.0)
    flaps: I4 = column(0, "i4")

    def step(
        self,
        rows: I4,
        time: I8,
        breach: Mask,
        score: F8,
        *,
        for_ns: int = 0,
        clear_ns: int = 60_000_000_000,
        update_ns: int = 60_000_000_000,
        absorb_ns: int = 0,
        sure: Mask | None = None,
    ) -> Transitions:
        """Fold one step, all (n,); a NaN score is no evidence either way. No row may occur twice.

        `sure`: rows that may open now; the others stay pending, however long their breach has lasted.
        """
        rows, time, score = rows_of(rows), times_of(time), numbers_of(score)
        self.touch(rows)
        if not np.count_nonzero(breach) and not np.count_nonzero(
            self.verdict[rows]
        ):  # all is calm and stays so, as nearly always
            return _NOTHING
        move = np.zeros(rows.size, np.uint8)
        state = _Rows(*(getattr(self, name) for name in _Rows._fields))
        times = _Times(for_ns, clear_ns, update_ns, absorb_ns)
        opens = np.ones(rows.size, np.uint8) if sure is None else sure.astype(np.uint8)
        if not _step(rows, time, breach.astype(np.uint8), opens, score, state, times, move):
            return _NOTHING
        at = np.flatnonzero(move)
        found = rows[at]
        return Transitions(at, move[at], self.start[found], self.end[found], self.score[found])

    def ripe(self, rows: I4, time: int, *, for_ns: int) -> Mask:
        """Which rows have been pending for `for_ns` when they breach at `time`, (n,)."""
        self.reserve(rows)
        found: Mask = (self.verdict[rows] == Verdict.PENDING) & (time - self.start[rows] >= for_ns)
        return found

    def verdicts(self, rows: I4) -> U1:
        """`Verdict` of each row, (n,)."""
        self.reserve(rows)
        found: U1 = self.verdict[rows]
        return found


class _Rows(NamedTuple):
    verdict: U1
    start: I8
    end: I8
    closed: I8
    news: I8
    score: F8
    told: F8
    flaps: I4


class _Times(NamedTuple):
    for_ns: int
    clear_ns: int
    update_ns: int
    absorb_ns: int


def _empty_rows() -> _Rows:
    return _Rows(*(np.zeros(0, dtype) for dtype in ("u1", "i8", "i8", "i8", "i8", "f8", "f8", "i4")))


@njit()
def _breached(r: int, t: int, opens: int, score: float, s: _Rows, k: _Times) -> int:
    if s.verdict[r] == 0:
        s.verdict[r], s.start[r], s.score[r] = 1, t, score
    s.end[r] = t
    s.score[r] = max(s.score[r], score)
    if s.verdict[r] == 1 and opens and t - s.start[r] >= k.for_ns:
        soon = s.closed[r] >= 0 and s.start[r] - s.closed[r] <= k.clear_ns * FLAP_HOLD
        s.flaps[r] = s.flaps[r] + 1 if soon else 1
        s.verdict[r] = 2
        return 1
    grown = s.score[r] > 1.1 * s.told[r] or t - s.news[r] >= k.update_ns
    return 2 if s.verdict[r] == 2 and grown else 0


@njit()
def _calm(r: int, t: int, s: _Rows, k: _Times) -> int:
    if s.verdict[r] == 1:
        s.verdict[r] = 0
    hold = k.clear_ns * FLAP_HOLD if s.flaps[r] >= FLAPS else k.clear_ns
    if s.verdict[r] == 2 and t - s.end[r] >= hold:
        s.verdict[r], s.closed[r] = 0, t
        return 3
    return 0


@njit(
    types_of(
        np.zeros(0, "i4"), np.zeros(0, "i8"), np.zeros(0, "u1"), np.zeros(0, "u1"), np.zeros(0), _empty_rows(),
        _Times(0, 0, 0, 0), np.zeros(0, "u1"),
    )
)  # fmt: skip
def _step(rows: I4, time: I8, breach: U1, opens: U1, score: F8, s: _Rows, k: _Times, move: U1) -> int:
    moved = 0
    for i in range(rows.size):
        r, t = rows[i], time[i]
        if math.isnan(score[i]):  # nothing was seen, nothing moves
            continue
        done = _breached(r, t, opens[i], score[i], s, k) if breach[i] else _calm(r, t, s, k)
        if s.verdict[r] == 2 and k.absorb_ns > 0 and t - s.start[r] >= k.absorb_ns:
            s.verdict[r], s.closed[r], done = 0, t, 4
        if done:
            s.news[r], s.told[r], move[i] = t, s.score[r], done
            moved += 1
    return moved
