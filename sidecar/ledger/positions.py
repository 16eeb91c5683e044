"""Writes positions in bulk: COPY on PostgreSQL, where a statement a row would cost more than the whole round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from sidecar.ledger.projector import Positioned
from sidecar.ledger.tables import POSITIONS

_COLUMNS = ("position", "writer", "writer_seq", "leaf_hash", "entry_id")
_COPY = f"COPY ledger_positions ({', '.join(_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_TYPES = ("int8", "varchar", "int8", "bytea", "varchar")


def insert(connection: Connection, entries: Sequence[Positioned]) -> None:
    """Insert the entries' positions, in the connection's transaction.

    Raises:
        SQLAlchemyError: the database does not take them.
    """
    rows = [
        (each.position, each.writer, each.writer_seq, each.leaf_hash, str(each.fields.get("id", "")))
        for each in entries
    ]
    driver: Any = connection.connection.dbapi_connection  # a detached one has no driver_connection
    if not isinstance(driver, psycopg.Connection):
        connection.execute(POSITIONS.insert(), [dict(zip(_COLUMNS, row, strict=True)) for row in rows])
        return
    try:
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.set_types(_TYPES)
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as exc:
        raise OperationalError(_COPY, None, exc) from exc
