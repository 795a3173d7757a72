"""Structure drift of the service graph: calls that are new, calls that are made no longer, and how many services are reached.

An edge is new if its caller has long been known. It has vanished once so many calls were to be expected since its last
one that this can't be chance: the caller's requests go on, and calls per request are known. Absences that ended by
themselves count as usual from then on, so that work of the day is missed at most in its first night.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field
from typing import Any, Final

import numpy as np

from tocsin.derive.graph_samples import CODE_BITS, WORKS, Out, Slice
from tocsin.model.arrays import I8
from tocsin.model.series import Signal

MINUTE: Final = 60 * 10**9
NEW_CALLS: Final = Signal("service_graph.new_edge.calls", "{call}")
MISSING: Final = Signal("service_graph.vanished_edge.missing_calls", "{call}")
LEARNING_NS: Final = 30 * MINUTE
LEARNING_REQUESTS: Final = 500
"""A caller that is younger, or had fewer requests, has nothing new: all of it is."""
NEW_NS: Final = 10 * MINUTE
ZERO_NS: Final = 10 * MINUTE
"""So long zeros are told afterwards, so that what was found can end."""
STEADY_NS: Final = 60 * MINUTE
"""An edge that was used for less time does not vanish."""
EXPECTED: Final = 20.0
"""Calls that must be missing: where they come independently, none of 20 is a chance of e^-20."""
BEYOND: Final = 3.0
"""Times the longest absence so far, in expected calls, that one must last."""
GONE_NS: Final = 60 * MINUTE
"""So long a vanished edge is told; then that is how it is."""
FORGET_NS: Final = 8 * 24 * 60 * MINUTE
MEMORY: Final = 5_000.0
"""Requests over which the calls per request are learned."""
MOST_EDGES: Final = 4_000
SHIFT: Final = Signal("service_graph.fan_out_shift", "{service}")
BLOCK_NS: Final = 5 * MINUTE
BLOCK_REQUESTS: Final = 60
"""Blocks of fewer requests of a caller are put together with the next."""
BLOCKS: Final = 24.0
"""Blocks over which the usual fan-out is learned: it follows a daily season."""
LEAST_BLOCKS: Final = 6
LEAST_SHIFT: Final = 0.2
SPREADS: Final = 6.0
"""Mean deviations that a shift is beyond; some 4.8 standard deviations of normal noise."""


@dataclass(slots=True)
class Edge:
    """One caller and one callee; times (ns) are ends of slices, `rate` calls per request, `idle` requests since the last call.

    >>> edge = Edge(0, 0, False)
    >>> for k in range(400):
    ...     edge.take(k * 10**10, requests=8, calls=4)
    >>> for k in range(400, 405):
    ...     edge.take(k * 10**10, requests=8, calls=0)
    >>> edge.rate, edge.missing(404 * 10**10)
    (0.5, 20.0)
    """

    first: int
    last: int
    novel: bool
    rate: float = 0.0
    weight: float = 0.0
    idle: int = 0
    longest: float = 0.0  # absence that ended by itself, in expected calls
    vanished: int = 0  # since when, 0: it is there
    back: int = 0  # when it came back

    def take(self, end: int, requests: int, calls: int) -> None:
        """The calls that a caller's requests of a slice made, if it had any."""
        if not calls:
            self.idle += requests
            most = max(EXPECTED, BEYOND * self.longest)
            if not self.vanished and self.idle * self.rate >= most and end - self.first >= STEADY_NS:
                self.vanished = end
            return
        if self.vanished:
            self.vanished, self.back = 0, end
        self.longest = max(self.longest, self.idle * self.rate)
        # requests without a call count too, or the rate of what is seldom called would be too high
        seen, self.idle, self.last = self.idle + requests, 0, end
        if seen:
            self.weight = min(self.weight + seen, MEMORY)
            self.rate += min(seen / self.weight, 1.0) * (calls / seen - self.rate)

    def missing(self, end: int) -> float | None:
        """Calls that are missing; 0 for a while after that; None where nothing is to be told."""
        if self.vanished and end - self.vanished < GONE_NS:
            return self.idle * self.rate
        over = self.vanished + GONE_NS if self.vanished else self.back
        return 0.0 if over and end - over < ZERO_NS else None


