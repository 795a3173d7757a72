"""What people decide and say: silences, verdicts on incidents, configurations put into force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["real_problem", "false_alarm"]
VERDICTS: tuple[Verdict, ...] = ("real_problem", "false_alarm")


@dataclass(frozen=True, slots=True)
class Silence:
    """No pages for incidents that carry all of `matchers`, from `starts_at` until `ends_at` (ns)."""

    id: str
    tenant: str
    matchers: Mapping[str, str]
    starts_at: int
    ends_at: int
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said of an incident afterwards, at `time` (ns)."""

    incident_id: str
    time: int
    verdict: str
    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class TrailPart:
    """Which entries of the audit trail are wanted: all of what is given; times are ns, `end` excluded.

    `actor` and `subject` are parts of a text; `action` is whole, or with `*` at its end how it begins; `before` is the number that entries are below.
    """

    actor: str = ""
    action: str = ""
    subject: str = ""
    start: int | None = None
    end: int | None = None
    before: int | None = None


WHOLE_TRAIL = TrailPart()


@dataclass(frozen=True, slots=True)
class Applied:
    """A configuration that was put into force at `time` (ns): its digest and its text."""

    time: int
    sha256: str
    by: str
    body: bytes
