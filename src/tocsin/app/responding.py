"""Remediation assembled: the state store, the clients of what may be called, and the loop; `Actions` for the API."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from tocsin.app.actions_seen import ActionsSeen
from tocsin.model.clock import Clock
from tocsin.model.errors import BadConfig, BadInput, Refused
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.remedy import Remedy, RemedyState, Switch
from tocsin.model.series import MAIN_TENANT
from tocsin.notify.guard import GuardedClient
from tocsin.notify.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from tocsin.respond import people
from tocsin.respond.call import Call
from tocsin.respond.careful import Careful
from tocsin.respond.command import Command
from tocsin.respond.kubernetes import Kubernetes
from tocsin.respond.ports import Act, Evidence
from tocsin.respond.responder import Responder
from tocsin.respond.weights import Envoy, Gateway, Nginx, Shift
from tocsin.respond.workloads import Cordon, Restart, Scale
from tocsin.spec.config import Config
from tocsin.spec.playbook import (
    CommandAction,
    CordonAction,
    KubernetesSpec,
    PlaybookSpec,
    RestartAction,
    ScaleAction,
    TrafficWeightAction,
)
from tocsin.store.state import StateStore

MOST_OPEN: Final = 200
OPEN: Final = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)


class KeptRemedies:
    """`tocsin.respond.ports.Kept` over the state store."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self.add_remedy = state.add_remedy
        self.move_remedy = state.move_remedy
        self.remedy = state.remedy
        self.incident = state.incident
        self.begun_since = state.begun_since
        self.switch = state.switch

    def open_incidents(self, tenant: str, since: int = 0) -> Sequence[Incident]:
        """Incidents of a tenant that are not over, changed since a time (ns)."""
        return self._state.incidents(tenant, OPEN, since=since, limit=MOST_OPEN)

    def told(self, tenant: str, incident_id: str) -> Sequence[str]:
        """Destinations that were told of an incident."""
        pages = self._state.pages(tenant, incident_id)
        return list(dict.fromkeys(page.message.destination for page in pages if not page.message.dry_run))

    def remedies(
        self,
        tenant: str | None,
        states: Collection[RemedyState] | None = None,
        *,
        incident_id: str | None = None,
        limit: int = 100,
    ) -> list[Remedy]:
        """Remedies, the last changed first."""
        return self._state.remedies(tenant, states, incident_id=incident_id, limit=limit)


def signed(secret: str, stamp: str, body: bytes) -> dict[str, str]:
    """Headers that sign a body, as webhooks do."""
    return {TIMESTAMP_HEADER: stamp, SIGNATURE_HEADER: sign(secret, stamp, body)}


