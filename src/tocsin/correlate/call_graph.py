"""The graph of services and operations as requests show it, before and after a time: rate, errors, latency, shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tocsin.correlate.blame import OF_WORK, TO_CALLEE, Excess, blamed, divergence
from tocsin.correlate.traces import NOBODY, Spans, own_time
from tocsin.model.arrays import F8, I8, Mask

PRIOR_CALLS = 2.0
"""Calls as they were before that are added to those after: few calls say little."""
TRIM = 0.98
"""Quantile at which times of before are cut: what is slow once in a while is no measure of the usual."""
FLOOR = 1e-3
"""Share of a request's usual time below which no operation's usual time is taken to lie."""
PRIOR_ERRORS = 0.5
CALM = 0.4
"""Which of the stretches of before, ordered by their mean, is taken for the usual."""
STRETCHES = 4
STRETCH_CALLS = 3


@dataclass(frozen=True, slots=True, eq=False)
class CallEdge:
    """Calls of one entity to another: calls a second, share that failed, mean seconds, before and after."""

    caller: str
    callee: str
    rate: tuple[float, float]
    error_ratio: tuple[float, float]
    latency_s: tuple[float, float]

    @property
    def drift(self) -> str:
        """`new` or `vanished` where there were calls on one side only, else empty."""
        if self.rate[0] == 0:
            return "new"
        return "vanished" if self.rate[1] == 0 else ""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What is told of one kind of work: an operation of an entity, or its call to another."""

    entity: int
    callee: int
    operation: int
    calls: tuple[int, int]
    mean: tuple[float, float]
    size: float


@dataclass(frozen=True, slots=True, eq=False)
class Aspect:
    """Excess of one sort by entity: sizes (entities,), how sure it is that there is any, in [0, 1], and the kinds."""

    name: str
    by_entity: F8
    sureness: float
    kinds: tuple[Kind, ...]

    @property
    def share(self) -> F8:
        """Share of the excess that would not be there had the entity stayed as it was, (entities,)."""
        total = float(self.by_entity.sum())
        return np.asarray(self.by_entity / total if total > 0 else np.zeros_like(self.by_entity), "f8")


