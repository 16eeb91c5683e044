"""Tables of the registry (units, their keys, officers) and of revoked tokens.

An import writes a whole new revision of the registry beside the old one; one statement, committed with its ledger
entry, makes it the current one. A gateway therefore sees either the old registry or the new one, and a crash leaves
rows that nothing points to. Times are POSIX seconds, days YYYYMMDD.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, Integer, String, Table, Text

from sidecar.storage.metadata import METADATA

REGISTRY_STATE = Table(
    "registry_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single"),
)
"""One row: which revision of the registry is current. No row: the registry is empty (revision 0)."""

UNITS = Table(
    "units",
    METADATA,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
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
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("unit", String(18), primary_key=True),
    Column("kid", String(128), primary_key=True),
    Column("jwk", Text, nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_to", BigInteger, nullable=False),
    ForeignKeyConstraint(["revision", "unit"], ["units.revision", "units.code"]),
)
"""Public keys with which units sign letters; validity in Beijing days, both ends inclusive (R17)."""

OFFICERS = Table(
    "officers",
    METADATA,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
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
