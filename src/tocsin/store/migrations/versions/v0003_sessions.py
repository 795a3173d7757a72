"""Sessions of browsers, which all processes of an installation know."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _words(length: int) -> sa.types.TypeEngine[str]:
    # PostgreSQL would refuse what is longer, SQLite never does
    return sa.String(length).with_variant(sa.Text(), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sessions",
        sa.Column("digest", _words(64), primary_key=True),
        sa.Column("key_id", _words(64), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("seal", _words(64), nullable=False),
    )
    op.create_index("sessions_by_end", "sessions", ["until"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("sessions")
