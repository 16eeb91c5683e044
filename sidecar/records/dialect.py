"""The SQL interpreter of expression trees, layered so that no database computes a parsed date twice (P4).

A tree becomes columns of nested sub-selects: texts of the leaves, guarded integers, dates, what is used more than once,
then the rest. ``OFFSET 0`` keeps planners from flattening them, and ``CASE`` orders what a guard must come before:
PostgreSQL's CAST of junk raises. Every node and sub-select costs at each execution: there is none without need.
Booleans are 1 and 0. Constants stand in the statement (they come from the approved catalog); data is always bound.
"""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

from sqlalchemy import (
    CTE,
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

from sidecar.law.age import LEAP_DAY
from sidecar.law.days import FIRST_YEAR
from sidecar.records import expr as e
from sidecar.records.simplify import size

Sql = ColumnElement[Any]
Pairs = tuple[tuple[str, str], ...]

ZERO = literal_column("0", Integer)


def _as_it_is(raw: Sql) -> Sql:
    return raw


def _instr(text: Sql, mark: Sql) -> Sql:
    return func.instr(text, mark, type_=Integer)


def _replaced(text: Sql, pairs: Pairs) -> Sql:
    for old, new in pairs:
        text = func.replace(text, constant(old), constant(new), type_=SqlText)
    return text


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between databases.

    Attributes:
        name: of the dialect.
        text: the bare text of a column.
        leaf: the text of a column as nodes see it, never null.
        in_bound: membership of a text in a bound set.
        limit: rows of a sub-select that has no limit (SQLite knows no OFFSET without one).
        stored: a column as its bytes are stored, for values that are decoded here.
        position: where a text has a mark first, from 1; 0 where it has none.
        replaced: a text with each first of a pair replaced by the second.
        blind: whether columns usually compare blind to case: what an index finds is then compared again, exactly.
        side_by_side: whether sub-selects stand side by side in ``WITH``, for a parser that takes few inside one another.
    """

    name: str
    text: Callable[[Sql], Sql]
    leaf: Callable[[Sql], Sql]
    in_bound: Callable[[Sql, str], Sql]
    limit: Sql | None
    stored: Callable[[Sql], Sql] = _as_it_is
    position: Callable[[Sql, Sql], Sql] = _instr
    replaced: Callable[[Sql, Pairs], Sql] = _replaced
    blind: bool = False
    side_by_side: bool = False

    def layer(self, query: Select[Any], name: str) -> Subquery | CTE:
        """A sub-select that the planner does not flatten, or it would compute its columns again at each use."""
        whole = query.limit(self.limit).offset(ZERO)
        return whole.cte(name) if self.side_by_side else whole.subquery(name)


def constant(value: str | int | bool) -> Sql:
    """A constant inside the statement."""
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        return literal_column(f"'{quoted}'", SqlText)
    return literal_column(str(int(value)), Integer)


_PLAIN = (e.Text, e.Substring, e.AfterDigits)
"""Texts that cost little wherever they are written again."""

_WORTH_A_COLUMN = 5
"""Nodes of a tree that is rather computed once, in a sub-select, than at each use."""

_COMMON_YEAR = 2001
_LATE_DAYS = tuple(
    month * 100 + day for month in range(1, 13) for day in range(29, calendar.monthrange(_COMMON_YEAR, month)[1] + 1)
)
"""Days of a common year, as month·100 + day, that not every month has."""

_MIRROR: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operators.eq, "ne": operators.ne, "lt": operators.lt, "le": operators.le, "gt": operators.gt, "ge": operators.ge,
    "add": operators.add, "sub": operators.sub, "mul": operators.mul, "div": operators.floordiv, "mod": operators.mod,
}  # fmt: skip


_Made = tuple[Callable[[FromClause], Sql], frozenset[str]]
"""What makes a column over a sub-select, and the names of the columns that it reads there."""


@dataclass(slots=True)
class Layers:
    """Collects what a set of trees needs and builds the nested sub-selects.

    ``base`` has the leaves: for column number i its bare text ``r<i>`` (what Python gets) and its text ``x<i>``.
    """

    dialect: Dialect
    columns: list[str]
    integers: list[e.IntegerOf | e.DateOf] = field(default_factory=list)
    texts: list[e.Expr] = field(default_factory=list)
    shared: list[e.Expr] = field(default_factory=list)

    def collect(self, trees: Iterable[e.Expr]) -> None:
        """Give every parsed number and date, and what the trees have in common, a column of its own."""
        uses: Counter[e.Expr] = Counter()
        for tree in trees:
            _count(tree, uses)
        self.integers = [tree for tree in uses if isinstance(tree, e.IntegerOf | e.DateOf)]
        # A number reads its text several times: one that is made of others is made once.
        self.texts = list(dict.fromkeys(tree.text for tree in self.integers if not isinstance(tree.text, _PLAIN)))
        self.shared = [
            tree
            for tree, count in uses.items()
            if count > 1 and size(tree) >= _WORTH_A_COLUMN and not isinstance(tree, e.KeyText | e.IntegerOf | e.DateOf)
        ]

    def source(self, base: FromClause, trees: Iterable[e.Expr], passed: Collection[str]) -> FromClause:
        """``base`` with numbers' texts (``t<i>``), parsed numbers (``n<i>``), dates (``d<i>``), shared values (``c<i>``).

        Args:
            base: what has the leaves.
            trees: what is computed over the result.
            passed: columns of ``base`` that are wanted in it besides.
        """
        steps = self._steps()
        wanted = [frozenset(passed).union(*(self._reads(tree, len(steps)) for tree in trees))]
        for made in reversed(steps):
            below = (wanted[0] - made.keys()).union(*(made[name][1] for name in wanted[0] & made.keys()))
            wanted.insert(0, below)
        source = base
        for number, (made, needed) in enumerate(zip(steps, wanted[1:], strict=True)):
            more = {name: value for name, (value, _) in made.items() if name in needed}
            kept = [column for column in source.c if column.name in needed]
            new = (value(source).label(name) for name, value in more.items())
            source = self.dialect.layer(select(*kept, *new), f"step_{number}")
        return source

    def _steps(self) -> list[Mapping[str, _Made]]:
        """Sub-selects from inside out: names of new columns, with what makes them and what they read."""
        numbers: dict[str, _Made] = {}
        dates: dict[str, _Made] = {}
        for i, tree in enumerate(self.integers):
            numbers[f"n{i}"] = partial(self._number, tree), self._number_reads(tree)
            if isinstance(tree, e.DateOf):
                dates[f"d{i}"] = partial(_checked_date, f"n{i}"), frozenset({f"n{i}"})
        texts: dict[str, _Made] = {
            f"t{i}": (partial(self.value, tree), self._reads(tree, 0)) for i, tree in enumerate(self.texts)
        }
        steps: list[Mapping[str, _Made]] = [step for step in (texts, numbers, dates) if step]
        depths = [self._depth(tree) for tree in self.shared]
        for depth in sorted(set(depths)):
            mine = {f"c{i}": tree for i, tree in enumerate(self.shared) if depths[i] == depth}
            steps.append({name: (partial(self.value, tree), self._reads(tree, depth)) for name, tree in mine.items()})
        return steps

    def _number_reads(self, tree: e.IntegerOf | e.DateOf) -> frozenset[str]:
        if tree.text in self.texts:
            return frozenset({f"t{self.texts.index(tree.text)}"})
        return self._reads(tree.text, 0)

    def _depth(self, tree: e.Expr) -> int:
        """How many shared values a shared value stands on."""
        return max((self._depth(part) + (part in self.shared) for part in e.children(tree)), default=0)

    def _reads(self, tree: e.Expr, depth: int) -> frozenset[str]:
        """The columns that a tree needs where shared values that stand on fewer than ``depth`` have columns."""
        if tree in self.shared and self._depth(tree) < depth:
            return frozenset({f"c{self.shared.index(tree)}"})
        if isinstance(tree, e.IntegerOf | e.DateOf):
            return frozenset({f"{'d' if isinstance(tree, e.DateOf) else 'n'}{self.integers.index(tree)}"})
        if isinstance(tree, e.Text | e.IsNull | e.KeyText):
            kind = "r" if isinstance(tree, e.IsNull) else "x"
            return frozenset(f"{kind}{self.columns.index(name)}" for name in e.columns_of(tree))
        return frozenset().union(*(self._reads(part, depth) for part in e.children(tree)))

    def condition(self, tree: e.Expr, source: FromClause) -> Sql:
        """A boolean tree as an SQL condition over ``source`` (what the method of that name gave)."""
        if isinstance(tree, e.Literal):
            return true() if tree.value else false()
        if isinstance(tree, e.Case) or self._column(tree, source) is not None:
            return self.value(tree, source) == constant(value=True)
        if isinstance(tree, e.Not):
            return ~self.condition(tree.part, source)
        if isinstance(tree, e.And):
            return and_(true(), *(self.condition(part, source) for part in tree.parts))
        if isinstance(tree, e.Or):
            return or_(false(), *(self.condition(part, source) for part in tree.parts))
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
        if isinstance(tree, e.Contains):
            return self._position(tree, source) > constant(0)
        raise TypeError(f"expected a boolean tree, got {type(tree).__name__}")

    def value(self, tree: e.Expr, source: FromClause) -> Sql:
        """A tree as an SQL value over ``source``; booleans as 1 and 0."""
        column = self._column(tree, source)
        return self._computed(tree, source) if column is None else column

    def _column(self, tree: e.Expr, source: FromClause) -> Sql | None:
        """The column of a number, date or shared value, where ``source`` has it already."""
        if isinstance(tree, e.IntegerOf | e.DateOf):
            kind = "d" if isinstance(tree, e.DateOf) else "n"
            return source.c[f"{kind}{self.integers.index(tree)}"]
        return source.c.get(f"c{self.shared.index(tree)}") if tree in self.shared else None

    def _computed(self, tree: e.Expr, source: FromClause) -> Sql:
        if isinstance(tree, e.Literal):
            return constant(tree.value)
        if isinstance(tree, e.Arithmetic):
            apply = _MIRROR[tree.operator]
            return apply(self.value(tree.left, source), self.value(tree.right, source))  # type: ignore[no-any-return]
        if isinstance(tree, e.Lookup | e.Case):
            return self._choice(tree, source)
        if isinstance(tree, e.Text | e.Substring | e.AfterDigits | e.KeyText):
            return self._text(tree, source)
        if isinstance(tree, e.Before | e.After | e.Joined | e.Replaced):
            return self._part(tree, source)
        return case((self.condition(tree, source), constant(value=True)), else_=constant(value=False))

    def _choice(self, tree: e.Lookup | e.Case, source: FromClause) -> Sql:
        if isinstance(tree, e.Lookup):
            item, otherwise = self.value(tree.item, source), constant(tree.otherwise)
            if tree.map and not isinstance(tree.item, e.Text):
                # What is computed is written, and computed, once.
                return case(*((constant(k), constant(v)) for k, v in tree.map), value=item, else_=otherwise)
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
                self.value(tree.text, source), constant(tree.start), constant(tree.length), type_=SqlText
            )
        if isinstance(tree, e.AfterDigits):
            return _after_digits(self.value(tree.text, source))
        raise TypeError(f"expected a text, got {type(tree).__name__}")

    def _part(self, tree: e.Before | e.After | e.Joined | e.Replaced, source: FromClause) -> Sql:
        if isinstance(tree, e.Joined):
            return reduce(lambda left, right: left.concat(right), (self.value(part, source) for part in tree.parts))
        text = self.value(tree.text, source)
        if isinstance(tree, e.Replaced):
            return self.dialect.replaced(text, tree.pairs)
        at = self._position(tree, source)
        # Inside CASE: PostgreSQL raises for a negative length.
        if isinstance(tree, e.Before):
            found = func.substr(text, constant(1), at - constant(1), type_=SqlText)
        else:
            # Lengths are the database's own: characters, or bytes where it knows none.
            found = func.substr(text, at + func.length(constant(tree.mark)), func.length(text), type_=SqlText)
        return case((at > constant(0), found), else_=constant(""))

    def _position(self, tree: e.Before | e.After | e.Contains, source: FromClause) -> Sql:
        return self.dialect.position(self.value(tree.text, source), constant(tree.mark))

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
        made = tree.text in self.texts
        text: Sql = base.c[f"t{self.texts.index(tree.text)}"] if made else self.value(tree.text, base)
        unknown = constant(e.UNKNOWN_INTEGER)
        if isinstance(tree, e.IntegerOf):
            return case((_digits(text, 1, e.MAX_INTEGER_DIGITS), cast(text, Integer)), else_=unknown)
        if not tree.dashed:
            return case((_digits(text, 8, 8), cast(text, Integer)), else_=unknown)
        year, month, day = (
            func.substr(text, constant(s), constant(n), type_=SqlText) for s, n in ((1, 4), (6, 2), (9, 2))
        )
        dashes = [func.substr(text, constant(at), constant(1)) == constant("-") for at in (5, 8)]
        digits = year.concat(month).concat(day)
        fits = func.length(text) == constant(10)
        return case((and_(fits, *dashes, _digits(digits, 8, 8)), cast(digits, Integer)), else_=unknown)


def _after_digits(text: Sql) -> Sql:
    return func.ltrim(text, constant("0123456789"), type_=SqlText)


def _digits(text: Sql, least: int, most: int) -> Sql:
    """Whether a text is ASCII digits, of a length between two numbers; the length first, which costs little."""
    length = func.length(text)
    fits = length == constant(least) if least == most else length.between(constant(least), constant(most))
    return and_(fits, _after_digits(text) == constant(""))


def _count(tree: e.Expr, uses: Counter[e.Expr]) -> None:
    """Count the uses of parts; parts of what is used again count once. A key's text stays where it is used, if ever."""
    uses[tree] += 1
    if uses[tree] == 1 and not isinstance(tree, e.IntegerOf | e.DateOf):
        for child in e.children(tree):
            _count(child, uses)


def _checked_date(name: str, source: FromClause) -> Sql:
    """A column's number where it is a real date, else 0; most days need no calendar."""
    number, c = source.c[name], constant
    in_every_month = and_((number % c(10000)).between(c(101), c(1228)), (number % c(100)).between(c(1), c(28)))
    late = (number % c(10000)).in_(list(map(c, _LATE_DAYS)))
    # The year's remainders and 29 February in one: 10000 divides 40000, 1000000 and 4000000.
    leap = and_(number % c(40000) == c(LEAP_DAY), number % c(1000000) != c(LEAP_DAY))
    real = or_(in_every_month, late, leap, number % c(4000000) == c(LEAP_DAY))
    return case((and_(number >= c(FIRST_YEAR * 10000), real), number), else_=c(e.NO_DATE))
