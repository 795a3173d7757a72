"""What an open finding stays open by: the score that it took to open it, not what its own scores make of that later."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from tocsin.calibrate.hysteresis import Move, Transitions
from tocsin.model.arrays import F8, I4, Mask
from tocsin.model.detection import State
from tocsin.stats.columns import Columns, column, numbers_of, rows_of

STAYS: Final = 0.5
"""Share of the score that opened it by which a finding stays open: what is less than half way back is not back."""


class Hold(Columns):
    """Bars of open findings, one row a series, set when a finding opens and taken away when it is over.

    While trouble lasts its scores enter the row's past, depend on each other and make the tail look heavier, so that
    the score a level asks for rises, by half within minutes where the past is short. The bar doesn't. It gives way
    where people's labels have come to ask for more than they did.

    >>> hold, row, opened = Hold(), np.zeros(1, "i4"), np.array([Move.OPENED], "u1")
    >>> when = np.zeros(1, "i8")
    >>> hold.follow(row, Transitions(when, opened, when, when, np.zeros(1)), np.array([8.0]), np.zeros(1))
    >>> hold.eased(row, np.array([12.0]), np.zeros(1)).tolist(), hold.stays(row, np.array([5.0]), np.zeros(1)).tolist()
    ([8.0], [True])
    >>> hold.stays(row, np.array([3.9]), np.zeros(1)).tolist(), hold.stays(row, np.array([5.0]), -np.ones(1)).tolist()
    ([False], [False])
    """

    kind: ClassVar[str] = "hold"
    bar: F8 = column(np.nan)
    asked: F8 = column(0.0)

    def __init__(self) -> None:
        super().__init__()
        self.any = False  # whether there is a bar: nearly always there is none, and then nothing is asked

    def restore(self, state: State) -> None:
        """Take a snapshot back."""
        super().restore(state)
        self.any = bool(np.isfinite(self.bar).any())

    def eased(self, rows: I4, needed: F8, asked: F8) -> F8:
        """Score that is needed, (n,), no more than the bar; `asked` is the log10 p of labels, 0 where there is none."""
        return np.fmin(needed, self._bars(rows, asked))

    def stays(self, rows: I4, score: F8, asked: F8) -> Mask:
        """Which rows have an open finding that this score keeps open, (n,)."""
        found: Mask = score >= STAYS * self._bars(rows, asked)
        return found

    def follow(self, rows: I4, moves: Transitions, needed: F8, asked: F8) -> None:
        """Set the bar of rows whose finding opens, take away that of rows where it is over; all but `moves` are (n,)."""
        if not len(moves.at):  # as nearly always
            return
        over = moves.at[(moves.move == Move.CLOSED) | (moves.move == Move.ABSORBED)]
        opened = moves.at[moves.move == Move.OPENED]
        if not len(opened) and not len(over):
            return
        rows, needed, asked = rows_of(rows), numbers_of(needed), numbers_of(asked)
        self.touch(rows)
        self.bar[rows[opened]], self.asked[rows[opened]] = needed[opened], asked[opened]
        self.bar[rows[over]] = np.nan
        self.any = bool(np.isfinite(self.bar).any())

    def release(self, rows: I4) -> None:
        """Take the bars of rows away whose scores come from another model now."""
        self.bar[rows[rows < self.size]] = np.nan
        self.any = bool(np.isfinite(self.bar).any())

    def _bars(self, rows: I4, asked: F8) -> F8:
        rows = rows_of(rows)
        self.reserve(rows)
        return np.where(asked >= self.asked[rows], self.bar[rows], np.nan)
