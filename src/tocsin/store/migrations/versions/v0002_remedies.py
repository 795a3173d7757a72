"""Remedies and the switch that stops them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _words(length: int) -> sa.types.TypeEngine[str]:
    # PostgreSQL would refuse what is longer, SQLite never does
    return sa.String(length).with_variant(sa.Text(), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "remedies",
        sa.Column("id", _words(64), primary_key=True),
        sa.Column("tenant", _words(200), nullable=False),
        sa.Column("incident_id", _words(64), nullable=False),
        sa.Column("state", _words(20), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("remedies_by_update", "remedies", ["tenant", "updated_at"])
    op.create_index("remedies_by_state", "remedies", ["state", "updated_at"])
    op.create_index("remedies_by_incident", "remedies", ["tenant", "incident_id"])
    op.create_table(
        "switches",
        sa.Column("name", _words(40), primary_key=True),
        sa.Column("stopped", sa.Boolean, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("by", _words(200), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("remedies")
    op.drop_table("switches")
