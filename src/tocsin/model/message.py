"""A page on its way out: written in the transaction that changed its incident, drained by the outbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tocsin.model.incident import Incident
from tocsin.model.summary import UNSAID, Summary

MessageAction: TypeAlias = Literal["trigger", "update", "acknowledge", "resolve", "test", "digest"]
"""A `test` and a `digest` are of no incident: what stands in its place only carries their words."""


ROLES: Final = {
    "slowest": "the slowest since it began",
    "failing": "one that failed since it began",
    "typical": "a typical one since it began",
    "typical_before": "a typical one before",
}


@dataclass(frozen=True, slots=True)
class TraceExample:
    """A trace that shows what an incident is about; `role` is one of `ROLES`, times are nanoseconds."""

    role: str
    trace_id: str
    service: str
    operation: str
    start: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG beside the words, and what it shows in words for those who don't see it."""

    png: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class Message:
    """One notice for one destination.

    `id` is deterministic (incident, destination, action, revision), so that a replayed transition can't page
    twice; `dry_run` messages are recorded and never sent; times are nanoseconds. `traces`, `summary`,
    `done` (what was done about it, a line each) and `picture` are made when it is delivered: they are no part of what is stored.
    """

    id: str
    tenant: str
    destination: str
    action: MessageAction
    incident: Incident
    dedup_key: str
    created_at: int
    not_before: int
    attempts: int = 0
    dry_run: bool = False
    reason: str = ""
    traces: tuple[TraceExample, ...] = ()
    summary: Summary = UNSAID
    done: tuple[str, ...] = ()
    picture: Picture | None = None