@dataclass(slots=True)
class Caller:
    """Since when a caller is known (ns), its requests, and how many services one of them reaches: now, usually, how spread.

    >>> caller = Caller(0)
    >>> [caller.take(k * BLOCK_NS, requests=100, reached=200) for k in range(1, 9)][-1]
    0.0
    >>> caller.take(9 * BLOCK_NS, requests=100, reached=100)
    1.0
    """

    since: int
    requests: int = 0
    began: int = 0  # of the block
    many: int = 0
    reached: int = 0
    usual: float = 0.0
    spread: float = 0.0
    blocks: int = 0

    def take(self, end: int, requests: int, reached: int) -> float | None:
        """A slice; where a block ends with it by how much its fan-out is out of line, 0 for not."""
        self.requests += requests
        self.many += requests
        self.reached += reached
        self.began = self.began or end
        if end - self.began < BLOCK_NS or self.many < BLOCK_REQUESTS:
            return None
        away = self.reached / self.many - self.usual
        self.began, self.many, self.reached = end, 0, 0
        self.blocks += 1
        most = max(LEAST_SHIFT, SPREADS * self.spread) if self.blocks > LEAST_BLOCKS else abs(away)
        rate = 1.0 / min(self.blocks, BLOCKS)
        within = min(max(away, -most), most)
        self.usual += rate * within
        if self.blocks > 1:  # the first is all that is known
            self.spread += 1.0 / min(self.blocks - 1, BLOCKS) * (abs(within) - self.spread)
        return abs(away) if abs(away) > most else 0.0


@dataclass(slots=True)
class EdgeDrift:
    """All edges of one tenant by (caller, callee), and all callers."""

    edges: dict[tuple[int, int], Edge] = field(default_factory=dict)
    callers: dict[int, Caller] = field(default_factory=dict)

    def take(self, shown: Slice, out: Out) -> int:
        """Learn a slice, and tell what is new and what is missing; calls of edges beyond `MOST_EDGES`, which are not learned."""
        requests = _counted(shown.service)
        reached = _counted(shown.service[np.unique(shown.owner << CODE_BITS | shown.callee) >> CODE_BITS])
        calls = _calls(shown)
        left_out = 0
        for pair, n in calls.items():
            if pair not in self.edges and len(self.edges) >= MOST_EDGES:
                left_out += n
            elif pair not in self.edges:
                self.edges[pair] = Edge(shown.end, shown.end, self._learned(pair[0], shown.end))
        for caller, n in requests.items():
            known = self.callers.setdefault(caller, Caller(shown.end))
            shift = known.take(shown.end, n, reached.get(caller, 0))
            if shift is not None:
                out.each(SHIFT, caller, np.full(1, shown.end), np.full(1, shift), np.zeros(1, "i8"))
        for pair, edge in list(self.edges.items()):
            n = calls.get(pair, 0)
            edge.take(shown.end, requests.get(pair[0], 0), n)
            self._tell(out, pair, edge, n, shown.end)
            if shown.end - edge.last > FORGET_NS:
                del self.edges[pair]
        return left_out

    def _learned(self, caller: int, end: int) -> bool:
        known = self.callers.get(caller)
        return known is not None and end - known.since >= LEARNING_NS and known.requests >= LEARNING_REQUESTS

    @staticmethod
    def _tell(out: Out, pair: tuple[int, int], edge: Edge, calls: int, end: int) -> None:
        age = end - edge.first
        if edge.novel and age < NEW_NS + ZERO_NS:
            out.beside(NEW_CALLS, *pair, end, float(calls) if age < NEW_NS else 0.0, 1)
        missing = edge.missing(end)
        if missing is not None:
            out.beside(MISSING, *pair, end, missing, 1)

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        edges = [[*pair, *astuple(edge)] for pair, edge in self.edges.items()]
        return [edges, [[caller, *astuple(known)] for caller, known in self.callers.items()]]

    @staticmethod
    def restored(state: Iterable[Any]) -> EdgeDrift:
        """Back from a snapshot."""
        edges, callers = state
        make: Callable[..., Edge] = Edge
        known: Callable[..., Caller] = Caller
        return EdgeDrift(
            {(a, b): make(*rest) for a, b, *rest in edges}, {caller: known(*rest) for caller, *rest in callers}
        )


def _calls(shown: Slice) -> dict[tuple[int, int], int]:
    """Calls of the slice by caller and callee; work that tells no peer is left out, for its name is no place."""
    caller, callee = shown.service[shown.owner], shown.callee
    between = (caller != callee) & (callee < WORKS)
    found = _counted(caller[between] << CODE_BITS | callee[between])
    return {divmod(each, 1 << CODE_BITS): n for each, n in found.items()}


def _counted(codes: I8) -> dict[int, int]:
    each, many = np.unique(codes, return_counts=True)
    return dict(zip(each.tolist(), many.tolist(), strict=True))
