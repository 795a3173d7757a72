"""What responding needs from outside: a way to call, a place to keep, and what is known of the world."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tocsin.model.finding import Finding
from tocsin.model.incident import Incident
from tocsin.model.message import Message
from tocsin.model.remedy import Remedy, RemedyState, Switch
from tocsin.model.series import Labels


class Reply(Protocol):
    """An answer of any status."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def body(self) -> bytes:
        """A bounded body."""

    def text(self) -> str:
        """Start of the body on one line."""


class Http(Protocol):
    """A client that reaches only what it may."""

    async def ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        """Send one request; an answer of any status is given back.

        Raises
        ------
        Retryable
            No answer.
        Refused
            The address may not be reached.
        """


@dataclass(frozen=True, slots=True)
class Window:
    """The judged windows of one series of a monitor: times (ns) and values, oldest first."""

    labels: Labels
    times: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest value of a series, in the signal's `unit`."""

    labels: Labels
    unit: str
    value: float


class Evidence(Protocol):
    """What is known of the world when it is decided; calls may block for a moment."""

    def readings(self, tenant: str, signal: str, where: Mapping[str, str], since: int) -> Sequence[Reading]:
        """Newest values since a time (ns) of series whose labels fit globs."""

    def windows(self, tenant: str, monitor: str, since: int) -> Sequence[Window]:
        """Judged windows of a monitor since a time (ns)."""

    def distribution(self, finding: Finding, since: int, until: int) -> Mapping[str, float]:
        """How the values of a finding's series were spread between two times (ns): `count`, `p50`, `p95`, ...; may be empty."""

    async def provider(self, name: str) -> tuple[bool, str]:
        """Whether all is well by a provider's status page, read now, and what it says."""

    def silenced(self, incident: Incident) -> str:
        """The silence or maintenance that an incident is under; empty: none."""


class Kept(Protocol):
    """What responding needs of the state store."""

    def open_incidents(self, tenant: str, since: int = 0) -> Sequence[Incident]:
        """Incidents of a tenant that are not over, changed since a time (ns)."""

    def incident(self, tenant: str, incident_id: str) -> Incident | None:
        """One incident."""

    def told(self, tenant: str, incident_id: str) -> Sequence[str]:
        """Names of destinations that were told of an incident."""

    def add_remedy(self, remedy: Remedy, messages: Sequence[Message] = ()) -> bool:
        """Add one; False: it is known."""

    def move_remedy(self, remedy: Remedy, messages: Sequence[Message] = ()) -> bool:
        """Write the next revision; False: somebody else moved it."""

    def remedy(self, tenant: str, remedy_id: str) -> Remedy | None:
        """One remedy."""

    def remedies(
        self,
        tenant: str | None,
        states: Collection[RemedyState] | None = None,
        *,
        incident_id: str | None = None,
        limit: int = 100,
    ) -> list[Remedy]:
        """Remedies, the last changed first."""

    def begun_since(self, since: int) -> list[Remedy]:
        """Remedies begun after a time (ns)."""

    def switch(self) -> Switch:
        """The kill switch."""


@dataclass(frozen=True, slots=True)
class Order:
    """What an action is asked to do: its spec, whom it is about, its idempotency key, and what is known."""

    key: str
    spec: Any
    labels: Mapping[str, str]
    incident: Incident
    context: Mapping[str, Any]
    at: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What an action would do: to what, what is there now, what is set; `undo` False: it can't be taken back."""

    target: str
    said: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    undo: bool = True

    def to_json(self) -> dict[str, Any]:
        """As the store keeps it."""
        return {
            "target": self.target,
            "said": self.said,
            "before": dict(self.before),
            "after": dict(self.after),
            "undo": self.undo,
        }

    @staticmethod
    def of(found: Mapping[str, Any]) -> Plan:
        """A plan back from `to_json`."""
        return Plan(found["target"], found["said"], found["before"], found["after"], bool(found["undo"]))


class Act(Protocol):
    """A kind of action; doing the same plan twice under one key does no more than once."""

    async def plan(self, order: Order) -> Plan:
        """What would be done; changes nothing.

        Raises
        ------
        Refused
            It can't be done, or is beyond a limit.
        Retryable
            Not known now.
        """

    async def run(self, order: Order, plan: Plan) -> str:
        """Do it; says what came back."""

    async def undo(self, order: Order, plan: Plan) -> str:
        """Put back what was before, where it is still as it was set; says what came back."""
