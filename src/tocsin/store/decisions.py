"""What people decided: silences, verdicts on incidents, configurations put into force - and the trail of it all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from tocsin.model.codec import incident_from_json
from tocsin.model.decision import VERDICTS, WHOLE_TRAIL, Applied, Feedback, Silence, TrailPart
from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident
from tocsin.store.audit import AuditEntry, append_audit, known_actions, read_actions, read_audit, verify_audit
from tocsin.store.rows import IncidentEvent, get_incident, put_events
from tocsin.store.sql import Sql
from tocsin.store.tables import FEEDBACK, INCIDENTS, SILENCES, SPECS

_LIMIT = 10_000


class Decisions(Sql):
    """The part of the state store that people write."""

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
            detail = {"matchers": dict(silence.matchers), "ends_at": silence.ends_at, "note": silence.note}
            append_audit(connection, silence.starts_at, silence.tenant, silence.by, "silence", silence.id, detail)

    def end_silence(self, tenant: str, silence_id: str, *, by: str, at: int) -> Silence | None:
        """End a silence now; None: no such silence. One that is over already stays as it is."""
        where = sa.and_(SILENCES.c.tenant == tenant, SILENCES.c.id == silence_id)
        with self._begin() as connection:
            row = connection.execute(sa.select(SILENCES).where(where)).first()
            if row is None:
                return None
            if row.ends_at > at:
                connection.execute(SILENCES.update().where(where).values(ends_at=at))
                append_audit(connection, at, tenant, by, "end_silence", silence_id, {"ended_at": at})
            return _silence(row, min(row.ends_at, at))

    def silences(self, tenant: str, now: int) -> list[Silence]:
        """Silences in force at `now`, the one that ends first before the others."""
        table = SILENCES.c
        query = sa.select(SILENCES).where(table.tenant == tenant, table.ends_at > now)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(table.ends_at, table.id)).all()
        return [_silence(row, row.ends_at) for row in rows]

    def past_silences(self, tenant: str, now: int, limit: int = 100) -> list[Silence]:
        """Silences that are over at `now`, the latest first."""
        table = SILENCES.c
        query = sa.select(SILENCES).where(table.tenant == tenant, table.ends_at <= now)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(table.ends_at.desc(), table.id).limit(min(limit, _LIMIT))).all()
        return [_silence(row, row.ends_at) for row in rows]

    def add_feedback(self, tenant: str, incident_id: str, verdict: str, *, by: str, at: int, note: str = "") -> bool:
        """Record what a person said of an incident, also in its history; False: no such incident.

        Raises
        ------
        BadInput
            Nobody knows this verdict.
        """
        if verdict not in VERDICTS:
            raise BadInput(f"{verdict[:40]!r} is no verdict on an incident; use {' or '.join(VERDICTS)}")
        values = {"tenant": tenant, "incident_id": incident_id, "verdict": verdict, "by": by, "time": at, "note": note}
        with self._begin() as connection:
            if get_incident(connection, tenant, incident_id) is None:
                return False
            connection.execute(FEEDBACK.insert().values(values))
            put_events(connection, [IncidentEvent(tenant, incident_id, at, verdict, by, note)])
            append_audit(connection, at, tenant, by, "feedback", incident_id, {"verdict": verdict, "note": note})
        return True

    def feedback(self, tenant: str, incident_id: str) -> list[Feedback]:
        """What people said of an incident, oldest first; the last word of a person counts."""
        table = FEEDBACK.c
        query = sa.select(FEEDBACK).where(table.tenant == tenant, table.incident_id == incident_id)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(table.seq).limit(_LIMIT)).all()
        return [Feedback(row.incident_id, row.time, row.verdict, row.by, row.note) for row in rows]

    def judged(self, tenant: str, since: int = 0) -> list[tuple[Incident, Feedback]]:
        """Incidents opened at `since` (ns) or later that people judged, each with the last word, oldest word first."""
        last = (
            sa.select(sa.func.max(FEEDBACK.c.seq)).where(FEEDBACK.c.tenant == tenant).group_by(FEEDBACK.c.incident_id)
        )
        same = sa.and_(INCIDENTS.c.tenant == FEEDBACK.c.tenant, INCIDENTS.c.id == FEEDBACK.c.incident_id)
        query = sa.select(FEEDBACK, INCIDENTS.c.document).join(INCIDENTS, same).where(FEEDBACK.c.seq.in_(last))
        query = query.where(FEEDBACK.c.tenant == tenant, INCIDENTS.c.opened_at >= since).order_by(FEEDBACK.c.seq)
        with self._reading() as connection:
            rows = connection.execute(query.limit(_LIMIT)).all()
        return [
            (
                incident_from_json(json.loads(row.document)),
                Feedback(row.incident_id, row.time, row.verdict, row.by, row.note),
            )
            for row in rows
        ]

    def add_spec(self, tenant: str, kind: str, body: bytes, sha256: str, *, by: str, at: int) -> bool:
        """Record a configuration that was put into force; False: it is the one recorded last."""
        table = SPECS.c
        latest = sa.select(table.sha256).where(table.tenant == tenant, table.kind == kind).order_by(table.seq.desc())
        values = {"tenant": tenant, "kind": kind, "body": body, "sha256": sha256, "by": by, "time": at}
        with self._begin() as connection:
            if connection.execute(latest.limit(1)).scalar() == sha256:
                return False
            connection.execute(SPECS.insert().values(values))
            append_audit(connection, at, tenant, by, "apply", sha256, {"kind": kind})
        return True

    def specs(self, tenant: str, kind: str, limit: int = 10) -> list[Applied]:
        """Configurations that were in force, newest first."""
        table = SPECS.c
        query = sa.select(SPECS).where(table.tenant == tenant, table.kind == kind)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(table.seq.desc()).limit(min(limit, _LIMIT))).all()
        return [Applied(row.time, row.sha256, row.by, row.body) for row in rows]

    def audit(self, tenant: str, actor: str, action: str, subject: str, detail: Mapping[str, object], at: int) -> None:
        """Append to the audit trail; each entry carries the digest of the one before."""
        with self._begin() as connection:
            append_audit(connection, at, tenant, actor, action, subject, detail)

    def acted(self, actions: Sequence[str], since: int = 0) -> list[AuditEntry]:
        """Audit entries of some actions from a time (ns) on, of all tenants, oldest first."""
        with self._reading() as connection:
            return read_actions(connection, actions, since)

    def audit_trail(
        self, tenant: str | None = None, limit: int = 1000, part: TrailPart = WHOLE_TRAIL
    ) -> list[AuditEntry]:
        """Audit entries, newest first."""
        with self._reading() as connection:
            return read_audit(connection, tenant, limit, part)

    def audit_actions(self, tenant: str) -> list[str]:
        """Every action of which a tenant has an audit entry, by name."""
        with self._reading() as connection:
            return known_actions(connection, tenant)

    def verify_audit(self) -> int:
        """Number of audit entries, all checked.

        Raises
        ------
        Corrupt
            An entry was changed, removed or put in between; the message names it.
        """
        with self._reading() as connection:
            return verify_audit(connection)


def _silence(row: sa.Row[tuple[object, ...]], ends_at: int) -> Silence:
    return Silence(row.id, row.tenant, json.loads(row.matchers), row.starts_at, ends_at, row.by, row.note)
