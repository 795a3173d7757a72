"""Tables of the state store, in SQLAlchemy Core; migrations bring a database here, a test compares the two."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

HEAD = "0003"
"""Revision that this program expects."""

METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def kept_text(text: str) -> str:
    r"""A text as a database can hold it: PostgreSQL has no NUL, and no database half of a surrogate pair.

    >>> ascii(kept_text("a\x00b"))
    "'a\\ufffdb'"
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


class Words(TypeDecorator[str]):
    """A text that may come from telemetry or people: see `kept_text`; PostgreSQL sets it no length."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type as the migrations made it."""
        unbound = dialect.name == "postgresql" or getattr(self.impl, "length", None) is None
        # not `type_descriptor`: of a Text it makes a VARCHAR that the migrations did not make
        return Text() if unbound else self.impl_instance

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """What is written, or compared with what was written."""
        return None if value is None else kept_text(value)


INCIDENTS = Table(
    "incidents",
    METADATA,
    Column("tenant", Words(200), primary_key=True),
    Column("id", Words(64), primary_key=True),
    Column("state", Words(20), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Column("late", Boolean, nullable=False),
    Column("dedup_key", Words(255), nullable=False),
    Column("document", Text, nullable=False),
    Index("incidents_by_update", "tenant", "updated_at"),
    Index("incidents_by_state", "tenant", "state", "updated_at"),
)

INCIDENT_EVENTS = Table(
    "incident_events",
    METADATA,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("tenant", Words(200), nullable=False),
    Column("incident_id", Words(64), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("kind", Words(40), nullable=False),
    Column("by", Words(200), nullable=False),
    Column("note", Words(), nullable=False),
    Index("incident_events_by_incident", "tenant", "incident_id", "seq"),
    sqlite_autoincrement=True,
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", Words(200), primary_key=True),
    Column("tenant", Words(200), nullable=False),
    Column("destination", Words(200), nullable=False),
    Column("action", Words(20), nullable=False),
    Column("incident_id", Words(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("state", Words(20), nullable=False),
    Column("settled_at", BigInteger),
    Column("last_error", Words(), nullable=False),
    Column("document", Text, nullable=False),
    Index("outbox_due", "state", "not_before"),
    Index("outbox_by_incident", "tenant", "incident_id", "created_at"),
    Index("outbox_by_destination", "tenant", "destination", "state"),
)

CURSORS = Table(
    "cursors",
    METADATA,
    Column("name", Words(100), primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("state", LargeBinary),
)

SILENCES = Table(
    "silences",
    METADATA,
    Column("id", Words(64), primary_key=True),
    Column("tenant", Words(200), nullable=False),
    Column("matchers", Text, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("by", Words(200), nullable=False),
    Column("note", Words(), nullable=False),
    Index("silences_by_end", "tenant", "ends_at"),
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("tenant", Words(200), nullable=False),
    Column("incident_id", Words(64), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("verdict", Words(40), nullable=False),
    Column("by", Words(200), nullable=False),
    Column("note", Words(), nullable=False),
    Index("feedback_by_incident", "tenant", "incident_id", "seq"),
    sqlite_autoincrement=True,
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", _NUMBER, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("tenant", Words(200), nullable=False),
    Column("actor", Words(200), nullable=False),
    Column("action", Words(100), nullable=False),
    Column("subject", Words(300), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", Words(64), nullable=False),
    Column("sha256", Words(64), nullable=False),
)

SPECS = Table(
    "specs",
    METADATA,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("tenant", Words(200), nullable=False),
    Column("kind", Words(40), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("by", Words(200), nullable=False),
    Column("sha256", Words(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("specs_by_kind", "tenant", "kind", "seq"),
    sqlite_autoincrement=True,
)

REMEDIES = Table(
    "remedies",
    METADATA,
    Column("id", Words(64), primary_key=True),
    Column("tenant", Words(200), nullable=False),
    Column("incident_id", Words(64), nullable=False),
    Column("state", Words(20), nullable=False),
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
    Column("name", Words(40), primary_key=True),
    Column("stopped", Boolean, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("by", Words(200), nullable=False),
    Column("note", Words(), nullable=False),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("digest", Words(64), primary_key=True),
    Column("key_id", Words(64), nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("seal", Words(64), nullable=False),
    Index("sessions_by_end", "until"),
)
