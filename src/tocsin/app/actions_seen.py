"""What is said of remediation by whoever can see the state store and the configuration, whether it carries actions or not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from tocsin.model.remedy import Remedy, RemedyState, Switch
from tocsin.spec.config import Config
from tocsin.spec.playbook import PlaybookSpec
from tocsin.store.state import StateStore


class ActionsSeen:
    """The reading half of `tocsin.api.action_ports.Actions`.

    Parameters
    ----------
    state : where remedies and the switch are
    config : the configuration in force; asked each time
    """

    def __init__(self, state: StateStore, config: Callable[[], Config]) -> None:
        self._state = state
        self._in_force = config

    def playbooks(self, tenant: str) -> Sequence[PlaybookSpec]:
        """The playbooks in force that act for a tenant."""
        return [each for each in self._in_force().playbooks if tenant in each.tenants]

    @property
    def enabled(self) -> bool:
        """Whether the configuration lets playbooks act."""
        return self._in_force().remediation.enabled

    @property
    def dry_run(self) -> bool:
        """Whether it is only said what would be done."""
        config = self._in_force()
        return config.dry_run or config.remediation.dry_run

    def switch(self) -> Switch:
        """The kill switch."""
        return self._state.switch()

    def all(
        self, tenant: str, states: Collection[RemedyState] | None, incident_id: str | None, limit: int
    ) -> list[Remedy]:
        """Remedies of a tenant, the last changed first."""
        return self._state.remedies(tenant, states, incident_id=incident_id, limit=limit)

    def one(self, tenant: str, remedy_id: str) -> Remedy | None:
        """One remedy, or None."""
        return self._state.remedy(tenant, remedy_id)
