"""The SQL interpreter of expression trees, layered so that no database computes a parsed date twice (P4).

A tree becomes columns of nested sub-selects: texts of the leaves, guarded integers, dates, then the rest. ``OFFSET 0``
keeps planners from flattening them, and ``CASE`` orders what a guard must come before: PostgreSQL's CAST of junk raises.
Booleans are 1 and 0. Constants stand in the statement (they come from the approved catalog); data is always bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy import Text as SqlText
from sqlalchemy.sql import operators

from sidecar.law.days import FIRST_YEAR
from sidecar.records import expr as e

Sql = ColumnElement[Any]

ZERO = literal_column("0", Integer)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between databases.

    Attributes:
        name: of the dialect.
        text: the bare text of a column.
        leaf: the text of a column as nodes see it, never null.
        in_bound: membership of a text in a bound set.
        limit: rows of a sub-select that has no limit (SQLite knows no OFFSET without one).
    """

    name: str
    text: Callable[[Sql], Sql]
    leaf: Callable[[Sql], Sql]
    in_bound: Callable[[Sql, str], Sql]
    limit: Sql | None

    def layer(self, query: Select[Any], name: str) -> Subquery:
        """A sub-select that the planner does not flatten, or it would compute its columns again at each use."""
        return query.limit(self.limit).offset(ZERO).subquery(name)


def constant(value: str | int | bool) -> Sql:
    """A constant inside the statement."""
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        return literal_column(f"'{quoted}'", SqlText)
    return literal_column(str(int(value)), Integer)


_MIRROR: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operators.eq, "ne": operators.ne, "lt": operators.lt, "le": operators.le, "gt": operators.gt, "ge": operators.ge,
    "sub": operators.sub, "div": operators.floordiv, "mod": operators.mod,
}  # fmt: skip


