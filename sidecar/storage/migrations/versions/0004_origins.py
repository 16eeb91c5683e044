"""Origins of the ledger, one a calendar year."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

from sidecar.law.days import BEIJING

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("ledger_state", sa.Column("first", sa.BigInteger(), server_default="0", nullable=False))
    origins = op.create_table(
        "ledger_origins",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("label", sa.String(length=16), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("first_event", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("seen_size", sa.BigInteger(), nullable=False),
        sa.Column("seen_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("destroyed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ledger_origins")),
        sa.UniqueConstraint("label", name=op.f("uq_ledger_origins_label")),
        sa.UniqueConstraint("name", name=op.f("uq_ledger_origins_name")),
    )
    op.create_table(
        "ledger_starts",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("writer", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("chain", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("number", "writer", name=op.f("pk_ledger_starts")),
    )
    for origin, created in op.get_bind().execute(sa.text("SELECT origin, created FROM ledger_state")).all():
        year = datetime.fromtimestamp(created / 1000, BEIJING).year
        named = {"number": 1, "name": origin, "label": str(year), "year": year, "opened": created, "first_event": 1}
        empty = dict.fromkeys(("first", "closed", "size", "seen_size", "destroyed"), 0)
        op.bulk_insert(origins, [{**named, **empty, "reason": "", "root": b"", "seen_root": b""}])
