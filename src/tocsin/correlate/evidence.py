"""What is known of each entity at a time, and the words for it: spans, lines, metrics and changes, one beside the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tocsin.correlate.call_graph import Aspect, CallGraph, Kind
from tocsin.correlate.edges import CausalGraph
from tocsin.correlate.log_shift import LogShift, Saying
from tocsin.correlate.metric_shift import Shift
from tocsin.correlate.statement import Symptom, number, span
from tocsin.model.incident import Change

MOST_SAID = 3
RISEN = 1.5
FAILS_MORE = 0.05
TOLD = 0.02
"""Kinds of work are mentioned whose excess is at least this share of the greatest."""
IS_CAUSE = 0.3
"""A resource that moved with this strength is the cause, and slow requests of its entity are the symptom."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change event with the attributes it came with."""

    change: Change
    attributes: Mapping[str, str] = field(default_factory=dict)


def link(page: str, **query: str) -> str:
    """Path of a page with what it is asked.

    >>> link("traces", service="a b")
    '/traces?service=a+b'
    """
    return f"/{page}?{urlencode(query)}"


def _itself(entities: Sequence[str]) -> Mapping[str, int]:
    """Nothing is known to be near anything but itself."""
    return dict.fromkeys(entities, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All that is known around `at` (seconds since `origin_ns`): each part may be missing.

    `edges` are calls (caller, callee) and `relations` what else belongs together, each way once. An incident brings
    its findings (`symptoms`, the first at `at`), the causal edges of packs, and how vague (ns) the start of the
    findings of a monitor is; a folder has none of these. `near` gives entities with their distance from some.
    """

    at: float
    window_s: float
    origin_ns: int
    entities: tuple[str, ...]
    graph: CallGraph | None = None
    edges: frozenset[tuple[str, str]] = frozenset()
    logs: LogShift | None = None
    shifts: tuple[Shift, ...] = ()
    events: tuple[Event, ...] = ()
    relations: frozenset[tuple[str, str]] = frozenset()
    symptoms: tuple[Symptom, ...] = ()
    causal: CausalGraph = field(default_factory=lambda: CausalGraph(()))
    near: Callable[[Sequence[str]], Mapping[str, int]] = _itself
    slack_ns: Mapping[str, int] = field(default_factory=dict)

    @property
    def at_ns(self) -> int:
        """The onset, ns since 1970."""
        return self.origin_ns + round(self.at * 1e9)


@dataclass(slots=True)
class Known:
    """What is known of one entity: what speaks for it, how strongly, and what against."""

    entity: str
    strength: float = 0.0
    pro: list[str] = field(default_factory=list)
    against: list[str] = field(default_factory=list)
    kinds: dict[str, float] = field(default_factory=dict)
    what: dict[str, tuple[float, str]] = field(default_factory=dict)
    refuted: bool = False
    links: list[str] = field(default_factory=list)

    def add(self, strength: float, kind: str, what: str, said: Sequence[str], link: str = "") -> None:
        """Take something in that speaks for it, seen at a path of the page: independent reasons add up as chances do."""
        if strength <= 0:
            return
        self.strength = 1.0 - (1.0 - self.strength) * (1.0 - min(strength, 0.999))
        self.kinds[kind] = self.kinds.get(kind, 0.0) + strength
        self.what[kind] = max(self.what.get(kind, (0.0, "")), (strength, what))
        self.pro.extend(each for each in said if each not in self.pro)
        if link and link not in self.links:
            self.links.append(link)

    @property
    def leading(self) -> tuple[str, str]:
        """Kind of cause and what it is: a resource before the symptoms that go with it."""
        if not self.kinds:
            return "unknown", "out of line"
        states = [kind for kind in ("resource", "gpu") if self.kinds.get(kind, 0.0) >= IS_CAUSE]
        best = max(self.kinds, key=lambda key: (self.kinds[key] + (key in states), key))
        return best, self.what[best][1]


def of_aspect(graph: CallGraph, aspect: Aspect, code: int) -> list[str]:
    """What an aspect of the requests says of an entity."""
    share = float(aspect.share[code])
    said = [f"{share:.0%} of the excess of {_ASPECTS[aspect.name]} is explained by it; the rest remains without it"]
    least = TOLD * max((kind.size for kind in aspect.kinds), default=0.0)
    mine = [kind for kind in aspect.kinds if code in (kind.entity, kind.callee) and kind.size >= least]
    return said + [_kind(graph, aspect.name, kind) for kind in mine[:MOST_SAID]]


def of_edges(graph: CallGraph, name: str) -> list[str]:
    """Edges at an entity that are new or gone, or whose failures or latency are others than before."""
    said = []
    for edge in graph.edges():
        if name not in (edge.caller, edge.callee):
            continue
        calls = f"calls of {edge.caller} to {edge.callee}"
        (rate0, rate1), (bad0, bad1), (took0, took1) = edge.rate, edge.error_ratio, edge.latency_s
        if edge.drift == "vanished":
            said.append(f"no {calls} any more, {rate0:.3g} a second before")
        elif edge.drift == "new":
            said.append(f"{calls} are new: {rate1:.3g} a second, {bad1:.0%} fail, {number(took1, 's')} each")
        elif took1 >= RISEN * took0 or bad1 >= bad0 + FAILS_MORE or not 1 / RISEN < rate1 / rate0 < RISEN:
            now = f"{rate1:.3g} a second, {bad1:.0%} fail, {number(took1, 's')} each"
            said.append(f"{calls}: {now}; before {rate0:.3g}, {bad0:.0%}, {number(took0, 's')}")
    return said[:MOST_SAID]


_ASPECTS = {"latency": "time in requests", "errors": "failures in requests", "shape": "changed fan-out"}


def _kind(graph: CallGraph, name: str, kind: Kind) -> str:
    names, operations = graph.spans.entities, graph.spans.operations
    place = f"{operations[kind.operation]} on {names[kind.entity]}"
    if kind.callee >= 0:
        place = f"calls of {names[kind.entity]} to {names[kind.callee]} ({operations[kind.operation]})"
    before, after = kind.mean
    was = f"{kind.calls[0]} before" if kind.calls[0] else "none before"
    if name == "latency":
        return f"{place}: own time {number(after, 's')}, usually {number(before, 's')} ({kind.calls[1]} calls, {was})"
    if name == "errors":
        return f"{place}: {after:.0%} fail here first, {before:.0%} before ({kind.calls[1]} calls, {was})"
    return f"{place}: {after:.2g} calls onward each time, {before:.2g} before"


def of_refutation(graph: CallGraph, aspect: Aspect, code: int) -> list[str]:
    """What an aspect of the requests says against an entity: work at it that is as ever."""
    silent = float(aspect.share[code])
    if silent <= 0 or aspect.name != "latency":
        return []
    risen = {(kind.entity, kind.callee) for kind in aspect.kinds if kind.size > 0}
    away = {
        (int(e), int(c))
        for e, c in zip(graph.spans.entity[graph.first], graph.callee[graph.first], strict=True)
        if c >= 0 and code in (e, c)
    }
    calm = sorted(away - risen)
    if not calm:
        return []
    names = graph.spans.entities
    shown = ", ".join(f"{names[e]} to {names[c]}" for e, c in calm[:MOST_SAID])
    return [f"{len(calm)} of {len(away)} kinds of calls at it are as quick as ever ({shown})"]


def of_saying(saying: Saying) -> str:
    """A template whose rate changed, in words."""
    text = f"{saying.text[:120]!r}"
    if not saying.before:
        return f"new line {text}, {saying.after} times{' (error)' if saying.severe else ''}"
    if not saying.after:
        return f"line {text} is said no more, {saying.expected:.0f} were to be expected"
    return f"line {text} {saying.after} times, {saying.expected:.0f} were to be expected"


def of_shift(each: Shift, at: float) -> str:
    """A move of a metric in words."""
    text = f"{each.metric} from {number(each.before)} to {number(each.after)}, {each.deviations:.3g} robust deviations"
    if math.isfinite(each.onset):
        late = each.onset - at
        text += f", since {span(int(abs(late) * 1e9))} {'after' if late >= 0 else 'before'} the onset"
    return text
