"""PostgreSQL driver: statements prepared once a connection and executed at libpq level in one round trip (P7).

Sessions are read-only and have the statement time-out set in the server; the client gives up a little later, so that a
server that hangs without answering does not hold a worker. The client encoding is the server's own: no conversion
there can fail because of one row, and SQL_ASCII databases give their bytes as they are.
"""

from __future__ import annotations

import re
import select as os_select
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Loader, Transformer
from sqlalchemy import ARRAY, ColumnElement, Integer, Select, and_, bindparam, cast, collate, func
from sqlalchemy import Text as SqlText
from sqlalchemy.dialects.postgresql.base import PGDialect

from sidecar.clock import Clock
from sidecar.errors import DatabaseTimeout, DatabaseUnavailable
from sidecar.records.dialect import Dialect, constant
from sidecar.records.driver import Limits, Pool
from sidecar.records.statement import ColumnType, Statement

CONNECT_TIMEOUT_SECONDS = 5
KEEPALIVE_SECONDS = 30
"""An idle connection says that it is there so often: a firewall forgets it, or we learn that it did."""

DEAD_PEER_MS = 10_000
"""Unacknowledged bytes break the connection after so long."""

GRACE_SECONDS = 1.0
"""How much longer than the server the client waits: the server's own cancel comes first."""

MAX_PREPARED = 256
"""Prepared statements a connection keeps."""

_CODECS = {"UTF8": "utf-8", "SQL_ASCII": "utf-8", "EUC_CN": "gb18030", "LATIN1": "latin-1", "EUC_TW": "euc_tw"}
_TIMEOUT_STATES = frozenset({"57014", "55P03"})
_TEXT_TYPE = re.compile(r"(?:text|character varying(?:\(([0-9]+)\))?|character\(([0-9]+)\)|bpchar)")
_SCANNED = re.compile(r"Seq Scan on \S+ (\w+)")
_SCANS_COST = Statement("SELECT set_config('enable_seqscan', $1, false)", ("state",), ("state",), (), ())
_SQL = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy

_COLUMNS = (
    "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
    " WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped"
)
_SESSION = (
    "SET default_transaction_read_only = on; SET statement_timeout = {timeout}; SET lock_timeout = {timeout};"
    " SET datestyle = 'ISO, YMD'; SET bytea_output = 'hex'; SET standard_conforming_strings = on;"
    " SET timezone = 'Asia/Shanghai'; SET extra_float_digits = 0; SET jit = off"
)


def _text(raw: ColumnElement[Any]) -> ColumnElement[Any]:
    return collate(cast(raw, SqlText), "C")


def _leaf(raw: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.trim(_text(raw)), constant(""))


