"""MariaDB driver: read-only sessions whose SQL mode, character set and time-outs are our own (P7).

PyMySQL has no statements prepared by the server: values are written into the text, a plain one in quotes and any other
as the hexadecimal digits of its UTF-8, which needs no escape in whatever mode. What MariaDB reads as text it converts to
UTF-8 and compares by ``utf8mb4_nopad_bin``: byte by byte, trailing blanks included, whatever a column's collation says.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pymysql
from pymysql.constants import FIELD_TYPE
from sqlalchemy import (
    URL,
    BinaryExpression,
    ColumnElement,
    LargeBinary,
    Select,
    bindparam,
    case,
    cast,
    func,
    literal_column,
)
from sqlalchemy import Text as SqlText
from sqlalchemy.dialects.mysql.base import MySQLCompiler, MySQLDialect

from sidecar.clock import Clock
from sidecar.errors import ConfigurationError, DatabaseTimeout, DatabaseUnavailable
from sidecar.records.dialect import Dialect, constant
from sidecar.records.driver import Limits, Pool
from sidecar.records.statement import ColumnType, Statement

CONNECT_TIMEOUT_SECONDS = 5
GRACE_SECONDS = 1.0
"""How much longer than the server the client waits: the server's own time-out comes first."""

NO_KEY = " "
"""Stands in an empty set: a text is trimmed, so that none equals it."""

