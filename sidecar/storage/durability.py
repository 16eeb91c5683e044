"""Refuses databases whose commits do not survive power loss (P2): the ledger's promise rests on them."""

from __future__ import annotations

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from sidecar.errors import ConfigurationError, LedgerUnavailable

SQLITE_FULL = 2
"""``PRAGMA synchronous`` from which SQLite syncs at every commit in WAL mode."""

_POSTGRESQL = ("fsync", "full_page_writes", "synchronous_commit")


def check_durable(engine: Engine) -> None:
    """Check the settings as they hold for our own connections.

    PostgreSQL: ``fsync`` and ``full_page_writes`` on; ``synchronous_commit`` may be ``local`` or stronger, for each of
    them flushes the local log before the commit returns; only ``off`` does not.

    Raises:
        ConfigurationError: a commit would not be durable; the text is the exact fix.
        LedgerUnavailable: the database does not answer.
    """
    try:
        with engine.connect() as connection:
            problem = _sqlite(connection) if engine.dialect.name == "sqlite" else _postgresql(connection)
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer") from exc
    if problem:
        raise ConfigurationError(problem)


def _sqlite(connection: Connection) -> str:
    synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if synchronous < SQLITE_FULL:
        return (
            f"SQLite: expected PRAGMA synchronous=FULL (2) or EXTRA (3), got {synchronous}; run PRAGMA synchronous=FULL"
        )
    if journal not in {"wal", "delete", "truncate", "persist"}:
        return f"SQLite: expected journal_mode wal, got {journal}; run PRAGMA journal_mode=WAL"
    return ""


def _postgresql(connection: Connection) -> str:
    for name in _POSTGRESQL:
        if connection.exec_driver_sql(f"SHOW {name}").scalar_one() == "off":
            return (
                f"PostgreSQL: expected {name} on, got off; run ALTER SYSTEM SET {name} = on; "
                f"SELECT pg_reload_conf(); and remove settings of the role or database that turn it off"
            )
    return ""
