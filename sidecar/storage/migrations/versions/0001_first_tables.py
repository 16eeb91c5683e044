"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "ledger_data_keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_data_keys")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("writer", sa.String(length=36), nullable=False),
        sa.Column("writer_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chain", sa.LargeBinary(length=32), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("writer", "writer_seq", name=op.f("pk_ledger_entries")),
    )
    op.create_table(
        "ledger_positions",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("writer", sa.String(length=36), nullable=False),
        sa.Column("writer_seq", sa.BigInteger(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_ledger_positions")),
    )
    op.create_index(op.f("ix_ledger_positions_entry_id"), "ledger_positions", ["entry_id"], unique=False)
    op.create_index(op.f("ix_ledger_positions_leaf_hash"), "ledger_positions", ["leaf_hash"], unique=False)
    op.create_index("uq_ledger_positions_writer_writer_seq", "ledger_positions", ["writer", "writer_seq"], unique=True)
    op.create_table(
        "ledger_sealed_inputs",
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("nonce", sa.LargeBinary(length=12), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "nonce", name=op.f("pk_ledger_sealed_inputs")),
    )
    op.create_index(op.f("ix_ledger_sealed_inputs_entry_id"), "ledger_sealed_inputs", ["entry_id"], unique=False)
    op.create_table(
        "ledger_state",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(length=255), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("roots", sa.LargeBinary(), nullable=False),
        sa.Column("holder", sa.String(length=36), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_ledger_state_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_state")),
    )
    op.create_table(
        "ledger_writers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("integrated_seq", sa.BigInteger(), nullable=False),
        sa.Column("integrated_chain", sa.LargeBinary(length=32), nullable=False),
        sa.Column("active", sa.BigInteger(), nullable=False),
        sa.Column("fault", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_writers")),
    )
    op.create_index(op.f("ix_ledger_writers_active"), "ledger_writers", ["active"], unique=False)
    op.create_table(
        "officers",
        sa.Column("batch", sa.String(length=36), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.CheckConstraint("state IN ('active', 'suspended', 'revoked')", name=op.f("ck_officers_state")),
        sa.PrimaryKeyConstraint("batch", "issuer", "subject", name=op.f("pk_officers")),
    )
    op.create_table(
        "oversight_events",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=128), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("time", sa.String(length=24), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_oversight_events")),
        sa.UniqueConstraint("id", name=op.f("uq_oversight_events_id")),
    )
    op.create_index(op.f("ix_oversight_events_position"), "oversight_events", ["position"], unique=False)
    op.create_table(
        "registry_revisions",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("batch", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("imported", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_registry_revisions")),
        sa.UniqueConstraint("batch", name=op.f("uq_registry_revisions_batch")),
    )
    op.create_table(
        "revisions",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("activated", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("approvals", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_revisions")),
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("token_id", sa.String(length=256), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "token_id", name=op.f("pk_revoked_tokens")),
    )
    op.create_index(op.f("ix_revoked_tokens_expires"), "revoked_tokens", ["expires"], unique=False)
    op.create_table(
        "units",
        sa.Column("batch", sa.String(length=36), nullable=False),
        sa.Column("code", sa.String(length=18), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("organ", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=6), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.CheckConstraint("state IN ('active', 'suspended')", name=op.f("ck_units_state")),
        sa.PrimaryKeyConstraint("batch", "code", name=op.f("pk_units")),
    )
    op.create_table(
        "unit_keys",
        sa.Column("batch", sa.String(length=36), nullable=False),
        sa.Column("unit", sa.String(length=18), nullable=False),
        sa.Column("kid", sa.String(length=128), nullable=False),
        sa.Column("jwk", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["batch", "unit"], ["units.batch", "units.code"], name=op.f("fk_unit_keys_batch_unit")),
        sa.PrimaryKeyConstraint("batch", "unit", "kid", name=op.f("pk_unit_keys")),
    )