_OPTIONS = frozenset({"unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "charset"})
_TEXT_TYPES = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"})
_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
_AS_WRITTEN = frozenset({"date", "datetime", "time", "double", "float", "decimal"})
_TIMEOUTS = frozenset({1205, 1969, 3024})
"""ER_LOCK_WAIT_TIMEOUT, ER_STATEMENT_TIMEOUT, ER_QUERY_TIMEOUT."""

_GONE = frozenset({0, 2006, 2013, 2014, 2055, 1927, 1053, 1077})
"""The connection is broken: by the network, by KILL, or by the server's end."""

_PLAIN = re.compile(r"[A-Za-z0-9 _|.:-]*")
_COLUMNS = (
    "SELECT column_name, data_type, column_type, character_maximum_length, character_set_name"
    " FROM information_schema.columns WHERE table_schema = COALESCE(%s, DATABASE()) AND table_name = BINARY %s"
)
_VARIABLES = (
    "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', sql_auto_is_null = 0, default_regex_flags = '',"
    " time_zone = '+08:00', in_predicate_conversion_threshold = 0, max_statement_time = {seconds},"
    " innodb_lock_wait_timeout = {whole}, lock_wait_timeout = {whole}"
)
_SESSION = ("SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin", "SET SESSION TRANSACTION READ ONLY", _VARIABLES)


class _Compiler(MySQLCompiler):
    """What the interpreter's functions are called in MariaDB."""

    def visit_floordiv_binary(self, binary: BinaryExpression[Any], operator: Any, **kw: Any) -> str:  # noqa: ARG002  # its signature
        """Of integers: ``/`` would round to four digits."""
        return f"{self.process(binary.left, **kw)} DIV {self.process(binary.right, **kw)}"

    def visit_length_func(self, fn: Any, **kw: Any) -> str:
        """In characters."""
        return f"char_length{self.function_argspec(fn, **kw)}"

    def visit_ltrim_func(self, fn: Any, **kw: Any) -> str:
        """LTRIM takes no set of characters; the interpreter takes digits away."""
        text, _ = fn.clauses
        return f"regexp_replace({self.process(text, **kw)}, '^[0-9]+', '')"


def _sql() -> MySQLDialect:
    dialect = MySQLDialect(paramstyle="format")
    dialect.statement_compiler = _Compiler
    dialect._backslash_escapes = False  # noqa: SLF001  # SQLAlchemy learns the session's SQL mode so from a connection
    return dialect


_SQL = _sql()


def _text(raw: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(raw, SqlText)


def _leaf(raw: ColumnElement[Any]) -> ColumnElement[Any]:
    nul = func.locate(literal_column("_utf8mb4 x'00'"), _text(raw)) > constant(0)
    return case((nul, constant("")), else_=func.coalesce(func.trim(_text(raw)), constant("")))


def _in_bound(item: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    return item.bool_op("IN")(bindparam(name))


def _stored(raw: ColumnElement[Any]) -> ColumnElement[Any]:
    """The bytes as they are stored: GBK in a column that is declared latin1 too."""
    return cast(raw, LargeBinary)


DIALECT = Dialect("mariadb", _text, _leaf, _in_bound, None, stored=_stored, blind=True)


def _literal(value: Any) -> str:
    """A value inside a statement; whatever is not plain is written in hexadecimal digits."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_literal, value)) + ")"
    if _PLAIN.fullmatch(value):
        return f"'{value}'"
    return f"_utf8mb4 x'{value.encode().hex()}'"


class MariaDbDriver:
    """One MariaDB database. See ``Driver``."""

    dialect = DIALECT

    def __init__(self, url: URL, limits: Limits, clock: Clock) -> None:
        del clock  # the server and the socket keep the time
        self._limits = limits
        self._arguments = _arguments(url)
        self._pool = Pool(self._connect, limits.pool_size, limits.statement_timeout_ms / 1000)

    def _connect(self) -> _Session:
        wait = self._limits.statement_timeout_ms / 1000 + GRACE_SECONDS
        try:
            opened = _socket(self._arguments)
        except OSError as exc:
            raise DatabaseUnavailable(f"cannot connect: {type(exc).__name__}") from None
        try:
            connection = pymysql.Connection(
                **self._arguments,
                charset="utf8mb4",
                use_unicode=False,
                conv={FIELD_TYPE.LONGLONG: int},
                autocommit=True,
                local_infile=False,
                defer_connect=True,
                read_timeout=wait,
                write_timeout=wait,
            )
            connection.connect(opened)
        except (pymysql.Error, OSError, ValueError, RuntimeError) as exc:
            opened.close()
            raise DatabaseUnavailable(f"cannot connect: {type(exc).__name__}") from None
        try:
            self._prepare(connection)
        except BaseException:
            _drop(connection)
            raise
        return _Session(connection)

    def _prepare(self, connection: Any) -> None:
        if "MariaDB" not in connection.get_server_info():
            raise DatabaseUnavailable("expected a MariaDB server, got another")
        seconds = self._limits.statement_timeout_ms / 1000
        for sql in _SESSION:
            _query(connection, sql.format(seconds=seconds, whole=max(1, round(seconds))))
        if _query(connection, "SELECT @@SESSION.tx_read_only") != [(1,)]:
            raise DatabaseUnavailable("the session is not read-only")

    def _run(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        text = sql % tuple(map(_literal, values))
        session, used = self._pool.take()
        try:
            rows = session.run(text)
        except DatabaseUnavailable:
            if self._back(session) or not used:
                raise
        except BaseException:
            self._back(session)
            raise
        else:
            self._pool.give(session)
            return rows
        # Once more on a new connection, as a pooled one had gone stale: reads only, nothing is done twice.
        session, _ = self._pool.take()
        try:
            return session.run(text)
        finally:
            self._back(session)

    def _back(self, session: _Session) -> bool:
        (self._pool.give if session.sound else self._pool.drop)(session)
        return session.sound

    def columns(self, schema: str | None, table: str) -> Mapping[str, ColumnType]:
        """See ``Driver``."""
        rows = self._run(_COLUMNS, (schema, table))
        texts: list[list[Any]] = [[part.decode() if isinstance(part, bytes) else part for part in row] for row in rows]
        return {name: _column_type(*rest) for name, *rest in texts}

    def render(self, query: Select[Any]) -> tuple[str, tuple[str, ...]]:
        """See ``Driver``."""
        compiled = query.compile(dialect=_SQL)
        return str(compiled), tuple(compiled.positiontup or ())

    def bindable(self, text: str) -> bool:
        """See ``Driver``."""
        return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)

    def key_set(self, keys: Collection[str]) -> Any:
        """See ``Driver``."""
        return tuple(key for key in sorted(keys) if self.bindable(key)) or (NO_KEY,)

    def execute(self, statement: Statement, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """See ``Driver``."""
        count = len(statement.leaves)
        return [
            (*[None if v is None else v.decode("utf-8", "surrogateescape") for v in row[:count]], *row[count:])
            for row in self._run(statement.sql, values)
        ]

    def read_whole(self, statement: Statement, values: Sequence[Any]) -> frozenset[str]:
        """See ``Driver``. A small table is read whole also where it has an index: what is possible counts."""
        rows = self._run(f"EXPLAIN {statement.sql}", values)
        return frozenset(_word(row[2]) for row in rows if _word(row[3]) == "ALL" and row[4] is None)

    def close(self) -> None:
        """See ``Driver``."""
        self._pool.close()


def _word(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class _Session:
    """One connection; sound until it is told broken."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._file = connection._rfile  # noqa: SLF001  # it keeps the socket open where PyMySQL lets go of it unclosed
        self.sound = True

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute a statement."""
        done = False
        try:
            rows = _query(self._connection, sql)
            done = True
        except _Broken as exc:
            raise exc.error from None
        except (DatabaseUnavailable, DatabaseTimeout):
            done = True  # the server said so: the connection is as it was
            raise
        finally:
            self.sound = done
        return rows

    def close(self) -> None:
        """Close the connection; a statement under way ends in the server by its own time-out."""
        _drop(self._connection)
        with contextlib.suppress(OSError):
            self._file.close()


class _Broken(DatabaseUnavailable):
    """The connection cannot be used again."""

    def __init__(self, error: DatabaseUnavailable | DatabaseTimeout) -> None:
        super().__init__(str(error))
        self.error = error


def _query(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())
    except pymysql.Error as exc:
        number = exc.args[0] if exc.args and isinstance(exc.args[0], int) else 0
        if number in _TIMEOUTS:
            raise DatabaseTimeout(f"MariaDB error {number}") from None
        if isinstance(exc.__context__, TimeoutError):
            raise _Broken(DatabaseTimeout("no answer in time")) from None
        error = DatabaseUnavailable(f"MariaDB error {number}")
        raise _Broken(error) if number in _GONE else error from None
    except (OSError, ValueError) as exc:
        raise _Broken(DatabaseUnavailable(type(exc).__name__)) from None


def _socket(arguments: Mapping[str, Any]) -> socket.socket:
    """A connected socket: PyMySQL leaves its own unclosed where it cannot connect."""
    if "unix_socket" not in arguments:
        return socket.create_connection((arguments["host"], arguments["port"]), CONNECT_TIMEOUT_SECONDS)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.settimeout(CONNECT_TIMEOUT_SECONDS)
        opened.connect(arguments["unix_socket"])
    except BaseException:
        opened.close()
        raise
    return opened


def _drop(connection: Any) -> None:
    """Close without a farewell: a server that hangs would not take it."""
    with contextlib.suppress(pymysql.Error, OSError):
        connection._force_close()  # noqa: SLF001  # close() sends COM_QUIT and may wait


def _arguments(url: URL) -> dict[str, Any]:
    """PyMySQL's arguments of a URL.

    Raises:
        ConfigurationError: an option that is not known here.
    """
    if unknown := sorted(url.query.keys() - _OPTIONS):
        raise ConfigurationError(f"expected options {sorted(_OPTIONS)} in the URL, got {unknown}")
    options = {name: str(value) for name, value in url.query.items() if name != "charset"}
    found: dict[str, Any] = {"host": url.host, "user": url.username, "database": url.database, **options}
    found |= {"port": url.port or 3306, "password": url.password or ""}
    if "ssl_ca" in options:
        found |= {"ssl_verify_cert": True, "ssl_verify_identity": True}
    return found


def _column_type(kind: str, declared: str, width: int | None, charset: str | None) -> ColumnType:
    """The type as CAST writes it, which knows fewer than columns do."""
    if kind in _TEXT_TYPES:
        limit = width if kind in {"char", "varchar"} else None
        return ColumnType(f"CHAR{f'({limit})' if limit else ''} CHARACTER SET {charset}", True, limit)
    if kind in _INTEGERS:
        return ColumnType("UNSIGNED INTEGER" if "unsigned" in declared else "SIGNED INTEGER", False, None)
    if kind in _AS_WRITTEN:
        return ColumnType(declared.replace(" zerofill", "").replace(" unsigned", ""), False, None)
    return ColumnType("BINARY", False, None)
