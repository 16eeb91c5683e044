"""Opens the one state database: SQLite embedded, PostgreSQL in production; the same code above it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from sidecar.errors import ConfigurationError
from sidecar.settings import Settings

CONNECT_SECONDS = 5
"""Longest wait for a connection to PostgreSQL."""

DEAD_PEER_MS = 10_000
"""Unacknowledged bytes to PostgreSQL break the connection after so long: a vanished server holds nobody up."""

PRIVATE_FILE = 0o600
"""Mode of a new SQLite file: it holds pseudonyms and sealed rows."""


def open_state(settings: Settings, *, create: bool = False) -> Engine:
    """The engine of the state database. Nothing is connected yet, but with SQLite the file must be there.

    ``create`` makes an empty SQLite file where there is none (``sidecar db upgrade``, ``init``); a PostgreSQL
    database is never created here. The caller MUST run ``durability.check_durable`` before anything relies on commits.

    Raises:
        ConfigurationError: the URL cannot be used, or there is no database file.
    """
    url = _parsed(settings.storage.url)
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite(settings, url, create=create)
    if backend == "postgresql":
        return _postgresql(settings, url)
    raise ConfigurationError(f"storage.url: expected sqlite:///file or postgresql+psycopg://…, got {backend}")


def reading(engine: Engine) -> Engine:
    """The same engine for transactions that only read: on SQLite they do not wait for writers."""
    return engine.execution_options(sqlite_begin="DEFERRED")


def sqlite_file(engine: Engine) -> Path | None:
    """The database file of a SQLite engine; None for other databases."""
    database = engine.url.database
    return Path(database) if engine.dialect.name == "sqlite" and database else None


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError as exc:
        raise ConfigurationError("storage.url: cannot be read as a SQLAlchemy URL") from exc
    if url.password is not None:
        raise ConfigurationError("storage.url: holds a password; write it to a file and set storage.password_file")
    return url


def _sqlite(settings: Settings, url: URL, *, create: bool) -> Engine:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ConfigurationError("storage.url: SQLite needs a file, e.g. sqlite:///state.db; memory is not durable")
    file = settings.path(Path(url.database)).resolve()
    if create:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=PRIVATE_FILE)
    elif not file.is_file():
        raise ConfigurationError(f"storage.url: there is no state database at {file}; run `sidecar db upgrade`")
    engine = create_engine(
        url.set(database=str(file)),
        hide_parameters=True,
        pool_size=settings.storage.pool_size,
        connect_args={"timeout": settings.storage.statement_timeout_ms / 1000},
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    """Each new connection: transactions are begun by us, commits are synced, foreign keys hold."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock first: a transaction that reads and then writes would fail where another wrote between."""
    mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _postgresql(settings: Settings, url: URL) -> Engine:
    storage = settings.storage
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_size=storage.pool_size,
        pool_pre_ping=True,
        pool_timeout=storage.statement_timeout_ms / 1000,
        connect_args={
            "application_name": f"sidecar/{settings.deployment.id}",
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": DEAD_PEER_MS,
            "options": f"-c statement_timeout={storage.statement_timeout_ms} -c TimeZone=UTC",
        },
    )
    if storage.password_file is not None:
        _read_password(engine, settings.path(storage.password_file))
    return engine


def _read_password(engine: Engine, file: Path) -> None:
    """Read the password at every connect, so that a rotated one is taken up."""

    def connect(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> None:
        try:
            parameters["password"] = file.read_text(encoding="utf-8").removesuffix("\n")
        except OSError as exc:
            raise ConfigurationError(f"storage.password_file: {file}: {os.strerror(exc.errno or 0)}") from exc

    event.listen(engine, "do_connect", connect)
