"""What drift policies ask for when an incident says that one is met: whom to tell, and what to call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tocsin.model.incident import Incident
from tocsin.model.security import is_security
from tocsin.spec.drift import DriftSpec, policy_of

MONITOR = "model-drift"


@dataclass(frozen=True, slots=True)
class Asked:
    """Names of destinations to tell, and calls: what each is known by, so that it is made once, and its destination."""

    told: tuple[str, ...] = ()
    calls: tuple[tuple[str, str], ...] = ()


NOTHING = Asked()


def under_attack(incidents: Iterable[Incident]) -> set[tuple[str, str]]:
    """Tenants and models of which an incident says that they may be attacked.

    Nothing is called for them: training on what an attacker sent is what they want.
    """
    return {
        (incident.tenant, dict(finding.series.labels).get("model", ""))
        for incident in incidents
        for finding in incident.findings
        if is_security(finding)
    }


def asked_for(incident: Incident, policies: Sequence[DriftSpec]) -> Asked:
    """What the policies of the models in an incident ask for; nothing before a policy is met."""
    if not policies:
        return NOTHING
    told: list[str] = []
    calls: list[tuple[str, str]] = []
    for finding in incident.findings:
        if finding.monitor != MONITOR or finding.evidence.get("policy_met") != 1.0:
            continue
        policy = policy_of(dict(finding.series.labels).get("model", ""), policies)
        told += policy.told()
        calls += [(f"{finding.id.hex()}/{call.name}", call.name) for call in policy.calls()]
    return Asked(tuple(dict.fromkeys(told)), tuple(dict.fromkeys(calls)))
