"""What is done about an incident: one remedy is one action of one playbook, with its checks, its plan and its log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from tocsin.model.text import one_line

RemedyState: TypeAlias = Literal[
    "held",
    "waiting",
    "approved",
    "running",
    "verifying",
    "undoing",
    "succeeded",
    "rolled_back",
    "kept",
    "failed",
    "rejected",
    "expired",
    "over",
    "dry_run",
]
"""`held`: a condition or limit stands against it; `waiting`: for approval; `over`: the incident ended before it began."""

STATES: Final = get_args(RemedyState)
ACTIVE: Final[frozenset[RemedyState]] = frozenset({"held", "waiting", "approved", "running", "verifying", "undoing"})
ACTING: Final[frozenset[RemedyState]] = frozenset({"running", "verifying", "undoing"})
"""Something was begun and is not settled: what the limit on actions at once counts."""
UNDOABLE: Final[frozenset[RemedyState]] = frozenset({"verifying", "succeeded", "kept", "failed"})
PROGRAM: Final = "tocsin"
"""Who proposes what a playbook asks for."""
MOST_STEPS: Final = 100
WHAT_CHARS: Final = 2000


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of acting: whether it holds, and the arithmetic in words."""

    name: str
    ok: bool
    said: str


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the log of a remedy; `by` is a person's key, or the program."""

    time: int
    what: str
    by: str = PROGRAM


@dataclass(frozen=True, slots=True)
class Remedy:
    """An action on its way; frozen, each change is a new revision.

    `id` is its idempotency key: the same finding and playbook give the same. `plan` holds what was found before and
    what is set, so that a repeated run does the same and an undo knows what to put back. Times are ns, 0: not yet.
    """

    id: str
    tenant: str
    incident_id: str
    playbook: str
    kind: str
    target: str
    state: RemedyState
    proposer: str
    created_at: int
    updated_at: int
    finding_id: str = ""
    approver: str = ""
    revision: int = 1
    conclusion: str = ""
    checks: tuple[Check, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    log: tuple[Step, ...] = ()
    begun_at: int = 0
    judge_at: int = 0
    attempts: int = 0
    next_at: int = 0
    undo_by: str = ""

    def moved(self, at: int, what: str, by: str = PROGRAM, **changes: Any) -> Remedy:
        """The next revision, with a line in its log."""
        log = (*self.log, Step(at, one_line(what, WHAT_CHARS), by))[-MOST_STEPS:]
        return replace(self, **changes, updated_at=at, revision=self.revision + 1, log=log)


@dataclass(frozen=True, slots=True)
class Switch:
    """The kill switch: whether all remediation is stopped, since when, by whom and why."""

    stopped: bool = False
    time: int = 0
    by: str = ""
    note: str = ""


def remedy_id(tenant: str, incident_id: str, finding_id: str, playbook: str) -> str:
    """The idempotency key of what a playbook does about a finding of an incident.

    >>> remedy_id("main", "inc-1", "f1", "shift") == remedy_id("main", "inc-1", "f1", "shift")
    True
    """
    text = f"{tenant}\0{incident_id}\0{finding_id}\0{playbook}"
    return "act-" + hashlib.blake2b(text.encode(), digest_size=10, person=b"tocsin.remedy").hexdigest()


def remedy_to_json(remedy: Remedy) -> dict[str, Any]:
    """All of a remedy as JSON can hold it; times as numbers of ns."""
    found = {name: getattr(remedy, name) for name in Remedy.__slots__}
    return found | {
        "checks": [[each.name, each.ok, each.said] for each in remedy.checks],
        "log": [[each.time, each.what, each.by] for each in remedy.log],
        "plan": dict(remedy.plan),
        "context": dict(remedy.context),
    }


def remedy_from_json(found: Mapping[str, Any]) -> Remedy:
    """A remedy back from `remedy_to_json`."""
    checks = tuple(Check(*each) for each in found["checks"])
    return Remedy(**{**found, "checks": checks, "log": tuple(Step(*each) for each in found["log"])})
