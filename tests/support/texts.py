"""Texts as legacy systems write days and terms, and both interpreters' readings of them on any database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, String, Table, create_engine, delete, insert, select
from sqlalchemy.pool import NullPool

from sidecar.records import expr as e
from sidecar.records import written
from sidecar.records.dialect import Layers
from sidecar.records.driver import Driver
from sidecar.records.python import compile_all
from sidecar.records.statement import Statement

TABLE = Table("T_TEXTS", MetaData(), Column("t", String(60)))
_TEXT = e.Text("t")

DAYS: Mapping[str, e.Expr] = {
    name: written.day(_TEXT, name, 30 if name in written.TWO_DIGITS else None) for name in get_args(written.DateFormat)
}
MONTHS, PENALTY = written.term(_TEXT)
TREES: tuple[e.Expr, ...] = (
    *DAYS.values(), MONTHS, PENALTY,
    written.years_and_months(e.Before(_TEXT, "/"), e.After(_TEXT, "/")),
    e.Before(_TEXT, "年"), e.After(_TEXT, "年"), e.Contains(_TEXT, "月"), e.Joined((_TEXT, e.Literal("|"), _TEXT)),
    e.Replaced(_TEXT, (("年", "月"), ("月月", "'"), ("\\", "%"))),
)  # fmt: skip

_WORDS = (
    *"0123456789", *"〇一二三四五六七八九十零两", *"年月日号个-/.:, +T，、；。~'%\\_", "０", "３", "个月", "有期徒刑", "判处", "拘役",
    "管制", "无期徒刑", "死刑", "缓刑", "并处罚金", "剥夺政治权利", "元", "免予刑事处罚", "2023", "1999", "12:30:00", "+08", "é", "𠀁",
)  # fmt: skip
KNOWN = (
    "20230601", "2023-06-01", "2023-6-1", "2023/6/1", "2023.06.01", "2023年6月1日", "二〇二三年六月一日", "二○二三年十二月三十一日",
    "２０２３年６月１号", "2023年2月30日", "230601", "990601", "23/6/1", "99.12.31", "30-1-1", "2023-06-01 12:30:00", "2023-06-01T23:59",
    "2023-06-01 12:30:00+08", "2023-06-01 12:30:00+00", "2023-06-01 24:00:00", "2023-06-01 12:30:00.123456", "2023-06-01 noon",
    "三年六个月", "3年6个月", "有期徒刑三年六个月", "判处有期徒刑十年", "十八个月", "二十五年", "三年零六个月", "两年", "拘役六个月", "管制一年",
    "无期徒刑", "无期徒刑，剥夺政治权利终身", "死刑，缓期二年执行", "死缓", "免予刑事处罚", "单处罚金五千元", "有期徒刑三年，缓刑四年",
    "有期徒刑三年缓刑四年，并处罚金人民币5000元", "有期徒刑三年，有期徒刑四年，决定执行六年", "三年，六年", "二三年", "三年十二个月", "零年", "3", "36",
    "无期徒刑减为有期徒刑二十年", "有期徒刑", "三", "年", "月", "3/6", "3/12", "/18", "5/", "0/7", "-1/3", "100/1", "x/1", "",
    "202306-1-", "6-1", "2023年", "年6月1日", "2023年6月", "一二年", "有期徒刑 三年",
)  # fmt: skip


def any_text() -> st.SearchStrategy[str | None]:
    """Known texts, padded or not, and what their parts make in any order."""
    parts = st.lists(st.sampled_from(_WORDS), max_size=7).map("".join)
    return st.one_of(st.sampled_from(KNOWN), st.sampled_from(KNOWN).map(lambda t: f" {t} "), parts, st.none())


def fill(url: str, content: Sequence[str | None]) -> None:
    """The table with these texts alone."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        TABLE.metadata.create_all(connection)
        connection.execute(delete(TABLE))
        connection.execute(insert(TABLE), [{"t": text} for text in content])
    engine.dispose()


def read(driver: Driver, trees: Sequence[e.Expr] = TREES) -> list[tuple[str | None, tuple[Any, ...]]]:
    """Each text as the database casts it, with the database's values of the trees."""
    layers = Layers(driver.dialect, ["t"])
    layers.collect(trees)
    raw = TABLE.c.t
    base = driver.dialect.layer(
        select(driver.dialect.text(raw).label("r0"), driver.dialect.leaf(raw).label("x0")), "base"
    )
    source = layers.source(base, trees, ["r0"])
    sql, binds = driver.render(select(source.c.r0, *(layers.value(tree, source) for tree in trees)))
    rows = driver.execute(Statement(sql, binds, ("t",), (), ()), ())
    return [(row[0], tuple(map(_plain, row[1:]))) for row in rows]


def _plain(value: Any) -> str:
    """As text: drivers give what is no column as numbers, as text or as bytes."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return str(int(value) if isinstance(value, bool) else value)


def differences(driver: Driver) -> list[tuple[str | None, int, Any, Any]]:
    """Text, number of the tree, the database's value, Python's: wherever they differ."""
    evaluate = compile_all(TREES, {"t": 0})
    found = []
    for text, values in read(driver):
        expected = map(_plain, evaluate((text,), {}))
        found += [(text, i, v, w) for i, (v, w) in enumerate(zip(values, expected, strict=True)) if v != w]
    return found
