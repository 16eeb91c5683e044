"""Tables of the feed of events, which the sequencer's transaction writes, and of how far the by-pass watch has read."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table, Text

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

BYPASS_POSITIONS = Table(
    "bypass_positions",
    METADATA,
    Column("source", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
)
"""How far each audit was read (``bypass.position``); ``version`` counts changes, so that two watches never both move it."""
