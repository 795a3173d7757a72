"""`Tally`: what counts on cells can't tell of a column's values: their types, and how long one value came in a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

LONGEST_TEXT: Final = 200
"""Characters by which longer texts are told apart, with their length."""
_TYPES: Final = {float: "numbers", int: "numbers", bool: "booleans", str: "texts", list: "vectors"}


@dataclass(frozen=True, slots=True)
class Run:
    """Rows one after the other that hold one value, from the event time of the first to that of the last, ns."""

    value: Any
    rows: int
    start: int
    end: int

    @property
    def span_ns(self) -> int:
        """How long it lasted."""
        return self.end - self.start

    def joined(self, later: Run) -> Run:
        """The run of both, if they hold the same; else the later one."""
        if self.value != later.value or type(self.value) is not type(later.value):
            return later
        return Run(self.value, self.rows + later.rows, self.start, later.end)


@dataclass(slots=True)
class Tally:
    """Rows of one column in their order; tallies of rows that follow one another add up to that of all.

    `types` counts values by type, `examples` has one of each; `head` and `now` are the runs of the first and of the
    last row, `longest` has the most rows and `longest_ns` is the longest time that any lasted.

    >>> tally = Tally.of([1.0, 2.0, 2.0, None], [0, 10, 20, 30])
    >>> tally.merge(Tally.of(["x", "x", "x"], [40, 50, 60]))
    >>> tally.types, tally.missing, tally.longest.rows, tally.longest_ns
    ({'numbers': 3, 'texts': 3}, 1, 3, 20)
    """

    rows: int = 0
    missing: int = 0
    types: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    head: Run | None = None
    now: Run | None = None
    longest: Run | None = None
    longest_ns: int = 0

    @staticmethod
    def of(values: Sequence[Any], times: Sequence[int]) -> Tally:
        """Values (n,) as JSON has them, and their event times (n,), ns."""
        found = Tally(len(values), values.count(None) + values.count(""))
        for kind, count in Counter(map(type, values)).items():
            name = _TYPES.get(kind)
            if name is not None:
                found.types[name] = found.types.get(name, 0) + count
                found.examples.setdefault(name, str(next(v for v in values if type(v) is kind))[:80])
        found._find_runs(values, times)
        return found

    def _find_runs(self, values: Sequence[Any], times: Sequence[int]) -> None:
        """All runs of two rows and more, the first and the last whatever they have."""
        last = len(values) - 1
        if last < 0:
            return
        # where one ends; most columns of numbers have none of two rows, so only places of equals are walked
        start, before = 0, 0
        for at in [i for i in range(1, last + 1) if values[i] == values[i - 1]]:
            if at != before + 1:
                self._take(values, times, start, before)
                start = at - 1
            before = at
        self._take(values, times, start, before)
        if before != last:
            self._take(values, times, last, last)
            start = last
        self.now = self._run(values, times, start, last)

    def _take(self, values: Sequence[Any], times: Sequence[int], start: int, end: int) -> None:
        run = self._run(values, times, start, end)
        if start == 0:
            self.head = run
        self._weigh(run)

    @staticmethod
    def _run(values: Sequence[Any], times: Sequence[int], start: int, end: int) -> Run | None:
        value = values[start]
        if value is None or value == "":
            return None
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            value = f"{value[:LONGEST_TEXT]} ({len(value)})"
        return Run(value, end - start + 1, times[start], times[end])

    def _weigh(self, run: Run | None) -> None:
        if run is None:
            return
        if self.longest is None or run.rows > self.longest.rows:
            self.longest = run
        self.longest_ns = max(self.longest_ns, run.span_ns)

    def merge(self, later: Tally) -> None:
        """Take in the rows that follow."""
        if not later.rows:
            return
        first = later.head if self.now is None or later.head is None else self.now.joined(later.head)
        whole = later.head is not None and later.head.rows == later.rows
        grew = first is not later.head
        if not self.rows or (grew and self.head is not None and self.head.rows == self.rows):
            self.head = first
        self.now = first if whole else later.now
        for run in (first, later.longest):
            self._weigh(run)
        self.longest_ns = max(self.longest_ns, later.longest_ns)
        self.rows += later.rows
        self.missing += later.missing
        for name, count in later.types.items():
            self.types[name] = self.types.get(name, 0) + count
            self.examples.setdefault(name, later.examples[name])

    def after(self) -> Tally:
        """A tally of no rows yet that carries the last run on."""
        return Tally(now=self.now)

    def snapshot(self) -> list[Any]:
        """All of it, as a tree."""
        runs = [None if run is None else [run.value, run.rows, run.start, run.end] for run in self._runs()]
        return [self.rows, self.missing, dict(self.types), dict(self.examples), runs, self.longest_ns]

    def _runs(self) -> tuple[Run | None, Run | None, Run | None]:
        return self.head, self.now, self.longest

    @staticmethod
    def back(state: Sequence[Any]) -> Tally:
        """A tally back from a snapshot."""
        rows, missing, types, examples, runs, longest_ns = state
        head, now, longest = (None if run is None else Run(*run) for run in runs)
        return Tally(rows, missing, dict(types), dict(examples), head, now, longest, longest_ns)
