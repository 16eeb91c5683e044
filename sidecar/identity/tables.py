"""Tables of the registry (units, their keys, officers) and of revoked tokens.

An import writes all rows of a new revision as a *batch* beside the old one; one row in ``registry_revisions``, committed
with its ledger entry, makes it the current one. A gateway therefore sees the old registry or the new one, and a crash
leaves rows that nothing points to. Times are POSIX seconds, days YYYYMMDD, both ends of a validity inclusive.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, String, Table, Text

from sidecar.storage.metadata import METADATA

REGISTRY_REVISIONS = Table(
    "registry_revisions",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("batch", String(36), nullable=False, unique=True),
    # SHA-256 of the imported file, hex.
    Column("digest", String(64), nullable=False),
    Column("imported", BigInteger, nullable=False),
)
"""The highest number is the current revision; without a row the registry is empty. Rows come with their entries only."""

UNITS = Table(
    "units",
    METADATA,
    Column("batch", String(36), primary_key=True),
    Column("code", String(18), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("organ", String(64), nullable=False),
    Column("region", String(6), nullable=False),
    Column("state", String(16), nullable=False),
    CheckConstraint("state IN ('active', 'suspended')", name="state"),
)
"""``code``: unified social credit code (GB 32100); ``region``: GB/T 2260, or empty."""

UNIT_KEYS = Table(
    "unit_keys",
    METADATA,
    Column("batch", String(36), primary_key=True),
    Column("unit", String(18), primary_key=True),
    Column("kid", String(128), primary_key=True),
    Column("jwk", Text, nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_to", BigInteger, nullable=False),
    ForeignKeyConstraint(["batch", "unit"], ["units.batch", "units.code"]),
)
"""Public keys with which units sign letters; validity in Beijing days, both ends inclusive (R17)."""

OFFICERS = Table(
    "officers",
    METADATA,
    Column("batch", String(36), primary_key=True),
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(128), primary_key=True),
    Column("state", String(16), nullable=False),
    CheckConstraint("state IN ('active', 'suspended', 'revoked')", name="state"),
)
"""Officers whose state the registry knows; one it does not name is active as long as the issuer gives tokens."""

REVOKED_TOKENS = Table(
    "revoked_tokens",
    METADATA,
    Column("issuer", String(255), primary_key=True),
    Column("token_id", String(256), primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
)
"""Tokens taken back before their ``exp``; ``expires`` is when the row may go."""