class CallGraph:
    """Spans on both sides of a time, ready to be compared; those of neither side are left out."""

    def __init__(self, spans: Spans, before: Mask, after: Mask, stretch_s: float) -> None:
        self.spans = spans
        self.stretch_s = stretch_s
        self.before, self.after = before, after
        self.own = own_time(spans)
        self.callee = _known_callee(spans)
        self.roots = np.asarray(spans.parent < 0, "?")
        operations, entities = len(spans.operations) + 1, len(spans.entities) + 1
        key = (spans.entity * operations + spans.operation) * entities + self.callee + 1
        self.keys, self.first, self.group = np.unique(key, return_index=True, return_inverse=True)

    @property
    def size(self) -> int:
        """Number of entities."""
        return len(self.spans.entities)

    def length(self, side: Mask) -> float:
        """Seconds that one side covers."""
        times = self.spans.start[side]
        return float(max(times.max() - times.min(), 1e-9)) if len(times) else 0.0

    def on_path(self) -> Mask:
        """Entities that any request of afterwards reaches, (entities,)."""
        return np.asarray(np.bincount(self.spans.entity[self.after], minlength=self.size) > 0, "?")

    def seen(self) -> Mask:
        """Entities that any span names, (entities,)."""
        return np.asarray(np.bincount(self.spans.entity, minlength=self.size) > 0, "?")

    def _sums(self, side: Mask, value: F8) -> tuple[F8, F8]:
        n = len(self.keys)
        return (
            np.bincount(self.group[side], minlength=n).astype("f8"),
            np.bincount(self.group[side], value[side], minlength=n).astype("f8"),
        )

    @cached_property
    def aspects(self) -> tuple[Aspect, Aspect, Aspect]:
        """Latency, errors and shape."""
        return self.latency(), self.errors(), self.shape()

    def latency(self) -> Aspect:
        """Own time of operations and calls beyond what they took before."""
        usual_request = self._typical_request()
        cut = np.minimum(self.own, self._trimmed()[self.group])
        n0, s0 = self._sums(self.before, cut)
        n1, s1 = self._sums(self.after, self.own)
        mean = self._usual(n0, self._calm(cut, n0, s0) * n0, FLOOR * usual_request)
        known = np.isfinite(mean) & (n1 > 0)
        mean = np.where(known, mean, 1.0)
        ratio = np.where(known, (s1 + PRIOR_CALLS * mean) / ((n1 + PRIOR_CALLS) * mean), 1.0)
        size = np.where(ratio > 1.0, divergence(n1, ratio, mean), 0.0)
        total = float(self.own[self.after].sum())
        sureness = float(size.sum() / (size.sum() + 0.1 * total)) if total > 0 else 0.0
        return self._aspect("latency", size, ratio, sureness, ((n0, mean), (n1, s1 / np.maximum(n1, 1.0))))

    def errors(self) -> Aspect:
        """Failures that are not passed on from below, beyond those there were before."""
        failed = self.spans.origin_of_failure().astype("f8")
        n0, s0 = self._sums(self.before, failed)
        n1, s1 = self._sums(self.after, failed)
        mean = (s0 + PRIOR_ERRORS) / (n0 + 4 * PRIOR_ERRORS)
        ratio = (s1 + PRIOR_CALLS * mean) / ((n1 + PRIOR_CALLS) * mean)
        size = np.where((ratio > 1.0) & (s1 > 0), divergence(n1, ratio, mean), 0.0)
        sureness = float(size.sum() / (size.sum() + 3.0 + 0.01 * float(self.roots[self.after].sum())))
        sides = ((n0, s0 / np.maximum(n0, 1)), (n1, s1 / np.maximum(n1, 1)))
        return self._aspect("errors", size, ratio, sureness, sides)

    def shape(self) -> Aspect:
        """Calls that an operation made and makes no more, or makes now and never made: its fan-out changed."""
        spans = self.spans
        child = np.flatnonzero(spans.parent >= 0)
        child = child[spans.entity[child] != spans.entity[spans.parent[child]]]
        above = spans.parent[child]
        link = self._call_site()[above] * (len(spans.entities) + 1) + spans.entity[child]
        links, first, which = np.unique(link, return_index=True, return_inverse=True)
        if not len(links):
            return Aspect("shape", np.zeros(self.size), 0.0, ())
        site = self._call_site()
        sites = int(site.max()) + 1
        sides = []
        for side in (self.before, self.after):
            calls = np.bincount(site[side], minlength=sites)[site[above[first]]].astype("f8")
            made = np.bincount(which[side[child]], minlength=len(links)).astype("f8")
            sides.append((calls, made))
        (n0, m0), (n1, m1) = sides
        mean = (m0 + PRIOR_ERRORS) / (n0 + 2 * PRIOR_ERRORS)
        ratio = (m1 + PRIOR_CALLS * mean) / ((n1 + PRIOR_CALLS) * mean)
        size = np.where((n0 > 0) & (n1 > 0), divergence(n1, ratio, mean), 0.0)
        caller, callee = spans.entity[above[first]], spans.entity[child[first]]
        excess = Excess(
            size,
            caller,
            np.where(self._silent()[callee], callee, NOBODY),
            n1,
            np.ones(len(size)),
            np.full(len(size), 1.0),
        )
        by_entity = blamed(excess, self.size)
        sureness = float(size.sum() / (size.sum() + 10.0 + 0.1 * float(n1.max(initial=0.0))))
        top = np.argsort(-size, kind="stable")[:20]
        kinds = tuple(
            Kind(int(caller[k]), int(callee[k]), int(spans.operation[above[first[k]]]), (int(n0[k]), int(n1[k])),
                 (float(m0[k] / max(n0[k], 1)), float(m1[k] / max(n1[k], 1))), float(size[k]))
            for k in top if size[k] > 0
        )  # fmt: skip
        return Aspect("shape", by_entity, sureness, kinds)

    def edges(self) -> list[CallEdge]:
        """Every edge between entities with its rate, failures and latency on both sides, by name."""
        return self._edges

    @cached_property
    def _edges(self) -> list[CallEdge]:
        spans = self.spans
        child = np.flatnonzero(spans.parent >= 0)
        child = child[spans.entity[child] != spans.entity[spans.parent[child]]]
        caller, callee = spans.entity[spans.parent[child]], spans.entity[child]
        pair, which = np.unique(caller * self.size + callee, return_inverse=True)
        sides = []
        for side in (self.before, self.after):
            inside = side[child]
            n = np.bincount(which[inside], minlength=len(pair))
            bad = np.bincount(which[inside], spans.failed[child[inside]], minlength=len(pair))
            took = np.bincount(which[inside], spans.duration[spans.parent[child[inside]]], minlength=len(pair))
            sides.append((n, bad / np.maximum(n, 1), took / np.maximum(n, 1), n / max(self.length(side), 1e-9)))
        name = spans.entities
        found = [
            CallEdge(
                name[code // self.size],
                name[code % self.size],
                (float(sides[0][3][k]), float(sides[1][3][k])),
                (float(sides[0][1][k]), float(sides[1][1][k])),
                (float(sides[0][2][k]), float(sides[1][2][k])),
            )
            for k, code in enumerate(pair.tolist())
            if sides[0][0][k] or sides[1][0][k]
        ]
        return sorted(found, key=lambda edge: (edge.caller, edge.callee))

    def requests(self) -> Mapping[str, tuple[float, float]]:
        """Requests as they come in at the roots: a second, mean seconds and share that failed, before and after."""
        found = {}
        for name, side in (("before", self.before), ("after", self.after)):
            rows = np.flatnonzero(self.roots & side)
            seconds = self.spans.duration[rows]
            found[name] = (len(rows) / max(self.length(side), 1e-9), float(seconds.mean()) if len(rows) else 0.0)
            bad = float(self.spans.failed[rows].mean()) if len(rows) else 0.0
            found[f"{name}_failed"] = (bad, float(len(rows)))
        return found

    def _typical_request(self) -> float:
        rows = np.flatnonzero(self.roots & self.before)
        return float(np.median(self.spans.duration[rows])) if len(rows) else 1e-3

    def _trimmed(self) -> F8:
        """By kind the quantile at which own times of before are cut, (kinds,); infinite where there were none."""
        found = np.full(len(self.keys), np.inf)
        rows = np.flatnonzero(self.before)
        order = rows[np.lexsort((self.own[rows], self.group[rows]))]
        starts = np.flatnonzero(np.diff(self.group[order], prepend=-1))
        ends = np.append(starts[1:], len(order))
        at = np.maximum(starts, starts + np.floor((ends - starts) * TRIM).astype("i8") - 1)
        if len(order):
            found[self.group[order[starts]]] = self.own[order[np.minimum(at, ends - 1)]]
        return found

    def _calm(self, value: F8, count: F8, total: F8) -> F8:
        """Mean of before by kind, (kinds,): of enough stretches of time the one that is lower than most.

        Trouble of before makes some of them high, and may be of the very entity that is in trouble again.
        """
        mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
        rows = np.flatnonzero(self.before)
        stretch = ((self.spans.start[rows].max() - self.spans.start[rows]) // self.stretch_s).astype("i8")
        cell, which = np.unique(self.group[rows] * (int(stretch.max()) + 1) + stretch, return_inverse=True)
        n, s = np.bincount(which), np.bincount(which, value[rows])
        enough = n >= STRETCH_CALLS
        kind, each = (cell // (int(stretch.max()) + 1))[enough], s[enough] / n[enough]
        order = np.lexsort((each, kind))
        starts = np.flatnonzero(np.diff(kind[order], prepend=-1))
        sizes = np.diff(np.append(starts, len(order)))
        many = sizes >= STRETCHES
        at = starts + np.floor(CALM * (sizes - 1)).astype("i8")
        mean[kind[order[starts[many]]]] = each[order[at[many]]]
        return np.asarray(mean, "f8")

    def _usual(self, count: F8, total: F8, floor: float) -> F8:
        """Mean of before by kind; what is new takes that of the same entity's other work, NaN where there is none."""
        entity = self.spans.entity[self.first]
        n, s = (np.bincount(entity, each, minlength=self.size) for each in (count, total))
        of_entity = np.divide(s, n, out=np.full(self.size, np.nan), where=n > 0)
        mean = np.divide(total, count, out=of_entity[entity].copy(), where=count > 0)
        return np.asarray(np.maximum(mean, floor), "f8")

    def _call_site(self) -> I8:
        """Code of entity and operation of each span, (n,)."""
        return np.asarray(self.spans.entity * (len(self.spans.operations) + 1) + self.spans.operation, "i8")

    def _silent(self) -> Mask:
        """Entities that had spans before and have none after, (entities,)."""
        had = np.bincount(self.spans.entity[self.before], minlength=self.size)
        has = np.bincount(self.spans.entity[self.after], minlength=self.size)
        return np.asarray((had > 0) & (has == 0), "?")

    def _aspect(
        self, name: str, size: F8, ratio: F8, sureness: float, sides: tuple[tuple[F8, F8], tuple[F8, F8]]
    ) -> Aspect:
        spans = self.spans
        entity, callee = spans.entity[self.first], self.callee[self.first]
        prior = np.where(spans.is_call()[self.first], TO_CALLEE, OF_WORK)
        by_entity = blamed(Excess(size, entity, callee, sides[1][0], ratio, prior), self.size)
        top = np.argsort(-size, kind="stable")[:50]
        kinds = tuple(
            Kind(
                int(entity[k]),
                int(callee[k]),
                int(spans.operation[self.first[k]]),
                (int(sides[0][0][k]), int(sides[1][0][k])),
                (float(sides[0][1][k]), float(sides[1][1][k])),
                float(size[k]),
            )
            for k in top.tolist()
            if size[k] > 0
        )
        return Aspect(name, by_entity, sureness, kinds)


def _known_callee(spans: Spans) -> I8:
    """Whom each span calls, (n,); a call that was not answered is one to whom this operation calls otherwise."""
    found = spans.callee()
    children = np.bincount(spans.parent[spans.parent >= 0], minlength=len(spans))
    site = spans.entity * (len(spans.operations) + 1) + spans.operation
    lonely = np.flatnonzero((children == 0) & (found < 0))
    calls = np.flatnonzero(found >= 0)
    if not len(lonely) or not len(calls):
        return found
    pairs = np.unique(site[calls] * (len(spans.entities) + 1) + found[calls])
    sites, count = np.unique(pairs // (len(spans.entities) + 1), return_counts=True)
    only = {int(pair // (len(spans.entities) + 1)): int(pair % (len(spans.entities) + 1)) for pair in pairs}
    sure = set(sites[count == 1].tolist())
    for row in lonely.tolist():
        if int(site[row]) in sure:
            found[row] = only[int(site[row])]
    return found
