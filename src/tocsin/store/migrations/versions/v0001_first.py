"""The first layout."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite counts up only what is called INTEGER, which there has 64 bits
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _words(length: int) -> sa.types.TypeEngine[str]:
    # PostgreSQL would refuse what is longer, SQLite never does
    return sa.String(length).with_variant(sa.Text(), "postgresql")


def _incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("tenant", _words(200), primary_key=True),
        sa.Column("id", _words(64), primary_key=True),
        sa.Column("state", _words(20), nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("late", sa.Boolean, nullable=False),
        sa.Column("dedup_key", _words(255), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("incidents_by_update", "incidents", ["tenant", "updated_at"])
    op.create_index("incidents_by_state", "incidents", ["tenant", "state", "updated_at"])


def _incident_events() -> None:
    op.create_table(
        "incident_events",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("tenant", _words(200), nullable=False),
        sa.Column("incident_id", _words(64), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("kind", _words(40), nullable=False),
        sa.Column("by", _words(200), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("incident_events_by_incident", "incident_events", ["tenant", "incident_id", "seq"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _words(200), primary_key=True),
        sa.Column("tenant", _words(200), nullable=False),
        sa.Column("destination", _words(200), nullable=False),
        sa.Column("action", _words(20), nullable=False),
        sa.Column("incident_id", _words(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("dry_run", sa.Boolean, nullable=False),
        sa.Column("state", _words(20), nullable=False),
        sa.Column("settled_at", sa.BigInteger),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("outbox_due", "outbox", ["state", "not_before"])
    op.create_index("outbox_by_incident", "outbox", ["tenant", "incident_id", "created_at"])
    op.create_index("outbox_by_destination", "outbox", ["tenant", "destination", "state"])


def _cursors() -> None:
    op.create_table(
        "cursors",
        sa.Column("name", _words(100), primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("state", sa.LargeBinary),
    )


def _silences() -> None:
    op.create_table(
        "silences",
        sa.Column("id", _words(64), primary_key=True),
        sa.Column("tenant", _words(200), nullable=False),
        sa.Column("matchers", sa.Text, nullable=False),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("by", _words(200), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("silences_by_end", "silences", ["tenant", "ends_at"])


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("tenant", _words(200), nullable=False),
        sa.Column("incident_id", _words(64), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("verdict", _words(40), nullable=False),
        sa.Column("by", _words(200), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("feedback_by_incident", "feedback", ["tenant", "incident_id", "seq"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("tenant", _words(200), nullable=False),
        sa.Column("actor", _words(200), nullable=False),
        sa.Column("action", _words(100), nullable=False),
        sa.Column("subject", _words(300), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", _words(64), nullable=False),
        sa.Column("sha256", _words(64), nullable=False),
    )


def _specs() -> None:
    op.create_table(
        "specs",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("tenant", _words(200), nullable=False),
        sa.Column("kind", _words(40), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("by", _words(200), nullable=False),
        sa.Column("sha256", _words(64), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("specs_by_kind", "specs", ["tenant", "kind", "seq"])


def upgrade() -> None:
    """Make all tables."""
    _incidents()
    _incident_events()
    _outbox()
    _cursors()
    _silences()
    _feedback()
    _audit()
    _specs()


def downgrade() -> None:
    """Drop all tables."""
    for name in ("incidents", "incident_events", "outbox", "cursors", "silences", "feedback", "audit", "specs"):
        op.drop_table(name)