@dataclass(slots=True)
class Layers:
    """Collects what a set of trees needs and builds the nested sub-selects.

    ``base`` has the leaves: for column number i its bare text ``r<i>`` (what Python gets) and its text ``x<i>``.
    """

    dialect: Dialect
    columns: list[str]
    integers: list[e.IntegerOf | e.DateOf] = field(default_factory=list)

    def collect(self, tree: e.Expr) -> None:
        """Give every parsed number and date of a tree a column of its own."""
        if isinstance(tree, e.IntegerOf | e.DateOf):
            if tree not in self.integers:
                self.integers.append(tree)
            return
        for child in e.children(tree):
            self.collect(child)

    def parsed(self, base: FromClause) -> FromClause:
        """The sub-select with the parsed numbers and dates (``n<i>``) beside all columns of ``base``."""
        first = select(*base.c, *(self._number(n, base).label(f"n{i}") for i, n in enumerate(self.integers)))
        numbers = self.dialect.layer(first, "numbers")
        dates = [i for i, n in enumerate(self.integers) if isinstance(n, e.DateOf)]
        if not dates:
            return numbers
        checked = select(*numbers.c, *(_checked_date(numbers.c[f"n{i}"]).label(f"d{i}") for i in dates))
        return self.dialect.layer(checked, "dates")

    def condition(self, tree: e.Expr, source: FromClause) -> Sql:
        """A boolean tree as an SQL condition over ``source`` (what ``parsed`` gave)."""
        if isinstance(tree, e.Literal):
            return true() if tree.value else false()
        if isinstance(tree, e.Not):
            return ~self.condition(tree.part, source)
        if isinstance(tree, e.And):
            return and_(true(), *(self.condition(part, source) for part in tree.parts))
        if isinstance(tree, e.Or):
            return or_(false(), *(self.condition(part, source) for part in tree.parts))
        if isinstance(tree, e.Case):
            return self.value(tree, source) == constant(value=True)
        return self._membership(tree, source)

    def _membership(self, tree: e.Expr, source: FromClause) -> Sql:
        if isinstance(tree, e.Compare):
            compare = _MIRROR[tree.operator]
            return compare(self.value(tree.left, source), self.value(tree.right, source))  # type: ignore[no-any-return]
        if isinstance(tree, e.In):
            values = [constant(value) for value in tree.values]
            return self.value(tree.item, source).in_(values) if values else false()
        if isinstance(tree, e.IsNull):
            return source.c[f"r{self.columns.index(tree.column)}"].is_(None)
        if isinstance(tree, e.InBound):
            return self.dialect.in_bound(self.value(tree.item, source), tree.name)
        raise TypeError(f"expected a boolean tree, got {type(tree).__name__}")

    def value(self, tree: e.Expr, source: FromClause) -> Sql:
        """A tree as an SQL value over ``source``; booleans as 1 and 0."""
        if isinstance(tree, e.Literal):
            return constant(tree.value)
        if isinstance(tree, e.IntegerOf | e.DateOf):
            kind = "d" if isinstance(tree, e.DateOf) else "n"
            return source.c[f"{kind}{self.integers.index(tree)}"]
        if isinstance(tree, e.Arithmetic):
            apply = _MIRROR[tree.operator]
            return apply(self.value(tree.left, source), self.value(tree.right, source))  # type: ignore[no-any-return]
        if isinstance(tree, e.Lookup | e.Case):
            return self._choice(tree, source)
        if isinstance(tree, e.Text | e.Substring | e.AfterDigits | e.KeyText):
            return self._text(tree, source)
        return case((self.condition(tree, source), constant(value=True)), else_=constant(value=False))

    def _choice(self, tree: e.Lookup | e.Case, source: FromClause) -> Sql:
        if isinstance(tree, e.Lookup):
            item, otherwise = self.value(tree.item, source), constant(tree.otherwise)
            whens = [(item == constant(code), constant(value)) for code, value in tree.map]
        else:
            otherwise = self.value(tree.otherwise, source)
            whens = [(self.condition(when, source), self.value(then, source)) for when, then in tree.whens]
        return case(*whens, else_=otherwise) if whens else otherwise

    def _text(self, tree: e.Expr, source: FromClause) -> Sql:
        if isinstance(tree, e.Text):
            return source.c[f"x{self.columns.index(tree.column)}"]
        if isinstance(tree, e.KeyText):
            return self._key(tree, source)
        if isinstance(tree, e.Substring):
            return func.substr(
                self._text(tree.text, source), constant(tree.start), constant(tree.length), type_=SqlText
            )
        if isinstance(tree, e.AfterDigits):
            return _after_digits(self._text(tree.text, source))
        raise TypeError(f"expected a text, got {type(tree).__name__}")

    def _key(self, tree: e.KeyText, source: FromClause) -> Sql:
        whole: Sql | None = None
        for column in tree.columns:
            text: Sql = source.c[f"x{self.columns.index(column)}"]
            for special in ("\\", "|"):
                text = func.replace(text, constant(special), constant("\\" + special), type_=SqlText)
            whole = text if whole is None else whole.concat(constant("|")).concat(text)
        assert whole is not None  # noqa: S101  # a catalog's key has at least one column
        return whole

    def _number(self, tree: e.IntegerOf | e.DateOf, base: FromClause) -> Sql:
        text = self._text(tree.text, base)
        unknown = constant(e.UNKNOWN_INTEGER)
        if isinstance(tree, e.IntegerOf):
            lengths = func.length(text).between(constant(1), constant(e.MAX_INTEGER_DIGITS))
            return case((and_(_after_digits(text) == constant(""), lengths), cast(text, Integer)), else_=unknown)
        size = func.length(text) == constant(10 if tree.dashed else 8)
        if not tree.dashed:
            return case((and_(_after_digits(text) == constant(""), size), cast(text, Integer)), else_=unknown)
        year, month, day = (
            func.substr(text, constant(s), constant(n), type_=SqlText) for s, n in ((1, 4), (6, 2), (9, 2))
        )
        dashes = [func.substr(text, constant(at), constant(1)) == constant("-") for at in (5, 8)]
        digits = year.concat(month).concat(day)
        return case((and_(size, *dashes, _after_digits(digits) == constant("")), cast(digits, Integer)), else_=unknown)


def _after_digits(text: Sql) -> Sql:
    return func.ltrim(text, constant("0123456789"), type_=SqlText)


def _checked_date(number: Sql) -> Sql:
    """The number where it is a real date, else 0."""
    c = constant
    year, month, day = number // c(10000), number // c(100) % c(100), number % c(100)
    leap = or_(and_(year % c(4) == c(0), year % c(100) != c(0)), year % c(400) == c(0))
    last = case((month.in_([c(4), c(6), c(9), c(11)]), c(30)), (month != c(2), c(31)), (leap, c(29)), else_=c(28))
    real = and_(number >= c(FIRST_YEAR * 10000), month.between(c(1), c(12)), day.between(c(1), last))
    return case((real, number), else_=c(e.NO_DATE))
