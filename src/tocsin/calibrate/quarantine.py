"""Quarantine: values whose verdict is open wait here before they are learned, so that `for: 5m` teaches no anomaly."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from tocsin.calibrate.hysteresis import Verdict
from tocsin.model.arrays import F8, I4, I8, U1
from tocsin.model.detection import State, Step
from tocsin.stats.columns import Columns, column

KEPT: Final = 32
"""Values a row may keep waiting; of more, the oldest is dropped unlearned and counted in `dropped`."""


class Quarantine(Columns):
    """Pending values wait; when the row turns out calm they are released, when a finding opens they are dropped.

    >>> q = Quarantine()
    >>> def fold(k, verdict):
    ...     step = Step(np.zeros(1, "i4"), np.array([k]), np.array([float(k)]))
    ...     return [s.value.tolist() for s in q.fold(step, np.array([verdict], "u1"))]
    >>> fold(1, Verdict.PENDING), fold(2, Verdict.PENDING), fold(3, Verdict.CALM), fold(4, Verdict.CALM)
    ([], [], [[1.0], [2.0], [3.0]], [[4.0]])
    """

    kind: ClassVar[str] = "quarantine"
    count: I4 = column(0, "i4")  # values put in since it was last empty
    time: I8 = column(0, "i8", (KEPT,))
    value: F8 = column(np.nan, "f8", (KEPT,))
    dropped: I8 = column(0, "i8")

    def __init__(self) -> None:
        super().__init__()
        self._kept = False

    def restore(self, state: State) -> None:
        """Take a snapshot back."""
        super().restore(state)
        self._kept = bool(self.count.any())

    def fold(self, step: Step, verdict: U1) -> list[Step]:
        """Steps that may be learned now, oldest first, given each row's `Verdict` after this step, (n,)."""
        if not self._kept and not np.count_nonzero(verdict):  # all is calm and nothing waits, as nearly always
            return [step]
        pending = step.take(verdict == Verdict.PENDING)
        if len(pending):
            self.touch(pending.rows)
            place = self.count[pending.rows] % KEPT
            self.dropped[pending.rows] += self.count[pending.rows] >= KEPT
            self.time[pending.rows, place] = pending.time
            self.value[pending.rows, place] = pending.value
            self.count[pending.rows] += 1
            self._kept = True
        done = step.rows[(verdict != Verdict.PENDING) & (step.rows < self.size)]
        waiting = done[self.count[done] > 0]
        calm = step.take(verdict == Verdict.CALM)
        freed = waiting[np.isin(waiting, calm.rows)]
        found = self._released(freed)
        self.count[waiting] = 0
        self._kept = bool(self.count[: self.size].any())
        return [*found, calm] if len(calm) else found

    def _released(self, rows: I4) -> list[Step]:
        """What rows kept, as steps: the k-th holds each row's k-th oldest value."""
        kept = np.minimum(self.count[rows], KEPT)
        found = []
        for k in range(int(kept.max(initial=0))):
            some = rows[kept > k]
            place = (self.count[some] - np.minimum(self.count[some], KEPT) + k) % KEPT
            found.append(Step(some, self.time[some, place], self.value[some, place]))
        return found
