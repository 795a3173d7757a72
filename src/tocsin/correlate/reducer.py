"""The reducer: output records in log order in, transitions of incidents out; pure, one fold per tenant."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tocsin.correlate.tenant import TenantReducer
from tocsin.model.errors import BadInput, Corrupt
from tocsin.model.log import Control, Output
from tocsin.model.series import Catalog
from tocsin.model.transition import Grader, Transition
from tocsin.spec.engine import EngineSpec

VERSION = 1
ACTIONS = ("ack", "resolve")


def human_action(tenant: str, incident: str, action: str, *, by: str, at: int) -> Control:
    """The record of what a person did to an incident: `ack` or `resolve`.

    Raises
    ------
    BadInput
        Nobody knows this action.
    """
    if action not in ACTIONS:
        raise BadInput(f"{action!r} is no action on an incident; write one of {', '.join(ACTIONS)}")
    body = {"tenant": tenant, "incident": incident, "action": action, "by": by, "at": at}
    return Control.of("incident", json.dumps(body, sort_keys=True).encode())


class Reducer:
    """Folds what the engine says, what people do and new specs into the incidents of all tenants.

    Tenants never meet: each has its own topology, events and incidents.
    """

    def __init__(self, spec: EngineSpec, grade: Grader) -> None:
        self._spec = spec
        self._grade = grade
        self._tenants: dict[str, TenantReducer] = {}

    def fold(self, entry: Output | Control, catalog: Catalog) -> list[Transition]:
        """Take one record; give the steps that incidents made by it, in a fixed order.

        Raises
        ------
        BadInput
            A control record doesn't hold what its kind says.
        """
        if isinstance(entry, Control):
            return self._control(entry)
        for name in sorted({frame.tenant for frame in entry.frames}):
            self._tenant(name)
        said: list[Transition] = []
        for name, reducer in sorted(self._tenants.items()):
            said.extend(reducer.fold(entry, [frame for frame in entry.frames if frame.tenant == name], catalog))
        return said

    def relate(self, tenant: str, edges: Iterable[tuple[str, str]]) -> None:
        """Take in which entities call which (caller, callee), as found in traces."""
        for caller, callee in edges:
            self._tenant(tenant).relate(caller, callee)

    def _tenant(self, name: str) -> TenantReducer:
        if name not in self._tenants:
            self._tenants[name] = TenantReducer(name, self._spec, self._grade)
        return self._tenants[name]

    def _control(self, control: Control) -> list[Transition]:
        if control.kind == "spec":
            self._spec = EngineSpec.of(control)
            for tenant in self._tenants.values():
                tenant.adopt(self._spec)
            return []
        if control.kind != "incident":
            return []
        try:
            body = json.loads(control.body)
            return self._tenant(body["tenant"]).act(body["incident"], body["action"], body["by"], int(body["at"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"control record {control.sha256[:12]} is no action on an incident: {error!r}") from error

    def snapshot(self) -> bytes:
        """All state, to be kept in the transaction that moves the cursor."""
        body = {"version": VERSION, "tenants": {name: each.snapshot() for name, each in sorted(self._tenants.items())}}
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()

    def restore(self, state: bytes) -> None:
        """Take a snapshot back.

        Raises
        ------
        Corrupt
            The bytes are no snapshot of this version.
        """
        try:
            body = json.loads(state)
            if body["version"] != VERSION:
                raise Corrupt(f"snapshot of incidents has version {body['version']}, this program reads {VERSION}")
            self._tenants = {}
            for name, found in body["tenants"].items():
                self._tenant(name).restore(found)
        except (ValueError, KeyError, TypeError, BadInput) as error:
            raise Corrupt(f"snapshot of incidents can't be read: {error!r}") from error