class Responding(ActionsSeen):
    """Remediation of one server: stepped by a thread of its own, asked and told by the API."""

    def __init__(self, state: StateStore, evidence: Evidence, clock: Clock, config: Config) -> None:
        super().__init__(state, lambda: self._config)
        self._clock = clock
        self._kept = KeptRemedies(state)
        self._responder = Responder(self._kept, evidence, clock)
        self._clients: list[GuardedClient] = []
        self._stale: list[GuardedClient] = []
        self._loop = asyncio.new_event_loop()
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """Put a configuration into force.

        Raises
        ------
        BadConfig
            A file of the cluster's certificate can't be used.
        """
        clients: list[GuardedClient] = []
        acts = {each.name: Careful(_act(each, config, clients)) for each in config.playbooks}
        self._config = config
        playbooks = {each.name: each for each in config.playbooks}
        self._responder.adopt(config.remediation, playbooks, acts, dry_run=config.dry_run)
        self._stale += self._clients  # closed by the loop that used them
        self._clients = clients

    def step(self) -> int:
        """Carry all remedies as far as they go now."""
        return self._loop.run_until_complete(self._step())

    async def _step(self) -> int:
        while self._stale:
            await self._stale.pop().close()
        return await self._responder.step()

    def close(self) -> None:
        """Close connections; call from the thread that steps."""
        self._stale += self._clients
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _close(self) -> None:
        for client in self._stale:
            await client.close()

    # --- what people ask and say

    def stop(self, *, stopped: bool, by: str, note: str) -> Switch:
        """Stop everything, or let it go on; a second stop changes nothing."""
        before = self._state.switch()
        if before.stopped != stopped:
            self._state.set_switch(MAIN_TENANT, Switch(stopped, self._clock.now(), by, note))
        return self._state.switch()

    def say(self, tenant: str, remedy_id: str, word: str, *, by: str, note: str) -> Remedy | None:
        """Approve, reject or undo; None: there is no such remedy.

        Raises
        ------
        BadInput
            It can't be, and why.
        """
        said = {"approve": people.approved, "reject": people.rejected, "undo": people.undone}[word]
        for _ in range(10):
            remedy = self._state.remedy(tenant, remedy_id)
            if remedy is None:
                return None
            after = said(remedy, by, note, self._clock.now())
            if self._state.move_remedy(after):
                return after
        raise BadInput(f"{remedy_id} moves on faster than anything can be said of it; try again")

    def propose(self, tenant: str, incident_id: str, playbook: str, *, by: str, note: str) -> Remedy | None:
        """Propose what a playbook does about an incident; None: there is no such incident here.

        Raises
        ------
        BadInput
            There is no such playbook, or it is not for the incident.
        """
        incident = self._state.incident(tenant, incident_id)
        if incident is None:
            return None
        mine = self.playbooks(tenant)
        spec = next((each for each in mine if each.name == playbook), None)
        if spec is None:
            known = ", ".join(each.name for each in mine) or "none"
            raise BadInput(f"no playbook is called {playbook[:60]!r}; there are: {known}")
        if not self.enabled:
            raise BadInput("playbooks act only where `remediation: {enabled: true}` allows it")
        remedy = people.proposed(self._kept, incident, spec, by, note, self._clock.now())
        self._state.add_remedy(remedy)
        return remedy


def _act(playbook: PlaybookSpec, config: Config, clients: list[GuardedClient]) -> Act:
    """What does the action of a playbook, with a client of its own."""
    action = playbook.action

    def client(allow: Sequence[str], verify: ssl.SSLContext | None = None) -> GuardedClient:
        clients.append(GuardedClient(allow, verify=verify))
        return clients[-1]

    if isinstance(action, CommandAction):
        return Command()
    routed = isinstance(action, TrafficWeightAction) and action.via == "gateway"
    if routed or isinstance(action, RestartAction | ScaleAction | CordonAction):
        spec = config.remediation.kubernetes or KubernetesSpec()
        api = Kubernetes(client(spec.allow, _authority(spec)), spec, lambda: _token(spec))
        if isinstance(action, RestartAction):
            return Restart(api)
        if isinstance(action, ScaleAction):
            return Scale(api)
        return Cordon(api) if isinstance(action, CordonAction) else Shift(Gateway(api))
    if isinstance(action, TrafficWeightAction) and action.via != "webhook":
        http = client(action.allow)
        return Shift(Envoy(http) if action.via == "envoy" else Nginx(http))
    return Call(client(getattr(action, "allow", ())), signed)


def _token(spec: KubernetesSpec) -> str:
    """The bearer token; of a file as it is now, since it is changed there."""
    if spec.token or not spec.token_file:
        return spec.token
    try:
        return Path(spec.token_file).read_text().strip()
    except OSError as error:
        raise Refused(f"remediation.kubernetes.token_file: {error}") from error


def _authority(spec: KubernetesSpec) -> ssl.SSLContext | None:
    if not spec.ca_file:
        return None
    try:
        return ssl.create_default_context(cafile=spec.ca_file)
    except OSError as error:
        raise BadConfig(f"remediation.kubernetes.ca_file: {spec.ca_file}: {error}") from error
