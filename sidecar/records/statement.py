"""The one statement of a fetch: compiled once a catalog, revision and shape to SQL text with bind names (P3, P4).

From inside out: the source limited to the target on raw columns (so that the legacy indexes serve), the columns' texts,
parsed numbers and dates, what the attributes share, what the views let be seen, then page and total of exactly that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    column,
    false,
    func,
    or_,
    select,
    table,
    true,
)
from sqlalchemy import Text as SqlText
from sqlalchemy.sql import operators

from sidecar.codes import Code, FieldClass
from sidecar.errors import ConfigurationError, RequestInvalid
from sidecar.policy.types import FilterNode
from sidecar.records import catalog as c
from sidecar.records import expr as e
from sidecar.records.attributes import date
from sidecar.records.dialect import ZERO, Dialect, Layers, constant
from sidecar.records.filtering import visible

INQUIRY = "inquiry"
LIMIT = "page_limit"

KEY_DIGITS = 20
"""Digits of a key that is a whole number: no database has longer ones in 64 bits."""

_INTEGER = re.compile(r"(?:un)?(?:signed )?(?:small|big)?int(?:eger)?", re.IGNORECASE)

OPERATORS = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "in", "prefix"})
"""Operators of a search condition; ``prefix`` is for texts."""

_ORDERINGS = frozenset({"lt", "le", "gt", "ge"})
_SQL_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operators.eq,
    "ne": operators.ne,
    "lt": operators.lt,
    "le": operators.le,
    "gt": operators.gt,
    "ge": operators.ge,
}


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A live column: its type as the database writes it, whether plain text compares with it, its declared width."""

    sql: str
    is_text: bool
    width: int | None

    @property
    def is_integer(self) -> bool:
        """Whether it holds whole numbers: a key of them is ordered as numbers are."""
        return _INTEGER.fullmatch(self.sql) is not None


