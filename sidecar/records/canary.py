"""The start-up canary: the production filter over literal rows in the live database must agree with the engine (P4).

The rows take the place of the legacy table, as a derived table (``SELECT … UNION ALL …``) with every column cast to its
live type, so that the database's own text, trimming, dates and collations are at work. What is expected comes from
the policy engine's classification, not from the filter. Around a record that each body of the filter lets through, every
attribute takes every value that the catalog can express, each number both sides of every boundary, under every age and
with and without unsealing: a dropped conjunct or a flipped comparison shows in at least one row.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import FromClause, text
from sqlalchemy import column as sql_column

from sidecar.errors import DatabaseClosed
from sidecar.law.age import LEAP_DAY
from sidecar.law.days import is_day
from sidecar.policy.types import (
    ATTRIBUTE_DOMAINS,
    SENTENCE_LIFE_OR_DEATH,
    SENTENCE_UNKNOWN,
    Attributes,
    Classification,
    Comparison,
    Disjunction,
    FilterNode,
    Negation,
)
from sidecar.records import catalog as c
from sidecar.records import expr as e
from sidecar.records.attributes import SEALED_KEYS, UNSEALED_KEYS, derivation
from sidecar.records.driver import Driver
from sidecar.records.filtering import COMPARE
from sidecar.records.python import compile_one
from sidecar.records.statement import INQUIRY, LIMIT, Builder, ColumnType, Shape
from sidecar.records.written import write_day, write_term

ROWS_A_STATEMENT = 150
"""SQLite takes at most 500 terms in a compound; planners take time for more."""

JUNK = ("~", "00", "97")
"""Codes that a catalog is unlikely to map: of any length, and digits for columns of numbers."""

CHINESE_TERMS = ("拘役六个月", "管制二年", "无期徒刑", "死刑", "免予刑事处罚", "单处罚金五千元")
"""Texts of every kind of penalty."""

_BIRTH_YEAR = 1990
_AGES = range(10, 31)
"""Ages that are tried: wider than any age of majority; where it lies is the revision's parameter."""

_IN_ORDER = frozenset({"minor", "era"})
"""Attributes whose candidates come in order of time."""

_KINDS = tuple(str(kind) for kind in ATTRIBUTE_DOMAINS["kind"] or ())

Classify = Callable[[Sequence[Attributes]], Sequence[Classification]]
Raw = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Columns that give an attribute a value, and what the seal register says beside them."""

    columns: Raw
    sealed: bool = False
    unsealed: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One literal row: its columns and the register's word, with the attributes that it has."""

    columns: Raw
    sealed: bool
    unsealed: bool
    attributes: Attributes


Recipes = Mapping[str, Mapping[Any, Sequence[Recipe]]]


def check(builder: Builder, driver: Driver, trees: Mapping[str, e.Expr], classify: Classify) -> int:
    """Compare the database's filter with the engine; returns how many rows were compared.

    Raises:
        DatabaseClosed: they differ somewhere, or the catalog can express nothing that the filter could be tried on.
        DatabaseUnavailable, DatabaseTimeout: the database did not answer.
    """
    name = builder.catalog.database
    cases = list(rows(builder, trees))
    expected = _expected(cases, classify)
    if len(expected) != len(cases) or len(cases) < len(_KINDS):
        raise DatabaseClosed(f"{name}: canary: too few rows could be made or classified")
    wrong = 0
    for start in range(0, len(cases), ROWS_A_STATEMENT):
        part = slice(start, start + ROWS_A_STATEMENT)
        wrong += _compare(builder, driver, cases[part], expected[part])
    if wrong:
        raise DatabaseClosed(f"{name}: canary: filter and policy differ on {wrong} of {len(cases)} rows")
    return len(cases)


