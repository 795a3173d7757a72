"""Who is told what and when: routes, cool-down, silences, escalation; pure, driven by the log's time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin.incident.drift_actions import asked_for, under_attack
from tocsin.incident.matching import facts, matches, silenced_by
from tocsin.model.codec import incident_from_json, incident_to_json
from tocsin.model.decision import Silence
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.message import Message, MessageAction
from tocsin.model.transition import Transition
from tocsin.selfmon.metrics import counter
from tocsin.spec.destination import RouteSpec
from tocsin.spec.drift import DriftSpec

CONSOLE = "console"
DEFAULT_ROUTE = RouteSpec(match={}, to=[CONSOLE])
KEEP_NS = 24 * 3600 * 10**9
"""How long the time of the last notice is remembered for cool-down after an incident is over."""
MOST_CALLED = 10_000
"""Calls of drift policies that are remembered, so that none is made twice."""

_HELD = counter("tocsin_incident_messages_held_total", "Notices not sent (yet), by reason", ["reason"])
_QUEUED = counter("tocsin_incident_messages_queued_total", "Notices handed to the outbox", ["destination", "action"])


@dataclass(slots=True)
class _Case:
    """What is known of an incident that is not over."""

    incident: Incident
    revision: int
    untold: bool = False
    told: dict[str, int] = field(default_factory=dict)  # destination -> severity it was last told
    first_told: int = 0
    escalated: bool = False
    silenced: list[str] = field(default_factory=list)
    sequence: int = 0


class Policy:
    """Turns transitions into messages; its state is part of the snapshot that moves with the cursor.

    `resend_ns` names destinations that must be told again at this interval while an incident is open; `drift` are the
    policies whose actions are taken, once for each episode, when a finding says that one is met.
    """

    def __init__(
        self,
        routes: Sequence[RouteSpec] = (),
        *,
        dry_run: bool = False,
        resend_ns: Mapping[str, int] | None = None,
        drift: Sequence[DriftSpec] = (),
    ) -> None:
        self._routes = list(routes)
        self._drift = list(drift)
        self._called: dict[str, int] = {}
        self._dry_run = dry_run
        self._resend_ns = dict(resend_ns or {})
        self._cases: dict[str, _Case] = {}
        self._last: dict[tuple[str, str], int] = {}

    def adopt(
        self,
        routes: Sequence[RouteSpec],
        *,
        dry_run: bool,
        resend_ns: Mapping[str, int] | None = None,
        drift: Sequence[DriftSpec] = (),
    ) -> None:
        """Take a new configuration into force; what was told stays told."""
        self._routes, self._dry_run, self._resend_ns = list(routes), dry_run, dict(resend_ns or {})
        self._drift = list(drift)

    def fold(
        self, transitions: Iterable[Transition], now: int, *, tick: bool, silences: Sequence[Silence] = ()
    ) -> list[Message]:
        """Messages that follow from these steps at the log's time `now` (ns), in a fixed order.

        `silences` are those in force for the tenants of the steps and for all of `tenants()`.
        """
        said: list[Message] = []
        for transition in transitions:
            said.extend(self._step(transition, now, silences))
        if tick:
            for key in sorted(self._cases):
                case = self._cases[key]
                if case.untold:
                    said.extend(self._tell(case, now, silences))
                said.extend(self._call(case, now, silences))
                said.extend(self._escalate(case, now, silences))
                said.extend(self._resend(case, now))
            self._last = {key: at for key, at in self._last.items() if now - at < KEEP_NS}
        for message in said:
            _QUEUED.labels(message.destination, message.action).inc()
        return said

    def tenants(self) -> set[str]:
        """Tenants that have open incidents: whose silences the next tick needs, changes or not."""
        return {case.incident.tenant for case in self._cases.values()}

    def route(self, incident: Incident) -> RouteSpec:
        """The first route that matches an incident; the console where none does."""
        known = facts(incident)
        return next((route for route in self._routes if matches(route.match, known)), DEFAULT_ROUTE)

    def _step(self, transition: Transition, now: int, silences: Sequence[Silence]) -> list[Message]:
        incident = transition.incident
        case = self._cases.setdefault(incident.id, _Case(incident, transition.revision))
        case.incident, case.revision = incident, transition.revision
        if transition.action in ("resolve", "merge"):
            del self._cases[incident.id]
            reason = f"merged into {transition.into}" if transition.into else ""
            return [self._message(case, name, "resolve", now, reason) for name in case.told]
        if transition.action == "acknowledge":
            reason = f"by {transition.by}" if transition.by else ""
            return [self._message(case, name, "acknowledge", now, reason) for name in case.told]
        unheard = any(name not in case.told for name in asked_for(incident, self._drift).told)
        if transition.action in ("open", "reopen", "update") or unheard:
            case.untold = True
        said = self._tell(case, now, silences) if case.untold else []
        return said + self._call(case, now, silences)

    def _call(self, case: _Case, now: int, silences: Sequence[Silence]) -> list[Message]:
        """Calls that a drift policy asks for, each once for its finding; a silence or a suspected attack holds them back."""
        if not self._drift or case.incident.late or case.incident.state is IncidentState.RESOLVED:
            return []
        due = [each for each in asked_for(case.incident, self._drift).calls if each[0] not in self._called]
        if not due or silenced_by(case.incident, silences, now) is not None:
            return []
        models = {(case.incident.tenant, each.series.label("model")) for each in case.incident.findings}
        if models & under_attack(each.incident for each in self._cases.values()):
            return []  # at a later tick, once that is over
        for key, _ in due:
            self._called[key] = now
        while len(self._called) > MOST_CALLED:
            del self._called[next(iter(self._called))]
        return [self._message(case, name, "trigger", now, "its drift policy is met") for _, name in due]

    def _tell(self, case: _Case, now: int, silences: Sequence[Silence]) -> list[Message]:
        if case.incident.late:
            _HELD.labels("late").inc()
            case.untold = False
            return []
        route = self.route(case.incident)
        said: list[Message] = []
        case.untold = False
        for name in dict.fromkeys([*route.to, *asked_for(case.incident, self._drift).told]):
            said.extend(self._tell_one(case, name, route.cooldown, now, silences))
        return said

    def _tell_one(self, case: _Case, name: str, cooldown: int, now: int, silences: Sequence[Silence]) -> list[Message]:
        before = case.told.get(name)
        worse = before is None or case.incident.severity > before
        if case.incident.state is IncidentState.ACKNOWLEDGED and not worse:
            return []  # somebody is on it: only what got worse is news
        silence = silenced_by(case.incident, silences, now)
        if silence is not None:
            case.untold = True
            return self._silenced(case, name, silence, now)
        last = self._last.get((case.incident.dedup_key, name))
        risen = before is not None and case.incident.severity > before
        if last is not None and now - last < cooldown and not risen:
            case.untold = True  # told at the first tick after the cool-down, as it is then
            return []
        action: MessageAction = "trigger" if before is None else "update"
        return [self._sent(case, name, action, now)]

    def _silenced(self, case: _Case, name: str, silence: Silence, now: int) -> list[Message]:
        key = f"{silence.id}/{name}"
        if key in case.silenced:
            return []
        case.silenced.append(key)
        _HELD.labels("silence").inc()
        return [self._message(case, name, "trigger", now, f"silenced by {silence.id}", dry_run=True)]

    def _escalate(self, case: _Case, now: int, silences: Sequence[Silence]) -> list[Message]:
        route = self.route(case.incident)
        spec = route.escalate
        due = spec is not None and case.told and not case.escalated and now - case.first_told >= spec.after
        if spec is None or not due or case.incident.state is not IncidentState.OPEN:
            return []
        if silenced_by(case.incident, silences, now) is not None:
            return []
        case.escalated = True
        names = [name for name in spec.to if name not in case.told]
        return [self._sent(case, name, "trigger", now, "nobody has acknowledged it") for name in names]

    def _resend(self, case: _Case, now: int) -> list[Message]:
        due = [
            name
            for name in case.told
            if name in self._resend_ns and now - self._last[case.incident.dedup_key, name] >= self._resend_ns[name]
        ]
        return [self._sent(case, name, "update", now, "still open") for name in due]

    def _sent(self, case: _Case, name: str, action: MessageAction, now: int, reason: str = "") -> Message:
        case.told[name] = int(case.incident.severity)
        case.first_told = case.first_told or now
        self._last[case.incident.dedup_key, name] = now
        return self._message(case, name, action, now, reason)

    def _message(
        self, case: _Case, name: str, action: MessageAction, now: int, reason: str = "", *, dry_run: bool = False
    ) -> Message:
        case.sequence += 1
        incident = case.incident
        text = f"{incident.tenant}\0{incident.id}\0{name}\0{action}\0{case.revision}\0{case.sequence}"
        return Message(
            id="msg-" + hashlib.blake2b(text.encode(), digest_size=16, person=b"tocsin.message").hexdigest(),
            tenant=incident.tenant,
            destination=name,
            action=action,
            incident=incident,
            dedup_key=incident.dedup_key,
            created_at=now,
            not_before=now,
            dry_run=dry_run or self._dry_run,
            reason=reason or ("dry run" if self._dry_run else ""),
        )

    def snapshot(self) -> dict[str, Any]:
        """All state, as JSON can hold it."""
        return {
            "cases": [
                {"incident": incident_to_json(case.incident)} | {name: getattr(case, name) for name in _PLAIN}
                for case in self._cases.values()
            ],
            "last": [[dedup_key, name, at] for (dedup_key, name), at in self._last.items()],
            "called": dict(self._called),
        }

    def restore(self, found: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        cases = [
            _Case(incident_from_json(each["incident"]), **{name: each[name] for name in _PLAIN})
            for each in found["cases"]
        ]
        self._cases = {case.incident.id: case for case in cases}
        self._last = {(dedup_key, name): at for dedup_key, name, at in found["last"]}
        self._called = dict(found.get("called", {}))  # snapshots of before had none


_PLAIN = ("revision", "untold", "told", "first_told", "escalated", "silenced", "sequence")