def padded(text: str) -> str:
    """A whole number's text as a key is ordered by: ``2`` comes before ``10``."""
    return text.rjust(KEY_DIGITS, "0")


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key: a declared name and its direction."""

    field: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement depends on, besides catalog and revision. Values are bound.

    Attributes:
        target: ``person``, ``name`` or ``search``.
        forms: how many forms of the number or name are bound.
        conditions: (field, operator, number of values) of a search.
        open_classes, sealed_classes: classes of record that the views show.
        fields: field classes that the views show.
        sort: sort keys before the record's key.
        after: whether the page comes after a position.
    """

    target: str
    forms: int
    conditions: tuple[tuple[str, str, int], ...]
    open_classes: tuple[str, ...]
    sealed_classes: tuple[str, ...]
    fields: frozenset[FieldClass]
    sort: tuple[Sort, ...]
    after: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text and the names to bind, in order; what stands where in its rows.

    A row is: the texts of ``leaves`` as the database casts them, the raw values of ``encoded`` columns, the total.
    """

    sql: str
    binds: tuple[str, ...]
    leaves: tuple[str, ...]
    encoded: tuple[str, ...]
    fields: tuple[str, ...]


def field_expr(field: c.ReleasedField) -> e.Expr:
    """A declared field as it is compared and sorted: its canonical value, never null."""
    if field.format == "integer":
        return e.IntegerOf(e.Text(field.column))
    day = field.day()
    if day is not None:
        return date(day)
    if field.map is not None:
        text: e.Expr = e.Text(field.column)
        if field.prefix is not None:
            text = e.Substring(text, 1, field.prefix)
        return e.Lookup(text, tuple(field.map.items()), "")
    return e.Text(field.column)


def condition_name(index: int, part: int, *, raw: bool = False) -> str:
    """Bind name of a value of a search condition."""
    return f"{'raw' if raw else 'cond'}_{index}_{part}"


def source_of(catalog: c.Catalog) -> tuple[FromClause, Callable[[str], ColumnElement[Any]]]:
    """The legacy table with its joins, and the column that a catalog's name stands for."""
    names = {"": set(catalog.source.key)}
    for name in c.columns_of(catalog):
        alias, _, bare = name.rpartition(".")
        names.setdefault(alias, set()).add(bare)
    main = table(
        catalog.source.table, *map(column, sorted(names[""])), schema=catalog.source.table_schema
    ).alias("source")  # fmt: skip
    tables: dict[str, FromClause] = {"": main}
    for join in catalog.source.joins:
        theirs_all = sorted(names[join.alias])
        tables[join.alias] = table(join.table, *map(column, theirs_all), schema=join.table_schema).alias(join.alias)

    def find(name: str) -> ColumnElement[Any]:
        alias, _, bare = name.rpartition(".")
        return tables[alias].c[bare]

    source: FromClause = main
    for join in catalog.source.joins:
        on = and_(true(), *(tables[join.alias].c[theirs] == find(ours) for theirs, ours in join.on.items()))
        source = source.outerjoin(tables[join.alias], on)
    return source, find


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds statements for one catalog and one revision over one live database."""

    catalog: c.Catalog
    trees: Mapping[str, e.Expr]
    cover: e.Expr
    open_record: FilterNode
    dialect: Dialect
    types: Mapping[str, ColumnType]
    render: Callable[[Select[Any]], tuple[str, tuple[str, ...]]]

    def attribute_columns(self) -> tuple[str, ...]:
        """The columns that the attributes and the key read: the first leaves of every statement."""
        read = frozenset().union(*map(e.columns_of, (*self.trees.values(), self.cover)))
        return (*self.catalog.source.key, *sorted(read - set(self.catalog.source.key)))

    def build(self, shape: Shape, source: FromClause | None = None) -> Statement:
        """Compile the statement of a shape.

        Args:
            shape: what it depends on.
            source: instead of the legacy table, a derived table whose columns bear the catalog's names (the canary).
        """
        fields = self._fields(shape)
        encoded = tuple(name for name in fields if self.catalog.released[name].encoding is not None)
        leaves = self._leaves(shape, fields)
        layers = Layers(self.dialect, list(leaves))
        conditions = self._conditions(shape)
        sorts = [field_expr(self.catalog.declared(sort.field)) for sort in shape.sort]
        seen_at_all = visible(self.open_record, shape.open_classes, shape.sealed_classes, self.trees)
        trees = (seen_at_all, *(tree for tree, _, _ in conditions), *sorts)
        layers.collect(trees)
        key = self.catalog.source.key
        compared = frozenset(key).union(*map(e.columns_of, trees))
        passed = [
            f"{kind}{i}" for kind, names in (("r", leaves), ("b", encoded), ("x", key)) for i in range(len(names))
        ]
        source = layers.source(self._base(shape, leaves, compared, encoded, source), trees, passed)
        seen = self._seen(layers, source, sorts, leaves, encoded).where(
            *(self._compare(layers, source, tree, operator, binds) for tree, operator, binds in conditions),
            layers.condition(seen_at_all, source),
        )
        sql, binds = self.render(self._page(shape, seen, len(leaves), encoded))
        return Statement(sql, binds, leaves, encoded, fields)

    def readings(
        self, layers: Layers, source: FromClause, names: Sequence[str], trees: Sequence[e.Expr]
    ) -> Select[Any]:
        """The texts of columns and the values of trees, for each row of a derived table that has these columns."""
        texts = [
            *(self.dialect.text(source.c[name]).label(f"r{i}") for i, name in enumerate(names)),
            *(self.dialect.leaf(source.c[name]).label(f"x{i}") for i, name in enumerate(names)),
        ]
        base = self.dialect.layer(select(*texts).select_from(source), "texts")
        passed = [f"r{i}" for i in range(len(names))]
        whole = layers.source(base, trees, passed)
        values = (layers.value(tree, whole).label(f"v{i}") for i, tree in enumerate(trees))
        return select(*(whole.c[name] for name in passed), *values)

    def _fields(self, shape: Shape) -> tuple[str, ...]:
        released = self.catalog.released.items()
        return tuple(name for name, field in released if field.field_class in shape.fields)

    def _leaves(self, shape: Shape, fields: tuple[str, ...]) -> tuple[str, ...]:
        first = self.attribute_columns()
        more = {field.column for field in map(self.catalog.released.__getitem__, fields) if field.encoding is None}
        more |= {self.catalog.declared(sort.field).column for sort in shape.sort}
        more |= {self.catalog.declared(name).column for name, _, _ in shape.conditions}
        if shape.target == "name" and self.catalog.subject.birth_date is not None:
            more.add(self.catalog.subject.birth_date.column)
        return (*first, *sorted(more - set(first)))

    def _base(
        self,
        shape: Shape,
        leaves: tuple[str, ...],
        compared: frozenset[str],
        encoded: tuple[str, ...],
        source: FromClause | None,
    ) -> Subquery | CTE:
        find: Callable[[str], ColumnElement[Any]]
        if source is None:
            source, find = source_of(self.catalog)
        else:
            find = source.c.__getitem__
        inquiry = cast(bindparam(INQUIRY), SqlText)
        columns = [
            *(self.dialect.text(find(name)).label(f"r{i}") for i, name in enumerate(leaves)),
            *(self.dialect.leaf(find(name)).label(f"x{i}") for i, name in enumerate(leaves) if name in compared),
            *(
                self.dialect.stored(find(self.catalog.released[name].column)).label(f"b{i}")
                for i, name in enumerate(encoded)
            ),
        ]
        # The inquiry's id is bound and always true, so that the database's own audit can be matched one to one. A
        # column beside it keeps PostgreSQL from making a plan's node of its own for it.
        where = [or_(inquiry.is_not(None), find(self.catalog.source.key[0]).is_(None)), *self._raw(shape, find)]
        return self.dialect.layer(select(*columns).select_from(source).where(*where), "texts")

    def _raw(self, shape: Shape, find: Callable[[str], ColumnElement[Any]]) -> list[ColumnElement[bool]]:
        """Conditions on raw columns: what an index of the legacy database can serve."""
        subject = self.catalog.subject
        if shape.target in {"person", "name"}:
            name = subject.person_id if shape.target == "person" else subject.name
            if name is None:
                return [false()]
            return [self._among(name, find(name), [bindparam(f"form_{i}") for i in range(shape.forms)])]
        found: list[ColumnElement[bool]] = []
        for index, (field_name, operator, count) in enumerate(shape.conditions):
            field = self.catalog.declared(field_name)
            if operator in {"eq", "in"} and isinstance(field_expr(field), e.Text) and self.types[field.column].is_text:
                binds: list[BindParameter[Any]] = [
                    bindparam(condition_name(index, part, raw=True)) for part in range(2 * count)
                ]
                found.append(find(field.column).in_(binds) if binds else false())
        return found

    def _among(self, name: str, raw: ColumnElement[Any], binds: list[BindParameter[Any]]) -> ColumnElement[bool]:
        if self.types[name].is_text:
            found = raw.in_(binds)
            return and_(found, self.dialect.leaf(raw).in_(binds)) if self.dialect.blind else found
        return self.dialect.leaf(raw).in_(binds)

    def _conditions(self, shape: Shape) -> list[tuple[e.Expr, str, list[BindParameter[Any]]]]:
        """Conditions on canonical values: tree, operator, bound values."""
        if shape.target == "name":
            birth = self.catalog.subject.birth_date
            return [] if birth is None else [(date(birth), "eq", [bindparam("birth")])]
        return [
            (field_expr(self.catalog.declared(name)), operator, [bindparam(condition_name(i, p)) for p in range(count)])
            for i, (name, operator, count) in enumerate(shape.conditions)
        ]

    def _compare(
        self, layers: Layers, parsed: FromClause, tree: e.Expr, operator: str, binds: list[BindParameter[Any]]
    ) -> ColumnElement[bool]:
        value = layers.value(tree, parsed)
        if operator == "in":
            return value.in_(binds) if binds else false()
        if operator == "prefix":
            text = cast(binds[0], SqlText)
            return func.substr(value, constant(1), func.length(text), type_=SqlText) == text
        compared: ColumnElement[bool] = _SQL_OPERATORS[operator](value, binds[0])
        if operator in _ORDERINGS and isinstance(tree, e.DateOf):
            return and_(value != constant(e.NO_DATE), compared)
        if operator in _ORDERINGS and isinstance(tree, e.IntegerOf):
            return and_(value != constant(e.UNKNOWN_INTEGER), compared)
        return compared

    def _seen(
        self, layers: Layers, source: FromClause, sorts: list[e.Expr], leaves: tuple[str, ...], encoded: tuple[str, ...]
    ) -> Select[Any]:
        return select(
            *(source.c[f"r{i}"] for i in range(len(leaves))),
            *(source.c[f"b{i}"] for i in range(len(encoded))),
            *(layers.value(tree, source).label(f"s{i}") for i, tree in enumerate(sorts)),
            *(self._ordered(source.c[f"x{i}"], name).label(f"k{i}") for i, name in enumerate(self.catalog.source.key)),
        )

    def _ordered(self, text: ColumnElement[Any], name: str) -> ColumnElement[Any]:
        """A key column's text as it is ordered by; see ``padded``."""
        if not self.types[name].is_integer:
            return text
        zeros = constant("0" * KEY_DIGITS).concat(text)
        long = func.length(text) >= constant(KEY_DIGITS)
        start = case((long, constant(KEY_DIGITS)), else_=func.length(text)) + constant(1)
        return func.substr(zeros, start, func.length(text) + constant(KEY_DIGITS), type_=SqlText)

    def _page(self, shape: Shape, seen: Select[Any], leaves: int, encoded: tuple[str, ...]) -> Select[Any]:
        names = [*(f"r{i}" for i in range(leaves)), *(f"b{i}" for i in range(len(encoded)))]
        keys = [(f"s{i}", sort.descending) for i, sort in enumerate(shape.sort)]
        keys += [(f"k{i}", False) for i in range(len(self.catalog.source.key))]
        if not shape.after:
            rows = seen.subquery("seen")
            page = select(*(rows.c[name] for name in names), func.count().over().label("total"))
            return page.order_by(*_order(rows, keys)).limit(bindparam(LIMIT)).offset(ZERO)
        return _later_page(seen.cte("seen"), names, keys)


