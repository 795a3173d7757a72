"""Incidents: findings with one cause, their life cycle, and what changed in the world before them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from tocsin.model.finding import Finding

CAUSE_KINDS = (
    "prompt",
    "deploy",
    "flag",
    "config",
    "model",
    "node",
    "gpu",
    "dependency",
    "traffic",
    "data",
    "resource",
    "unknown",
)


class Severity(IntEnum):
    """How much an incident matters."""

    INFO = 1
    WARNING = 2
    ERROR = 3
    CRITICAL = 4


class IncidentState(Enum):
    """Where in its life an incident is."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Change:
    """A change event: something that people or systems did (deploy, prompt, flag, ...)."""

    time: int
    kind: str
    entity: str
    what: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """A candidate cause with its rank score in [0, 1] and what speaks for and against it."""

    kind: str
    entity: str
    what: str
    score: float
    evidence: tuple[str, ...] = ()
    refuted_by: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """Where its evidence can be looked at: paths of the page."""


@dataclass(frozen=True, slots=True)
class Runbook:
    """What to read when parts of a system fail together."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Incident:
    """Findings with one cause. Frozen: every change makes a new value and an event."""

    id: str
    tenant: str
    title: str
    state: IncidentState
    severity: Severity
    severity_arithmetic: str
    findings: tuple[Finding, ...]
    causes: tuple[Cause, ...]
    changes: tuple[Change, ...]
    entities: tuple[str, ...]
    opened_at: int
    updated_at: int
    resolved_at: int | None
    dedup_key: str
    late: bool = False
    reopened: int = 0
    statement: str = ""
    impact: dict[str, float | str] = field(default_factory=dict)
    runbooks: tuple[Runbook, ...] = ()


def incident_id(tenant: str, founding_finding: bytes) -> str:
    """Deterministic id of an incident: hash of its tenant and founding finding."""
    digest = hashlib.blake2b(tenant.encode() + b"\0" + founding_finding, digest_size=10, person=b"tocsin.incident")
    return "inc-" + digest.hexdigest()
