"""State databases for tests: fresh, with every ledger table, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Column, Engine, Integer, MetaData, String, Table

from sidecar.clock import FixedClock
from sidecar.ledger import tables as _ledger_tables  # noqa: F401  # on METADATA
from sidecar.ledger.build import EntryBuilder
from sidecar.ledger.open import create_ledger, open_ledger
from sidecar.ledger.types import Effect, Entry, Ledger
from sidecar.oversight import tables as _oversight_tables  # noqa: F401
from sidecar.settings import Settings
from sidecar.storage.engine import open_state
from sidecar.storage.metadata import METADATA

ORIGIN = "county"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

TEST_METADATA = MetaData()

USES = Table(
    "test_uses",
    TEST_METADATA,
    Column("id", String(36), primary_key=True),
    Column("used", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
)
"""A counted paper, as the papers have it."""

NOTES = Table("test_notes", TEST_METADATA, Column("id", String(64), primary_key=True), Column("n", Integer))
"""Something written with an entry."""

USE = "UPDATE test_uses SET used = used + 1 WHERE id = %(id)s AND used < uses AND {guard}"
NOTE = "INSERT INTO test_notes (id, n) SELECT %(id)s, %(n)s WHERE {guard}"


def use(paper: str, name: str = "letter") -> Effect:
    """A required effect: counts one use of ``paper``."""
    return Effect(name, USE, {"id": paper}, required=True)


def note(identifier: str, n: int | None = 1, name: str = "note") -> Effect:
    """A plain effect."""
    return Effect(name, NOTE, {"id": identifier, "n": n})


def settings_for(folder: Path, url: str = "sqlite:///state.db", **storage: object) -> Settings:
    """Settings of a deployment whose state database is ``url``."""
    return Settings(base=folder, deployment={"id": ORIGIN}, storage={"url": url, **storage})


def new_state(settings: Settings) -> Engine:
    """A database with all tables known by now and an empty ledger. The caller disposes of the engine."""
    engine = open_state(settings, create=True)
    METADATA.create_all(engine)
    TEST_METADATA.create_all(engine)
    create_ledger(engine, ORIGIN, FixedClock(NOW))
    return engine


def open_both(settings: Settings) -> Iterator[tuple[Engine, Ledger]]:
    """Engine and ledger, closed afterwards; for fixtures."""
    engine = new_state(settings)
    ledger = open_ledger(settings, FixedClock(NOW), engine=engine)
    yield engine, ledger
    ledger.close()
    engine.dispose()


def entry(kind: str = "inquiry", **fields: object) -> Entry:
    """A fresh entry of the fixed time."""
    return EntryBuilder(FixedClock(NOW)).build(kind, "api", **fields)  # type: ignore[arg-type]
