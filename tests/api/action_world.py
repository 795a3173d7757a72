"""Actions in every state that a page shows, with hostile words in them."""

from dataclasses import replace

from api.world import HOSTILE, NOW, NS, story
from tocsin.model.errors import BadInput
from tocsin.model.remedy import Check, Remedy, Step, Switch
from tocsin.respond import people
from tocsin.spec.playbook import PlaybookSpec

SHIFT = {
    "name": "shift-traffic",
    "when": {"monitor": "p95-latency", "rise": "200%"},
    "require": [{"signal": "system.cpu.utilization", "below": "85%"}, {"provider": "acme"}],
    "conclusion": "model-specific degradation",
    "action": {"type": "traffic_weight", "url": "https://mesh/w", "secret": "s3cret", "variant": "v", "factor": 0.5, "fallback": "stable"},
    "verify": {"after": "60s"},
}  # fmt: skip
RESTART = {
    "name": "restart",
    "when": {"cause": "gpu"},
    "approved": True,
    "action": {"type": "rolling_restart", "name": "llm"},
}
CHECKS = (
    Check("system.cpu.utilization is normal", ok=True, said="2 series from 0.31 to 0.62, no open finding, below 85%"),
    Check("provider acme is well", ok=False, said=f"API: {HOSTILE}"),
)


def remedy(number, state, **rest):
    log = (Step(NOW - 60 * NS, "proposed, to be approved"), Step(NOW - 30 * NS, f"it was {state}: {HOSTILE}", "key-1"))
    plain = {
        "id": f"act-{number:020x}", "tenant": "main", "incident_id": story().id, "playbook": "shift-traffic",
        "kind": "traffic_weight", "target": HOSTILE, "state": state, "proposer": "tocsin", "created_at": NOW - 90 * NS,
        "updated_at": NOW - 30 * NS, "conclusion": "model-specific degradation", "checks": CHECKS, "log": log,
        "plan": {"target": "v", "said": "move traffic of v to stable: 80% becomes 40%", "undo": True},
    }  # fmt: skip
    return Remedy(**{**plain, **rest})


def remedies():
    return [
        remedy(1, "waiting"),
        remedy(2, "verifying", begun_at=NOW - 40 * NS, judge_at=NOW + 20 * NS, approver="key-2"),
        remedy(3, "held"),
        remedy(4, "succeeded", begun_at=NOW - 40 * NS),
        remedy(5, "rolled_back", begun_at=NOW - 40 * NS),
        remedy(6, "failed"),
    ]


class FakeActions:
    """Remediation of this world."""

    enabled = True
    dry_run = False

    def __init__(self, clock, *, full):
        self._clock = clock
        self._held = {each.id: each for each in (remedies() if full else [])}
        self._switch = Switch()
        self._playbooks = [PlaybookSpec.model_validate(each) for each in ((SHIFT, RESTART) if full else ())]

    def playbooks(self, tenant):
        return [each for each in self._playbooks if tenant in each.tenants]

    def switch(self):
        return self._switch

    def stop(self, *, stopped, by, note):
        self._switch = Switch(stopped, self._clock.now(), by, note)
        return self._switch

    def all(self, tenant, states, incident_id, limit):
        found = [
            each
            for each in self._held.values()
            if each.tenant == tenant
            and (not states or each.state in states)
            and incident_id in (None, each.incident_id)
        ]
        return found[:limit]

    def one(self, tenant, remedy_id):
        found = self._held.get(remedy_id)
        return found if found is not None and found.tenant == tenant else None

    def say(self, tenant, remedy_id, word, *, by, note):
        said = {"approve": people.approved, "reject": people.rejected, "undo": people.undone}[word]
        found = self.one(tenant, remedy_id)
        if found is not None:
            self._held[remedy_id] = found = said(found, by, note, self._clock.now())
        return found

    def propose(self, tenant, incident_id, playbook, *, by, note):
        if incident_id != story().id or tenant != "main":
            return None
        if playbook not in {each.name for each in self.playbooks(tenant)}:
            raise BadInput(f"no playbook is called {playbook!r}")
        found = replace(remedy(len(self._held) + 10, "held"), proposer=by)
        self._held[found.id] = found
        return found
