"""Table of the feed of events; the sequencer's transaction writes it, oversight only reads it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from sidecar.storage.metadata import METADATA

EVENTS = Table(
    "oversight_events",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String(64), nullable=False, unique=True),
    Column("type", String(128), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("position", BigInteger, nullable=False, index=True),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("time", String(24), nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""``seq`` counts from 1 without gaps; ``time`` is the entry's; ``body`` is the whole CloudEvent as JSON."""