def _expected(cases: Sequence[Case], classify: Classify) -> list[bool]:
    """Whether the engine calls each row open; in portions, each far from the limit of a decision's time."""
    portions = (cases[start : start + ROWS_A_STATEMENT] for start in range(0, len(cases), ROWS_A_STATEMENT))
    return [word.is_open for portion in portions for word in classify([case.attributes for case in portion])]


def _compare(builder: Builder, driver: Driver, cases: Sequence[Case], expected: Sequence[bool]) -> int:
    source = literal_table([case.columns for case in cases], builder.catalog, builder.types)
    keys = [_key(builder.catalog, number) for number in range(1, len(cases) + 1)]
    marks = {
        SEALED_KEYS: driver.key_set([key for key, case in zip(keys, cases, strict=True) if case.sealed]),
        UNSEALED_KEYS: driver.key_set([key for key, case in zip(keys, cases, strict=True) if case.unsealed]),
    }
    wrong = 0
    for is_open in (True, False):
        shown, hidden = (_KINDS, ()) if is_open else ((), _KINDS)
        shape = Shape("search", 0, (), shown, hidden, frozenset(), (), after=False)
        statement = builder.build(shape, source)
        values = {INQUIRY: "canary", LIMIT: len(cases) + 1, **marks}
        found = driver.execute(statement, [values[name] for name in statement.binds])
        width = len(builder.catalog.source.key)
        seen = {e.key_text([part or "" for part in row[:width]]) for row in found}
        wanted = {key for key, value in zip(keys, expected, strict=True) if value is is_open}
        wrong += len(seen ^ wanted)
    return wrong


def _key(catalog: c.Catalog, number: int) -> str:
    return e.key_text([str(number), *("1" for _ in catalog.source.key[1:])])


def literal_table(rows: Sequence[Raw], catalog: c.Catalog, types: Mapping[str, ColumnType]) -> FromClause:
    """Rows as a derived table whose columns bear the catalog's names; the key is the row's number from 1."""
    key = catalog.source.key
    names = sorted(set(c.columns_of(catalog)))
    selects = []
    for number, row in enumerate(rows, 1):
        whole = {**row, **dict.fromkeys(key[1:], "1"), key[0]: str(number)}
        selects.append("SELECT " + ", ".join(f'{_literal(whole.get(n), types[n])} AS "{n}"' for n in names))
    # Plain text: SQLAlchemy would take a second over some thousand literals. Names and codes are the catalog's own.
    return text(" UNION ALL ".join(selects).replace(":", "\\:")).columns(*map(sql_column, names)).subquery("source")


def _literal(value: str | None, column_type: ColumnType) -> str:
    quoted = "NULL" if value is None else "'" + value.replace("'", "''") + "'"
    return f"CAST({quoted} AS {column_type.sql})" if column_type.sql else quoted


def rows(builder: Builder, trees: Mapping[str, e.Expr]) -> Iterator[Case]:
    """The literal rows, each different one once."""
    cook = _Cook(builder.catalog, builder.types, trees, builder.cover)
    recipes = cook.recipes(boundaries(builder.open_record))
    seen = set()
    for base in _bases(builder.open_record, recipes):
        for varied in _variations(base, recipes):
            case = cook.mix(varied)
            mark = (tuple(sorted(case.columns.items())), case.sealed, case.unsealed)
            if mark not in seen:
                seen.add(mark)
                yield case


def boundaries(node: FilterNode) -> tuple[int, ...]:
    """Months on both sides of every number in the filter, and the ends of the domain."""
    found = {SENTENCE_UNKNOWN, 0, 1, SENTENCE_LIFE_OR_DEATH}
    for leaf in leaves_of(node):
        if type(leaf.value) is int:
            found |= {leaf.value - 1, leaf.value, leaf.value + 1}
    return tuple(sorted(n for n in found if SENTENCE_UNKNOWN <= n <= SENTENCE_LIFE_OR_DEATH))


