"""Grades a catalog on live rows: what it leaves undecided or unmapped, and whether filter and classification agree (P4).

Findings name attributes, count rows and name a row by its key's pseudonym; no value of a row is in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Subquery, cast, func, literal_column, select
from sqlalchemy import Text as SqlText

from sidecar.policy.types import SENTENCE_UNKNOWN, Attributes, LegalParameters, RecordKind
from sidecar.records import catalog as c
from sidecar.records import expr as e
from sidecar.records.attributes import SEALED_KEYS, UNSEALED_KEYS, cover_mark, derivation, expressions
from sidecar.records.connectors.sql import NOBODY, SqlConnector, live_types
from sidecar.records.dialect import ZERO, constant
from sidecar.records.statement import INQUIRY, LIMIT, Builder, Shape, Statement, source_of

MAX_NAMED = 20
"""Rows with a fault that are named for each attribute."""

_KINDS = tuple(str(kind) for kind in RecordKind)


@dataclass(frozen=True, slots=True)
class Grade:
    """What was found in the first rows, in the order of their keys.

    Attributes:
        rows: rows that were read.
        sealed: rows that are sealed or treated as sealed.
        grounds: rule → sealed rows that it explains.
        undecidable: attribute → rows in which it is unknown.
        unmapped: attribute → rows with a code that the catalog does not map; blanks are not codes.
        different: rows that filter and classification do not take alike.
        subject_rows: the most rows that one number has in the whole table, each spelling for itself; None without numbers.
        faulty: attribute → pseudonyms of the keys of its first undecidable or unmapped rows.
        unindexed: names of the tables that a look-up of one person reads whole, each with the columns to index.
    """

    rows: int
    sealed: int
    grounds: Mapping[str, int]
    undecidable: Mapping[str, int]
    unmapped: Mapping[str, int]
    different: int
    subject_rows: int | None = None
    faulty: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unindexed: tuple[str, ...] = ()


def grade(
    connector: SqlConnector, parameters: LegalParameters, limit: int, pseudonym: Callable[[str], str] | None = None
) -> Grade:
    """Grade a connector's catalog on at most ``limit`` rows; marks of the seal register are left aside.

    Args:
        connector: over the catalog and its live database.
        parameters: the revision's legal parameters.
        limit: rows that are read, but for the most rows of one person, which are counted in all.
        pseudonym: of a record's key, for rows with a fault; without it none are named.

    Raises:
        DatabaseUnavailable, DatabaseTimeout, DatabaseClosed: the database cannot be read, or lacks a column.
    """
    catalog, driver = connector.catalog, connector.driver
    trees, cover = expressions(catalog, parameters), cover_mark(catalog)
    types = live_types(driver, catalog)
    builder = Builder(catalog, trees, cover, connector.open_record, driver.dialect, types, driver.render)
    sample = _sample(catalog, limit)
    names = (*builder.attribute_columns(), *sorted(types.keys() - set(builder.attribute_columns())))
    sql, binds = driver.render(
        select(*(driver.dialect.text(sample.c[name]).label(f"r{i}") for i, name in enumerate(names)))
    )
    rows = driver.execute(Statement(sql, binds, names, (), ()), ())
    index = {name: i for i, name in enumerate(names)}
    records = [
        attributes for attributes, _ in derivation(trees, cover, index)(rows, {SEALED_KEYS: (), UNSEALED_KEYS: ()})
    ]
    words = connector.classify(records)
    keys = [_key(catalog, row) for row in rows]
    different = 0
    for is_open in (True, False):
        expected = Counter(key for key, word in zip(keys, words, strict=True) if word.is_open is is_open)
        found = _filtered(connector, builder, sample, limit, is_open=is_open)
        different += max((expected - found).total(), (found - expected).total())
    shut = [word for word in words if not word.is_open]
    grounds = Counter(ground for word in shut for ground in word.grounds)
    prefixes = {f"released.{name}": each.prefix for name, each in catalog.released.items()}
    unmapped = {
        name: _strange([row[index[column]] for row in rows], codes, prefixes.get(name))
        for name, column, codes in coded(catalog)
    }
    undecidable = _undecidable(records)
    faults = {name: [*undecidable.get(name, ()), *unmapped.get(name, ())] for name in undecidable | unmapped}
    named = pseudonym or (lambda _: "")
    faulty = {
        name: tuple(named(keys[i]) for i in sorted(set(places))[:MAX_NAMED])
        for name, places in faults.items()
        if places
    }
    return Grade(
        rows=len(rows),
        sealed=len(shut),
        grounds=dict(grounds),
        undecidable={name: len(places) for name, places in undecidable.items()},
        unmapped={name: len(places) for name, places in unmapped.items()},
        different=different,
        subject_rows=_subject_rows(connector),
        faulty=faulty if pseudonym is not None else {},
        unindexed=unindexed(connector, builder),
    )


def _sample(catalog: c.Catalog, limit: int) -> Subquery:
    source, find = source_of(catalog)
    columns = [find(name).label(name) for name in sorted(set(c.columns_of(catalog)))]
    order = [find(name) for name in catalog.source.key]
    rows = select(*columns).select_from(source).order_by(*order)
    return rows.limit(literal_column(str(limit))).offset(ZERO).subquery("sample")


def _key(catalog: c.Catalog, row: Sequence[Any]) -> str:
    return e.key_text([e.leaf(part) for part in row[: len(catalog.source.key)]])


def _filtered(
    connector: SqlConnector, builder: Builder, sample: Subquery, limit: int, *, is_open: bool
) -> Counter[str]:
    """Keys of the sample's rows that the production filter takes as open, or as sealed."""
    shown, hidden = (_KINDS, ()) if is_open else ((), _KINDS)
    statement = builder.build(Shape("search", 0, (), shown, hidden, frozenset(), (), after=False), sample)
    none = connector.driver.key_set(())
    values = {INQUIRY: "check", LIMIT: limit, SEALED_KEYS: none, UNSEALED_KEYS: none}
    found = connector.driver.execute(statement, [values[name] for name in statement.binds])
    return Counter(_key(connector.catalog, row) for row in found)


