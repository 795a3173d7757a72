"""A step in the life of an incident: what the reducer says and policy and state store act on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tocsin.model.finding import Finding
from tocsin.model.incident import Incident, Severity

TransitionAction: TypeAlias = Literal["open", "update", "refresh", "acknowledge", "resolve", "reopen", "merge"]


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of one incident; `incident` is its new value.

    `refresh` is news that nobody needs to be told (a finding's latest value). `merge` ends an incident in
    favour of `into`. `at` is the log's time (ns), `revision` counts the steps of the incident from 1 and
    `by` names the person behind a human action.
    """

    action: TransitionAction
    incident: Incident
    at: int
    revision: int
    into: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Regroup:
    """What a person says of which findings belong together: `merge` an incident into another, or `split` some off."""

    action: Literal["merge", "split"]
    into: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grade:
    """How much an incident matters, with the sum that led to it."""

    severity: Severity
    arithmetic: str
    impact: dict[str, float | str] = field(default_factory=dict)


Grader: TypeAlias = Callable[[Sequence[Finding], Mapping[str, str]], Grade]
"""From an incident's findings and the stated impact of their monitors to its grade; pure."""
