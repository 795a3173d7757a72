"""`StateStore`: incidents, their events, the outbox and cursors in SQL; what people decided is in `decisions`.

What the reducer found, the pages it caused and its place in the log are written in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model.codec import incident_from_json
from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.message import Message
from tocsin.model.transition import Regroup
from tocsin.store.audit import AuditEntry, append_audit, read_actions
from tocsin.store.decisions import Decisions
from tocsin.store.remedies import Remedies
from tocsin.store.rows import (
    Event,
    IncidentEvent,
    due,
    get_events,
    get_incident,
    message_of,
    put_events,
    put_incident,
    queue,
    with_the_peoples_word,
)
from tocsin.store.sessions import SessionRows
from tocsin.store.tables import CURSORS, INCIDENT_EVENTS, INCIDENTS, OUTBOX

Act: TypeAlias = Literal["ack", "resolve"]
Outcome: TypeAlias = Literal["sent", "retry", "failed", "dropped"]

_ACTS: dict[str, IncidentState] = {"ack": IncidentState.ACKNOWLEDGED, "resolve": IncidentState.RESOLVED}
_LEASE_NS = 60 * 10**9
# built once: a message that waits for a dead destination must cost those for others next to nothing
_LEASE = (
    OUTBOX.update()
    .where(OUTBOX.c.id == sa.bindparam("message"))
    .values(not_before=sa.bindparam("until"), attempts=OUTBOX.c.attempts + 1)
)
_PUT_OFF = (
    OUTBOX.update()
    .where(OUTBOX.c.state == "pending", OUTBOX.c.not_before <= sa.bindparam("now"))
    .where(OUTBOX.c.destination.in_(sa.bindparam("names", expanding=True)))
    .values(not_before=sa.bindparam("until"))
)
_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """A message and what became of it: `pending`, `sent`, `failed` (refused for good) or `dropped`."""

    message: Message
    state: str
    settled_at: int | None
    last_error: str


class StateStore(Decisions, Remedies, SessionRows):
    """Small state that must never be lost; SQLite by default, any thread may call.

    Parameters
    ----------
    url : SQLAlchemy URL, such as `sqlite:////var/lib/tocsin/state.db`

    Raises
    ------
    Corrupt
        The file is there but isn't a sound database, or it is of a newer program.
    Unreachable
        It can't be opened.
    """

    # --- what the reducer writes

    def commit(
        self,
        cursor: str,
        offset: int,
        *,
        incidents: Sequence[Incident] = (),
        events: Sequence[Event] = (),
        messages: Sequence[Message] = (),
        state: bytes | None = None,
    ) -> bool:
        """Write all that followed from the log up to `offset` (excluded), or nothing if that was done before.

        A message id that is known is not queued again. What a person decided (acknowledged, resolved) stands until
        the incident is reopened. Returns whether anything was written.
        """
        with self._begin() as connection:
            known = connection.execute(sa.select(CURSORS.c.offset).where(CURSORS.c.name == cursor)).scalar()
            if known is not None and offset <= known:
                return False
            for incident in incidents:
                put_incident(connection, with_the_peoples_word(connection, incident))
            put_events(connection, events)
            queue(connection, messages)
            values = {"offset": offset, "state": state}
            done = connection.execute(CURSORS.update().where(CURSORS.c.name == cursor).values(values))
            if not done.rowcount:
                connection.execute(CURSORS.insert().values(name=cursor, **values))
        return True

    def cursor(self, name: str) -> tuple[int, bytes | None]:
        """Next offset and state of a reader of a log; (0, None) before its first commit."""
        with self._reading() as connection:
            row = connection.execute(sa.select(CURSORS.c.offset, CURSORS.c.state).where(CURSORS.c.name == name)).first()
        return (0, None) if row is None else (row.offset, row.state)

    # --- incidents

    def incidents(
        self,
        tenant: str | None,
        states: Collection[IncidentState] | IncidentState | None = None,
        since: int | None = None,
        limit: int = 100,
    ) -> list[Incident]:
        """Incidents of a tenant (None: of all) in these states (default: all) updated at `since` or later, newest first."""
        table = INCIDENTS.c
        query = sa.select(table.document)
        if tenant is not None:
            query = query.where(table.tenant == tenant)
        if states is not None:
            wanted = {states} if isinstance(states, IncidentState) else set(states)
            query = query.where(table.state.in_([each.value for each in wanted]))
        if since is not None:
            query = query.where(table.updated_at >= since)
        query = query.order_by(table.updated_at.desc(), table.id).limit(min(limit, _LIMIT))
        with self._reading() as connection:
            return [incident_from_json(json.loads(text)) for text in connection.execute(query).scalars()]

    def incident(self, tenant: str, incident_id: str) -> Incident | None:
        """One incident, or None."""
        with self._reading() as connection:
            return get_incident(connection, tenant, incident_id)

    def incident_events(self, tenant: str, incident_id: str) -> list[IncidentEvent]:
        """The life of one incident, oldest first."""
        table = INCIDENT_EVENTS.c
        with self._reading() as connection:
            return get_events(connection, sa.and_(table.tenant == tenant, table.incident_id == incident_id), _LIMIT)

    def events_after(self, tenant: str | None, seq: int, limit: int = 1000) -> list[IncidentEvent]:
        """Events numbered above `seq`, in order; of all tenants when `tenant` is None."""
        table = INCIDENT_EVENTS.c
        where = table.seq > seq if tenant is None else sa.and_(table.seq > seq, table.tenant == tenant)
        with self._reading() as connection:
            return get_events(connection, where, limit)

    def last_seq(self, tenant: str) -> int:
        """Number of the newest event, 0 before the first."""
        query = sa.select(sa.func.max(INCIDENT_EVENTS.c.seq)).where(INCIDENT_EVENTS.c.tenant == tenant)
        with self._reading() as connection:
            return int(connection.execute(query).scalar() or 0)

    def act(
        self,
        tenant: str,
        incident_id: str,
        action: Act,
        *,
        by: str,
        note: str = "",
        at: int,
        messages: Sequence[Message] | Callable[[Incident], Sequence[Message]] = (),
    ) -> Incident | None:
        """Acknowledge or resolve by a person; None: no such incident. Repeating an action changes nothing.

        `messages` (or what it gives for the changed incident) are queued in the same transaction.
        """
        if action not in _ACTS:
            raise BadInput(f"{action!r} is no action on an incident; use {' or '.join(_ACTS)}")
        with self._begin() as connection:
            before = get_incident(connection, tenant, incident_id)
            if before is None or before.state in (_ACTS[action], IncidentState.RESOLVED):
                return before
            state = _ACTS[action]
            resolved_at = at if state is IncidentState.RESOLVED else before.resolved_at
            after = replace(before, state=state, updated_at=max(at, before.updated_at), resolved_at=resolved_at)
            put_incident(connection, after)
            put_events(connection, [IncidentEvent(tenant, incident_id, at, state.value, by, note)])
            queue(connection, messages(after) if callable(messages) else messages)
            append_audit(connection, at, tenant, by, action, incident_id, {"note": note})
        return after

    def regroup(self, tenant: str, incident_id: str, change: Regroup, *, by: str, at: int) -> bool:
        """Write down what a person said of which findings belong together; False: no such incident."""
        with self._begin() as connection:
            if get_incident(connection, tenant, incident_id) is None:
                return False
            merge = change.action == "merge"
            note = f"merged into {change.into}" if merge else f"{len(change.findings)} finding(s) split off"
            kind = "merged" if merge else "split"
            put_events(connection, [IncidentEvent(tenant, incident_id, at, kind, by, note)])
            detail = {"into": change.into, "findings": list(change.findings)}
            append_audit(connection, at, tenant, by, change.action, incident_id, detail)
        return True

    def regroupings(self, since: int) -> list[tuple[str, str, Regroup, str]]:
        """What people of any tenant merged and split from a time on, oldest first: tenant, incident, what, by whom."""
        with self._reading() as connection:
            found = read_actions(connection, ("merge", "split"), since)
        return [(each.tenant, each.subject, _regroup(each), each.actor) for each in found]

    # --- outbox

    def due_messages(self, now: int, limit: int = 100) -> list[Message]:
        """Messages that wait and may go at `now`, oldest first."""
        with self._reading() as connection:
            return due(connection, now, limit)

    def claim(
        self,
        now: int,
        limit: int = 100,
        lease_ns: int = _LEASE_NS,
        *,
        without: Collection[str] = (),
    ) -> list[Message]:
        """Due messages `without` those to some destinations, taken for `lease_ns`: who doesn't settle them in time lets others have them."""
        with self._begin() as connection:
            found = due(connection, now, limit, without)
            if found:
                connection.execute(_LEASE, [{"message": each.id, "until": now + lease_ns} for each in found])
        return [replace(message, attempts=message.attempts + 1) for message in found]

    def put_off(self, now: int, destinations: Collection[str], lease_ns: int = _LEASE_NS) -> int:
        """Let what is due to these destinations wait for `lease_ns`, as if claimed, but unread; gives how many that were."""
        with self._begin() as connection:
            values = {"now": now, "until": now + lease_ns, "names": sorted(destinations)}
            return connection.execute(_PUT_OFF, values).rowcount

    def settle(
        self, message_id: str, outcome: Outcome, *, at: int, next_attempt: int | None = None, error: str = ""
    ) -> None:
        """Say what became of a message; `retry` needs `next_attempt` (ns)."""
        if outcome == "retry":
            if next_attempt is None:
                raise BadInput("a retry needs the time of the next attempt")
            values: dict[str, Any] = {"not_before": next_attempt, "last_error": error[:2000]}
        else:
            values = {"state": outcome, "settled_at": at, "last_error": error[:2000]}
        with self._begin() as connection:
            _settle(connection, message_id, **values)

    def pages(self, tenant: str, incident_id: str) -> list[Page]:
        """What was sent about an incident, and what waits, oldest first."""
        table = OUTBOX.c
        query = sa.select(OUTBOX).where(table.tenant == tenant, table.incident_id == incident_id)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(table.created_at, table.id).limit(_LIMIT)).all()
        return [Page(message_of(row), row.state, row.settled_at, row.last_error) for row in rows]

    def outbox_counts(self, tenant: str) -> dict[str, dict[str, int]]:
        """Per destination how many messages are in each state."""
        table = OUTBOX.c
        query = sa.select(table.destination, table.state, sa.func.count().label("n")).where(table.tenant == tenant)
        found: dict[str, dict[str, int]] = {}
        with self._reading() as connection:
            for row in connection.execute(query.group_by(table.destination, table.state)):
                found.setdefault(row.destination, {})[row.state] = row.n
        return found


def _settle(connection: Connection, message_id: str, **values: Any) -> None:
    if not connection.execute(OUTBOX.update().where(OUTBOX.c.id == message_id).values(values)).rowcount:
        raise BadInput(f"no message {message_id!r} in the outbox")


def _regroup(entry: AuditEntry) -> Regroup:
    detail = json.loads(entry.detail)
    return Regroup("merge" if entry.action == "merge" else "split", detail["into"], tuple(detail["findings"]))