def _undecidable(records: Sequence[Attributes]) -> dict[str, list[int]]:
    """Attribute → places of the rows in which it is unknown."""
    names = ("era", "joint", "kind", "minor")
    found = {name: [i for i, record in enumerate(records) if getattr(record, name) == "unknown"] for name in names}
    terms = [i for i, record in enumerate(records) if record.sentence_months == SENTENCE_UNKNOWN]
    return found | {"sentence_months": terms}


def _subject_rows(connector: SqlConnector) -> int | None:
    """The most rows of one person, counted in the database over the whole source."""
    name = connector.catalog.subject.person_id
    if name is None:
        return None
    source, find = source_of(connector.catalog)
    text = connector.driver.dialect.leaf(find(name))
    numbers = select(func.count().label("n")).select_from(source).where(text != constant("")).group_by(text)
    most = select(cast(func.coalesce(func.max(numbers.subquery("numbers").c.n), ZERO), SqlText))
    sql, binds = connector.driver.render(most)
    return int(connector.driver.execute(Statement(sql, binds, ("n",), (), ()), ())[0][0] or 0)


def coded(catalog: c.Catalog) -> list[tuple[str, str, frozenset[str]]]:
    """Attributes and released fields that are read from codes: name, column, the codes that are mapped."""
    maps = catalog.attributes
    found = [
        (f"released.{name}", f.column, frozenset(f.map)) for name, f in catalog.released.items() if f.map is not None
    ]
    for name in ("joint", "kind", "main_acts"):
        part = getattr(maps, name)
        if part is not None and part.column is not None:
            found.append((name, part.column, frozenset(part.map)))
    if maps.sentence_months is not None and maps.sentence_months.kind_from is not None:
        found.append(("sentence_months", maps.sentence_months.kind_from, frozenset(maps.sentence_months.kinds)))
    if maps.exempted is not None:
        found.append(("exempted", maps.exempted.column, frozenset((*maps.exempted.yes, *maps.exempted.no))))
    for name, mark in (("cover_mark", maps.cover_mark), ("seal_mark", maps.seal_mark)):
        if mark is not None:
            found.append((name, mark.column, frozenset((*mark.none, *mark.set))))
    return found


def _strange(column: Sequence[str | None], codes: frozenset[str], prefix: int | None) -> list[int]:
    """Places of the rows with a code that is not mapped."""
    return [i for i, raw in enumerate(column) if e.leaf(raw)[:prefix] not in codes | {""}]


def unindexed(connector: SqlConnector, builder: Builder) -> tuple[str, ...]:
    """What a look-up of one person reads whole although an index could serve, by the plan of the compiled filter.

    Raises:
        DatabaseUnavailable, DatabaseTimeout: the database does not explain it.
    """
    catalog, driver = connector.catalog, connector.driver
    if catalog.subject.person_id is None:
        return ()
    shape = Shape("person", 1, (), _KINDS, (), frozenset(), (), after=False)
    statement = builder.build(shape)
    none = driver.key_set(())
    values = {INQUIRY: "check", LIMIT: 1, SEALED_KEYS: none, UNSEALED_KEYS: none, "form_0": NOBODY}
    whole = driver.read_whole(statement, [values[name] for name in statement.binds])
    indexes = {"source": (catalog.source.table, [catalog.subject.person_id])}
    indexes |= {join.alias: (join.table, [*join.on]) for join in catalog.source.joins}
    return tuple(f"{table} ({', '.join(columns)})" for alias, (table, columns) in indexes.items() if alias in whole)
