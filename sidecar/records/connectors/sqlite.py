"""SQLite driver: opened read-only and query-only, statements interrupted at their deadline (P7)."""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import ColumnElement, LargeBinary, Select, bindparam, case, cast, column, func, literal_column, select
from sqlalchemy import Text as SqlText
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from sidecar.clock import Clock
from sidecar.errors import DatabaseTimeout, DatabaseUnavailable
from sidecar.records.dialect import Dialect, Pairs, constant
from sidecar.records.driver import Limits, Pool
from sidecar.records.statement import ColumnType, Statement

PROGRESS_STEPS = 5_000
"""Virtual machine steps between two looks at the clock: well under a millisecond."""

REPLACED = "sidecar_replaced"
"""Name of our function in each connection."""

_DECLARED = re.compile(r"\s*([^()]*?)\s*(?:\(\s*([0-9]{1,5})[^)]*\))?\s*")
_SCANNED = re.compile(r"SCAN (\w+)(?! USING (?:COVERING )?INDEX)|SEARCH (\w+) USING AUTOMATIC")
_SQL = SQLiteDialect(paramstyle="qmark")


def _text(raw: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(raw, SqlText)


def _leaf(raw: ColumnElement[Any]) -> ColumnElement[Any]:
    """SQLite's own text functions stop at a NUL; such a text counts as empty."""
    nul = func.instr(cast(raw, LargeBinary), literal_column("x'00'")) > constant(0)
    return case((nul, constant("")), else_=func.coalesce(func.trim(_text(raw)), constant("")))


def _in_bound(item: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    keys = func.json_each(bindparam(name)).table_valued(column("value", SqlText))
    return item.in_(select(keys.c.value))


def _replaced(text: ColumnElement[Any], pairs: Pairs) -> ColumnElement[Any]:
    """SQLite's parser takes some thirty nested calls: a function of ours does them all, on bytes, so that none can fail."""
    told = constant(orjson.dumps(pairs).decode())
    return cast(getattr(func, REPLACED)(cast(text, LargeBinary), told), SqlText)


def replaced(text: bytes | None, pairs: str) -> bytes | None:
    """What ``REPLACED`` does in the database."""
    if text is None:
        return None
    for old, new in _pairs(pairs):
        text = text.replace(old, new)
    return text


@functools.lru_cache(maxsize=256)
def _pairs(text: str) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((old.encode(), new.encode()) for old, new in orjson.loads(text))


DIALECT = Dialect("sqlite", _text, _leaf, _in_bound, literal_column("-1"), replaced=_replaced, side_by_side=True)


class SqliteDriver:
    """One SQLite file. See ``Driver``."""

    dialect = DIALECT

    def __init__(self, path: Path, limits: Limits, clock: Clock) -> None:
        self._path = path
        self._limits = limits
        self._clock = clock
        self._pool = Pool(self._connect, limits.pool_size, limits.statement_timeout_ms / 1000)

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(self._path))}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=self._limits.statement_timeout_ms / 1000,
                cached_statements=256,
            )
            connection.text_factory = bytes
            connection.create_function(REPLACED, 2, replaced, deterministic=True)
            connection.execute("PRAGMA query_only = ON")
            if connection.execute("PRAGMA query_only").fetchone() != (1,):
                connection.close()
                raise DatabaseUnavailable("the connection is not read-only")
        except sqlite3.Error as exc:
            raise DatabaseUnavailable(f"cannot open the database: {_name(exc)}") from None
        return connection

    def _run(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        connection, _ = self._pool.take()
        deadline = self._clock.monotonic() + self._limits.statement_timeout_ms / 1000
        connection.set_progress_handler(lambda: int(self._clock.monotonic() > deadline), PROGRESS_STEPS)
        try:
            rows = connection.execute(sql, values).fetchall()
        except sqlite3.Error as exc:
            self._pool.drop(connection)
            raise _wrapped(exc) from None
        except BaseException:
            self._pool.drop(connection)
            raise
        self._pool.give(connection)
        return rows

    def columns(self, schema: str | None, table: str) -> Mapping[str, ColumnType]:
        """See ``Driver``."""
        rows = self._run("SELECT name, type FROM pragma_table_info(?, ?)", (table, schema or "main"))
        return {name.decode(): _column_type(declared.decode()) for name, declared in rows}

    def render(self, query: Select[Any]) -> tuple[str, tuple[str, ...]]:
        """See ``Driver``."""
        compiled = query.compile(dialect=_SQL)
        return str(compiled), tuple(compiled.positiontup or ())

    def bindable(self, text: str) -> bool:
        """See ``Driver``."""
        return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)

    def key_set(self, keys: Collection[str]) -> Any:
        """See ``Driver``."""
        return orjson.dumps(sorted(keys)).decode()

    def execute(self, statement: Statement, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """See ``Driver``."""
        count = len(statement.leaves)
        return [
            (*[None if v is None else v.decode("utf-8", "surrogateescape") for v in row[:count]], *row[count:])
            for row in self._run(statement.sql, values)
        ]

    def read_whole(self, statement: Statement, values: Sequence[Any]) -> frozenset[str]:
        """See ``Driver``. An index that SQLite makes for the statement alone is none."""
        rows = self._run(f"EXPLAIN QUERY PLAN {statement.sql}", values)
        found = (_SCANNED.match(row[3].decode()) for row in rows)
        return frozenset(match[1] or match[2] for match in found if match)

    def close(self) -> None:
        """See ``Driver``."""
        self._pool.close()


def _wrapped(exc: sqlite3.Error) -> DatabaseTimeout | DatabaseUnavailable:
    """Our error with the name of SQLite's, never its text."""
    if getattr(exc, "sqlite_errorcode", None) in {sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return DatabaseTimeout(_name(exc))
    return DatabaseUnavailable(_name(exc))


def _name(exc: sqlite3.Error) -> str:
    return getattr(exc, "sqlite_errorname", None) or type(exc).__name__


def _column_type(declared: str) -> ColumnType:
    """Type by SQLite's affinity rules: CHAR, CLOB and TEXT are texts."""
    match = _DECLARED.fullmatch(declared)
    upper = declared.upper()
    is_text = "INT" not in upper and any(part in upper for part in ("CHAR", "CLOB", "TEXT"))
    width = int(match[2]) if match and match[2] and is_text else None
    # What a cast to another declared type would change, a column of it keeps: those values are not cast.
    affinity = "TEXT" if is_text else "INTEGER" if "INT" in upper else ""
    return ColumnType(affinity, is_text, width)
