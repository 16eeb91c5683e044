"""Writes positions in bulk: COPY on PostgreSQL, where a statement a row would cost more than the whole round."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from sidecar.ledger.projector import Positioned
from sidecar.ledger.tables import POSITIONS

_COLUMNS = ("position", "writer", "writer_seq", "leaf_hash", "entry_id")
_COPY = f"COPY ledger_positions ({', '.join(_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_PLACE, _WRITER, _SEQ_LEAF, _LENGTH = (struct.Struct(form).pack for form in ("!hiq", "!i", "!iqi", "!i"))


def insert(connection: Connection, entries: Sequence[Positioned]) -> None:
    """Insert the entries' positions, in the connection's transaction.

    Raises:
        SQLAlchemyError: the database does not take them.
    """
    driver: Any = connection.connection.dbapi_connection  # a detached one has no driver_connection
    if not isinstance(driver, psycopg.Connection):
        connection.execute(POSITIONS.insert(), [dict(zip(_COLUMNS, _values(each), strict=True)) for each in entries])
        return
    try:
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(b"".join([_BEGIN, *map(_row, entries), _END]))
    except psycopg.Error as exc:
        raise OperationalError(_COPY, None, exc) from exc


def _values(entry: Positioned) -> tuple[int, str, int, bytes, str]:
    return entry.position, entry.writer, entry.writer_seq, entry.leaf_hash, str(entry.fields.get("id", ""))


def _row(entry: Positioned) -> bytes:
    """A row in COPY's binary format: the number of columns, then each behind its length."""
    position, writer, seq, leaf, identifier = _values(entry)
    name, key = writer.encode(), identifier.encode()
    middle = _SEQ_LEAF(8, seq, len(leaf))
    return b"".join((_PLACE(5, 8, position), _WRITER(len(name)), name, middle, leaf, _LENGTH(len(key)), key))
