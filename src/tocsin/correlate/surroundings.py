"""What is known around the onset of an incident: moves of metrics near it, requests of both sides, who calls whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tocsin.correlate.call_graph import CallGraph
from tocsin.correlate.group import Group
from tocsin.correlate.grouping import Grouping
from tocsin.correlate.lanes import HISTORY_NS, Lanes
from tocsin.correlate.metric_shift import Readings, Shift, shift, without_common
from tocsin.correlate.past import Past
from tocsin.correlate.requests import STEPS, Seen, graph_around
from tocsin.model.series import Catalog
from tocsin.model.text import one_line

SECOND: Final = 10**9
LOOK_S: Final = 300.0
"""Seconds after the onset that are looked at, or five readings of a metric where they are rarer."""
BEFORE_NS: Final = 30 * 60 * SECOND
LOOK_EVERY_NS: Final = 15 * SECOND
LOOK_UNTIL_NS: Final = int(LOOK_S) * SECOND + 120 * SECOND
"""So long after the onset what is known around it is complete."""
LEARN_EVERY_NS: Final = 60 * SECOND
LEARN_FROM_NS: Final = 10 * 60 * SECOND
_BLOCK_NS: Final = 10 * 60 * SECOND
MAX_SPANS: Final = 50_000
MAX_LANES: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """Entities near an incident, the graph of requests, edges between the entities, and how their metrics moved."""

    entities: tuple[str, ...] = ()
    graph: CallGraph | None = None
    edges: frozenset[tuple[str, str]] = frozenset()
    relations: frozenset[tuple[str, str]] = frozenset()
    shifts: tuple[Shift, ...] = ()
    notes: tuple[str, ...] = ()


class Surroundings:
    """Looks around for one tenant; what it holds can be made again from both logs, so it is no part of snapshots."""

    def __init__(self, tenant: str, past: Past | None) -> None:
        self.tenant = tenant
        self.lanes = Lanes()
        self._past = past
        self._entity: dict[int, str] = {}
        self._kept: dict[str, tuple[tuple[int, int, int], Around]] = {}

    def renamed(self) -> None:
        """Forget which entity a series is about: the packs changed."""
        self._entity = {}

    def learn(self, grouping: Grouping, cause: int, received: int) -> None:
        """See in requests and log lines up to an offset of the input log who called whom of late, and what runs on what."""
        if self._past is None:
            return
        found = self._spans(cause, received - LEARN_FROM_NS)
        if found is not None:
            grouping.calls.learn(found.edges())
        for resource in self._past.resources(self.tenant):
            for pair in grouping.keys.pairs(dict(resource)):
                grouping.topology.relate(*pair)

    def _spans(self, cause: int, since: int) -> Seen | None:
        return self._past.spans(self.tenant, cause, since // _BLOCK_NS * _BLOCK_NS) if self._past is not None else None

    def due(self, group: Group, received: int) -> bool:
        """Whether an incident is to be looked at anew."""
        cause, at = group.looked
        fresh = not cause or (received - at >= LOOK_EVERY_NS and at < group.founded + LOOK_UNTIL_NS)
        return fresh and not group.storm

    def around(self, group: Group, grouping: Grouping, catalog: Catalog) -> Around:
        """What is known around an incident, as it was when it was looked at last."""
        if not group.looked[0]:
            return Around()
        key = (group.founded, *group.looked)
        kept = self._kept.get(group.id)
        if kept is None or kept[0] != key:
            kept = self._kept[group.id] = key, self._look(group, grouping, catalog)
        return kept[1]

    def forget(self, grouping: Grouping) -> None:
        """Let go of what no incident asks for any more."""
        for name in [name for name in self._kept if name not in grouping.groups or not grouping.groups[name].active]:
            del self._kept[name]

    def _look(self, group: Group, grouping: Grouping, catalog: Catalog) -> Around:
        cause, received = group.looked
        notes: list[str] = []
        primary = list(group.entities)
        near = grouping.around(primary)
        spans = self._spans(cause, group.founded - BEFORE_NS)
        spans = spans.between(group.founded - BEFORE_NS, received) if spans is not None else None
        services = _connected(spans.edges(), near) & set(spans.services) if spans is not None else frozenset()
        names = tuple(sorted(services.union(near)))
        graph = None
        if spans is not None and services:
            told = spans.spans(sorted(services), group.founded).of(names)
            graph = graph_around(told, 0.0, LOOK_S, notes, MAX_SPANS) if len(told) else None
        edges = grouping.calls.among(names)
        if graph is not None:
            edges |= {(edge.caller, edge.callee) for edge in graph.edges()}
        relations = frozenset(pair for pair in grouping.topology.among(names) if not {pair, pair[::-1]} & edges)
        shifts = self._shifts(frozenset(names), catalog, grouping, group)
        return Around(names, graph, frozenset(edges), relations, shifts, tuple(notes))

    def _shifts(self, names: frozenset[str], catalog: Catalog, grouping: Grouping, group: Group) -> tuple[Shift, ...]:
        received = group.looked[1]
        wanted: dict[int, str] = {}
        for ref in self.lanes.series(received).tolist():
            name = self._entity.get(ref)
            if name is None:
                named = grouping.keys.entities(dict(catalog[ref].labels))
                name = self._entity[ref] = named[0] if named else one_line(catalog[ref].signal.name)
            if name in names:
                wanted[ref] = name
        if len(wanted) > MAX_LANES:  # what is nearest by name of its series: any fixed choice will do
            nearest = sorted(wanted, key=lambda ref: (wanted[ref] not in group.entities, catalog[ref].id))
            wanted = {ref: wanted[ref] for ref in nearest[:MAX_LANES]}
        readings = self.lanes.readings(wanted, catalog, received, group.founded)
        moved = [found for each in readings if (found := shift(each, 0.0, _window_s(each))) is not None]
        return tuple(without_common(moved))


def _connected(edges: Iterable[tuple[str, str]], near: Mapping[str, int]) -> frozenset[str]:
    """Services near an incident, with all that call them and all that they call, at whatever distance."""
    found = set(near)
    pairs = list(edges)
    for ends in (pairs, [(callee, caller) for caller, callee in pairs]):
        onward: dict[str, list[str]] = {}
        for one, other in ends:
            onward.setdefault(one, []).append(other)
        queue = sorted(near)
        seen = set(queue)
        while queue:
            for other in onward.get(queue.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
        found |= seen
    return frozenset(found)


def _window_s(readings: Readings) -> float:
    """Seconds after the onset that are looked at of a metric."""
    times = readings.time
    steps = float(times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
    return min(max(LOOK_S, STEPS * steps), HISTORY_NS / SECOND)
