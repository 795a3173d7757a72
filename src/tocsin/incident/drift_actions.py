"""What drift policies and hooks ask for when an incident has what they are for: whom to tell, and what to call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tocsin.model.finding import Finding, Phase
from tocsin.model.incident import Incident
from tocsin.model.security import is_security
from tocsin.spec.drift import DriftSpec, policy_of
from tocsin.spec.hook import HookSpec

MONITOR = "model-drift"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of `destination` about a finding: made once for its `key`, and not within `rest_ns` of the last for its `turn`."""

    key: str
    destination: str
    finding: Finding
    reason: str
    turn: str = ""
    rest_ns: int = 0

    def about(self, incident: Incident) -> Incident:
        """The incident with the finding it is about in front."""
        others = (each for each in incident.findings if each.id != self.finding.id)
        return replace(incident, findings=(self.finding, *others))


@dataclass(frozen=True, slots=True)
class Asked:
    """Names of destinations to tell, and calls to make."""

    told: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()


NOTHING = Asked()


def under_attack(incidents: Iterable[Incident]) -> set[tuple[str, str]]:
    """Tenants and models of which an incident says that they may be attacked.

    Nothing is called for them: training on what an attacker sent is what they want.
    """
    return {
        (incident.tenant, model)
        for incident in incidents
        for finding in incident.findings
        if is_security(finding) and (model := finding.series.label("model"))
    }


def asked_for(incident: Incident, policies: Sequence[DriftSpec], hooks: Sequence[HookSpec] = ()) -> Asked:
    """What the policies of the models in an incident and the hooks of its findings ask for.

    Nothing before a policy is met, nothing for a finding that is over, and no hook is for what may be an attack.
    """
    if not policies and not hooks:
        return NOTHING
    told: list[str] = []
    calls: list[Call] = []
    for finding in incident.findings:
        if policies and finding.monitor == MONITOR and finding.evidence.get("policy_met") == 1.0:
            policy = policy_of(finding.series.label("model"), policies)
            told += policy.told()
            calls += [
                Call(f"{finding.id.hex()}/{call.name}", call.name, finding, "its drift policy is met")
                for call in policy.calls()
            ]
        if finding.phase is not Phase.CLOSE and not is_security(finding):
            calls += [_call(hook, finding) for hook in hooks if hook.fits(finding.monitor, finding.series.labels)]
    return Asked(tuple(dict.fromkeys(told)), tuple({call.key: call for call in calls}.values()))


def _call(hook: HookSpec, finding: Finding) -> Call:
    return Call(
        key=f"{finding.id.hex()}/{hook.name}",
        destination=hook.name,
        finding=finding,
        reason=f"a hook of {finding.monitor}",
        turn=f"{finding.series.id.hex()}/{hook.name}",
        rest_ns=hook.cooldown,
    )
