"""What drift policies ask for when an incident says that one is met: whom to tell, and what to call."""

from __future__ import annotations

from collections.abc import Sequence
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


def asked_for(incident: Incident, policies: Sequence[DriftSpec]) -> Asked:
    """What the policies of the models in an incident ask for; nothing before a policy is met.

    Nothing is called for an incident that may be an attack: training on what an attacker sent is what they want.
    """
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
    if any(map(is_security, incident.findings)):
        calls = []
    return Asked(tuple(dict.fromkeys(told)), tuple(dict.fromkeys(calls)))
