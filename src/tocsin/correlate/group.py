"""One incident while it lives: its members, and the `Incident` value that they make."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tocsin.correlate.evidence import Event
from tocsin.correlate.statement import WORST_VALUE, Symptom, statement, storm_title, title
from tocsin.model.codec import (
    cause_from_json,
    cause_to_json,
    change_from_json,
    change_to_json,
    finding_from_json,
    finding_to_json,
)
from tocsin.model.finding import Finding, Phase
from tocsin.model.incident import Cause, Change, Incident, IncidentState, Runbook, Severity
from tocsin.model.transition import Grade

MAX_MEMBERS = 200
"""Findings an incident keeps in full; of the others it knows the ids and which are open."""
MAX_OTHERS = 50_000
MAX_ENTITIES = 100
MAX_CHANGES = 20
FORETOLD = frozenset({"tocsin.model.accuracy_ratio", "tocsin.model.absolute_error"})
"""What truth says of a model, however late it comes."""
DRIFT = "model-drift"
WORST_RANK = "worst.log10_p"


def _rarest(before: Finding, news: Finding) -> dict[str, float]:
    """Value and rank of the rarest of all news of a finding: what an episode was at its worst."""
    value, rank = before.evidence.get(WORST_VALUE), before.evidence.get(WORST_RANK)
    if not isinstance(value, int | float) or not isinstance(rank, int | float):
        value, rank = before.value, before.log10_p
    if math.isnan(rank) or news.log10_p <= rank:
        value, rank = news.value, news.log10_p
    return {WORST_VALUE: float(value), WORST_RANK: float(rank)} if math.isfinite(rank) else {}


@dataclass(slots=True)
class Member:
    """A finding of an incident, its entities, whether it is still out of line, and whether it only supports."""

    finding: Finding
    entities: tuple[str, ...]
    open: bool = True
    words: str = ""
    support: bool = False

    def take(self, news: Finding) -> None:
        """Replace the finding by later news of it; what was added to its evidence stays, and its rarest value."""
        self.finding = replace(news, evidence={**self.finding.evidence, **news.evidence, **_rarest(self.finding, news)})
        self.open = news.phase is not Phase.CLOSE

    def to_json(self) -> list[Any]:
        """All of it, as JSON can hold it."""
        return [finding_to_json(self.finding), list(self.entities), self.open, self.words, self.support]

    @staticmethod
    def from_json(found: Sequence[Any]) -> Member:
        """A member back from `to_json`."""
        finding, entities, is_open, words, *more = found  # snapshots of before had no role
        return Member(finding_from_json(finding), tuple(entities), is_open, words, *more)

    @property
    def symptom(self) -> Symptom:
        """The finding with its entities."""
        return Symptom(self.finding, self.entities, self.words, self.support)


@dataclass(slots=True)
class Group:
    """An incident and what is needed to carry it on; mutable, owned by one tenant's reducer."""

    id: str
    tenant: str
    founded: int
    opened_at: int
    late: bool = False
    storm: bool = False
    state: IncidentState = IncidentState.OPEN
    members: dict[bytes, Member] = field(default_factory=dict)
    others: dict[bytes, bool] = field(default_factory=dict)
    entities: dict[str, int] = field(default_factory=dict)
    last_onset: int = 0
    closed_at: int = 0
    updated_at: int = 0
    resolved_at: int | None = None
    reopened: int = 0
    revision: int = 0
    causes: tuple[Cause, ...] = ()
    changes: tuple[Change, ...] = ()
    grade: Grade = field(default_factory=lambda: Grade(Severity.WARNING, ""))
    touched: bool = False
    reopening: bool = False
    told: str = ""
    lead: str = ""
    runbooks: tuple[Runbook, ...] = ()
    looked: tuple[int, int] = (0, 0)
    """Offset of the input log and time (ns) up to which its surroundings were looked at; zeros: not yet."""

    @property
    def active(self) -> bool:
        """Whether it is not resolved."""
        return self.state is not IncidentState.RESOLVED

    @property
    def full(self) -> bool:
        """Whether no further finding is kept, not even by its id."""
        return len(self.members) >= MAX_MEMBERS and len(self.others) >= MAX_OTHERS

    def add(self, member: Member) -> None:
        """Take a finding in, in full if there is room."""
        found = member.finding
        self.last_onset = max(self.last_onset, found.start)
        self.founded = min(self.founded, found.start)
        self.touched = True
        if len(self.members) < MAX_MEMBERS:
            self.members[found.id] = member
        else:
            self.others[found.id] = member.open
        for entity in member.entities:
            if entity in self.entities or len(self.entities) < MAX_ENTITIES:
                self.entities[entity] = self.entities.get(entity, 0) + 1
        if not member.open:
            self.closed_at = max(self.closed_at, found.time)

    def news(self, finding: Finding) -> None:
        """Take later news of one of its findings."""
        self.touched = True
        member = self.members.get(finding.id)
        if member is not None:
            member.take(finding)
        else:
            self.others[finding.id] = finding.phase is not Phase.CLOSE
        if finding.phase is Phase.CLOSE:
            self.closed_at = max(self.closed_at, finding.time)

    def absorb(self, other: Group) -> None:
        """Take over all that another group holds."""
        for member in other.members.values():
            self.add(member)
        for found, is_open in other.others.items():
            self.others.setdefault(found, is_open)
        self.opened_at = min(self.opened_at, other.opened_at)
        self.closed_at = max(self.closed_at, other.closed_at)
        self.reopened = max(self.reopened, other.reopened)
        self.late = self.late and other.late
        self.touched = True
        if other.state is IncidentState.OPEN and self.state is IncidentState.ACKNOWLEDGED:
            self.state = IncidentState.OPEN  # nobody has seen the other half yet

    def part(self, ids: Collection[bytes], name: str) -> Group:
        """Give findings that it keeps in full to a new incident, and gather itself anew from those that stay."""
        members, self.members, self.entities = self.members, {}, {}
        moved = Group(name, self.tenant, 1 << 62, 1 << 62, late=self.late, updated_at=self.updated_at)
        self.founded, self.last_onset = 1 << 62, 0
        for found, member in members.items():
            (moved if found in ids else self).add(member)
        moved.opened_at = min(member.finding.time for member in moved.members.values())
        return moved

    def quiet(self) -> bool:
        """Whether all findings are closed."""
        return not any(member.open for member in self.members.values()) and not any(self.others.values())

    def holds(self, monitor: str, series_id: bytes) -> bool:
        """Whether a finding of this monitor on this series belongs to it."""
        return any(m.finding.monitor == monitor and m.finding.series.id == series_id for m in self.members.values())

    def foretold(self, finding: Finding) -> bool:
        """Whether a finding is about the truth of a model whose drift is open here: what was to be feared came true.

        Or the other way round: that truth shows a fall is told by drift too, when a chunk is over.
        """
        labels = set(finding.series.labels)
        others = [
            member.finding.series for member in self.members.values() if member.open and self._of_truth(finding, member)
        ]
        if finding.monitor == DRIFT:
            return any(labels.issubset(each.labels) for each in others)
        return any(labels.issuperset(each.labels) for each in others)

    @staticmethod
    def _of_truth(finding: Finding, member: Member) -> bool:
        """Whether one of the two is the drift of a model, and the other what its truth says."""
        if finding.monitor == DRIFT:
            return "confirmed" in finding.evidence and member.finding.series.signal.name in FORETOLD
        return member.finding.monitor == DRIFT and finding.series.signal.name in FORETOLD

    def symptoms(self) -> list[Symptom]:
        """Its findings in the order of their onset."""
        ordered = sorted(self.members.values(), key=lambda member: (member.finding.start, member.finding.id))
        return [member.symptom for member in ordered]

    def led(self) -> list[Symptom]:
        """Its findings, first the one that its likeliest cause acts on most directly; what only supports comes last."""
        return sorted(self.symptoms(), key=self._place)

    def _place(self, symptom: Symptom) -> tuple[bool, bool]:
        found = symptom.finding.id
        return self.members[found].support, found.hex() != self.lead

    def take_changes(self, events: Sequence[Event]) -> None:
        """Keep the change events that go with its causes, oldest first."""
        named = {(cause.kind, cause.entity, cause.what) for cause in self.causes}
        near = [event.change for event in events]
        kept = [change for change in near if (change.kind, change.entity, change.what) in named]
        self.changes = tuple(sorted(kept, key=lambda change: (change.time, change.what))[-MAX_CHANGES:])

    def signature(self) -> str:
        """What people must be told again when it changes."""
        best = self.causes[0] if self.causes else None
        cause = f"{best.kind}/{best.entity}/{best.what}" if best is not None else ""
        monitors = sorted({member.finding.monitor for member in self.members.values()})
        return f"{self.grade.severity.name}|{cause}|{','.join(monitors)}|{self.late}|{self.state.value}"

    def incident(self) -> Incident:
        """The value that goes out."""
        symptoms = self.symptoms()
        led = self.led()
        more = len(self.others)
        primary = list(dict.fromkeys(symptom.entities[0] for symptom in led if symptom.entities))
        rest = [entity for entity in self.entities if entity not in primary]
        head = storm_title(self.founded, len(symptoms) + more, len(self.entities)) if self.storm else title(led, more)
        return Incident(
            id=self.id,
            tenant=self.tenant,
            title=head,
            state=self.state,
            severity=self.grade.severity,
            severity_arithmetic=self.grade.arithmetic,
            findings=tuple(symptom.finding for symptom in symptoms),
            causes=self.causes,
            changes=self.changes,
            entities=(*primary, *rest)[:MAX_ENTITIES],
            opened_at=self.opened_at,
            updated_at=self.updated_at,
            resolved_at=self.resolved_at,
            dedup_key=self.id,
            late=self.late,
            reopened=self.reopened,
            statement=statement(led, self.causes, more),
            impact={**self.grade.impact, "findings": float(len(symptoms) + more)},
            runbooks=self.runbooks,
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return plain | {
            "state": self.state.value,
            "members": [member.to_json() for member in self.members.values()],
            "others": {found.hex(): is_open for found, is_open in self.others.items()},
            "causes": [cause_to_json(cause) for cause in self.causes],
            "changes": [change_to_json(change) for change in self.changes],
            "looked": list(self.looked),
            "runbooks": [[each.title, each.url] for each in self.runbooks],
            "grade": [self.grade.severity.value, self.grade.arithmetic, self.grade.impact],
        }

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> Group:
        """A group back from `to_json`."""
        severity, arithmetic, impact = found["grade"]
        members = [Member.from_json(each) for each in found["members"]]
        return Group(
            **{name: found[name] for name in _PLAIN},
            state=IncidentState(found["state"]),
            runbooks=tuple(Runbook(*each) for each in found.get("runbooks", ())),
            looked=tuple(found.get("looked", (0, 0))),  # snapshots of before had not looked
            members={member.finding.id: member for member in members},
            others={bytes.fromhex(key): is_open for key, is_open in found["others"].items()},
            causes=tuple(cause_from_json(cause) for cause in found["causes"]),
            changes=tuple(change_from_json(change) for change in found["changes"]),
            grade=Grade(Severity(severity), arithmetic, impact),
        )


_PLAIN = (
    "id",
    "tenant",
    "founded",
    "opened_at",
    "late",
    "storm",
    "entities",
    "last_onset",
    "closed_at",
    "updated_at",
    "resolved_at",
    "reopened",
    "revision",
    "touched",
    "reopening",
    "told",
    "lead",
)