def _in_bound(item: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    """Where the set is empty, which is common, no key is made of its parts."""
    keys = cast(bindparam(name), ARRAY(SqlText))
    return and_(func.cardinality(keys) > constant(0), item == func.any(keys))


def _position(text: ColumnElement[Any], mark: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.strpos(text, mark, type_=Integer)


DIALECT = Dialect("postgresql", _text, _leaf, _in_bound, None, position=_position)


class _RawLoader(Loader):
    """Text of a database that is not UTF-8: its bytes, so that no row can fail in the driver."""

    def load(self, data: Any) -> bytes:
        return bytes(data)


class _Session:
    """One connection with its prepared statements."""

    def __init__(self, connection: psycopg.Connection[Any], codec: str, wait_seconds: float, clock: Clock) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self.codec = codec
        self._wait = wait_seconds
        self._clock = clock
        self._prepared: dict[str, bytes] = {}
        self._poll = os_select.poll()
        self._poll.register(self._pg.socket, os_select.POLLIN)

    def run(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Execute a prepared statement."""
        name = self._prepared.get(sql)
        if name is None:
            name = self._prepare(sql)
        try:
            self._pg.send_query_prepared(name, [self._bytes(value) for value in values])
        except psycopg.Error as exc:
            raise DatabaseUnavailable(type(exc).__name__) from None
        result = self._result()
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise _failure(result)
        loader = Transformer(self._connection)
        loader.set_pgresult(result)
        return loader.load_rows(0, result.ntuples, tuple)

    def _prepare(self, sql: str) -> bytes:
        if len(self._prepared) >= MAX_PREPARED:
            self._prepared.clear()
            self.simple("DEALLOCATE ALL")
        name = b"s%d" % len(self._prepared)
        try:
            self._pg.send_prepare(name, sql.encode(self.codec))
        except psycopg.Error as exc:
            raise DatabaseUnavailable(type(exc).__name__) from None
        result = self._result()
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise _failure(result)
        self._prepared[sql] = name
        return name

    def simple(self, sql: str) -> None:
        """Run statements without rows."""
        try:
            self._pg.send_query(sql.encode())
        except psycopg.Error as exc:
            raise DatabaseUnavailable(type(exc).__name__) from None
        result = self._result()
        if result.status not in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
            raise _failure(result)

    def _result(self) -> pq.abc.PGresult:
        """The last result, or the first that failed; waits for it no longer than the limit."""
        deadline = self._clock.monotonic() + self._wait
        last: pq.abc.PGresult | None = None
        try:
            while self._pg.flush():
                self._pg.consume_input()
            while True:
                while self._pg.is_busy():
                    left = deadline - self._clock.monotonic()
                    if left <= 0 or not self._poll.poll(left * 1000):
                        raise DatabaseTimeout("no answer in time")
                    self._pg.consume_input()
                result = self._pg.get_result()
                if result is None:
                    break
                last = last if last is not None and last.status == pq.ExecStatus.FATAL_ERROR else result
        except psycopg.Error as exc:
            raise DatabaseUnavailable(type(exc).__name__) from None
        if last is None:
            raise DatabaseUnavailable("no result")
        return last

    def _bytes(self, value: Any) -> bytes | None:
        if value is None:
            return None
        return value.encode(self.codec) if isinstance(value, str) else b"%d" % value

    @property
    def sound(self) -> bool:
        """Whether the connection is idle and may be used again."""
        return self._pg.status == pq.ConnStatus.OK and self._pg.transaction_status == pq.TransactionStatus.IDLE

    def close(self) -> None:
        """Close the connection; a statement under way ends in the server by its own time-out."""
        self._connection.close()


class PostgresDriver:
    """One PostgreSQL database. See ``Driver``."""

    dialect = DIALECT

    def __init__(self, dsn: str, limits: Limits, clock: Clock) -> None:
        self._dsn = dsn
        self._limits = limits
        self._clock = clock
        self._codec = "utf-8"
        self._raw = False
        self._pool = Pool(self._connect, limits.pool_size, limits.statement_timeout_ms / 1000)

    def _connect(self) -> _Session:
        try:
            connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                keepalives_idle=KEEPALIVE_SECONDS,
                tcp_user_timeout=DEAD_PEER_MS,
            )
        except (psycopg.Error, UnicodeError, ValueError) as exc:
            raise DatabaseUnavailable(f"cannot connect: {type(exc).__name__}") from None
        try:
            return self._prepare_session(connection)
        except BaseException:
            connection.close()
            raise

    def _prepare_session(self, connection: psycopg.Connection[Any]) -> _Session:
        encoding = (connection.pgconn.parameter_status(b"server_encoding") or b"").decode()
        codec = _CODECS.get(encoding)
        if codec is None:
            raise DatabaseUnavailable(f"server encoding {encoding} is not supported")
        self._codec = codec
        self._raw = encoding != "UTF8"
        if self._raw:
            for name in ("text", "varchar", "bpchar"):
                connection.adapters.register_loader(name, _RawLoader)
        wait = self._limits.statement_timeout_ms / 1000 + GRACE_SECONDS
        session = _Session(connection, codec, wait, self._clock)
        session.simple(
            f"SET client_encoding = '{encoding}'; " + _SESSION.format(timeout=self._limits.statement_timeout_ms)
        )
        if session.run("SELECT current_setting('transaction_read_only')", ()) not in ([("on",)], [(b"on",)]):
            raise DatabaseUnavailable("the session is not read-only")
        return session

    def _run(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        session, used = self._pool.take()
        try:
            rows = session.run(sql, values)
        except DatabaseUnavailable:
            if session.sound:
                self._pool.give(session)
                raise
            self._pool.drop(session)
            if not used:
                raise
        except BaseException:
            # A time-out told by the server leaves a sound session; one that hangs is closed.
            (self._pool.give if session.sound else self._pool.drop)(session)
            raise
        else:
            self._pool.give(session)
            return rows
        return self._retry(sql, values)

    def _retry(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Once more on a new connection, as a pooled one had gone stale: reads only, nothing is done twice."""
        session, _ = self._pool.take()
        try:
            rows = session.run(sql, values)
        except BaseException:
            (self._pool.give if session.sound else self._pool.drop)(session)
            raise
        self._pool.give(session)
        return rows

    def columns(self, schema: str | None, table: str) -> Mapping[str, ColumnType]:
        """See ``Driver``."""
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, table) if part)
        rows = [[self._str(value) for value in row] for row in self._run(_COLUMNS, (quoted,))]
        return {name: _column_type(declared) for name, declared in rows}

    def render(self, query: Select[Any]) -> tuple[str, tuple[str, ...]]:
        """See ``Driver``."""
        compiled = query.compile(dialect=_SQL)
        return str(compiled), tuple(compiled.positiontup or ())

    def bindable(self, text: str) -> bool:
        """See ``Driver``."""
        try:
            return b"\0" not in text.encode(self._codec)
        except UnicodeEncodeError:
            return False

    def key_set(self, keys: Collection[str]) -> Any:
        """See ``Driver``."""
        quoted = (key.replace("\\", "\\\\").replace('"', '\\"') for key in sorted(keys) if self.bindable(key))
        return "{" + ",".join(f'"{key}"' for key in quoted) + "}"

    def execute(self, statement: Statement, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """See ``Driver``."""
        rows = self._run(statement.sql, values)
        count = len(statement.leaves)
        if self._raw:
            return [(*map(self._str, row[:count]), *row[count:]) for row in rows]
        return rows

    def _str(self, value: Any) -> Any:
        return value.decode(self._codec, "surrogateescape") if isinstance(value, bytes) else value

    def read_whole(self, statement: Statement, values: Sequence[Any]) -> frozenset[str]:
        """See ``Driver``. Small tables are read whole, unless the planner is told that it costs much."""
        explain = Statement(f"EXPLAIN (FORMAT TEXT) {statement.sql}", statement.binds, ("plan",), (), ())
        self.execute(_SCANS_COST, ("off",))
        try:
            rows = self.execute(explain, values)
        finally:
            self.execute(_SCANS_COST, ("on",))
        return frozenset(match[1] for row in rows if (match := _SCANNED.search(row[0] or "")))

    def close(self) -> None:
        """See ``Driver``."""
        self._pool.close()


def _failure(result: pq.abc.PGresult) -> DatabaseTimeout | DatabaseUnavailable:
    """Our error with the SQLSTATE, never the server's text, which may quote a value."""
    state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    if state in _TIMEOUT_STATES:
        return DatabaseTimeout(f"SQLSTATE {state}")
    return DatabaseUnavailable(f"SQLSTATE {state or 'none'}")


def _column_type(declared: str) -> ColumnType:
    match = _TEXT_TYPE.fullmatch(declared)
    width = next((int(part) for part in match.groups() if part), None) if match else None
    return ColumnType(declared, match is not None, width)
