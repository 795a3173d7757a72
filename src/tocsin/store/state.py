"""`StateStore`: incidents, their events, the outbox, cursors, silences, feedback and the audit trail in SQL.

What the reducer found, the pages it caused and its place in the log are written in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url

from tocsin.model.codec import incident_from_json
from tocsin.model.errors import BadInput, Corrupt, Unreachable
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.message import Message
from tocsin.store.audit import AuditEntry, append_audit, read_audit, verify_audit
from tocsin.store.migrate import upgrade
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
from tocsin.store.tables import CURSORS, FEEDBACK, INCIDENT_EVENTS, INCIDENTS, OUTBOX, SILENCES, SPECS

Act: TypeAlias = Literal["ack", "resolve"]
Outcome: TypeAlias = Literal["sent", "retry", "failed", "dropped"]

_ACTS: dict[str, IncidentState] = {"ack": IncidentState.ACKNOWLEDGED, "resolve": IncidentState.RESOLVED}
_LEASE_NS = 60 * 10**9
_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """A message and what became of it: `pending`, `sent`, `failed` (refused for good) or `dropped`."""

    message: Message
    state: str
    settled_at: int | None
    last_error: str


@dataclass(frozen=True, slots=True)
class Silence:
    """No pages for incidents that carry all of `matchers`, from `starts_at` until `ends_at`."""

    id: str
    tenant: str
    matchers: Mapping[str, str]
    starts_at: int
    ends_at: int
    by: str = ""
    note: str = ""


class StateStore:
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

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        if self.url.get_backend_name() == "sqlite" and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(self.url)
        self._writes = self._engine.execution_options(writes=True)
        if self.url.get_backend_name() == "sqlite":
            sa.event.listen(self._engine, "connect", _configure_sqlite)
            sa.event.listen(self._engine, "begin", _begin)
        with self._translated():
            upgrade(self._writes)

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
        tenant: str,
        states: Collection[IncidentState] | IncidentState | None = None,
        since: int | None = None,
        limit: int = 100,
    ) -> list[Incident]:
        """Incidents in these states (default: all) updated at `since` or later, newest first."""
        table = INCIDENTS.c
        query = sa.select(table.document).where(table.tenant == tenant)
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

    # --- outbox

    def due_messages(self, now: int, limit: int = 100) -> list[Message]:
        """Messages that wait and may go at `now`, oldest first."""
        with self._reading() as connection:
            return due(connection, now, limit)

    def claim(self, now: int, limit: int = 100, lease_ns: int = _LEASE_NS) -> list[Message]:
        """Due messages, taken for `lease_ns`: who doesn't settle them in time lets others have them."""
        with self._begin() as connection:
            found = due(connection, now, limit)
            for message in found:
                _settle(connection, message.id, not_before=now + lease_ns, attempts=OUTBOX.c.attempts + 1)
        return [replace(message, attempts=message.attempts + 1) for message in found]

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

    # --- silences, feedback, specs, audit

    def add_silence(self, silence: Silence) -> None:
        """Add a silence; the same id again replaces it."""
        with self._begin() as connection:
            connection.execute(SILENCES.delete().where(SILENCES.c.id == silence.id))
            connection.execute(
                SILENCES.insert().values(
                    id=silence.id,
                    tenant=silence.tenant,
                    matchers=json.dumps(dict(silence.matchers), sort_keys=True),
                    starts_at=silence.starts_at,
                    ends_at=silence.ends_at,
                    by=silence.by,
                    note=silence.note,
                )
            )
            append_audit(
                connection,
                silence.starts_at,
                silence.tenant,
                silence.by,
                "silence",
                silence.id,
                {"ends_at": silence.ends_at, **silence.matchers},
            )

    def silences(self, tenant: str, now: int) -> list[Silence]:
        """Silences in force at `now`."""
        table = SILENCES.c
        query = sa.select(SILENCES).where(table.tenant == tenant, table.starts_at <= now, table.ends_at > now)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(table.ends_at, table.id)).all()
        return [
            Silence(row.id, row.tenant, json.loads(row.matchers), row.starts_at, row.ends_at, row.by, row.note)
            for row in rows
        ]

    def add_feedback(self, tenant: str, incident_id: str, verdict: str, *, by: str, at: int, note: str = "") -> None:
        """Record what a person said of an incident."""
        values = {"tenant": tenant, "incident_id": incident_id, "verdict": verdict, "by": by, "time": at, "note": note}
        with self._begin() as connection:
            connection.execute(FEEDBACK.insert().values(values))
            append_audit(connection, at, tenant, by, "feedback", incident_id, {"verdict": verdict, "note": note})

    def add_spec(self, tenant: str, kind: str, body: bytes, sha256: str, *, by: str, at: int) -> None:
        """Record a configuration that was put into force."""
        values = {"tenant": tenant, "kind": kind, "body": body, "sha256": sha256, "by": by, "time": at}
        with self._begin() as connection:
            connection.execute(SPECS.insert().values(values))
            append_audit(connection, at, tenant, by, "apply", sha256, {"kind": kind})

    def specs(self, tenant: str, kind: str, limit: int = 10) -> list[tuple[int, str, bytes]]:
        """Configurations that were in force, newest first: time, digest, body."""
        table = SPECS.c
        query = (
            sa.select(SPECS).where(table.tenant == tenant, table.kind == kind).order_by(table.seq.desc()).limit(limit)
        )
        with self._reading() as connection:
            return [(row.time, row.sha256, row.body) for row in connection.execute(query)]

    def audit(self, tenant: str, actor: str, action: str, subject: str, detail: Mapping[str, object], at: int) -> None:
        """Append to the audit trail; each entry carries the digest of the one before."""
        with self._begin() as connection:
            append_audit(connection, at, tenant, actor, action, subject, detail)

    def audit_trail(self, tenant: str | None = None, limit: int = 1000) -> list[AuditEntry]:
        """Audit entries, newest first."""
        with self._reading() as connection:
            return read_audit(connection, tenant, limit)

    def verify_audit(self) -> int:
        """Number of audit entries, all checked.

        Raises
        ------
        Corrupt
            An entry was changed, removed or put in between; the message names it.
        """
        with self._reading() as connection:
            return verify_audit(connection)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._translated(), self._writes.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        where = self.url.render_as_string(hide_password=True)
        try:
            yield
        except sa.exc.OperationalError as error:
            reason = str(error.orig)
            raise Unreachable(
                f"{where}: the state store can't be used: {reason}; check the path and the disk"
            ) from error
        except sa.exc.DatabaseError as error:
            raise Corrupt(
                f"{where}: not a sound state store: {error.orig}; bring a backup back with `tocsin restore`"
            ) from error


def _settle(connection: Connection, message_id: str, **values: Any) -> None:
    if not connection.execute(OUTBOX.update().where(OUTBOX.c.id == message_id).values(values)).rowcount:
        raise BadInput(f"no message {message_id!r} in the outbox")


def _configure_sqlite(connection: Any, _record: object) -> None:
    # transactions begin when we say so (see _begin), not when the driver thinks fit
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # a writer takes the lock at once: no deadlock between two that read first; readers never wait for it
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
