"""Brings the state database to the schema of this release: Alembic migrations that the package carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.storage.engine import reading

LOCK_KEY = 0x7365616C65640002
"""PostgreSQL's advisory lock of an upgrade: two at once would both create the tables."""


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without any file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.attributes["connection"] = connection
    return made


def head() -> str:
    """The schema of this release."""
    found = ScriptDirectory.from_config(config()).get_current_head()
    if found is None:
        raise ConfigurationError("the package carries no migrations; reinstall it")
    return found


def current(engine: Engine) -> str | None:
    """The database's schema; None if it has none yet.

    Raises:
        LedgerUnavailable: the database does not answer.
    """
    try:
        with reading(engine).connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer") from exc


def pending(engine: Engine) -> tuple[str, ...]:
    """Migrations that the database lacks, in order of application; empty when it is up to date.

    Raises:
        ConfigurationError: the database is of a later release.
        LedgerUnavailable: the database does not answer.
    """
    at = current(engine)
    scripts = ScriptDirectory.from_config(config())
    known = [script.revision for script in scripts.walk_revisions()]
    if at is not None and at not in known:
        raise ConfigurationError(f"the state database has schema {at}, of a later release than this (schema {head()})")
    return tuple(reversed(known if at is None else known[: known.index(at)]))


def upgrade(engine: Engine) -> tuple[str, ...]:
    """Apply what is pending, in one transaction; returns what was applied. Safe to run twice and at once.

    Raises:
        ConfigurationError: the database is of a later release.
        LedgerUnavailable: the database does not answer or refuses.
    """
    missing = pending(engine)
    if not missing:
        return ()
    try:
        with engine.begin() as connection:
            _lock(connection)
            command.upgrade(config(connection), "head")
    except SQLAlchemyError as exc:
        raise LedgerUnavailable(f"the upgrade was refused and undone: {type(exc).__name__}") from exc
    return missing


def _lock(connection: Connection) -> None:
    """SQLite's transaction holds the write lock from its beginning; PostgreSQL needs a lock of its own."""
    if connection.dialect.name == "postgresql":
        parameters: dict[str, Any] = {"key": LOCK_KEY}
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), parameters)
        connection.execute(text("SET LOCAL statement_timeout = 0"))
