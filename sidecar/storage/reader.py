"""Reads of the hot path: SQLAlchemy compiles a query once, libpq runs it prepared, in autocommit: one round trip.

A pooled SQLAlchemy connection takes four for the same (ping, begin, query, rollback), and several times the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from sqlalchemy import Engine, Select, event
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import SQLAlchemyError

from sidecar.errors import LedgerUnavailable
from sidecar.storage.engine import reading

_SQL = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy

_Compiled = tuple[bytes, tuple[str, ...]]
"""SQL text, and the bind names in the order of its parameters."""


class _Connection:
    """One connection with what is prepared on it; used by one thread at a time."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._names: dict[bytes, bytes] = {}
        self._transformer = Transformer(connection)

    @property
    def broken(self) -> bool:
        """Whether it cannot be used again."""
        return self._connection.pgconn.status != pq.ConnStatus.OK

    def run(self, text: bytes, values: list[bytes]) -> list[tuple[Any, ...]]:
        """All rows; the server's ``statement_timeout`` bounds the wait."""
        name = self._names.get(text) or self._prepare(text)
        result = self._connection.pgconn.exec_prepared(name, values)
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.OperationalError("the query failed")
        if result.ntuples == 0:
            return []
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def _prepare(self, text: bytes) -> bytes:
        name = b"read_%d" % len(self._names)
        if self._connection.pgconn.prepare(name, text).status != pq.ExecStatus.COMMAND_OK:
            raise psycopg.OperationalError("the query cannot be prepared")
        self._names[text] = name
        return name


class Reader:
    """Runs queries that their callers keep. Thread-safe; its connections end when the engine is disposed of.

    Args:
        engine: the state database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = reading(engine)
        self._postgresql = engine.dialect.name == "postgresql"
        self._compiled: dict[Select[Any], _Compiled] = {}
        self._idle: deque[_Connection] = deque()
        if self._postgresql:
            event.listen(engine, "engine_disposed", lambda _: self._close())

    def rows(self, query: Select[Any], values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Args:
            query: kept by the caller and the same each time: it is compiled once.
            values: texts and integers by the names of its ``bindparam``.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        try:
            if self._postgresql:
                text, names = self._compile(query)
                return self._run(text, [str(values[name]).encode() for name in names])
            with self._engine.connect() as connection:
                return [tuple(row) for row in connection.execute(query, values)]
        except (SQLAlchemyError, psycopg.Error) as exc:
            raise LedgerUnavailable("the state database cannot be read") from exc

    def _compile(self, query: Select[Any]) -> _Compiled:
        found = self._compiled.get(query)
        if found is None:
            compiled = query.compile(dialect=_SQL)
            found = self._compiled[query] = str(compiled).encode(), tuple(compiled.positiontup or ())
        return found

    def _run(self, text: bytes, values: list[bytes]) -> list[tuple[Any, ...]]:
        """On a connection that was used before, or, where that is gone, once more on a new one: it only reads."""
        try:
            kept = self._idle.pop()
        except IndexError:
            return self._execute(self._open(), text, values)
        try:
            return self._execute(kept, text, values)
        except psycopg.Error:
            if not kept.broken:  # the server answered, with a time-out or the like
                raise
        self._close()  # they broke together: the server was started anew
        return self._execute(self._open(), text, values)

    def _execute(self, connection: _Connection, text: bytes, values: list[bytes]) -> list[tuple[Any, ...]]:
        try:
            return connection.run(text, values)
        finally:
            if connection.broken:
                connection.close()
            else:
                self._idle.append(connection)

    def _open(self) -> _Connection:
        """A connection of its own, taken out of the engine's pool."""
        fairy = self._engine.raw_connection()
        connection = fairy.driver_connection
        fairy.detach()
        assert isinstance(connection, psycopg.Connection)  # noqa: S101  # the engine is ours: psycopg 3
        connection.autocommit = True
        return _Connection(connection)

    def _close(self) -> None:
        while self._idle:
            self._idle.pop().close()
