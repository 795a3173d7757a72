"""Who is told what and when: routes, cool-down, silences, escalation; pure, driven by the log's time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tocsin.incident.drift_actions import asked_for, under_attack
from tocsin.incident.escalation import Climb, Ladder
from tocsin.incident.holding import LAST_PHASE, Hold, PhaseSaid, Rules, flapping, held, of_phase, openings_of
from tocsin.incident.matching import matches
from tocsin.incident.rota import Rota
from tocsin.model.codec import incident_from_json, incident_to_json
from tocsin.model.decision import Silence
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.message import Message, MessageAction
from tocsin.model.transition import Transition
from tocsin.selfmon.metrics import counter
from tocsin.spec.destination import RouteSpec
from tocsin.spec.drift import DriftSpec
from tocsin.spec.routing import BOARD, MaintenanceSpec

CONSOLE = "console"
DEFAULT_ROUTE = RouteSpec(match={}, to=[CONSOLE])
KEEP_NS = 24 * 3600 * 10**9
"""How long the time of the last notice is remembered for cool-down after an incident is over."""
Planned = Callable[[str], Sequence[MaintenanceSpec]]
MOST_CALLED = 10_000
"""Calls of drift policies that are remembered, so that none is made twice."""

_HELD = counter("tocsin_incident_messages_held_total", "Notices not sent (yet), by reason", ["reason"])
_QUEUED = counter("tocsin_incident_messages_queued_total", "Notices handed to the outbox", ["destination", "action"])


@dataclass(slots=True)
class _Case:
    """What is known of an incident that is not over."""

    incident: Incident
    revision: int
    untold: bool = False  # there is news for everybody
    waiting: list[str] = field(default_factory=list)  # destinations that news was held back from, or cools down for
    told: dict[str, int] = field(default_factory=dict)  # destination -> severity it was last told
    first_told: int = 0
    ladder: Ladder = field(default_factory=Ladder)
    held: list[str] = field(default_factory=list)  # what kept whom from being told, each written down once
    sequence: int = 0


class Policy:
    """Turns transitions into messages; its state is part of the snapshot that moves with the cursor.

    `resend_ns` names destinations that must be told again at this interval while an incident is open; `drift` are the
    policies whose actions are taken, once for each episode, when a finding says that one is met. `rules` say what
    is held back, `rota` who is behind the names in routes.
    """

    def __init__(
        self,
        routes: Sequence[RouteSpec] | Rules = (),
        *,
        dry_run: bool = False,
        resend_ns: Mapping[str, int] | None = None,
        drift: Sequence[DriftSpec] = (),
        rota: Rota | None = None,
    ) -> None:
        self._rules = routes if isinstance(routes, Rules) else Rules(routes)
        self._rota = rota or Rota()
        self._openings: dict[str, list[int]] = {}
        self._ticketed: dict[str, int] = {}
        self._said: PhaseSaid | None = None
        self._planned: Planned = _none_planned
        self._windows: dict[str, Sequence[MaintenanceSpec]] = {}
        self._drift = list(drift)
        self._called: dict[str, int] = {}
        self._dry_run = dry_run
        self._resend_ns = dict(resend_ns or {})
        self._cases: dict[str, _Case] = {}
        self._last: dict[tuple[str, str], int] = {}

    def adopt(
        self,
        routes: Sequence[RouteSpec] | Rules,
        *,
        dry_run: bool,
        resend_ns: Mapping[str, int] | None = None,
        drift: Sequence[DriftSpec] = (),
        rota: Rota | None = None,
    ) -> None:
        """Take a new configuration into force; what was told stays told."""
        self._rules = routes if isinstance(routes, Rules) else Rules(routes)
        self._rota = rota or Rota()
        self._dry_run, self._resend_ns = dry_run, dict(resend_ns or {})
        self._drift = list(drift)

    def fold(
        self, transitions: Iterable[Transition], now: int, *, tick: bool, silences: Sequence[Silence] = ()
    ) -> list[Message]:
        """Messages that follow from these steps at the log's time `now` (ns), in a fixed order.

        `silences` are those in force for the tenants of the steps and for all of `tenants()`.
        """
        said: list[Message] = []
        self._windows = {}
        for transition in transitions:
            said.extend(self._step(transition, now, silences))
        if tick:
            for key in sorted(self._cases):
                case = self._cases[key]
                if case.untold or case.waiting or self._handed_over(case, now):
                    said.extend(self._tell(case, now, silences))
                said.extend(self._call(case, now, silences))
                said.extend(self._escalate(case, now, silences))
                said.extend(self._resend(case, now))
            self._last = {key: at for key, at in self._last.items() if now - at < KEEP_NS}
            self._openings = {key: at for key, at in self._openings.items() if now - at[-1] < KEEP_NS}
        for message in said:
            _QUEUED.labels(message.destination, message.action).inc()
        return said

    def tenants(self) -> set[str]:
        """Tenants that have open incidents: whose silences the next tick needs, changes or not."""
        return {case.incident.tenant for case in self._cases.values()}

    def route(self, incident: Incident) -> RouteSpec:
        """The first route that matches an incident; the console where none does."""
        known = self._rules.facts(incident)
        return next((route for route in self._rules.routes if matches(route.match, known)), DEFAULT_ROUTE)

    @property
    def asks_people(self) -> bool:
        """Whether any ticket waits for a person's word."""
        return any(rule.confirmed_by == "person" for rule in self._rules.tickets)

    def enter(self, said: PhaseSaid | None) -> None:
        """A person put Tocsin in a phase of its rollout."""
        self._said = said

    def maintain(self, planned: Planned) -> None:
        """Who is to be asked for the windows that people of a tenant planned: once in each step that needs them."""
        self._planned = planned

    def confirm(self, incident: Incident, by: str, now: int) -> list[Message]:
        """Tickets that follow from a person's word that an incident was a real problem."""
        case = self._cases.get(incident.id) or _Case(incident, 0)
        said = self._ticket(case, now, "person", f"confirmed by {by}" if by else "confirmed by a person")
        for message in said:
            _QUEUED.labels(message.destination, message.action).inc()
        return said

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
        if transition.action in ("open", "reopen"):
            self._openings[incident.dedup_key] = openings_of(self._openings, incident.dedup_key, now)
        said = self._tell(case, now, silences) if case.untold else []
        return said + self._call(case, now, silences) + self._ticket(case, now, "score", "")

    def _call(self, case: _Case, now: int, silences: Sequence[Silence]) -> list[Message]:
        """Calls that a drift policy asks for, each once for its finding; a silence or a suspected attack holds them back."""
        incident = case.incident
        if not self._drift or incident.late or incident.state is IncidentState.RESOLVED:
            return []
        due = [each for each in asked_for(incident, self._drift).calls if each[0] not in self._called]
        if not due or self._hold(case, silences, now) is not None:
            return []
        models = {(incident.tenant, each.series.label("model")) for each in incident.findings}
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
            case.untold, case.waiting = False, []
            return []
        route = self.route(case.incident)
        hold = self._hold(case, silences, now) or self._unsteady(case, now)
        everybody, owed = case.untold, case.waiting
        case.untold, case.waiting = False, []
        said: list[Message] = []
        if BOARD in route.to:
            said += self._held(case, BOARD, Hold("review", "review", "for the review board"), now)
        asked = asked_for(case.incident, self._drift).told
        for name, on_call in self._rota.destinations([*_told_by(route, case), *asked], case.incident, now):
            if not everybody and name not in owed and name in case.told:
                continue
            found = hold or self._phased(case.incident, name, now, on_call=on_call)
            said.extend(self._tell_one(case, name, route.cooldown, now, found))
        return said

    def _hold(self, case: _Case, silences: Sequence[Silence], now: int) -> Hold | None:
        tenant = case.incident.tenant
        if tenant not in self._windows:
            self._windows[tenant] = self._planned(tenant)
        others = (each.incident for each in self._cases.values())
        return held(case.incident, self._rules, others, silences, now, self._windows[tenant])

    def _unsteady(self, case: _Case, now: int) -> Hold | None:
        if any(case.incident.severity > before for before in case.told.values()):
            return None  # what got worse is news, however often it came
        return flapping(self._openings.get(case.incident.dedup_key, ()), self._rules.flapping, now)

    def _phased(self, incident: Incident, name: str, now: int, *, on_call: bool) -> Hold | None:
        phase = self._rules.phase(self._said, now)
        return of_phase(incident, self._rules, phase, wakes=on_call or name in self._rules.pagers)

    def _handed_over(self, case: _Case, now: int) -> bool:
        """Whether somebody else is on call now than when an incident that nobody acknowledged was told."""
        route = self.route(case.incident) if self._rota.schedules and case.told else DEFAULT_ROUTE
        names = _told_by(route, case)
        if case.incident.state is not IncidentState.OPEN or not any(map(self._rota.is_schedule, names)):
            return False
        return any(name not in case.told for name, _ in self._rota.destinations(names, case.incident, now))

    def _tell_one(self, case: _Case, name: str, cooldown: int, now: int, hold: Hold | None) -> list[Message]:
        before = case.told.get(name)
        worse = before is None or case.incident.severity > before
        if case.incident.state is IncidentState.ACKNOWLEDGED and not worse:
            return []  # somebody is on it: only what got worse is news
        if hold is not None:
            case.waiting.append(name)
            return self._held(case, name, hold, now)
        last = self._last.get((case.incident.dedup_key, name))
        risen = before is not None and case.incident.severity > before
        if last is not None and now - last < cooldown and not risen:
            case.waiting.append(name)  # told at the first tick after the cool-down, as it is then
            return []
        action: MessageAction = "trigger" if before is None else "update"
        return [self._sent(case, name, action, now)]

    def _held(self, case: _Case, name: str, hold: Hold, now: int) -> list[Message]:
        """What would have been sent, written down once for each cause and destination."""
        key = f"{hold.key}/{name}"
        if key in case.held:
            return []
        case.held.append(key)
        _HELD.labels(hold.reason).inc()
        return [self._message(case, name, "trigger", now, hold.words, dry_run=True)]

    def next_level(self, incident: Incident) -> Climb | None:
        """The level of its route's escalation that is told next unless somebody acknowledges an incident; None: there is none."""
        case, route = self._cases.get(incident.id), self.route(incident)
        if case is None or not case.told or case.incident.state is not IncidentState.OPEN:
            return None
        ladder = Ladder(
            case.ladder.route, case.ladder.level, case.ladder.at
        )  # asked by other threads: theirs to change
        ladder.follow(route, case.first_told, case.first_told)
        return ladder.next(route.escalate)

    def _escalate(self, case: _Case, now: int, silences: Sequence[Silence]) -> list[Message]:
        route = self.route(case.incident)
        if not route.escalate or not case.told or case.incident.state is not IncidentState.OPEN:
            return []
        case.ladder.follow(route, case.first_told, now)
        climb = case.ladder.next(route.escalate)
        if climb is None or now < climb.at or self._hold(case, silences, now) is not None:
            return []
        if self._rules.phase(self._said, now) < LAST_PHASE:
            hold = Hold("rollout", "escalation", "rollout: escalation begins with phase 3")
            return [each for name in climb.spec.to for each in self._held(case, name, hold, now)]
        case.ladder.climbed(climb, now)
        names = [name for name, _ in self._rota.destinations(climb.spec.to, case.incident, now)]
        return [
            self._sent(case, name, "update" if name in case.told else "trigger", now, climb.words) for name in names
        ]

    def _ticket(self, case: _Case, now: int, confirmed_by: str, reason: str) -> list[Message]:
        """Tickets for the likeliest cause of an incident, where a rule asks for one and it has none yet."""
        incident, said = case.incident, []
        for rule in self._rules.tickets if incident.causes and not incident.late else ():
            cause = incident.causes[0]
            if rule.confirmed_by != confirmed_by or cause.score < rule.score:
                continue
            key = f"{incident.tenant}/{rule.name}/{cause.kind}/{cause.entity}/{cause.what}"
            last = self._ticketed.get(key)
            fits = matches(rule.match, self._rules.facts(incident))
            if not fits or (last is not None and now - last < rule.again):
                continue
            self._ticketed.pop(key, None)
            self._ticketed[key] = now
            words = f"ticket {rule.name}: cause {reason or f'at score {cause.score:.2f}'}: {cause.kind} {cause.entity}"
            # a thread of its own: the ticket is about the cause, and outlives the incident
            about = replace(incident, dedup_key="ticket-" + hashlib.blake2b(key.encode(), digest_size=10).hexdigest())
            said += [self._message(case, name, "trigger", now, words, about=about) for name in rule.to]
        while len(self._ticketed) > MOST_CALLED:
            del self._ticketed[next(iter(self._ticketed))]
        return said

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
        self,
        case: _Case,
        name: str,
        action: MessageAction,
        now: int,
        reason: str = "",
        *,
        dry_run: bool = False,
        about: Incident | None = None,
    ) -> Message:
        case.sequence += 1
        incident = about or case.incident
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
                {
                    "incident": incident_to_json(case.incident),
                    "held": case.held,
                    "waiting": case.waiting,
                    "ladder": case.ladder.to_json(),
                }
                | {name: getattr(case, name) for name in _PLAIN}
                for case in self._cases.values()
            ],
            "last": [[dedup_key, name, at] for (dedup_key, name), at in self._last.items()],
            "called": dict(self._called),
            "openings": self._openings,
            "ticketed": self._ticketed,
        }

    def restore(self, found: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        cases = [
            _Case(
                incident_from_json(each["incident"]),
                held=each.get("held", each.get("silenced", [])),  # as snapshots of before call it
                waiting=each.get("waiting", []),
                ladder=Ladder(*each.get("ladder", ("", int(each.get("escalated", 0)), each["first_told"]))),
                **{name: each[name] for name in _PLAIN},
            )
            for each in found["cases"]
        ]
        self._cases = {case.incident.id: case for case in cases}
        self._last = {(dedup_key, name): at for dedup_key, name, at in found["last"]}
        self._called = dict(found.get("called", {}))  # snapshots of before had none
        self._openings = {key: list(at) for key, at in found.get("openings", {}).items()}
        self._ticketed = dict(found.get("ticketed", {}))


def _none_planned(_: str) -> Sequence[MaintenanceSpec]:
    """Nobody planned anything."""
    return ()


_PLAIN = ("revision", "untold", "told", "first_told", "sequence")


def _told_by(route: RouteSpec, case: _Case) -> list[str]:
    """Names that a route stands for now: its own, and those of the levels that were told so far."""
    return [*route.to, *case.ladder.reached(route)]
