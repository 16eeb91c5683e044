"""Qualifies a database's dialect for a catalog: what it reads from awkward texts must be what Python reads (P4).

The texts stand in the statement, cast to the live types of the catalog's own columns: nothing is written. An operator runs
it once for a new kind of database, and after an upgrade of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sidecar.errors import DatabaseClosed
from sidecar.policy.types import LegalParameters
from sidecar.records import expr as e
from sidecar.records import written
from sidecar.records.attributes import cover_mark, expressions
from sidecar.records.canary import ROWS_A_STATEMENT, literal_table
from sidecar.records.connectors.sql import SqlConnector, live_types
from sidecar.records.dialect import Layers
from sidecar.records.python import compile_all
from sidecar.records.statement import Builder, Statement

AWKWARD = (
    "", " ", "0", "00", "01", "1", "-1", "+1", "1.0", "1e3", "999999999", "9999999999", "３６", "é", "É", "a", "A", "'", "''", '"', "%", "_", "\\",
    "|", "~", " 1 ", "\t1", "NULL", "20230601", "20230229", "20240229", "20231301", "17991231", "99991231", "2023-06-01", "2023-6-1",
    "2023/6/1", "2023.06.01", "2023年6月1日", "二〇二三年六月一日", "230601", "2023-06-01 12:30:00", "2023-06-01 12:30:00+00", "三年六个月",
    "有期徒刑三年六个月", "无期徒刑", "拘役六个月", "有期徒刑三年，缓刑四年", "三年，六年", "33010619850711001X", "33010619850711001x",
    "330106850711001", "𠀁",
)  # fmt: skip
"""Blanks, signs, overlong numbers, cases and widths of letters, wildcards and quotes, days on both sides of the calendar."""


@dataclass(frozen=True, slots=True)
class Qualified:
    """What was compared.

    Attributes:
        texts: columns times texts that fit in them.
        readings: values that both interpreters computed.
        different: readings that were not alike.
    """

    texts: int
    readings: int
    different: int


def qualify(connector: SqlConnector, parameters: LegalParameters) -> Qualified:
    """Compare the database's reading with Python's for every attribute, date and term over awkward texts.

    Raises:
        DatabaseUnavailable, DatabaseTimeout, DatabaseClosed: it cannot be read, or has no column of text to try.
    """
    catalog, driver = connector.catalog, connector.driver
    trees, cover = expressions(catalog, parameters), cover_mark(catalog)
    types = live_types(driver, catalog)
    builder = Builder(catalog, trees, cover, connector.open_record, driver.dialect, types, driver.render)
    columns = [name for name in builder.attribute_columns() if types[name].is_text and name not in catalog.source.key]
    if not columns:
        raise DatabaseClosed(f"{catalog.database}: no column of text to try the dialect on")
    rows = [{name: text} for name in columns for text in AWKWARD if _fits(text, types[name].width)]
    readings = [*(_plain(tree) for tree in (*trees.values(), cover)), *_readings(columns)]
    different = 0
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        different += _different(builder, driver, rows[start : start + ROWS_A_STATEMENT], readings)
    return Qualified(len(rows), len(rows) * len(readings), different)


def _fits(text: str, width: int | None) -> bool:
    return width is None or len(text.encode()) <= width


def _plain(tree: e.Expr) -> e.Expr:
    """A tree without the sets that are bound for a fetch, which the canary tries."""
    if isinstance(tree, e.InBound):
        return e.FALSE
    if isinstance(tree, e.Or | e.And):
        return type(tree)(tuple(map(_plain, tree.parts)))
    return tree


def _readings(columns: list[str]) -> list[e.Expr]:
    """One column read as every format of days and terms."""
    text = e.Text(columns[0])
    days = [written.day(text, name, 30 if name in written.TWO_DIGITS else None) for name in written.FORMATS]
    return [*days, *written.term(text), e.IntegerOf(text)]


def _different(builder: Builder, driver: Any, rows: list[dict[str, str]], readings: list[e.Expr]) -> int:
    names = sorted(frozenset().union(*map(e.columns_of, readings)))
    source = literal_table(rows, builder.catalog, builder.types)
    layers = Layers(driver.dialect, names)
    layers.collect(readings)
    sql, binds = driver.render(builder.readings(layers, source, names, readings))
    evaluate = compile_all(readings, {name: i for i, name in enumerate(names)})
    found = driver.execute(Statement(sql, binds, tuple(names), (), ()), ())
    wrong = abs(len(found) - len(rows))
    for row in found:
        expected = evaluate(row[: len(names)], {})
        wrong += sum(_told(a) != _told(b) for a, b in zip(row[len(names) :], expected, strict=True))
    return wrong


def _told(value: Any) -> str:
    """As text: drivers give what is no column as numbers, as text or as bytes."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return str(int(value) if isinstance(value, bool) else value)
