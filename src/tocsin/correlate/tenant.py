"""The incidents of one tenant as a fold over what the engine says: grouping, causes, life cycle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from tocsin.correlate.changes import LOOKBACK_NS
from tocsin.correlate.diagnosis import diagnose, lead, named
from tocsin.correlate.edges import CausalGraph
from tocsin.correlate.evidence import Event, Scene
from tocsin.correlate.group import Group
from tocsin.correlate.grouping import Grouping
from tocsin.correlate.past import Past
from tocsin.correlate.surroundings import LEARN_EVERY_NS, LOOK_S, LOOK_UNTIL_NS, Surroundings
from tocsin.correlate.topology import EntityKeys
from tocsin.model.codec import change_from_json, change_to_json, findings_of
from tocsin.model.finding import Finding, Phase
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.incident import CAUSE_KINDS, Change, IncidentState, Runbook
from tocsin.model.log import Output
from tocsin.model.series import Catalog
from tocsin.model.text import one_line
from tocsin.model.transition import Grader, Regroup, Transition, TransitionAction
from tocsin.selfmon.metrics import counter
from tocsin.spec.engine import EngineSpec
from tocsin.spec.entity_key import ENTITY_CHARS
from tocsin.spec.monitor import SECOND, MonitorSpec
from tocsin.spec.topology import RunbookSpec

LATE_NS = 10 * 60 * SECOND
HOLD_NS = 120 * SECOND
"""All findings must be closed for this long before an incident is resolved."""
MAX_EVENTS = 2000
DARK = frozenset({"absent", "stale"})
MAX_DARK = 100_000
_PHASES = {Phase.OPEN: 0, Phase.UPDATE: 1, Phase.CLOSE: 2}

_EVENTS = counter("tocsin_correlate_events_forgotten_total", "Change events no longer looked at: too many", ["tenant"])
_TRANSITIONS = counter("tocsin_correlate_transitions_total", "Steps in the lives of incidents", ["action"])


def _order(finding: Finding) -> tuple[int, bytes, int, int]:
    return finding.start, finding.id, finding.time, _PHASES[finding.phase]


class TenantReducer:
    """Pure: the same outputs give the same transitions, whatever the order of rows within one output."""

    def __init__(self, tenant: str, spec: EngineSpec, grade: Grader, past: Past | None = None) -> None:
        self.tenant = tenant
        self.surroundings = Surroundings(tenant, past)
        self._catalog = Catalog()
        self._learned_at = 0
        self._grade = grade
        self._events: list[Event] = []
        self._events_new = False
        self._dark: dict[bytes, None] = {}
        self._related: set[int] = set()  # catalog numbers already learned from: a cache, no state
        self._monitors: dict[str, MonitorSpec] = {}
        self._runbooks: list[RunbookSpec] = []
        self._graph = CausalGraph(())
        self.grouping = Grouping(tenant, EntityKeys(()), {})
        self.adopt(spec)

    def adopt(self, spec: EngineSpec) -> None:
        """Take a new spec into force."""
        self._monitors = {monitor.name: monitor for monitor in spec.all_monitors()}
        self._graph = CausalGraph(spec.packs)
        self.grouping.keys = EntityKeys(spec.packs)
        self.grouping.monitors = self._monitors
        self.grouping.calls.state(edge.pair for edge in spec.topology.edges)
        self._runbooks = spec.runbooks
        self.grouping.packs = frozenset(pack.name for pack in spec.packs)
        self._related = set()
        self.surroundings.renamed()

    def fold(self, output: Output, frames: Sequence[Frame], catalog: Catalog) -> list[Transition]:
        """Take one output record's frames of this tenant."""
        of = {kind: [frame for frame in frames if frame.kind is kind] for kind in FrameKind}
        self._catalog = catalog
        for frame in of[FrameKind.PANES]:
            self.surroundings.lanes.take(frame, output.received)
        self._take_events(of[FrameKind.EVENTS])
        for frame in of[FrameKind.STATES]:
            self._take_states(frame, catalog)
        for frame in (*of[FrameKind.PANES], *of[FrameKind.STATES]):
            self._relate(frame, catalog)
        findings = sorted(
            (each for frame in of[FrameKind.FINDINGS] for each in findings_of(frame, catalog)), key=_order
        )
        self._learn(findings, output)
        for finding in findings:
            late = output.received > 0 and output.received - finding.time > LATE_NS
            self.grouping.take(finding, late=late)
            if not late:
                self._not_late(finding)
        if output.tick:
            self._panes_are_fresh(of[FrameKind.PANES], catalog, output.received)
            self._resolve(output.received)
        return self._say(output)

    def watches(self, received: int) -> bool:
        """Whether requests are still asked for at a time of the log: an incident is young."""
        looks = (group for group in self.grouping.groups.values() if group.active and not group.storm)
        return any(received < group.founded + LOOK_UNTIL_NS for group in looks)

    def act(self, incident: str, action: str, by: str, at: int) -> list[Transition]:
        """Acknowledge or resolve by a person; repeating changes nothing."""
        group = self.grouping.groups.get(incident)
        if group is None or not group.active:
            return []
        if action == "resolve":
            return [self._ended(group, at, by)]
        if group.state is IncidentState.ACKNOWLEDGED:
            return []
        group.state = IncidentState.ACKNOWLEDGED
        group.updated_at = max(group.updated_at, at)
        group.told = group.signature()
        return [self._transition("acknowledge", group, at, by=by)]

    def regroup(self, incident: str, change: Regroup, by: str) -> None:
        """Merge or split by a person; the next tick tells what came of it. Repeating changes nothing."""
        group = self.grouping.groups.get(incident)
        if group is None or not group.active:
            return
        if change.action == "merge":
            into = self.grouping.groups.get(change.into)
            if into is not None and into.active and into is not group:
                self.grouping.merge(into, group, by)
            return
        parted = self.grouping.split(group, [bytes.fromhex(each) for each in change.findings])
        for each in (group, parted) if parted is not None else ():
            each.touched, each.looked = True, (0, 0)

    def _take_events(self, frames: Iterable[Frame]) -> None:
        rows = [row for frame in frames for row in frame.rows()]
        found = [_event(row) for row in rows]
        if not found:
            return
        known = {event.change for event in self._events}
        fresh = {event.change: event for event in found if event.change not in known}
        self._events.extend(fresh.values())
        self._events.sort(
            key=lambda event: (event.change.time, event.change.kind, event.change.entity, event.change.what)
        )
        oldest = self._events[-1].change.time - 2 * LOOKBACK_NS
        self._events = [event for event in self._events if event.change.time >= oldest]
        if len(self._events) > MAX_EVENTS:
            _EVENTS.labels(self.tenant).inc(len(self._events) - MAX_EVENTS)
            self._events = self._events[-MAX_EVENTS:]
        self._events_new = True

    def _take_states(self, frame: Frame, catalog: Catalog) -> None:
        refs = frame.i4("series")
        for ref, state in zip(refs.tolist(), frame.batch.column("state").to_pylist(), strict=True):
            if state not in DARK:
                self._dark.pop(catalog[ref].id, None)
            elif len(self._dark) < MAX_DARK:
                self._dark[catalog[ref].id] = None

    def _relate(self, frame: Frame, catalog: Catalog) -> None:
        """Learn relations from series as they are first seen, while there is room."""
        for ref in np.unique(frame.i4("series")).tolist():
            if ref in self._related or self.grouping.topology.full:
                continue
            self._related.add(ref)
            for first, second in self.grouping.keys.pairs(dict(catalog[ref].labels)):
                self.grouping.topology.relate(first, second)

    def _learn(self, findings: Sequence[Finding], output: Output) -> None:
        """See who calls whom before what is new is put in its place."""
        new = any(each.phase is Phase.OPEN for each in findings)
        if new and output.received - self._learned_at >= LEARN_EVERY_NS:
            self.surroundings.learn(self.grouping, output.cause, output.received)
            self._learned_at = output.received

    def _not_late(self, finding: Finding) -> None:
        group = self.grouping.group_of(finding.id)
        if group is not None and group.late and finding.phase is not Phase.CLOSE:
            group.late = False
            group.touched = True

    def _panes_are_fresh(self, frames: Iterable[Frame], catalog: Catalog, received: int) -> None:
        """Late incidents are news after all when their windows have caught up and are still out of line."""
        waiting = [
            group for group in self.grouping.groups.values() if group.late and group.active and not group.quiet()
        ]
        if not waiting:
            return
        fresh: set[tuple[str, bytes]] = set()
        for frame in frames:
            picked = np.flatnonzero(frame.i8("time") >= received - LATE_NS)
            monitors = frame.batch.column("monitor").take(picked).to_pylist()
            series = frame.i4("series")[picked].tolist()
            fresh.update((monitor, catalog[ref].id) for monitor, ref in zip(monitors, series, strict=True))
        for group in waiting:
            if any(m.open and (m.finding.monitor, m.finding.series.id) in fresh for m in group.members.values()):
                group.late = False
                group.touched = True

    def _resolve(self, received: int) -> None:
        for group in self.grouping.groups.values():
            due = group.active and not group.reopening and group.quiet() and received - group.closed_at >= HOLD_NS
            # a series that fell silent has not recovered
            if due and not any(member.finding.series.id in self._dark for member in group.members.values()):
                group.state = IncidentState.RESOLVED
                group.resolved_at = received
                group.touched = True

    def _say(self, output: Output) -> list[Transition]:
        said: list[Transition] = []
        for group in sorted(self.grouping.groups.values(), key=lambda each: each.id):
            if self._events_new and output.tick and group.active:
                group.touched = True
            urgent = not group.revision or group.reopening
            # everything but a new incident waits for the tick: a storm must not rank causes per finding
            if group.touched and (urgent or output.tick):
                said.append(self._transition_of(group, output))
        if output.tick:
            self._events_new = False
            for loser, into, by in sorted(self.grouping.merged, key=lambda each: each[0].id):
                loser.state, loser.resolved_at = IncidentState.RESOLVED, output.received
                said.append(self._transition("merge", loser, output.received, into=into, by=by))
            self.grouping.merged = []
            self.grouping.expire(output.received)
            self.surroundings.forget(self.grouping)
        return said

    def _transition_of(self, group: Group, output: Output) -> Transition:
        group.touched = False
        latest = max((member.finding.time for member in group.members.values()), default=group.opened_at)
        at = output.received or latest
        group.updated_at = max(group.updated_at, min(at, latest) if group.late else at)
        if group.reopening:
            group.reopening = False
            group.reopened += 1
            group.state, group.resolved_at = IncidentState.OPEN, None
            action: TransitionAction = "reopen"
        elif not group.revision:
            action = "open"
        elif group.state is IncidentState.RESOLVED and group.signature() != group.told:
            action = "resolve"
        else:
            action = "refresh"
        if group.active:
            if self.surroundings.due(group, output.received):
                group.looked = output.cause, output.received
            self._judge(group)
        signature = group.signature()
        if action == "refresh" and signature != group.told:
            action = "update"
        group.told = signature
        return self._transition(action, group, at)

    def _judge(self, group: Group) -> None:
        scene = self._scene(group)
        group.causes = named(scene, diagnose(scene))
        leading = lead(scene, group.causes)
        group.lead = leading.finding.id.hex() if leading is not None else ""
        group.take_changes(self._events)
        monitors = {symptom.finding.monitor for symptom in scene.symptoms}
        group.runbooks = tuple(
            Runbook(each.title, each.url)
            for each in self._runbooks
            if all(any(fnmatchcase(name, glob) for name in monitors) for glob in each.joint)
        )
        impact: dict[str, str] = {}
        for name in sorted(monitors):
            monitor = self._monitors.get(name)
            for kind, level in (monitor.impact if monitor is not None else {}).items():
                impact[kind] = "high" if "high" in (level, impact.get(kind)) else "low"
        group.grade = self._grade([symptom.finding for symptom in scene.symptoms], impact)

    def _scene(self, group: Group) -> Scene:
        """All that is known around the onset of an incident."""
        slack = {name: monitor.window.size for name, monitor in self._monitors.items() if monitor.window is not None}
        around = self.surroundings.around(group, self.grouping, self._catalog)
        return Scene(
            0.0,
            LOOK_S,
            group.founded,
            around.entities,
            graph=around.graph,
            edges=around.edges,
            shifts=around.shifts,
            events=tuple(self._events),
            relations=around.relations,
            symptoms=tuple(group.symptoms()),
            causal=self._graph,
            near=self.grouping.around,
            slack_ns=slack,
        )

    def _ended(self, group: Group, at: int, by: str) -> Transition:
        group.state, group.resolved_at, group.updated_at = IncidentState.RESOLVED, at, max(group.updated_at, at)
        group.told = group.signature()
        group.touched = False
        return self._transition("resolve", group, at, by=by)

    def _transition(
        self, action: TransitionAction, group: Group, at: int, *, into: str = "", by: str = ""
    ) -> Transition:
        group.revision += 1
        _TRANSITIONS.labels(action).inc()
        return Transition(action, group.incident(), at, group.revision, into, by)

    def snapshot(self) -> dict[str, Any]:
        """All state, as JSON can hold it."""
        return {
            "grouping": self.grouping.snapshot(),
            "events": [[change_to_json(event.change), dict(event.attributes)] for event in self._events],
            "events_new": self._events_new,
            "dark": [each.hex() for each in self._dark],
            "learned_at": self._learned_at,
        }

    def restore(self, found: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        self.grouping.restore(found["grouping"])
        self._events = [Event(change_from_json(change), attributes) for change, attributes in found["events"]]
        self._events_new = bool(found["events_new"])
        self._dark = {bytes.fromhex(each): None for each in found["dark"]}
        self._learned_at = int(found.get("learned_at", 0))


def _event(row: Mapping[str, Any]) -> Event:
    kind = row["kind"] if row["kind"] in CAUSE_KINDS else "unknown"
    change = Change(
        time=row["time"],
        kind=kind,
        entity=one_line(row["entity"] or "", ENTITY_CHARS),
        what=one_line(row["what"] or "", 300),
        source=one_line(row["source"] or "", 100),
    )
    pairs = list(row["attributes"] or [])[:32]
    return Event(change, {one_line(key, 100): one_line(value or "", 200) for key, value in pairs})
