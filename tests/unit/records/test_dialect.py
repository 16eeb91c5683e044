"""The SQL interpreter: dates as the calendar has them, each thing computed once."""

import sqlite3

import pytest
from sqlalchemy import column, select, table
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from sidecar.law.days import is_day
from sidecar.records import expr as e
from sidecar.records.connectors.sqlite import DIALECT
from sidecar.records.dialect import Layers

YEARS = (0, 1799, 1800, 1900, 1999, 2000, 2023, 2024, 2100, 2400, 9999)


def run(trees, values):
    """The values of trees over one column ``t`` of texts."""
    layers = Layers(DIALECT, ["t"])
    layers.collect(trees)
    raw = table("rows", column("t")).c.t
    base = select(DIALECT.text(raw).label("r0"), DIALECT.leaf(raw).label("x0")).subquery("base")
    source = layers.source(base, trees, ["r0"])
    query = select(source.c.r0, *(layers.value(tree, source) for tree in trees))
    sql = str(query.compile(dialect=SQLiteDialect()))
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE rows (t TEXT)")
        connection.executemany("INSERT INTO rows VALUES (?)", [(value,) for value in values])
        found = connection.execute(sql).fetchall()
    connection.close()
    return sql, found


@pytest.mark.parametrize("dashed", [False, True])
def test_the_database_knows_the_days_of_the_calendar(dashed):
    days = [year * 10000 + rest for year in YEARS for rest in (*range(1400), 9999)]
    texts = [f"{day // 10000:04}-{day // 100 % 100:02}-{day % 100:02}" if dashed else f"{day:08}" for day in days]
    _, found = run([e.DateOf(e.Text("t"), dashed=dashed)], texts)
    assert len(found) == len(days)
    assert [value for _, value in found] == [day if is_day(day) else e.NO_DATE for day in days]


def test_shared_parts_are_columns_also_where_one_stands_on_another():
    number = e.IntegerOf(e.Text("t"))
    inner = e.Case(((e.Compare("gt", number, e.Literal(5)), e.Literal(1)),), e.Literal(2))
    outer = e.And((e.Compare("eq", inner, e.Literal(1)), e.Compare("lt", number, e.Literal(8))))
    trees = [inner, outer, e.Not(outer), e.Case(((outer, inner),), e.Literal(0))]
    sql, found = run(trees, ["6", "3", "9", "x"])
    assert found == [("6", 1, 1, 0, 1), ("3", 2, 0, 1, 0), ("9", 1, 0, 1, 0), ("x", 2, 0, 1, 0)]
    assert sql.count("> 5") == 1
    assert sql.count("< 8") == 1


def test_only_what_is_needed_above_is_passed_on():
    sql, found = run([e.Compare("gt", e.DateOf(e.Text("t")), e.Literal(0))], ["20200101", "20200230"])
    assert found == [("20200101", 1), ("20200230", 0)]
    assert "step_0.n0" in sql
    assert "step_0.x0" not in sql
    assert "AS n0" in sql
    assert "step_0.n0 AS n0" not in sql


def test_a_tree_without_numbers_needs_no_sub_select_of_its_own():
    sql, found = run([e.In(e.Text("t"), ("a",))], ["a", " a ", "b", None])
    assert [value for _, value in found] == [1, 1, 0, 0]
    assert "step_" not in sql
