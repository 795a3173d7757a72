"""From breaches to findings: `for`, clear time and flap holding, one state machine a row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

import numpy as np

from tocsin.model.arrays import F8, I4, I8, U1, Mask
from tocsin.stats.columns import Columns, column, numbers_of, rows_of, times_of
from tocsin.stats.jit import njit


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
    calm_since: I8 = column(-1, "i8")
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
    ) -> Transitions:
        """Fold one step, all (n,); a NaN score is no evidence either way. No row may occur twice."""
        rows, time, score = rows_of(rows), times_of(time), numbers_of(score)
        self.touch(rows)
        move = np.zeros(rows.size, np.uint8)
        start, end, peak = np.zeros(rows.size, np.int64), np.zeros(rows.size, np.int64), np.zeros(rows.size)
        _step(
            rows, time, breach.astype(np.uint8), score, for_ns, clear_ns, update_ns, absorb_ns,
            self.verdict, self.start, self.end, self.calm_since, self.closed, self.news, self.score, self.told,
            self.flaps, move, start, end, peak,
        )  # fmt: skip
        at = np.flatnonzero(move)
        return Transitions(at, move[at], start[at], end[at], peak[at])

    def verdicts(self, rows: I4) -> U1:
        """`Verdict` of each row, (n,)."""
        self.reserve(rows)
        found: U1 = self.verdict[rows]
        return found


@njit(
    "void(i4[::1],i8[::1],u1[::1],f8[::1],i8,i8,i8,i8,u1[::1],i8[::1],i8[::1],i8[::1],i8[::1],i8[::1],f8[::1],"
    "f8[::1],i4[::1],u1[::1],i8[::1],i8[::1],f8[::1])"
)
def _step(
    rows: I4, time: I8, breach: U1, score: F8, for_ns: int, clear_ns: int, update_ns: int, absorb_ns: int,
    verdict: U1, start: I8, end: I8, calm_since: I8, closed: I8, news: I8, best: F8, told: F8,
    flaps: I4, move: U1, out_start: I8, out_end: I8, out_score: F8,
) -> None:  # fmt: skip
    for i in range(rows.size):
        r, t, z = rows[i], time[i], score[i]
        if z != z:  # NaN: nothing was seen, nothing moves
            continue
        hold = clear_ns * FLAP_HOLD if flaps[r] >= FLAPS else clear_ns
        if breach[i]:
            if verdict[r] == 0:
                verdict[r], start[r], best[r] = 1, t, z
            end[r], calm_since[r] = t, -1
            best[r] = max(best[r], z)
            if verdict[r] == 1 and t - start[r] >= for_ns:
                soon = closed[r] >= 0 and start[r] - closed[r] <= clear_ns * FLAP_HOLD
                flaps[r] = flaps[r] + 1 if soon else 1
                verdict[r], move[i] = 2, 1
            elif verdict[r] == 2 and (best[r] > 1.1 * told[r] or t - news[r] >= update_ns):
                move[i] = 2
        elif verdict[r] == 1:
            verdict[r] = 0
        elif verdict[r] == 2:
            if calm_since[r] < 0:
                calm_since[r] = t
            if t - end[r] >= hold:
                verdict[r], move[i], closed[r] = 0, 3, t
        if verdict[r] == 2 and absorb_ns > 0 and t - start[r] >= absorb_ns:
            verdict[r], move[i], closed[r] = 0, 4, t
        if move[i]:
            out_start[i], out_end[i], out_score[i] = start[r], end[r], best[r]
            news[r], told[r] = t, best[r]
