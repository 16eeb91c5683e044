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
    op.create_index("uq_ledger_positions_writer_writer_seq", "ledger_positions", ["writer", "writer_seq"], unique=True)
    op.create_table(
        "ledger_sealed_inputs",
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.Column("nonce", sa.LargeBinary(length=12), nullable=False),
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "nonce", name=op.f("pk_ledger_sealed_inputs")),
    )
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
    op.create_table(
        "applications",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("officer_issuer", sa.String(length=255), nullable=False),
        sa.Column("officer", sa.String(length=128), nullable=False),
        sa.Column("unit", sa.String(length=18), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("subject_key", sa.String(length=64), nullable=False),
        sa.Column("database", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("basis", sa.String(length=512), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=True),
        sa.Column("approver", sa.String(length=384), nullable=True),
        sa.Column("copies_approved", sa.Boolean(), nullable=False),
        sa.Column("undertaking_by", sa.String(length=384), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("content_key_id", sa.String(length=36), nullable=False),
        sa.CheckConstraint("scope IN ('open', 'sealed')", name=op.f("ck_applications_scope")),
        sa.CheckConstraint(
            "state IN ('draft', 'submitted', 'approved', 'refused', 'withdrawn', 'expired')",
            name=op.f("ck_applications_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applications")),
    )
    op.create_index("ix_applications_unit_state", "applications", ["unit", "state"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("officer", sa.String(length=384), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("inquiry", sa.String(length=36), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("officer", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_expires"), "idempotency_keys", ["expires"], unique=False)
    op.create_table(
        "inquiries",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("officer", sa.String(length=384), nullable=False),
        sa.Column("request", sa.String(length=32), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inquiries")),
    )
    op.create_index(op.f("ix_inquiries_expires"), "inquiries", ["expires"], unique=False)
    op.create_table(
        "letter_uses",
        sa.Column("counter", sa.String(length=83), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("used >= 1", name=op.f("ck_letter_uses_used")),
        sa.PrimaryKeyConstraint("counter", name=op.f("pk_letter_uses")),
    )
    op.create_table(
        "letters",
        sa.Column("unit", sa.String(length=18), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("officer", sa.String(length=128), nullable=False),
        sa.Column("subjects", sa.Text(), nullable=False),
        sa.Column("databases", sa.Text(), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("instrument", sa.String(length=255), nullable=False),
        sa.Column("article", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("first_day", sa.BigInteger(), nullable=False),
        sa.Column("last_day", sa.BigInteger(), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("registered_by", sa.String(length=384), nullable=False),
        sa.Column("registered", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("scope IN ('open', 'sealed')", name=op.f("ck_letters_scope")),
        sa.CheckConstraint("uses >= 1", name=op.f("ck_letters_uses")),
        sa.PrimaryKeyConstraint("unit", "number", name=op.f("pk_letters")),
    )
    op.create_table(
        "revoked_letters",
        sa.Column("counter", sa.String(length=83), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("counter", name=op.f("pk_revoked_letters")),
    )
    op.create_table(
        "seal_register",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("database", sa.String(length=64), nullable=False),
        sa.Column("record_key", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("subject_key", sa.String(length=64), nullable=False),
        sa.Column("effect", sa.String(length=8), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("authority", sa.String(length=200), nullable=False),
        sa.Column("date", sa.BigInteger(), nullable=False),
        sa.Column("ground", sa.String(length=64), nullable=False),
        sa.Column("entered_by", sa.String(length=384), nullable=False),
        sa.Column("confirmed_by", sa.String(length=384), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("effect IN ('seal', 'unseal')", name=op.f("ck_seal_register_effect")),
        sa.CheckConstraint("entered_by <> confirmed_by", name=op.f("ck_seal_register_two_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seal_register")),
    )
    op.create_index("ix_seal_register_database_record_key", "seal_register", ["database", "record_key"], unique=False)
    op.create_index("ix_seal_register_subject", "seal_register", ["subject_key", "subject"], unique=False)
    op.create_table(
        "seal_register_version",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.String(length=36), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_seal_register_version_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seal_register_version")),
    )
    op.create_table(
        "application_events",
        sa.Column("application", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=384), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["application"], ["applications.id"], name=op.f("fk_application_events_application")),
        sa.PrimaryKeyConstraint("application", "version", name=op.f("pk_application_events")),
    )
    op.create_table(
        "undertakings",
        sa.Column("application", sa.String(length=36), nullable=False),
        sa.Column("officer", sa.String(length=384), nullable=False),
        sa.Column("signed", sa.BigInteger(), nullable=False),
        sa.Column("wording", sa.LargeBinary(length=32), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["application"], ["applications.id"], name=op.f("fk_undertakings_application")),
        sa.PrimaryKeyConstraint("application", name=op.f("pk_undertakings")),
    )
