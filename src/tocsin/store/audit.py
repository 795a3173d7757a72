"""The audit trail: entries chained by SHA-256, so that a changed, removed or inserted one shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model.decision import WHOLE_TRAIL, TrailPart
from tocsin.model.errors import Corrupt
from tocsin.store.tables import AUDIT, kept_text

_START = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what, and the digests that chain it to its predecessor."""

    seq: int
    time: int
    tenant: str
    actor: str
    action: str
    subject: str
    detail: str
    previous: str
    sha256: str

    def digest(self) -> str:
        """SHA-256 over all fields but itself, hex."""
        fields = [self.seq, self.time, self.tenant, self.actor, self.action, self.subject, self.detail, self.previous]
        return hashlib.sha256(json.dumps(fields, ensure_ascii=True).encode()).hexdigest()


def append_audit(
    connection: Connection,
    time: int,
    tenant: str,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, object],
) -> AuditEntry:
    """Append one entry inside the caller's transaction."""
    last = connection.execute(sa.select(AUDIT.c.seq, AUDIT.c.sha256).order_by(AUDIT.c.seq.desc()).limit(1)).first()
    seq, previous = (last.seq + 1, last.sha256) if last else (1, _START)
    text = json.dumps(dict(detail), sort_keys=True, default=str)
    # the digest is over what the database keeps
    tenant, actor, subject = kept_text(tenant), kept_text(actor), kept_text(subject)
    bare = AuditEntry(seq, time, tenant, actor, action, subject, text, previous, "")
    values = {name: getattr(bare, name) for name in AuditEntry.__slots__}
    values["sha256"] = bare.digest()
    connection.execute(AUDIT.insert().values(values))
    return AuditEntry(**values)


def read_audit(
    connection: Connection, tenant: str | None, limit: int, part: TrailPart = WHOLE_TRAIL
) -> list[AuditEntry]:
    """Entries of a tenant (None: all), newest first."""
    query = sa.select(AUDIT).where(*_conditions(tenant, part)).order_by(AUDIT.c.seq.desc()).limit(limit)
    return [AuditEntry(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def _conditions(tenant: str | None, part: TrailPart) -> Iterator[sa.ColumnElement[bool]]:
    table = AUDIT.c
    if tenant is not None:
        yield table.tenant == tenant
    if part.actor:
        yield table.actor.contains(part.actor, autoescape=True)
    if part.action.endswith("*"):
        yield table.action.startswith(part.action[:-1], autoescape=True)
    elif part.action:
        yield table.action == part.action
    if part.subject:
        yield table.subject.contains(part.subject, autoescape=True)
    if part.start is not None:
        yield table.time >= part.start
    if part.end is not None:
        yield table.time < part.end
    if part.before is not None:
        yield table.seq < part.before


def known_actions(connection: Connection, tenant: str) -> list[str]:
    """Every action of which a tenant has an entry, by name."""
    query = sa.select(AUDIT.c.action).where(AUDIT.c.tenant == tenant).distinct().order_by(AUDIT.c.action)
    return list(connection.execute(query).scalars())


def read_actions(connection: Connection, actions: Sequence[str], since: int) -> list[AuditEntry]:
    """Entries of some actions from a time (ns) on, of all tenants, oldest first."""
    query = sa.select(AUDIT).where(AUDIT.c.action.in_(actions), AUDIT.c.time >= since).order_by(AUDIT.c.seq)
    return [AuditEntry(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def verify_audit(connection: Connection) -> int:
    """Check the whole chain; the number of entries.

    Raises
    ------
    Corrupt
        The chain is broken; the message says where.
    """
    previous, count = _START, 0
    for row in connection.execute(sa.select(AUDIT).order_by(AUDIT.c.seq)):
        entry = AuditEntry(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
        count += 1
        if entry.seq != count:
            raise Corrupt(f"audit trail: entry {count} is missing (the next one there is {entry.seq})")
        if entry.previous != previous or entry.digest() != entry.sha256:
            raise Corrupt(
                f"audit trail: entry {entry.seq} ({entry.action} by {entry.actor}) was changed after it was written"
            )
        previous = entry.sha256
    return count
