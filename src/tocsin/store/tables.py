"""Tables of the state store, in SQLAlchemy Core; migrations bring a database here, a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

HEAD = "0002"
"""Revision that this program expects."""

METADATA = MetaData()

INCIDENTS = Table(
    "incidents",
    METADATA,
    Column("tenant", String(200), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Column("late", Boolean, nullable=False),
    Column("dedup_key", String(255), nullable=False),
    Column("document", Text, nullable=False),
    Index("incidents_by_update", "tenant", "updated_at"),
    Index("incidents_by_state", "tenant", "state", "updated_at"),
)

INCIDENT_EVENTS = Table(
    "incident_events",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("tenant", String(200), nullable=False),
    Column("incident_id", String(64), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("by", String(200), nullable=False),
    Column("note", Text, nullable=False),
    Index("incident_events_by_incident", "tenant", "incident_id", "seq"),
    sqlite_autoincrement=True,
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", String(200), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("destination", String(200), nullable=False),
    Column("action", String(20), nullable=False),
    Column("incident_id", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("state", String(20), nullable=False),
    Column("settled_at", BigInteger),
    Column("last_error", Text, nullable=False),
    Column("document", Text, nullable=False),
    Index("outbox_due", "state", "not_before"),
    Index("outbox_by_incident", "tenant", "incident_id", "created_at"),
    Index("outbox_by_destination", "tenant", "destination", "state"),
)

CURSORS = Table(
    "cursors",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("state", LargeBinary),
)

SILENCES = Table(
    "silences",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("matchers", Text, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("by", String(200), nullable=False),
    Column("note", Text, nullable=False),
    Index("silences_by_end", "tenant", "ends_at"),
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("tenant", String(200), nullable=False),
    Column("incident_id", String(64), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("verdict", String(40), nullable=False),
    Column("by", String(200), nullable=False),
    Column("note", Text, nullable=False),
    Index("feedback_by_incident", "tenant", "incident_id", "seq"),
    sqlite_autoincrement=True,
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("tenant", String(200), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(100), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
)

SPECS = Table(
    "specs",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("tenant", String(200), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("by", String(200), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("specs_by_kind", "tenant", "kind", "seq"),
    sqlite_autoincrement=True,
)

REMEDIES = Table(
    "remedies",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("incident_id", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("remedies_by_update", "tenant", "updated_at"),
    Index("remedies_by_state", "state", "updated_at"),
    Index("remedies_by_incident", "tenant", "incident_id"),
)

SWITCHES = Table(
    "switches",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("stopped", Boolean, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("by", String(200), nullable=False),
    Column("note", Text, nullable=False),
)
