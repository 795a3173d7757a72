"""Which incident a finding belongs to: same or related entity and onset close in time, bounded under a storm."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tocsin.correlate.bonds import Bonds, key_of, keys_of
from tocsin.correlate.calls import Calls
from tocsin.correlate.group import Group, Member
from tocsin.correlate.statement import monitor_words
from tocsin.correlate.topology import EntityKeys, Topology
from tocsin.model.codec import labels_text
from tocsin.model.finding import Finding, Phase
from tocsin.model.incident import incident_id
from tocsin.model.text import one_line
from tocsin.selfmon.metrics import counter
from tocsin.spec.monitor import MonitorSpec

SECOND = 1_000_000_000
WINDOW_NS = 15 * 60 * SECOND
"""Findings with one cause begin within this time of each other."""
SPAN_NS = 2 * 3600 * SECOND
"""An incident takes no other series in after this time: what goes wrong then is news."""
REOPEN_NS = 30 * 60 * SECOND
DISTANCE = 2
STORM_NS = 60 * SECOND
STORM_GROUPS = 9
"""With the incident of the storm itself no more than ten are opened at once."""
MAX_ACTIVE = 200
MAX_WAITING = 500
MAX_REACH = 500

_WAITING = counter("tocsin_correlate_support_dropped_total", "Supporting findings that no incident took", ["reason"])
_FULL = counter("tocsin_correlate_findings_unkept_total", "Findings of an incident that already has too many")
_STORM = counter("tocsin_correlate_storm_findings_total", "Unrelated findings that a storm put into one incident")
_UNKNOWN = counter("tocsin_correlate_unknown_closed_total", "Findings that closed before any news of their opening")


class Grouping:
    """The incidents of one tenant and the index by which findings find theirs."""

    def __init__(self, tenant: str, keys: EntityKeys, monitors: Mapping[str, MonitorSpec]) -> None:
        self.tenant = tenant
        self.keys = keys
        self.monitors = monitors
        self.packs: frozenset[str] = frozenset()
        self.topology = Topology()
        self.calls = Calls()
        self.groups: dict[str, Group] = {}
        self.merged: list[tuple[Group, str, str]] = []
        self.bonds = Bonds()
        self._by_finding: dict[bytes, str] = {}
        self._by_entity: dict[str, dict[str, None]] = {}
        self._by_reach: dict[str, dict[str, None]] = {}
        self._reach: dict[str, dict[str, None]] = {}
        self._waiting: dict[bytes, Member] = {}

    def entities(self, finding: Finding) -> tuple[str, ...]:
        """Entities that a finding is about; all labels, or the signal, where no pack knows better."""
        found = self.keys.entities(dict(finding.series.labels))
        return found or (one_line(labels_text(finding.series.labels) or finding.series.signal.name),)

    def group_of(self, finding_id: bytes) -> Group | None:
        """The incident that holds a finding, if any."""
        found = self._by_finding.get(finding_id)
        return self.groups.get(found) if found is not None else None

    def take(self, finding: Finding, *, late: bool) -> None:
        """Put news of a finding where it belongs."""
        known = self._by_finding.get(finding.id)
        if known is not None:
            self.groups[known].news(finding)
            return
        if finding.id in self._waiting:
            self._waiting[finding.id].take(finding)
            return
        if finding.phase is Phase.CLOSE:
            _UNKNOWN.inc()
            return
        for pair in self.keys.pairs(dict(finding.series.labels)):
            self.topology.relate(*pair)
        spec = self.monitors.get(finding.monitor)
        general = spec is not None and spec.fallback  # its name says nothing of what is measured
        words = one_line(finding.series.signal.name) if general else monitor_words(finding.monitor, self.packs)
        support = spec is not None and spec.role == "support"
        member = Member(self._with_advice(finding), self.entities(finding), words=words, support=support)
        group = self._home(member)
        if group is None and support:
            self._wait(member)
            return
        if group is None:
            group = self._storm(member) or self._found(member, late=late)
        if late and not group.active:
            group.late = True
        self._join(group, member)

    def _with_advice(self, finding: Finding) -> Finding:
        spec = self.monitors.get(finding.monitor)
        texts = {"summary": spec.summary, "runbook": spec.runbook} if spec is not None else {}
        advice: dict[str, float | str] = {key: one_line(text, 500) for key, text in texts.items() if text}
        return replace(finding, evidence={**advice, **finding.evidence})

    def _home(self, member: Member) -> Group | None:
        """The incident a finding belongs to; incidents that it shows to be one are merged."""
        kind = key_of(member.finding.monitor, member.entities)
        near = {group.id: group for group in (*self._near(member), *self._joined(kind))}
        fits = [group for group in near.values() if self._fits(group, member)]
        found = [group for group in fits if not self._apart(kind, group)]
        active = sorted((group for group in found if group.active), key=lambda group: group.id)
        if active:
            for other in active[1:]:
                if active[0].storm == other.storm and not self._parted(active[0], other):
                    self._merge(active[0], other)
            return active[0]
        past = sorted((group for group in found if not group.active), key=lambda group: group.resolved_at or 0)
        return past[-1] if past else None

    def _joined(self, kind: str) -> list[Group]:
        """Incidents with findings that a person once joined with this kind."""
        partners = self.bonds.of(kind, together=True)
        some = [each for each in self.groups.values() if not each.storm] if partners else []
        return [each for each in some if not partners.isdisjoint(keys_of(each.members))]

    def _apart(self, kind: str, group: Group) -> bool:
        """Whether a person once parted this kind of finding from one of an incident's."""
        parted = self.bonds.of(kind, together=False)
        return bool(parted) and not parted.isdisjoint(keys_of(group.members))

    def _parted(self, one: Group, other: Group) -> bool:
        return bool(self.bonds) and any(self._apart(kind, other) for kind in keys_of(one.members))

    def merge(self, group: Group, other: Group, by: str) -> None:
        """Join by a person: `other` ends in favour of `group`, and what is of them stays together from now on."""
        self.bonds.decide(keys_of(group.members), keys_of(other.members), together=True)
        self._merge(group, other, by)

    def split(self, group: Group, ids: Collection[bytes]) -> Group | None:
        """Part by a person: some of its findings are another incident, now and from now on; None: some, not all."""
        moved = sorted(each for each in ids if each in group.members)
        if not moved or len(moved) == len(group.members):
            return None
        self._unindex(group)
        new = group.part(moved, incident_id(self.tenant, b"split" + group.id.encode() + moved[0]))
        self.bonds.decide(keys_of(new.members), keys_of(group.members), together=False)
        self.groups[new.id] = new
        for each in (group, new):
            self._index(each, each.entities)
            for member in each.members.values():
                self._extend(each, self.around(member.entities))
        self._by_finding.update(dict.fromkeys(new.members, new.id))
        return new

    def around(self, entities: Sequence[str]) -> dict[str, int]:
        """Entities that these belong to, call or are called by, and what those they call run on, with distances."""
        found = self.topology.around(entities, DISTANCE)
        if any(self.calls.knows(each) for each in found):
            for callee, steps in self.calls.reach(list(found), DISTANCE).items():
                found.setdefault(callee, steps)
            for under, steps in self.topology.around(self.calls.callees(list(entities), DISTANCE), DISTANCE).items():
                found.setdefault(under, steps + 1)
        return found

    def _near(self, member: Member) -> Iterator[Group]:
        ids: dict[str, None] = {}
        for entity in self.around(member.entities):
            ids.update(self._by_entity.get(entity, {}))
        for entity in member.entities:
            if not self.topology.is_hub(entity):
                ids.update(self._by_reach.get(entity, {}))
        return (self.groups[each] for each in ids)

    def _fits(self, group: Group, member: Member) -> bool:
        finding = member.finding
        same = group.holds(finding.monitor, finding.series.id)
        if not group.active:
            back = finding.start - (group.resolved_at or 0)
            return -WINDOW_NS <= back <= REOPEN_NS and (same or self._returns(group, member))
        if same or group.foretold(finding):
            return True
        if finding.start > group.founded + SPAN_NS:
            return False
        return group.founded - WINDOW_NS <= finding.start <= group.last_onset + WINDOW_NS

    @staticmethod
    def _returns(group: Group, member: Member) -> bool:
        signal = member.finding.series.signal.name
        return any(
            each.entities[:1] == member.entities[:1] and each.finding.series.signal.name == signal
            for each in group.members.values()
        )

    def _storm(self, member: Member) -> Group | None:
        """The incident that takes what is unrelated once too many incidents are opened at a time."""
        start = member.finding.start
        near = [g for g in self.groups.values() if g.active and abs(g.founded - start) <= WINDOW_NS]
        storm = next((group for group in near if group.storm), None)
        recent = sum(abs(group.founded - start) <= STORM_NS for group in near)
        # merging its incidents makes room for no others while it rages
        rages = storm is not None and abs(storm.last_onset - start) <= STORM_NS
        if not rages and recent < STORM_GROUPS and sum(group.active for group in self.groups.values()) < MAX_ACTIVE:
            return None
        if storm is None:
            storm = self._found(member, late=False)
            storm.storm = True
        _STORM.inc()
        return storm

    def _found(self, member: Member, *, late: bool) -> Group:
        finding = member.finding
        group = Group(
            id=incident_id(self.tenant, finding.id),
            tenant=self.tenant,
            founded=finding.start,
            opened_at=finding.time,
            last_onset=finding.start,
            updated_at=finding.time,
            late=late,
        )
        self.groups[group.id] = group
        return group

    def _join(self, group: Group, member: Member) -> None:
        if not group.active:
            group.reopening = True
        if group.full:
            group.touched = True
            _FULL.inc()
            return
        group.add(member)
        self._by_finding[member.finding.id] = group.id
        if group.storm:
            return  # what a storm brought has nothing in common: it must draw nothing else in
        self._index(group, member.entities)
        self._extend(group, self.around(member.entities))
        for waiting in list(self._waiting.values()):
            near = self.around(waiting.entities)
            kind = key_of(waiting.finding.monitor, waiting.entities)
            fits = any(entity in group.entities for entity in near) and self._fits(group, waiting)
            fits = fits and not self._apart(kind, group)
            if fits and self._waiting.pop(waiting.finding.id, None) is not None:  # a join may take others along
                self._join(group, waiting)

    def _index(self, group: Group, entities: Iterable[str]) -> None:
        for entity in entities:
            self._by_entity.setdefault(entity, {})[group.id] = None

    def _extend(self, group: Group, entities: Iterable[str]) -> None:
        """Let what is near an incident's findings find it."""
        reach = self._reach.setdefault(group.id, {})
        for entity in entities:
            if entity not in reach and len(reach) < MAX_REACH:
                reach[entity] = None
                self._by_reach.setdefault(entity, {})[group.id] = None

    def _wait(self, member: Member) -> None:
        if len(self._waiting) >= MAX_WAITING:
            oldest = min(self._waiting.values(), key=lambda each: (each.finding.start, each.finding.id))
            del self._waiting[oldest.finding.id]
            _WAITING.labels("full").inc()
        self._waiting[member.finding.id] = member

    def _merge(self, group: Group, other: Group, by: str = "") -> None:
        group.absorb(other)
        self._index(group, group.entities)
        self._extend(group, self._reach.get(other.id, {}))
        for finding in (*other.members, *other.others):
            self._by_finding[finding] = group.id
        self._remove(other)
        if other.revision:
            self.merged.append((other, group.id, by))

    def _remove(self, group: Group) -> None:
        del self.groups[group.id]
        self._unindex(group)

    def _unindex(self, group: Group) -> None:
        for index, entities in ((self._by_entity, group.entities), (self._by_reach, self._reach.pop(group.id, {}))):
            for entity in entities:
                ids = index.get(entity, {})
                ids.pop(group.id, None)
                if not ids:
                    index.pop(entity, None)

    def expire(self, now: int) -> None:
        """Forget incidents too long resolved to reopen, and supporting findings too old to join."""
        for group in list(self.groups.values()):
            done = not group.active and group.quiet() and not group.touched
            if done and now - (group.resolved_at or 0) > REOPEN_NS:
                self._remove(group)
                for finding in (*group.members, *group.others):
                    self._by_finding.pop(finding, None)
        for member in list(self._waiting.values()):
            if not member.open and now - member.finding.end > WINDOW_NS:
                del self._waiting[member.finding.id]
                _WAITING.labels("alone").inc()

    def snapshot(self) -> dict[str, Any]:
        """All state, as JSON can hold it."""
        return {
            "groups": [group.to_json() for group in self.groups.values()],
            "merged": [[group.to_json(), into, by] for group, into, by in self.merged],
            "bonds": self.bonds.snapshot(),
            "waiting": [member.to_json() for member in self._waiting.values()],
            "topology": self.topology.snapshot(),
            "calls": self.calls.snapshot(),
            "reach": {name: list(reach) for name, reach in self._reach.items()},
        }

    def restore(self, found: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        groups = [Group.from_json(each) for each in found["groups"]]
        self.groups = {group.id: group for group in groups}
        self.merged = [(Group.from_json(each), into, "".join(by)) for each, into, *by in found["merged"]]
        self.bonds.restore(found.get("bonds", ()))
        members = [Member.from_json(each) for each in found["waiting"]]
        self._waiting = {member.finding.id: member for member in members}
        self.topology.restore(found["topology"])
        self.calls.restore(found.get("calls", ()))  # snapshots of before had none
        self._by_finding = {each: group.id for group in groups for each in (*group.members, *group.others)}
        self._by_entity, self._by_reach, self._reach = {}, {}, {}
        for group in groups:
            if not group.storm:
                self._index(group, group.entities)
                self._extend(group, found.get("reach", {}).get(group.id, ()))
