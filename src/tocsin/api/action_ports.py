"""What the pages of actions need from remediation, as a port that `app` fills."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, Protocol, TypeAlias

from tocsin.model.remedy import Remedy, RemedyState, Switch
from tocsin.spec.playbook import PlaybookSpec

Word: TypeAlias = Literal["approve", "reject", "undo"]


class Actions(Protocol):
    """Remediation, as far as people look at it and speak to it."""

    def playbooks(self, tenant: str) -> Sequence[PlaybookSpec]:
        """The playbooks in force that act for a tenant."""

    @property
    def enabled(self) -> bool:
        """Whether the configuration lets playbooks act."""

    @property
    def dry_run(self) -> bool:
        """Whether it is only said what would be done."""

    def switch(self) -> Switch:
        """The kill switch."""

    def stop(self, *, stopped: bool, by: str, note: str) -> Switch:
        """Stop everything, or let it go on."""

    def all(
        self, tenant: str, states: Collection[RemedyState] | None, incident_id: str | None, limit: int
    ) -> Sequence[Remedy]:
        """Remedies of a tenant, the last changed first."""

    def one(self, tenant: str, remedy_id: str) -> Remedy | None:
        """One remedy, or None."""

    def say(self, tenant: str, remedy_id: str, word: Word, *, by: str, note: str) -> Remedy | None:
        """Approve, reject or undo; None: there is no such remedy.

        Raises
        ------
        BadInput
            It can't be, and why.
        """

    def propose(self, tenant: str, incident_id: str, playbook: str, *, by: str, note: str) -> Remedy | None:
        """Propose what a playbook does about an incident; None: there is no such incident.

        Raises
        ------
        BadInput
            There is no such playbook, or it is not for the incident.
        """
