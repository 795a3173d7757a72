"""The clocks of several edges made one: a fold over their ticks as they stand in a partition of the log."""

from __future__ import annotations

from typing import Any, Final

from tocsin.model.log import SourceKey, Tick

SECOND: Final = 1_000_000_000
GONE_NS: Final = 10 * SECOND
"""An edge this far behind the foremost is taken to be gone: it holds nobody up any more."""
PATIENCE_NS: Final = 30 * SECOND
"""So long the sources of an edge that went are waited for, before they are taken to be complete."""


class EdgeClocks:
    """The slowest live edge sets the time, until it says goodbye or falls silent; a source is complete as far as all live edges say that deliver it.

    >>> clocks = EdgeClocks()
    >>> clocks.fold("a", Tick(5 * SECOND)).received // SECOND, clocks.fold("b", Tick(4 * SECOND))
    (5, None)
    >>> clocks.fold("a", Tick(7 * SECOND)), clocks.fold("b", Tick(6 * SECOND)).received // SECOND
    (None, 6)
    """

    def __init__(self) -> None:
        self._edges: dict[str, Tick] = {}
        self._received = 0
        self._marks: dict[SourceKey, int] = {}
        self._left: dict[SourceKey, tuple[int, int]] = {}
        """Sources of edges that went: when their edge was last heard, and their watermark then."""

    @staticmethod
    def after(tick: Tick) -> EdgeClocks:
        """Clocks that go on after a tick whose edge is gone."""
        found = EdgeClocks()
        found._received = tick.received
        found._leave(tick)
        return found

    def fold(self, edge: str, tick: Tick) -> Tick | None:
        """Hear an edge; gives the tick of all of them, if time has moved on for all."""
        before = self._edges.get(edge)
        if before is not None and tick.received < before.received:
            return None
        self._edges[edge] = tick
        foremost = max(each.received for each in self._edges.values())
        for name in sorted(self._edges):
            if foremost - self._edges[name].received > GONE_NS:
                self._leave(self._edges.pop(name))
        return self._merged()

    def leave(self, edge: str) -> Tick | None:
        """Hear that an edge stops in good order: nobody waits for it; gives the tick of all others, if time moves on.

        >>> clocks = EdgeClocks()
        >>> clocks.fold("a", Tick(5 * SECOND)), clocks.fold("b", Tick(8 * SECOND))
        (Tick(received=5000000000, watermarks={}), None)
        >>> clocks.leave("a")
        Tick(received=8000000000, watermarks={})
        """
        last = self._edges.pop(edge, None)
        if last is None:
            return None
        self._leave(last)
        return self._merged() if self._edges else None

    def _merged(self) -> Tick | None:
        foremost = max(each.received for each in self._edges.values())
        received = min(each.received for each in self._edges.values())
        standing = received == self._received == foremost  # a clock that does not go yet, while history comes in
        if received < self._received or (received == self._received and not standing):
            return None
        self._received = received
        marks = self._watermarks()
        if standing and marks == self._marks:
            return None
        self._marks = marks
        return Tick(received, marks)

    def _leave(self, last: Tick) -> None:
        for key, mark in last.watermarks.items():
            known = self._left.get(key, (0, mark))
            self._left[key] = (max(known[0], last.received), max(known[1], mark))

    def _watermarks(self) -> dict[SourceKey, int]:
        found: dict[SourceKey, int] = {}
        for name in sorted(self._edges):
            for key, mark in self._edges[name].watermarks.items():
                found[key] = min(found.get(key, mark), mark)
        for key in [key for key in self._left if key in found]:
            del self._left[key]
        for key, (heard, mark) in self._left.items():
            silent = self._received - heard
            found[key] = mark + silent if silent > PATIENCE_NS else mark
        return dict(sorted(found.items()))

    def snapshot(self) -> dict[str, Any]:
        """All of it, as a tree."""
        return {
            "received": self._received,
            "edges": {
                name: [tick.received, [[*key, mark] for key, mark in tick.watermarks.items()]]
                for name, tick in self._edges.items()
            },
            "marks": [[*key, mark] for key, mark in self._marks.items()],
            "left": [[*key, *known] for key, known in self._left.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back."""
        self._received = state["received"]
        self._edges = {
            name: Tick(received, {(tenant, source): mark for tenant, source, mark in marks})
            for name, (received, marks) in state["edges"].items()
        }
        self._marks = {(tenant, source): mark for tenant, source, mark in state["marks"]}
        self._left = {(tenant, source): (heard, mark) for tenant, source, heard, mark in state["left"]}
