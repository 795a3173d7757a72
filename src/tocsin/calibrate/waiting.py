"""Scores that wait before they enter a row's past, so that what is judged is never judged against parts of itself."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.model.arrays import F8, I4
from tocsin.stats.columns import Columns, column, numbers_of, rows_of
from tocsin.stats.jit import njit

MOST: Final = 64
"""Scores of a row that wait at most, however long a finding waits before it opens."""


class Waiting(Columns):
    """The latest `width` scores of each row; one that is put in pushes the one before all of them out.

    Windows that overlap hold the same samples: a jump is a slope of as many windows as overlap, and each step of it,
    were it learned at once, would raise what the next one needs, until none is odd. So do those that a finding waits
    for before it opens. The past that a window is judged against ends before the first of them.

    Parameters: `width` >= 0, in scores; 0: none waits.

    >>> waiting, row = Waiting(2), np.zeros(1, "i4")
    >>> [waiting.swap(row, np.array([score])).tolist() for score in (1.0, 2.0, math.nan, 3.0, 4.0)]
    [[nan], [nan], [nan], [1.0], [2.0]]
    """

    kind: ClassVar[str] = "waiting"
    score: F8 = column(np.nan, "f8", (0,))
    count: I4 = column(0, "i4")

    def __init__(self, width: int) -> None:
        super().__init__(score=(width,))
        self.width = width

    @classmethod
    def before(cls, size: int, step: int, for_ns: int) -> Waiting:
        """As many as there are windows of `size` that share samples with one, or with those it waits for; all in ns.

        >>> Waiting.before(300, 30, 0).width, Waiting.before(300, 30, 60).width, Waiting.before(60, 60, 0).width
        (9, 11, 0)
        """
        return cls(min(-(-(size + for_ns) // step) - 1, MOST))

    def swap(self, rows: I4, score: F8) -> F8:
        """Put scores in, (n,), and give those that may be learned now, (n,): NaN where none is due.

        A NaN score puts nothing in and nothing out. No row may occur twice.
        """
        if not self.width:
            return score
        rows, score = rows_of(rows), numbers_of(score)
        self.touch(rows)
        due = np.full(rows.size, np.nan)
        _swap(rows, score, self.score, self.count, due)
        return due


@njit("void(i4[::1],f8[::1],f8[:,::1],i4[::1],f8[::1])")
def _swap(rows: I4, score: F8, kept: F8, count: I4, due: F8) -> None:
    """Exchange each known score with the oldest of its row; a place that holds nothing yet gives NaN."""
    for i in range(rows.size):
        if math.isnan(score[i]):
            continue
        r = rows[i]
        place = count[r] % kept.shape[1]
        due[i] = kept[r, place]
        kept[r, place] = score[i]
        count[r] = (count[r] + 1) % kept.shape[1]