def _later_page(seen: CTE, names: list[str], keys: list[tuple[str, bool]]) -> Select[Any]:
    """A page after a position; the total stands in every row, also where the page is empty (then alone)."""
    after: ColumnElement[bool] = false()
    for i, (name, descending) in reversed(list(enumerate(keys))):
        bound: BindParameter[Any] = bindparam(f"after_{i}")
        further = seen.c[name] < bound if descending else seen.c[name] > bound
        after = or_(further, and_(seen.c[name] == bound, after))
    columns = [seen.c[name] for name in dict.fromkeys([*names, *(name for name, _ in keys)])]
    page = (
        select(*columns)
        .where(after)
        .order_by(*_order(seen, keys))
        .limit(bindparam(LIMIT))
        .offset(ZERO)
        .subquery("page")
    )
    total = select(func.count().label("total")).select_from(seen).subquery("total")
    joined = total.outerjoin(page, true())
    return select(*(page.c[name] for name in names), total.c.total).select_from(joined).order_by(*_order(page, keys))


def _order(source: FromClause, keys: list[tuple[str, bool]]) -> list[ColumnElement[Any]]:
    return [source.c[name].desc() if descending else source.c[name].asc() for name, descending in keys]


def check_condition(catalog: c.Catalog, name: str, operator: str) -> None:
    """Whether a search may use a condition at all.

    Raises:
        ConfigurationError: the field is not declared filterable; who asks for it was refused before.
        RequestInvalid: the operator does not suit the field.
    """
    if name not in catalog.filterable:
        raise ConfigurationError("a condition on a field that is not declared filterable")
    text = isinstance(field_expr(catalog.declared(name)), e.Text | e.Lookup)
    if operator not in OPERATORS or (operator == "prefix" and not text):
        raise RequestInvalid(Code.FIELD_NOT_ALLOWED, "a condition with an operator that its field does not have")
