"""The reducer: output records in log order in, transitions of incidents out; pure, one fold per tenant."""

from __future__ import annotations

import json

from tocsin.correlate.past import Past, Reader
from tocsin.correlate.tenant import TenantReducer
from tocsin.correlate.topology import EntityKeys
from tocsin.model.errors import BadInput, Corrupt
from tocsin.model.frame import FrameKind
from tocsin.model.log import Control, Output
from tocsin.model.series import Catalog
from tocsin.model.transition import Grader, Regroup, Transition
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


def regrouped(tenant: str, incident: str, change: Regroup, *, by: str) -> Control:
    """The record of what a person said of which findings belong together."""
    body = {"tenant": tenant, "incident": incident, "action": change.action, "by": by,
            "into": change.into, "findings": list(change.findings)}  # fmt: skip
    return Control.of("incident", json.dumps(body, sort_keys=True).encode())


class Reducer:
    """Folds what the engine says, what people do and new specs into the incidents of all tenants.

    `requests` reads the input log: the requests around an incident are looked up there, up to the record that the
    engine had seen.

    Tenants never meet: each has its own topology, events and incidents.
    """

    def __init__(self, spec: EngineSpec, grade: Grader, requests: Reader | None = None) -> None:
        self._spec = spec
        self._grade = grade
        self._past = Past(requests, EntityKeys(spec.packs)) if requests is not None else None
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
        if (
            entry.tick
            and self._past is not None
            and not any(each.watches(entry.received) for each in self._tenants.values())
        ):
            self._past.forget()
        return said

    def remember(self, output: Output) -> None:
        """Take in what was measured before: after a restart, records that were folded already."""
        for frame in output.frames:
            if frame.kind is FrameKind.PANES:
                self._tenant(frame.tenant).surroundings.lanes.take(frame, output.received)

    def _tenant(self, name: str) -> TenantReducer:
        if name not in self._tenants:
            self._tenants[name] = TenantReducer(name, self._spec, self._grade, self._past)
        return self._tenants[name]

    def _control(self, control: Control) -> list[Transition]:
        if control.kind == "spec":
            self._spec = EngineSpec.of(control)
            if self._past is not None:
                self._past.adopt(EntityKeys(self._spec.packs))
            for tenant in self._tenants.values():
                tenant.adopt(self._spec)
            return []
        if control.kind != "incident":
            return []
        try:
            body = json.loads(control.body)
            if body["action"] in ("merge", "split"):
                change = Regroup(body["action"], body["into"], tuple(body["findings"]))
                self._tenant(body["tenant"]).regroup(body["incident"], change, body["by"])
                return []
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
