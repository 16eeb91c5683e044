"""What a database's driver does for the SQL connector, and the bounded pool that all drivers share (P7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Select

from sidecar.errors import DatabaseTimeout, DatabaseUnavailable
from sidecar.records.dialect import Dialect
from sidecar.records.statement import ColumnType, Statement


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a connector."""

    statement_timeout_ms: int
    pool_size: int


class Driver(Protocol):
    """Executes compiled statements on pooled read-only connections. Thread-safe.

    Every method raises ``DatabaseUnavailable`` or ``DatabaseTimeout`` without foreign text, which might hold a value.
    """

    dialect: Dialect

    def columns(self, schema: str | None, table: str) -> Mapping[str, ColumnType]:
        """The live columns of a table, by exact name; empty where there is no such table."""

    def render(self, query: Select[Any]) -> tuple[str, tuple[str, ...]]:
        """SQL text in the driver's own parameter style, and the bind names in the order of its parameters."""

    def bindable(self, text: str) -> bool:
        """Whether the database could hold this text at all; what it could not, no row equals."""

    def key_set(self, keys: Collection[str]) -> Any:
        """The bound value of a set of texts."""

    def execute(self, statement: Statement, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows: leaves as text (undecodable bytes as lone surrogates), encoded columns raw, the total."""

    def read_whole(self, statement: Statement, values: Sequence[Any]) -> frozenset[str]:
        """Aliases of the tables that the statement's plan reads whole where it could have used an index."""

    def close(self) -> None:
        """Close all connections; a later call raises ``DatabaseUnavailable``."""


class Closable(Protocol):
    """A connection of any kind."""

    def close(self) -> None:
        """Release it."""


C = TypeVar("C", bound=Closable)


class Pool(Generic[C]):
    """At most ``size`` connections, made on demand; the one used last comes first, so that few are kept busy."""

    def __init__(self, connect: Callable[[], C], size: int, wait_seconds: float) -> None:
        self._connect = connect
        self._wait = wait_seconds
        self._closed = False
        self._idle: deque[C] = deque()
        self._slots: SimpleQueue[None] = SimpleQueue()  # the right to use a connection, idle or new
        for _ in range(size):
            self._slots.put(None)

    def take(self) -> tuple[C, bool]:
        """A connection and whether it was used before. The caller MUST give it back or drop it.

        Raises:
            DatabaseTimeout: none became free in time.
            DatabaseUnavailable: a new one could not be made, or the pool is closed.
        """
        try:
            self._slots.get(timeout=self._wait)
        except Empty:
            raise DatabaseTimeout("no connection became free in time") from None
        try:
            return self._used() or (self._new(), False)
        except BaseException:
            self._slots.put(None)
            raise

    def _new(self) -> C:
        if self._closed:
            raise DatabaseUnavailable("the connector is closed")
        return self._connect()

    def _used(self) -> tuple[C, bool] | None:
        try:
            return self._idle.pop(), True
        except IndexError:
            return None

    def give(self, connection: C) -> None:
        """Give a sound connection back."""
        self._idle.append(connection)
        self._slots.put(None)
        if self._closed:  # looked at last: whoever closes meanwhile finds it, or we do
            self._close_idle()

    def drop(self, connection: C) -> None:
        """Close a broken connection, and the idle ones: they broke with it (a restart of the server)."""
        self._close_idle()
        connection.close()
        self._slots.put(None)

    def close(self) -> None:
        """Close idle connections now, others when they are given back."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        while (found := self._used()) is not None:
            found[0].close()
