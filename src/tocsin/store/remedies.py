"""Remedies and the kill switch in the state store: every step with its lines in the ledger, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model.message import Message
from tocsin.model.remedy import PROGRAM, Remedy, RemedyState, Switch, remedy_from_json, remedy_to_json
from tocsin.store.audit import append_audit
from tocsin.store.rows import IncidentEvent, put_events, queue
from tocsin.store.sql import Sql
from tocsin.store.tables import REMEDIES, SWITCHES

SWITCH: Final = "remediation"
_LIMIT: Final = 1000


class Remedies(Sql):
    """The part of the state store that remediation writes; what is written is in the audit trail, chained."""

    def add_remedy(self, remedy: Remedy, messages: Sequence[Message] = ()) -> bool:
        """Add a remedy; False when its id is known: what was decided once is not decided again."""
        with self._begin() as connection:
            if connection.execute(sa.select(REMEDIES.c.id).where(REMEDIES.c.id == remedy.id)).scalar() is not None:
                return False
            values = {"id": remedy.id, "tenant": remedy.tenant, "incident_id": remedy.incident_id}
            connection.execute(REMEDIES.insert().values(**values, created_at=remedy.created_at, **_values(remedy)))
            _write_down(connection, remedy)
            queue(connection, messages)
        return True

    def move_remedy(self, remedy: Remedy, messages: Sequence[Message] = ()) -> bool:
        """Write a remedy's next revision; False when somebody else has moved it: then nothing is written."""
        where = sa.and_(REMEDIES.c.id == remedy.id, REMEDIES.c.revision == remedy.revision - 1)
        with self._begin() as connection:
            if not connection.execute(REMEDIES.update().where(where).values(**_values(remedy))).rowcount:
                return False
            _write_down(connection, remedy)
            queue(connection, messages)
        return True

    def remedy(self, tenant: str, remedy_id: str) -> Remedy | None:
        """One remedy, or None."""
        found = self._remedies(sa.and_(REMEDIES.c.tenant == tenant, REMEDIES.c.id == remedy_id), 1)
        return found[0] if found else None

    def remedies(
        self,
        tenant: str | None,
        states: Collection[RemedyState] | None = None,
        *,
        incident_id: str | None = None,
        limit: int = 100,
    ) -> list[Remedy]:
        """Remedies of a tenant (None: of all), the last changed first."""
        table = REMEDIES.c
        where: list[sa.ColumnElement[bool]] = [sa.true()]
        if tenant is not None:
            where.append(table.tenant == tenant)
        if states is not None:
            where.append(table.state.in_(sorted(states)))
        if incident_id is not None:
            where.append(table.incident_id == incident_id)
        return self._remedies(sa.and_(*where), limit)

    def begun_since(self, since: int) -> list[Remedy]:
        """Remedies of all tenants that were begun after a time (ns), whatever became of them."""
        return self._remedies(REMEDIES.c.begun_at > since, _LIMIT)

    def _remedies(self, where: sa.ColumnElement[bool], limit: int) -> list[Remedy]:
        query = sa.select(REMEDIES.c.document).where(where)
        query = query.order_by(REMEDIES.c.updated_at.desc(), REMEDIES.c.id).limit(min(limit, _LIMIT))
        with self._reading() as connection:
            return [remedy_from_json(json.loads(text)) for text in connection.execute(query).scalars()]

    def switch(self) -> Switch:
        """The kill switch as it stands."""
        query = sa.select(SWITCHES).where(SWITCHES.c.name == SWITCH)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return Switch() if row is None else Switch(bool(row.stopped), row.time, row.by, row.note)

    def set_switch(self, tenant: str, switch: Switch) -> None:
        """Stop all remediation, or let it go on."""
        with self._begin() as connection:
            connection.execute(SWITCHES.delete().where(SWITCHES.c.name == SWITCH))
            values = {"stopped": switch.stopped, "time": switch.time, "by": switch.by, "note": switch.note}
            connection.execute(SWITCHES.insert().values(name=SWITCH, **values))
            action = "remediation.stop" if switch.stopped else "remediation.resume"
            append_audit(connection, switch.time, tenant, switch.by, action, SWITCH, {"note": switch.note})


def _values(remedy: Remedy) -> dict[str, object]:
    return {
        "state": remedy.state,
        "revision": remedy.revision,
        "updated_at": remedy.updated_at,
        "begun_at": remedy.begun_at,
        "document": json.dumps(remedy_to_json(remedy), sort_keys=True),
    }


def _write_down(connection: Connection, remedy: Remedy) -> None:
    """The newest line of a remedy's log into the ledger, and into the life of its incident."""
    if not remedy.log:
        return
    step = remedy.log[-1]
    detail = {
        "incident": remedy.incident_id,
        "playbook": remedy.playbook,
        "action": remedy.kind,
        "target": remedy.target,
        "said": step.what,
        "plan": dict(remedy.plan),
    }
    append_audit(connection, step.time, remedy.tenant, step.by, f"remedy.{remedy.state}", remedy.id, detail)
    by = "" if step.by == PROGRAM else step.by
    note = f"{remedy.playbook}: {step.what}"
    put_events(connection, [IncidentEvent(remedy.tenant, remedy.incident_id, step.time, "remedy", by, note)])
