"""Incidents, events and messages as rows of the state store; every function works inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model.codec import incident_from_json, incident_to_json, message_from_json, message_to_json
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.message import Message
from tocsin.store.tables import INCIDENT_EVENTS, INCIDENTS, OUTBOX


class Event(Protocol):
    """One step in the life of an incident, as the reducer says it."""

    @property
    def tenant(self) -> str:
        """Whose incident."""

    @property
    def incident_id(self) -> str:
        """Which incident."""

    @property
    def time(self) -> int:
        """When, ns."""

    @property
    def kind(self) -> str:
        """What happened: opened, updated, resolved, ..."""

    @property
    def by(self) -> str:
        """The person, or empty."""

    @property
    def note(self) -> str:
        """In words."""


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One step in the life of an incident; `by` is empty for what the program did; `seq` only grows."""

    tenant: str
    incident_id: str
    time: int
    kind: str
    by: str = ""
    note: str = ""
    seq: int = 0


def get_incident(connection: Connection, tenant: str, incident_id: str) -> Incident | None:
    """One incident, or None."""
    query = sa.select(INCIDENTS.c.document).where(INCIDENTS.c.tenant == tenant, INCIDENTS.c.id == incident_id)
    text = connection.execute(query).scalar()
    return None if text is None else incident_from_json(json.loads(text))


def put_incident(connection: Connection, incident: Incident) -> None:
    """Write an incident over its earlier version."""
    values: dict[str, Any] = {
        "state": incident.state.value,
        "severity": int(incident.severity),
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "resolved_at": incident.resolved_at,
        "late": incident.late,
        "dedup_key": incident.dedup_key,
        "document": json.dumps(incident_to_json(incident)),
    }
    key = sa.and_(INCIDENTS.c.tenant == incident.tenant, INCIDENTS.c.id == incident.id)
    if not connection.execute(INCIDENTS.update().where(key).values(values)).rowcount:
        connection.execute(INCIDENTS.insert().values(tenant=incident.tenant, id=incident.id, **values))


def with_the_peoples_word(connection: Connection, incident: Incident) -> Incident:
    """The incident, but in the state a person put it in, unless it was reopened since.

    The reducer works from the log and may not have heard of the person's decision yet.
    """
    if incident.state is IncidentState.RESOLVED:
        return incident
    stored = get_incident(connection, incident.tenant, incident.id)
    if stored is None or stored.reopened != incident.reopened or stored.state is IncidentState.OPEN:
        return incident
    events = INCIDENT_EVENTS.c
    query = sa.select(events.kind).where(
        events.tenant == incident.tenant,
        events.incident_id == incident.id,
        events.by != "",
        events.kind.in_([state.value for state in IncidentState]),  # a verdict moves no incident
    )
    kinds = connection.execute(query.order_by(events.seq.desc()).limit(1)).scalar()
    if kinds != stored.state.value:
        return incident
    return replace(incident, state=stored.state, resolved_at=stored.resolved_at)


def put_events(connection: Connection, events: Iterable[Event]) -> None:
    """Append events."""
    rows = [
        {
            "tenant": event.tenant,
            "incident_id": event.incident_id,
            "time": event.time,
            "kind": event.kind,
            "by": event.by,
            "note": event.note,
        }
        for event in events
    ]
    if rows:
        connection.execute(INCIDENT_EVENTS.insert(), rows)


def get_events(connection: Connection, where: sa.ColumnElement[bool], limit: int) -> list[IncidentEvent]:
    """Events in order."""
    query = sa.select(INCIDENT_EVENTS).where(where).order_by(INCIDENT_EVENTS.c.seq).limit(limit)
    return [
        IncidentEvent(row.tenant, row.incident_id, row.time, row.kind, row.by, row.note, row.seq)
        for row in connection.execute(query)
    ]


def queue(connection: Connection, messages: Iterable[Message]) -> None:
    """Put messages into the outbox; one whose id is known is not queued again."""
    for message in messages:
        if connection.execute(sa.select(OUTBOX.c.id).where(OUTBOX.c.id == message.id)).scalar() is not None:
            continue
        connection.execute(
            OUTBOX.insert().values(
                id=message.id,
                tenant=message.tenant,
                destination=message.destination,
                action=message.action,
                incident_id=message.incident.id,
                created_at=message.created_at,
                not_before=message.not_before,
                attempts=message.attempts,
                dry_run=message.dry_run,
                state="pending",
                settled_at=None,
                last_error="",
                document=json.dumps(message_to_json(message)),
            )
        )


def due(connection: Connection, now: int, limit: int, without: Collection[str] = ()) -> list[Message]:
    """Messages that wait and may go at `now`, but those to some destinations, oldest first."""
    values: dict[str, object] = {"now": now, "most": limit}
    if without:
        values["names"] = sorted(without)
    return [message_of(row) for row in connection.execute(_DUE_TO_OTHERS if without else _DUE, values)]


_DUE = (
    sa.select(OUTBOX)
    .where(OUTBOX.c.state == "pending", OUTBOX.c.not_before <= sa.bindparam("now"))
    .order_by(OUTBOX.c.not_before, OUTBOX.c.created_at, OUTBOX.c.id)
    .limit(sa.bindparam("most"))
)
_DUE_TO_OTHERS = _DUE.where(OUTBOX.c.destination.not_in(sa.bindparam("names", expanding=True)))


def message_of(row: Any) -> Message:
    """The message of an outbox row, with its attempts and next time."""
    return replace(message_from_json(json.loads(row.document)), attempts=row.attempts, not_before=row.not_before)