def leaves_of(node: FilterNode) -> Iterator[Comparison]:
    """Every comparison of a filter."""
    if isinstance(node, Comparison):
        yield node
    elif isinstance(node, Negation):
        yield from leaves_of(node.part)
    else:
        for part in node.parts:
            yield from leaves_of(part)


def _bases(node: FilterNode, recipes: Recipes) -> Iterator[dict[str, Recipe]]:
    """For each body a record that it lets through, as far as the catalog can express it."""
    bodies = node.parts if isinstance(node, Disjunction) else (node,)
    for body in bodies:
        leaves = list(leaves_of(body))
        base = {}
        for attribute, choices in recipes.items():
            mine = [leaf for leaf in leaves if leaf.attribute == attribute]
            fitting = [value for value in choices if all(_holds(leaf, value) for leaf in mine)]
            value = fitting[len(fitting) // 2] if attribute == "sentence_months" and fitting else None
            value = value if value is not None else next(iter(fitting), next(iter(choices)))
            base[attribute] = choices[value][0]
        yield base


def _holds(leaf: Comparison, value: Any) -> bool:
    if isinstance(leaf.value, tuple):
        return value in leaf.value
    return bool(COMPARE[leaf.operator](value, leaf.value))


def _variations(base: dict[str, Recipe], recipes: Recipes) -> Iterator[dict[str, Recipe]]:
    """The base under every age and with and without unsealing, and each of these with one attribute changed."""
    ages = [each[0] for each in recipes["minor"].values()]
    decisions = [each[0] for each in recipes["unsealed"].values()]
    for age, decision in itertools.product(ages, decisions):
        first = {**base, "minor": age, "unsealed": decision}
        yield first
        for attribute, choices in recipes.items():
            for recipe in itertools.chain.from_iterable(choices.values()):
                yield {**{k: v for k, v in first.items() if k != attribute}, attribute: recipe}


class _Cook:
    """Finds the raw columns that give attributes their values, by trying candidates with the Python interpreter."""

    def __init__(
        self, catalog: c.Catalog, types: Mapping[str, ColumnType], trees: Mapping[str, e.Expr], cover: e.Expr
    ) -> None:
        self._catalog = catalog
        self._types = types
        self._columns = sorted(set(c.columns_of(catalog)))
        index = {name: i for i, name in enumerate(self._columns)}
        self._evaluate = {name: compile_one(tree, index) for name, tree in trees.items()}
        self._derive = derivation(trees, cover, index)

    def mix(self, parts: Mapping[str, Recipe]) -> Case:
        """One row of several recipes; the last wins where two name a column."""
        columns: dict[str, str | None] = {}
        for recipe in parts.values():
            columns |= recipe.columns
        sealed = any(recipe.sealed for recipe in parts.values())
        unsealed = any(recipe.unsealed for recipe in parts.values())
        [(attributes, _)] = self._derive([self._leaves(columns)], _bound(sealed, unsealed))
        return Case(columns, sealed, unsealed, attributes)

    def _leaves(self, columns: Raw) -> list[str | None]:
        row = {**columns, **dict.fromkeys(self._catalog.source.key, "1")}
        return [row.get(name) for name in self._columns]

    def recipes(self, months: Iterable[int]) -> Recipes:
        """Attribute → value → ways to express it."""
        candidates = candidate_columns(self._catalog, months)
        found: dict[str, dict[Any, list[Recipe]]] = {}
        for attribute in self._evaluate:
            ways = found.setdefault(attribute, {})
            tried = list(self._tried(attribute, candidates.get(attribute, (Recipe({}),))))
            for value, recipe in _run_ends(tried) if attribute in _IN_ORDER else tried:
                ways.setdefault(value, []).append(recipe)
        return found

    def _tried(self, attribute: str, candidates: Iterable[Recipe]) -> Iterator[tuple[Any, Recipe]]:
        """The candidates that the live columns can hold, with the value that each gives; a blank row if none can."""
        fitting = [r for r in candidates if all(self._fits(name, value) for name, value in r.columns.items())]
        for recipe in fitting or [Recipe({})]:
            bound = _bound(recipe.sealed, recipe.unsealed)
            yield self._evaluate[attribute](self._leaves(recipe.columns), bound), recipe

    def _fits(self, name: str, value: str | None) -> bool:
        """Whether the live column can hold the text unchanged."""
        column = self._types[name]
        if value is None:
            return True
        if column.is_text:
            return column.width is None or len(value) <= column.width
        if value in JUNK:
            return value == "97" and "int" in column.sql.lower()
        return bool(value) and ("int" not in column.sql.lower() or value.isdigit())


def _bound(sealed: bool, unsealed: bool) -> dict[str, frozenset[str]]:
    everything = _Everything()
    return {
        SEALED_KEYS: everything if sealed else frozenset(),
        UNSEALED_KEYS: everything if unsealed else frozenset(),
    }


class _Everything(frozenset[str]):
    """A set with every key in it."""

    def __contains__(self, item: object) -> bool:
        return isinstance(item, str)

    def __bool__(self) -> bool:
        return True


def candidate_columns(catalog: c.Catalog, months: Iterable[int]) -> dict[str, tuple[Recipe, ...]]:
    """Columns to try for each attribute."""
    maps = catalog.attributes
    tried: dict[str, list[Recipe]] = {
        "minor": [Recipe(each) for each in _ages(maps.minor, catalog.subject.person_id)],
        "sentence_months": [Recipe(each) for each in _terms(maps.sentence_months, months)],
        "kind": _codes(maps.kind),
        "main_acts": _codes(maps.main_acts),
        "joint": _codes(maps.joint),
        "seal_mark": [Recipe({}), Recipe({}, sealed=True)],
        "unsealed": [Recipe({}), Recipe({}, unsealed=True)],
        "era": [Recipe(each) for each in _days(maps.concluded)],
    }
    if maps.seal_mark is not None:
        tried["seal_mark"] += [Recipe({maps.seal_mark.column: v}) for v in _marks(maps.seal_mark)]
    if maps.exempted is not None:
        values = (*maps.exempted.no, *maps.exempted.yes, *JUNK, None)
        tried["exempted"] = [Recipe({maps.exempted.column: value}) for value in values]
    elif maps.sentence_months is not None and maps.sentence_months.kind_from is not None:
        term = maps.sentence_months
        tried["exempted"] = [Recipe({maps.sentence_months.kind_from: code}) for code in (*term.kinds, *JUNK)]
    elif maps.sentence_months is not None and maps.sentence_months.format == "chinese":
        tried["exempted"] = [Recipe({maps.sentence_months.column: text}) for text in (*CHINESE_TERMS, *JUNK)]
    if maps.unsealing is not None:
        tried["unsealed"] += [Recipe(each) for each in _decisions(maps.unsealing)]
    if maps.disclosure_agreed is not None:
        parts = (maps.disclosure_agreed.person, maps.disclosure_agreed.representative, maps.disclosure_agreed.court)
        whole = {part.column: part.set[0] for part in parts}
        tried["disclosure_agreed"] = [Recipe(each) for each in _each_missing(whole)]
    return {name: tuple(each) for name, each in tried.items() if each}


def _codes(coded: c.KindOfRecord | c.MainActsFinding | c.JointCase | None) -> list[Recipe]:
    if coded is None or coded.column is None:
        return []
    return [Recipe({coded.column: code}) for code in (*coded.map, *JUNK, "", None)]


def _marks(mark: c.Mark) -> tuple[str | None, ...]:
    return (*mark.none, *mark.set, *JUNK, None)


def _each_missing(whole: dict[str, str]) -> Iterator[dict[str, str | None]]:
    """The whole, and the whole without each of its parts."""
    yield dict(whole)
    for column in whole:
        yield {**whole, column: None}


def _decisions(decision: c.Unsealing) -> Iterator[dict[str, str | None]]:
    yield from _each_missing({
        decision.number: "1",
        decision.authority: "1",
        decision.date.column: written(20200110, decision.date),
        decision.effect.column: decision.effect.set[0],
        decision.ground.column: decision.ground.set[0],
    })  # fmt: skip


def written(day: int, column: c.DateColumn) -> str:
    """A day YYYYMMDD as a column writes it; also days that do not exist."""
    return write_day(day, column.format)


def _days(column: c.DateColumn | None) -> Iterator[dict[str, str | None]]:
    if column is None:
        return
    for year, day in itertools.product(range(2010, 2030), (101, 1231)):
        yield {column.column: written(year * 10000 + day, column)}
    yield {column.column: None}


def _terms(term: c.Term | None, months: Iterable[int]) -> Iterator[dict[str, str | None]]:
    if term is None:
        return
    kind: dict[str, str | None] = {} if term.years is None else {term.years: None}
    if term.kind_from is not None:
        code = next((code for code, penalty in term.kinds.items() if penalty == "imprisonment"), None)
        kind[term.kind_from] = code
    for number in months:
        yield {**kind, term.column: _months(number, term)}
        if term.years is not None and number >= 0:
            yield {**kind, term.years: str(number // 12), term.column: str(number % 12)}
    if term.format == "chinese":
        for text in CHINESE_TERMS:
            yield {**kind, term.column: text}
    for value in ("36.5", "3x", *(code for code in term.unknown if code)):
        yield {**kind, term.column: value}
    if term.kind_from is not None:
        for code in (*term.kinds, *JUNK, None):
            yield {**kind, term.kind_from: code, term.column: _months(999, term)}


def _months(number: int, term: c.Term) -> str | None:
    if number < 0:
        return None
    return write_term(number) if term.format == "chinese" else str(number)


def _ages(minority: c.Minority | None, person_id: str | None) -> Iterator[dict[str, str | None]]:
    """Both sides of every birthday, born on an ordinary day and on 29 February; acts on both sides; impossible dates."""
    if minority is None:
        return
    nobody: dict[str, str | None] = {person_id: None} if person_id is not None else {}
    birth, acts = minority.birth, minority.offences
    born = _BIRTH_YEAR * 10000 + 615
    for day in (born, (_BIRTH_YEAR + 2) * 10000 + 229):
        for offence in _birthdays(day):
            yield {**nobody, birth.column: written(day, birth), **{a.column: written(offence, a) for a in acts}}
    young, old = born + _AGES.start * 10000, born + _AGES.stop * 10000
    for first, rest in ((young, old), (old, young), (old, old)):
        later = {a.column: written(rest, a) for a in acts[1:]}
        yield {**nobody, birth.column: written(born, birth), acts[0].column: written(first, acts[0]), **later}
    grown = {a.column: written(old, a) for a in acts}
    for impossible in (None, 231, 1301):
        day_of = {
            x.column: None if impossible is None else written(old + impossible - 615, x) for x in (birth, acts[0])
        }
        yield {**nobody, **grown, birth.column: day_of[birth.column]}
        yield {**nobody, **grown, birth.column: written(born, birth), acts[0].column: day_of[acts[0].column]}


def _birthdays(born: int) -> Iterator[int]:
    """The days around every birthday in the range of ages; 72 is from 29 February to 1 March (R4)."""
    for age, offset in itertools.product(_AGES, (-1, 0, 1, 72, 73)):
        day = born + age * 10000 + offset
        if is_day(day) and (offset < 2 or born % 10000 == LEAP_DAY):
            yield day


def _run_ends(values: Sequence[tuple[Any, Recipe]]) -> Iterator[tuple[Any, Recipe]]:
    """The first and the last of each run of recipes with one value: the two sides of every change."""
    for _, group in itertools.groupby(values, key=lambda each: each[0]):
        run = list(group)
        yield run[0]
        if len(run) > 1:
            yield run[-1]
