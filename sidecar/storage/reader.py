"""Reads of the hot path: SQLAlchemy compiles a query once, the driver runs it prepared, in autocommit: one round trip.

A pooled SQLAlchemy connection takes four for the same (ping, begin, query, rollback), and several times the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy import Engine, Select, event
from sqlalchemy.exc import SQLAlchemyError

from sidecar.errors import LedgerUnavailable
from sidecar.storage.engine import reading


class Reader:
    """Runs queries that their callers keep. Thread-safe; its connections end when the engine is disposed of.

    Args:
        engine: the state database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = reading(engine)
        self._postgresql = engine.dialect.name == "postgresql"
        self._texts: dict[Select[Any], bytes] = {}
        self._idle: deque[psycopg.Connection[tuple[Any, ...]]] = deque()
        if self._postgresql:
            event.listen(engine, "engine_disposed", lambda _: self._close())

    def rows(self, query: Select[Any], values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Args:
            query: kept by the caller and the same each time: it is compiled once.
            values: by the names of its ``bindparam``.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        try:
            if self._postgresql:
                return self._run(self._text(query), values)
            with self._engine.connect() as connection:
                return [tuple(row) for row in connection.execute(query, values)]
        except (SQLAlchemyError, psycopg.Error) as exc:
            raise LedgerUnavailable("the state database cannot be read") from exc

    def _text(self, query: Select[Any]) -> bytes:
        text = self._texts.get(query)
        if text is None:
            text = self._texts[query] = str(query.compile(dialect=self._engine.dialect)).encode()
        return text

    def _run(self, text: bytes, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """On a connection that was used before, or, where that is gone, once more on a new one: it only reads."""
        kept = self._kept()
        if kept is not None:
            try:
                return self._execute(kept, text, values)
            except psycopg.OperationalError:
                if not kept.closed:  # the server answered, with a time-out or the like
                    raise
                self._close()  # they broke together: the server was started anew
        return self._execute(self._open(), text, values)

    def _execute(
        self, connection: psycopg.Connection[tuple[Any, ...]], text: bytes, values: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        try:
            found = connection.execute(text, values, prepare=True).fetchall()
        except psycopg.Error:
            if not connection.closed:
                self._idle.append(connection)
            raise
        self._idle.append(connection)
        return found

    def _kept(self) -> psycopg.Connection[tuple[Any, ...]] | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of its own, taken out of the engine's pool."""
        fairy = self._engine.raw_connection()
        connection = fairy.driver_connection
        fairy.detach()
        assert isinstance(connection, psycopg.Connection)  # noqa: S101  # the engine is ours: psycopg 3
        connection.autocommit = True
        return connection

    def _close(self) -> None:
        while (connection := self._kept()) is not None:
            connection.close()
