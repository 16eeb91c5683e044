"""The table of activated revisions; its rows are written with their ledger entries, never alone."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table, Text

from sidecar.storage.metadata import METADATA

REVISIONS = Table(
    "revisions",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(71), nullable=False),
    Column("label", String(64), nullable=False),
    # POSIX milliseconds.
    Column("activated", BigInteger, nullable=False),
    # Canonical JSON, exactly the bytes that were signed.
    Column("manifest", Text, nullable=False),
    # JSON object: approver's name to detached JWS.
    Column("approvals", Text, nullable=False),
)
"""The highest number is the active revision; a number is never given again."""
