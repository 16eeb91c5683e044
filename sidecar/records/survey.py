"""Reads tables, keys and sampled rows of a live database through its read-only driver, for ``propose`` (P7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, column, func, literal_column, select, table

from sidecar.records.dialect import ZERO
from sidecar.records.driver import Driver
from sidecar.records.propose import Table
from sidecar.records.statement import Statement

MAX_TABLES = 200
"""Tables that are looked at: a county's schema has some dozens."""


def survey(driver: Driver, rows: int, schema: str | None = None) -> list[Table]:
    """All tables and views of a schema with at most ``rows`` rows of each.

    Args:
        driver: of the database.
        rows: to read of each table.
        schema: by default the connection's own.

    Raises:
        DatabaseUnavailable, DatabaseTimeout: it cannot be read.
    """
    return [_table(driver, name, rows, schema) for name in names(driver, schema)]


def names(driver: Driver, schema: str | None) -> list[str]:
    """The tables and views, by name."""
    if driver.dialect.name == "sqlite":
        listed = table("sqlite_master", column("name"), column("type"))
        query = select(listed.c.name).where(listed.c.type.in_([_text("table"), _text("view")]))
        return [name for name in _first(driver, query) if not name.startswith("sqlite_")][:MAX_TABLES]
    listed = table("tables", column("table_name"), column("table_schema"), schema="information_schema")
    own = func.current_schema() if driver.dialect.name == "postgresql" else func.database()
    query = select(driver.dialect.text(listed.c.table_name)).where(
        listed.c.table_schema == (own if schema is None else bindparam("schema"))
    )
    return sorted(_first(driver, query, schema))[:MAX_TABLES]


def _text(value: str) -> Any:
    return literal_column(f"'{value}'")


def _first(driver: Driver, query: Select[Any], *values: str | None) -> list[str]:
    return [str(row[0]) for row in _read(driver, query, [value for value in values if value is not None])]


def _read(driver: Driver, query: Select[Any], values: Sequence[str]) -> list[tuple[Any, ...]]:
    sql, binds = driver.render(query)
    leaves = tuple(map(str, range(len(query.selected_columns))))
    return driver.execute(Statement(sql, binds, leaves, (), ()), values)


def _table(driver: Driver, name: str, rows: int, schema: str | None) -> Table:
    columns = tuple(driver.columns(schema, name))
    if not columns:
        return Table(name, (), (), ())
    source = table(name, *map(column, columns), schema=schema)
    query = select(*(driver.dialect.text(source.c[each]) for each in columns)).limit(literal_column(str(rows)))
    return Table(name, columns, _read(driver, query.offset(ZERO), ()), _key(driver, name, schema))


def _key(driver: Driver, name: str, schema: str | None) -> tuple[str, ...]:
    if driver.dialect.name == "sqlite":
        info = func.pragma_table_info(bindparam("name")).table_valued("name", "pk", name="info")
        query = select(info.c.name).where(info.c.pk > ZERO).order_by(info.c.pk)
        return tuple(_first(driver, query, name))
    used = table(
        "key_column_usage", *map(column, ("column_name", "table_name", "constraint_name", "table_schema", "ordinal_position")),
        schema="information_schema",
    )  # fmt: skip
    declared = table(
        "table_constraints", *map(column, ("constraint_name", "constraint_type", "table_name", "table_schema")),
        schema="information_schema",
    )  # fmt: skip
    same = and_(*(used.c[each] == declared.c[each] for each in ("constraint_name", "table_name", "table_schema")))
    own = func.current_schema() if driver.dialect.name == "postgresql" else func.database()
    query = (
        select(driver.dialect.text(used.c.column_name))
        .select_from(used.join(declared, same))
        .where(
            declared.c.constraint_type == _text("PRIMARY KEY"),
            used.c.table_name == bindparam("name"),
            used.c.table_schema == (own if schema is None else bindparam("schema")),
        )
        .order_by(used.c.ordinal_position)
    )
    return tuple(_first(driver, query, name, schema))
