"""Inquiry sessions of legacy clients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "inquiry_sessions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("verifier", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inquiry_sessions")),
    )
    op.create_index(op.f("ix_inquiry_sessions_expires"), "inquiry_sessions", ["expires"], unique=False)
