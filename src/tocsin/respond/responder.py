"""`Responder`: carries each remedy from its proposal to its proof, one committed step at a time.

What is to be done is committed before it is done, under a key that is the same whenever it is tried: a crash between
loses nothing, and doing it again does no more than once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import structlog

from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import Refused, Retryable
from tocsin.model.finding import Finding
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.message import Message
from tocsin.model.remedy import ACTIVE, Remedy, remedy_id
from tocsin.respond.matching import wanted_by
from tocsin.respond.ports import Act, Evidence, Kept, Order, Plan
from tocsin.respond.proof import Case, judged, still_open
from tocsin.respond.telling import context_words, notices
from tocsin.respond.weighing import Weighed, Weighing
from tocsin.selfmon.metrics import counter, gauge
from tocsin.spec.playbook import CommandAction, PlaybookSpec, RemediationSpec, VerifySpec

LOOK_AGAIN_NS: Final = 10 * SECOND
FIRST_RETRY_NS: Final = SECOND
ATTEMPTS: Final = 6
SEEN_AGAIN_NS: Final = 600 * SECOND
"""Incidents that changed so shortly before the last that was looked at are looked at again: not all keep one time."""
OLD_NS: Final = 24 * 3600 * SECOND
"""What lay for so long, say in a backup that was brought back, is not gone on with."""
DEFAULT_VERIFY: Final = VerifySpec.model_validate({"after": "10m"})
"""How an action is judged whose playbook doesn't say."""

_STEPS = counter("tocsin_respond_steps_total", "Steps of remedies, by the state they led to", ["state"])
_ACTIVE = gauge("tocsin_respond_active_actions", "Remedies that are not settled")
_log = structlog.get_logger(__name__)


