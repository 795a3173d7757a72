"""What is news: after a score only a higher one counts in full, until the row has been calm for a while."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from tocsin.model.arrays import F8, I4
from tocsin.stats.columns import Columns, column, numbers_of, rows_of
from tocsin.stats.jit import njit

NOTABLE: Final = 1.0
"""Score under which nothing is notable: it dulls nothing, and what was told already counts for no more."""


class News(Columns):
    """Scores in, scores as news out: one that is no higher than one of the last `span` steps counts `NOTABLE` at most.

    An alarm that keeps ringing tells nothing new, and the tail of a fault is no second fault.

    >>> n = News(span=3)
    >>> row = np.zeros(1, "i4")
    >>> [float(n.fold(row, np.array([s]))[0]) for s in (0.5, 6.0, 5.0, 8.0, 0.0, 0.0, 0.0, 4.0)]
    [0.5, 6.0, 1.0, 8.0, 0.0, 0.0, 0.0, 4.0]
    """

    kind: ClassVar[str] = "news"
    height: F8 = column(0.0)
    age: I4 = column(0, "i4")

    def __init__(self, *, span: int = 100) -> None:
        super().__init__()
        self.span = span

    def fold(self, rows: I4, score: F8) -> F8:
        """Score of each row as news, (n,); a NaN score is none and ages nothing."""
        rows, score = rows_of(rows), numbers_of(score)
        self.touch(rows)
        out = np.zeros(rows.size)
        _fold(rows, score, self.height, self.age, self.span, out)
        return out


@njit("void(i4[::1],f8[::1],f8[::1],i4[::1],i8,f8[::1])")
def _fold(rows: I4, score: F8, height: F8, age: I4, span: int, out: F8) -> None:
    for i in range(rows.size):
        r, s = rows[i], score[i]
        if np.isnan(s):
            continue
        age[r] += 1
        if age[r] > span:
            height[r], age[r] = 0.0, 0
        if s > height[r]:
            out[i] = s
            if s >= NOTABLE:
                height[r], age[r] = s, 0
        else:
            out[i] = min(s, NOTABLE)
