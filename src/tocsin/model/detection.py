"""The Detector contract: one instance scores all its series, one array row of state per series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from tocsin.model.arrays import F8, I4, I8, Array

State: TypeAlias = dict[str, Array]
"""Snapshot of a detector: named arrays, copies."""

Params: TypeAlias = Mapping[str, Array]
"""What fitting found, as it enters the log."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One closed window of many series; no row occurs twice.

    Attributes
    ----------
    rows : (n,) int32, dense rows of this detector instance
    time : (n,) int64, ns, end of the window
    value : (n,) float64, the aggregate in the signal's unit; NaN = no value
    season : (n, 2) int64, ns, where in the seasons a row is: local time as the date says, and as the kind of day that
        the calendar makes of that date says (a holiday like a Sunday); None = both are `time`
    beside : (n, k) float64, what the neighbours of each row say, in its unit, each in a column that it keeps; NaN = no
        such neighbour, or nothing heard of it; None = no row has any. Only detectors that ask for it look at it.
    """

    rows: I4
    time: I8
    value: F8
    season: I8 | None = None
    beside: F8 | None = None

    def __len__(self) -> int:
        return int(self.rows.size)

    def take(self, pick: Array) -> Step:
        """The rows selected by a mask or index."""
        season = None if self.season is None else self.season[pick]
        beside = None if self.beside is None else self.beside[pick]
        return Step(self.rows[pick], self.time[pick], self.value[pick], season, beside)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Raw scores, larger = stranger, never called a probability.

    Attributes
    ----------
    rows : (n,) int32, as in the step
    value : (n,) float64 >= 0; NaN until warm and for a NaN input
    at : (n,) int64, ns, the time that the verdict is about (<= time of the step)
    """

    rows: I4
    value: F8
    at: I8


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """What was expected, in the signal's unit: `lower <= centre <= upper`, each (n,), NaN until warm."""

    lower: F8
    centre: F8
    upper: F8


class Detector(Protocol):
    """Scores every series of a step at once. Laws: `tocsin.testing.check_detector`.

    Call order per step: `score`, `expect`, then `learn`. `score` and `expect` are pure.
    """

    name: ClassVar[str]

    def score(self, step: Step) -> Scores:
        """Score each row against what was learned before; pure; NaN until warm."""

    def expect(self, step: Step, limit: F8 | None = None) -> Band:
        """Band in which a value at `step.time` scores at most `limit` (n,), by default 3; pure."""

    def learn(self, step: Step, weight: F8) -> None:
        """Take a step in, each row with weight in [0, 1]; 0 learns nothing; influence is bounded."""

    def renewed(self) -> I4:
        """Rows, each once, whose expectation stands on new ground since the last call: old scores tell no more."""

    def entrained(self) -> I4:
        """Rows, each once, that have come to expect a period of their own since the last call: it is no news, nor life."""

    def adopt(self, params: Params) -> None:
        """Take what fitting found; it comes as a Control record."""

    def explain(self, row: int) -> Mapping[str, float]:
        """Numbers that tell how this row's expectation came about."""

    def warm(self, rows: I4) -> F8:
        """Share of the needed history seen, (n,), in [0, 1]; 1 = scores are given."""

    def snapshot(self) -> State:
        """Copy of all state."""

    def restore(self, state: State) -> None:
        """Take a snapshot back.

        Raises
        ------
        Corrupt
            The snapshot is of another detector or layout.
        """

    def forget(self, rows: I4) -> None:
        """Make these rows new."""
