"""SQLite, PostgreSQL and MariaDB as one: statements of a database's owner, and locks that another client holds."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

KINDS: Final = ("sqlite", "postgresql", "mariadb")

_KEYWORDS: Final = frozenset(
    [
        "AND",
        "AS",
        "CHAR",
        "CREATE",
        "FROM",
        "INDEX",
        "INSERT",
        "INTEGER",
        "INTO",
        "JOIN",
        "KEY",
        "NULL",
        "ON",
        "PRIMARY",
        "SELECT",
        "TABLE",
        "VALUES",
        "VARCHAR",
        "VIEW",
    ]
)
_WORD: Final = re.compile(r"'[^']*'|\b[A-Z][A-Z0-9_]+\b")


@dataclass(frozen=True, slots=True)
class Server:
    """One empty database.

    Attributes:
        kind: of ``KINDS``.
        url: for SQLAlchemy.
        run: executes statements as the owner.
        locked: a context in which another client holds a table of this name for itself.
    """

    kind: str
    url: str
    run: Callable[..., Any]
    locked: Callable[[str], contextlib.AbstractContextManager[None]]


def open_server(kind: str, request: pytest.FixtureRequest, folder: Path) -> Server:
    """An empty database of a kind."""
    return {"sqlite": _sqlite, "postgresql": _postgresql, "mariadb": _mariadb}[kind](request, folder)


def quoted(statement: str) -> str:
    """A statement whose names in capitals PostgreSQL takes as they are written."""
    return _WORD.sub(lambda m: m[0] if m[0].startswith("'") or m[0] in _KEYWORDS else f'"{m[0]}"', statement)


def statements(path: Path) -> list[str]:
    """The statements of a file."""
    return [part.strip() for part in re.split(r";\s*\n", path.read_text(encoding="utf-8")) if part.strip()]


def _sqlite(request: pytest.FixtureRequest, folder: Path) -> Server:
    del request
    path = folder / "legacy.db"

    def run(*parts: str) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            for part in parts:
                connection.execute(part)

    @contextlib.contextmanager
    def locked(_: str) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")

    return Server("sqlite", f"sqlite:///{path}", run, locked)


def _postgresql(request: pytest.FixtureRequest, folder: Path) -> Server:
    del folder
    url, dsn = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_dsn")

    def run(*parts: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for part in parts:
                connection.execute(part)  # type: ignore[arg-type]  # tests' own texts

    @contextlib.contextmanager
    def locked(table: str) -> Iterator[None]:
        with psycopg.connect(dsn) as other:
            other.execute(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')  # type: ignore[arg-type]  # tests' own names
            yield
            other.rollback()

    return Server("postgresql", url, run, locked)


def _mariadb(request: pytest.FixtureRequest, folder: Path) -> Server:
    del folder
    url, server = request.getfixturevalue("mariadb_url"), request.getfixturevalue("mariadb_server")
    name = request.getfixturevalue("mariadb_database")

    def run(*parts: str) -> Any:
        return server.run(*parts, database=name)

    @contextlib.contextmanager
    def locked(table: str) -> Iterator[None]:
        other = server.connect(name)
        other.cursor().execute(f"LOCK TABLES {table} WRITE")
        yield
        other.close()

    return Server("mariadb", url, run, locked)
