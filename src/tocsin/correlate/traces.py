"""Spans of many requests as columns, and the time and failures that each span owes to nobody but itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tocsin.model.arrays import F8, I8, Mask

MAX_DEPTH = 256
NOBODY = -1


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Spans, (n,) each: codes of trace, entity and operation, row of the parent (-1: none), times in seconds.

    `entities` and `operations` name the codes. Times count from any one origin.
    """

    trace: I8
    parent: I8
    entity: I8
    operation: I8
    start: F8
    duration: F8
    failed: Mask
    entities: tuple[str, ...]
    operations: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.trace)

    def of(self, entities: tuple[str, ...]) -> Spans:
        """The same by the codes of other entities, among which all of these are."""
        place = {name: code for code, name in enumerate(entities)}
        table = np.array([place[name] for name in self.entities], "i8")
        return replace(self, entity=table[self.entity] if len(self) else self.entity, entities=entities)

    def depth(self) -> I8:
        """Spans above each, (n,); a circle of parents ends at `MAX_DEPTH`."""
        found = np.zeros(len(self), "i8")
        above = self.parent.copy()
        for _ in range(MAX_DEPTH):
            rows = np.flatnonzero(above >= 0)
            if not len(rows):
                break
            found[rows] += 1
            above[rows] = self.parent[above[rows]]
        return found

    def callee(self) -> I8:
        """Entity that a span calls, (n,), -1 for none: the one of its child, where it has no other child."""
        children = np.flatnonzero(self.parent >= 0)
        above = self.parent[children]
        count = np.bincount(above, minlength=len(self))
        found = np.full(len(self), NOBODY, "i8")
        away = self.entity[children] != self.entity[above]
        found[above[away]] = self.entity[children[away]]
        found[count != 1] = NOBODY
        return found

    def is_call(self) -> Mask:
        """Spans within an entity, (n,): of one that calls another nothing but the call is in it, beside the callee.

        A span that was itself called from outside, or by nobody, does work of its own as well.
        """
        return np.asarray((self.parent >= 0) & (self.entity[self.parent] == self.entity), "?")

    def origin_of_failure(self) -> Mask:
        """Failed spans none of whose children failed, (n,): a failure that is passed on is its caller's no more."""
        passed = np.zeros(len(self), "?")
        children = np.flatnonzero((self.parent >= 0) & self.failed)
        passed[self.parent[children]] = True
        return np.asarray(self.failed & ~passed, "?")


def own_time(spans: Spans) -> F8:
    """Seconds of each span in which nothing that began later in its trace was under way, (n,).

    Of all open spans of a request the one that began last owns the moment. Of nested spans that is the time less
    that of the children; it holds too where a child hangs beside its parent, as asynchronous calls often do.
    """
    own = np.zeros(len(spans))
    if not len(spans):
        return own
    end = spans.start + spans.duration
    order = np.lexsort((spans.depth(), -spans.duration, spans.start, spans.trace))
    cuts = np.flatnonzero(np.diff(spans.trace[order])) + 1
    for rows in np.split(order, cuts):
        _sweep(rows.tolist(), spans.start[rows].tolist(), end[rows].tolist(), own)
    return own


def _sweep(rows: list[int], start: list[float], end: list[float], own: F8) -> None:
    """Give every moment of one trace to the latest begun of its open spans; rows are in the order of their start."""
    stack: list[int] = []
    now = 0.0
    for k, begins in enumerate(start):
        now = _unwind(stack, rows, end, now, begins, own)
        stack.append(k)
        now = begins
    _unwind(stack, rows, end, now, np.inf, own)


def _unwind(stack: list[int], rows: list[int], end: list[float], now: float, until: float, own: F8) -> float:
    """Spend the time from `now` to `until` on the spans that are open, the latest first."""
    while stack:
        top = stack[-1]
        spent = min(end[top], until) - now
        if spent > 0:
            own[rows[top]] += spent
            now += spent
        if end[top] > until:
            break
        stack.pop()
    return now