class Responder:
    """Steps all remedies; one at a time, by one thread."""

    def __init__(self, kept: Kept, evidence: Evidence, clock: Clock) -> None:
        self._kept = kept
        self._evidence = evidence
        self._clock = clock
        self._main = RemediationSpec()
        self._playbooks: dict[str, PlaybookSpec] = {}
        self._acts: Mapping[str, Act] = {}
        self._dry_run = self._quiet = False
        self._known: set[str] = set()
        self._look_at: dict[str, int] = {}
        self._seen_at: dict[str, int] = {}

    def adopt(
        self, main: RemediationSpec, playbooks: Mapping[str, PlaybookSpec], acts: Mapping[str, Act], *, dry_run: bool
    ) -> None:
        """Put a configuration into force; `acts` do the actions, by the name of their playbook."""
        self._main, self._playbooks, self._acts = main, dict(playbooks), acts
        self._known, self._seen_at = set(), {}
        self._dry_run, self._quiet = dry_run or main.dry_run, dry_run

    async def step(self) -> int:
        """Take every remedy as far as it goes now; how many steps were made."""
        made = 0
        active = self._kept.remedies(None, ACTIVE, limit=1000)
        _ACTIVE.set(len(active))
        for remedy in sorted(active, key=lambda each: (each.created_at, each.id)):
            made += await self._carry(remedy)
        if not self._main.enabled or not self._playbooks:
            return made
        for tenant in sorted({name for each in self._playbooks.values() for name in each.tenants}):
            since = self._seen_at.get(tenant, 0)
            seen = self._kept.open_incidents(tenant, since - SEEN_AGAIN_NS)
            self._seen_at[tenant] = max((each.updated_at for each in seen), default=since)
            for incident in seen:
                for playbook in self._playbooks.values():
                    made += await self._propose(incident, playbook)
        return made

    async def _propose(self, incident: Incident, playbook: PlaybookSpec) -> int:
        finding = wanted_by(playbook.when, incident)
        if finding is None or incident.tenant not in playbook.tenants:
            return 0
        key = remedy_id(incident.tenant, incident.id, finding.id.hex(), playbook.name)
        if key in self._known or self._at_it(incident, playbook):
            return 0
        self._known.add(key)
        if self._kept.remedy(incident.tenant, key) is not None:
            return 0
        now = self._clock.now()
        bare = Remedy(
            id=key,
            tenant=incident.tenant,
            incident_id=incident.id,
            playbook=playbook.name,
            kind=playbook.action.type,
            target="",
            state="held",
            proposer="tocsin",
            created_at=now,
            updated_at=now,
            finding_id=finding.id.hex(),
        )
        weighed = await self._weigh(bare, playbook, incident, finding)
        first = replace(self._weighed(bare, playbook, weighed, now), revision=1)
        if not self._kept.add_remedy(first, self._notices(first, incident, playbook)):
            return 0
        _STEPS.labels(first.state).inc()
        return 1 + await self._carry(first)

    def _at_it(self, incident: Incident, playbook: PlaybookSpec) -> bool:
        """Whether the playbook is at this incident already, for whatever finding."""
        found = self._kept.remedies(incident.tenant, ACTIVE, incident_id=incident.id)
        return any(each.playbook == playbook.name for each in found)

    async def _carry(self, remedy: Remedy) -> int:
        """Move one remedy until it has to wait."""
        made = 0
        while remedy.state in ACTIVE and made < 2 * ATTEMPTS:
            after = await self._next(remedy)
            if after is None:
                return made
            incident = self._kept.incident(remedy.tenant, remedy.incident_id)
            said = [] if incident is None else self._notices(after, incident, self._playbooks.get(after.playbook))
            if not self._kept.move_remedy(after, said):
                return made  # a person was faster: it is looked at again at the next step
            _STEPS.labels(after.state).inc()
            remedy, made = after, made + 1
        return made

    async def _next(self, remedy: Remedy) -> Remedy | None:
        """The next revision; None: it waits."""
        now = self._clock.now()
        playbook, act = self._playbooks.get(remedy.playbook), self._acts.get(remedy.playbook)
        incident = self._kept.incident(remedy.tenant, remedy.incident_id)
        if playbook is None or act is None or incident is None:
            return self._orphan(remedy, now)
        if remedy.state in ("held", "waiting", "approved"):
            return await self._before(remedy, playbook, incident, now)
        return await self._begun_before(remedy, playbook, incident, act, now)

    async def _begun_before(
        self, remedy: Remedy, playbook: PlaybookSpec, incident: Incident, act: Act, now: int
    ) -> Remedy | None:
        """What was begun goes on."""
        if now - max(remedy.updated_at, remedy.judge_at) > OLD_NS:
            return remedy.moved(
                now, "it lay for over a day: look whether something has to be put back by hand", state="failed"
            )
        if not self._may_act(remedy) and remedy.state != "verifying":
            return None
        if remedy.state == "running":
            return await self._run(remedy, incident, playbook, act, now)
        if remedy.state == "verifying":
            return self._judge(remedy, playbook, incident, now)
        return await self._undo(remedy, incident, playbook, act, now)

    def _may_act(self, remedy: Remedy) -> bool:
        """Whether the switches let it act: what a person asked to be undone they do not hold back."""
        if remedy.state == "undoing" and remedy.undo_by:
            return True
        return self._main.enabled and not self._kept.switch().stopped

    @staticmethod
    def _orphan(remedy: Remedy, now: int) -> Remedy:
        if remedy.state in ("held", "waiting", "approved"):
            return remedy.moved(now, "its playbook or incident is no longer there", state="over")
        text = "its playbook or incident is no longer there; look whether something has to be put back by hand"
        return remedy.moved(now, text, state="failed")

    async def _before(self, remedy: Remedy, playbook: PlaybookSpec, incident: Incident, now: int) -> Remedy | None:
        """What has not begun: whether it is still wanted, approved and allowed."""
        finding = wanted_by(playbook.when, incident) if remedy.tenant in playbook.tenants else None
        if finding is None or incident.state is IncidentState.RESOLVED:
            return remedy.moved(now, "what it was for is over, or is now for people alone", state="over")
        if remedy.state == "waiting":
            if now - remedy.updated_at < self._main.approve_within:
                return None
            length = self._main.approve_within / (60 * SECOND)
            return remedy.moved(now, f"nobody approved it within {length:g} min", state="expired")
        if not self._main.enabled or now < self._look_at.get(remedy.id, 0):
            return None
        self._look_at[remedy.id] = now + LOOK_AGAIN_NS
        weighed = await self._weigh(remedy, playbook, incident, finding)
        if remedy.state == "approved" and weighed.ok and weighed.plan is not None:
            del self._look_at[remedy.id]
            return self._begun(remedy, weighed, finding, now)
        after = self._weighed(remedy, playbook, weighed, now)
        unchanged = after.state == remedy.state and _marks(after) == _marks(remedy)
        if after.state == "approved":
            del self._look_at[remedy.id]
        return None if unchanged else after

    async def _weigh(self, remedy: Remedy, playbook: PlaybookSpec, incident: Incident, finding: Finding) -> Weighed:
        weighing = Weighing(self._kept, self._evidence, self._main)
        return await weighing.weigh(remedy, playbook, incident, finding, self._acts[playbook.name], self._clock.now())

    def _weighed(self, remedy: Remedy, playbook: PlaybookSpec, weighed: Weighed, now: int) -> Remedy:
        """A remedy with its conditions looked at: held, for somebody to approve, approved, or only told of."""
        known: dict[str, Any] = {"checks": weighed.checks, "context": weighed.context or remedy.context}
        if not weighed.ok or weighed.plan is None:
            against = "; ".join(f"{each.name}: {each.said}" for each in weighed.checks if not each.ok)
            return remedy.moved(now, f"held back: {against}", state="held", **known)
        required = [f"{each.name} ({each.said})" for each in weighed.checks[3 : 3 + len(playbook.require)]]
        concluded = f"{playbook.conclusion}: " if playbook.conclusion else ""
        reasons = f"{concluded}{'; '.join(required)}. " if required or concluded else ""
        told = f"{reasons}{context_words(weighed.context)}. "
        found = {
            **known,
            "target": weighed.plan.target,
            "plan": weighed.plan.to_json(),
            "conclusion": playbook.conclusion,
        }
        if self._dry_run:
            return remedy.moved(now, f"{told}dry run: would {weighed.plan.said}", state="dry_run", **found)
        if playbook.approved or remedy.approver:
            who = remedy.approver or "the configuration"
            text = f"{told}approved by {who}: {weighed.plan.said}"
            return remedy.moved(now, text, state="approved", approver=who, **found)
        return remedy.moved(now, f"{told}proposed, to be approved: {weighed.plan.said}", state="waiting", **found)

    def _begun(self, remedy: Remedy, weighed: Weighed, finding: Finding, now: int) -> Remedy:
        assert weighed.plan is not None
        return remedy.moved(
            now,
            f"begun: {weighed.plan.said}",
            state="running",
            checks=weighed.checks,
            context=weighed.context,
            plan=weighed.plan.to_json(),
            target=weighed.plan.target,
            finding_id=finding.id.hex(),
            begun_at=now,
            attempts=0,
            next_at=0,
        )

    @staticmethod
    def _order(remedy: Remedy, incident: Incident, playbook: PlaybookSpec) -> Order:
        labels = remedy.context.get("labels", {})
        return Order(remedy.id, playbook.action, labels, incident, remedy.context, remedy.begun_at)

    async def _run(
        self, remedy: Remedy, incident: Incident, playbook: PlaybookSpec, act: Act, now: int
    ) -> Remedy | None:
        if now < remedy.next_at:
            return None
        once = isinstance(playbook.action, CommandAction) and not playbook.action.repeatable
        if remedy.attempts == 0 and once:
            # a program can't be asked whether it ran: that it is about to is written down first
            mark = remedy.moved(now, "about to run", attempts=1)
            if not self._kept.move_remedy(mark):
                return None
            remedy = mark
        elif once:
            return remedy.moved(
                now, "it was cut off, and whether it ran is not known: it is not run again", state="failed"
            )
        plan = Plan.of(remedy.plan)
        try:
            said = await act.run(self._order(remedy, incident, playbook), plan)
        except Refused as error:
            return remedy.moved(now, f"failed: {error}", state="failed")
        except Retryable as error:
            return self._again(remedy, str(error), now, undo=plan.undo)
        verify = playbook.verify or DEFAULT_VERIFY
        done, until = self._clock.now(), verify.after / SECOND
        text = f"done: {said}; it is judged in {until:g} s"
        return remedy.moved(done, text, state="verifying", judge_at=done + verify.after, attempts=0, next_at=0)

    @staticmethod
    def _again(remedy: Remedy, error: str, now: int, *, undo: bool) -> Remedy:
        attempts = remedy.attempts + 1
        if attempts < ATTEMPTS:
            wait = FIRST_RETRY_NS << attempts
            text = f"attempt {attempts} failed, again in {wait / SECOND:g} s: {error}"
            return remedy.moved(now, text, attempts=attempts, next_at=now + wait)
        text = f"given up after {attempts} attempts: {error}"
        if undo and remedy.state == "running":
            text += "; what may have been done is put back"
            return remedy.moved(now, text, state="undoing", attempts=0, next_at=0)
        return remedy.moved(now, text, state="failed")

    def _judge(self, remedy: Remedy, playbook: PlaybookSpec, incident: Incident, now: int) -> Remedy | None:
        verify = playbook.verify or DEFAULT_VERIFY
        others = (each for each in self._kept.open_incidents(remedy.tenant) if each.id != incident.id)
        incidents = [incident, *others]
        finding = next((f for each in incidents for f in each.findings if f.id.hex() == remedy.finding_id), None)
        if finding is None:
            return (
                None
                if now < remedy.judge_at
                else self._not_better(remedy, verify, "nothing more is known of the finding", now)
            )
        fallback = str(getattr(playbook.action, "fallback", ""))
        # as it was when it was begun: what is over may end on the other side of what is usual
        direction = remedy.context.get("finding", {}).get("direction", finding.direction)
        case = Case(
            remedy.finding_id, finding.series.id, finding.monitor, finding.series.labels, direction,
            remedy.begun_at, fallback,
        )  # fmt: skip
        if now < remedy.judge_at and still_open(case, incidents) is not None:
            return None
        since = remedy.begun_at - (now - remedy.begun_at)
        windows = self._evidence.windows(remedy.tenant, finding.monitor, since) if verify.control else ()
        verdict = judged(case, verify, incidents, windows, now)
        if verdict.better:
            return remedy.moved(now, f"it helped: {verdict.said}", state="succeeded")
        if now < remedy.judge_at:
            return None
        return self._not_better(remedy, verify, verdict.said, now)

    @staticmethod
    def _not_better(remedy: Remedy, verify: VerifySpec, said: str, now: int) -> Remedy:
        if verify.else_ == "keep":
            return remedy.moved(now, f"it did not help: {said}; kept, as the playbook says", state="kept")
        if not remedy.plan.get("undo", False):
            return remedy.moved(now, f"it did not help: {said}; it can't be taken back", state="kept")
        return remedy.moved(now, f"it did not help: {said}; it is taken back", state="undoing", attempts=0, next_at=0)

    async def _undo(
        self, remedy: Remedy, incident: Incident, playbook: PlaybookSpec, act: Act, now: int
    ) -> Remedy | None:
        if now < remedy.next_at:
            return None
        try:
            said = await act.undo(self._order(remedy, incident, playbook), Plan.of(remedy.plan))
        except Refused as error:
            return remedy.moved(now, f"it could not be taken back: {error}", state="failed")
        except Retryable as error:
            return self._again(remedy, str(error), now, undo=False)
        return remedy.moved(self._clock.now(), f"taken back: {said}", state="rolled_back")

    def _notices(self, remedy: Remedy, incident: Incident, playbook: PlaybookSpec | None) -> list[Message]:
        tell = [] if playbook is None else list(playbook.tell)
        told = self._kept.told(remedy.tenant, remedy.incident_id)
        return notices(remedy, incident, told, tell, dry_run=self._quiet)


def _marks(remedy: Remedy) -> list[tuple[str, bool]]:
    return [(each.name, each.ok) for each in remedy.checks]
