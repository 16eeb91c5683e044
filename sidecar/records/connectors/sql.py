"""The SQL connector: one statement a fetch, attributes derived again in Python from what came back (P3, P4, P7).

SQLAlchemy compiles a statement once a shape; the driver executes it. The classification that the gateway makes of the
returned rows' attributes is the second check of what the database's own filter let through.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from sidecar.clock import Clock, SystemClock
from sidecar.codes import FieldClass
from sidecar.errors import ConfigurationError, DatabaseClosed, DatabaseUnavailable
from sidecar.law.identifiers import citizen_number_forms
from sidecar.policy.types import FilterNode, Joint, LegalParameters, Views
from sidecar.records import catalog as c
from sidecar.records import expr as e
from sidecar.records.attributes import SEALED_KEYS, UNSEALED_KEYS, Derive, cover_mark, derivation, expressions
from sidecar.records.canary import Classify, check
from sidecar.records.connectors.postgresql import PostgresDriver
from sidecar.records.connectors.sqlite import SqliteDriver
from sidecar.records.decode import Decoder, Undecodable, decoder
from sidecar.records.driver import Driver, Limits
from sidecar.records.filtering import shown_classes, shown_fields
from sidecar.records.python import compile_all
from sidecar.records.statement import (
    INQUIRY,
    LIMIT,
    Builder,
    ColumnType,
    Shape,
    Sort,
    Statement,
    check_condition,
    condition_name,
    field_expr,
    padded,
)
from sidecar.records.types import Condition, Fetched, PageRequest, RegisterMarks, Row, Search, Subject

MAX_STATEMENTS = 256
"""Compiled shapes kept; a search's conditions and sorts make new ones."""

NOBODY = "\x7f"
"""Bound where nothing may match: no name or number has this character."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A compiled statement with what reads its rows."""

    statement: Statement
    decoders: tuple[tuple[str, int, Decoder], ...]
    shape: Shape
    sorts: e.Evaluate
    classes: Mapping[str, FieldClass]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Plans of one table of views, by what else they depend on."""

    views: Views
    plans: dict[tuple[Any, ...], _Plan]


@dataclass(frozen=True, slots=True)
class _Ready:
    """What is known once the live database was seen: how it is read, and the statements compiled for it."""

    builder: Builder
    derive: Derive
    plans: OrderedDict[Shape, _Plan] = field(default_factory=OrderedDict)
    kept: dict[int, _Kept] = field(default_factory=dict)


class SqlConnector:
    """Reads one legacy database over SQL. See ``records.types.Connector``."""

    def __init__(
        self,
        catalog: c.Catalog,
        driver: Driver,
        open_record: FilterNode,
        parameters: LegalParameters,
        classify: Classify,
    ) -> None:
        self.database = catalog.database
        self.catalog = catalog
        self._covering = catalog.covering()
        self.driver = driver
        self.open_record = open_record
        self.classify = classify
        self._trees = expressions(catalog, parameters)
        self._lock = threading.Lock()
        self._ready: _Ready | None = None
        self._types: Mapping[str, ColumnType] | None = None

    def fetch(
        self, target: Subject | Search, views: Views, page: PageRequest, marks: RegisterMarks, inquiry_id: str
    ) -> Fetched:
        """See ``Connector``. What the database could not even hold is found nowhere."""
        ready = self._prepared()
        values = _values(target, self.catalog, ready.builder.types)
        if not all(self.driver.bindable(text) for text in values.values() if isinstance(text, str)):
            values = {name: NOBODY if isinstance(value, str) else value for name, value in values.items()}
        plan = self._plan(ready, target, views, page, values)
        values[INQUIRY] = inquiry_id
        values[LIMIT] = page.size + 1
        values[SEALED_KEYS] = self.driver.key_set(marks.sealed)
        values[UNSEALED_KEYS] = self.driver.key_set(marks.unsealed)
        for i, value in enumerate(page.after or ()):
            values[f"after_{i}"] = value
        try:
            rows = self.driver.execute(plan.statement, [values[name] for name in plan.statement.binds])
        except DatabaseUnavailable:
            self._forget()  # perhaps the schema is not what it was
            raise
        return self._fetched(ready, plan, rows, page.size, marks, joint_dropped=views.joint_dropped)

    def canary(self) -> None:
        """See ``Connector``."""
        check(self._prepared().builder, self.driver, self._trees, self.classify)

    def close(self) -> None:
        """See ``Connector``."""
        self.driver.close()

    def _prepared(self) -> _Ready:
        ready = self._ready
        if ready is None:
            with self._lock:
                ready = self._ready or self._look()
                if self._types not in (None, ready.builder.types):
                    check(ready.builder, self.driver, self._trees, self.classify)
                self._ready, self._types = ready, ready.builder.types
        return ready

    def _forget(self) -> None:
        """Look at the live columns again before the next statement; if they changed, the canary comes first."""
        self._ready = None

    def _look(self) -> _Ready:
        types = live_types(self.driver, self.catalog)
        cover = cover_mark(self.catalog)
        builder = Builder(
            self.catalog, self._trees, cover, self.open_record, self.driver.dialect, types, self.driver.render
        )
        columns = builder.attribute_columns()
        index = {name: i for i, name in enumerate(columns)}
        return _Ready(builder, derivation(self._trees, cover, index))

    def _plan(
        self, ready: _Ready, target: Subject | Search, views: Views, page: PageRequest, values: Mapping[str, Any]
    ) -> _Plan:
        kept = ready.kept.get(id(views))
        if kept is None or kept.views is not views:
            # By identity: the decision's memo gives the same table of views for the same facts.
            if len(ready.kept) >= MAX_STATEMENTS:
                ready.kept.clear()
            kept = ready.kept[id(views)] = _Kept(views, {})
        kind = "search"
        conditions: tuple[tuple[str, str, int], ...] = ()
        if isinstance(target, Search):
            conditions = tuple([(each.field, each.operator, len(_parts(each))) for each in target.conditions])
        else:
            kind = "person" if target.person_id is not None else "name"
        short = (kind, len(values), conditions, page.sort, page.after is None)
        plan = kept.plans.get(short)
        if plan is None:
            if len(kept.plans) >= MAX_STATEMENTS:
                kept.plans.clear()
            plan = kept.plans[short] = self._shared(ready, _shape(kind, conditions, views, page, values))
        return plan

    def _shared(self, ready: _Ready, shape: Shape) -> _Plan:
        """The plan of a shape; tables of views that show the same share it."""
        with self._lock:
            plan = ready.plans.get(shape)
            if plan is not None:
                ready.plans.move_to_end(shape)
                return plan
        plan = self._compile(ready, shape)
        with self._lock:
            ready.plans[shape] = plan
            if len(ready.plans) > MAX_STATEMENTS:
                ready.plans.popitem(last=False)
        return plan

    def _compile(self, ready: _Ready, shape: Shape) -> _Plan:
        for name, operator, _ in shape.conditions:
            check_condition(self.catalog, name, operator)
        if undeclared := [sort.field for sort in shape.sort if sort.field not in self.catalog.sortable]:
            raise ConfigurationError(f"{len(undeclared)} sort keys are not declared sortable")
        statement = ready.builder.build(shape)
        index = {name: i for i, name in enumerate(statement.leaves)}
        encoded = {name: len(index) + i for i, name in enumerate(statement.encoded)}
        decoders = []
        for name in statement.fields:
            field = self.catalog.released[name]
            place = encoded[name] if name in encoded else index[field.column]
            decoders.append((name, place, decoder(field)))
        sorts = compile_all([field_expr(self.catalog.declared(sort.field)) for sort in shape.sort], index)
        classes = {name: self.catalog.released[name].field_class for name in statement.fields}
        return _Plan(statement, tuple(decoders), shape, sorts, classes)

    def _fetched(
        self,
        ready: _Ready,
        plan: _Plan,
        rows: list[tuple[Any, ...]],
        size: int,
        marks: RegisterMarks,
        *,
        joint_dropped: frozenset[FieldClass],
    ) -> Fetched:
        total = rows[0][-1] if rows else 0
        if len(rows) == 1 and rows[0][0] is None and all(value is None for value in rows[0][:-1]):
            rows = []  # an empty page after a position: the total alone
        page = rows[:size]
        bound = {SEALED_KEYS: marks.sealed, UNSEALED_KEYS: marks.unsealed}
        keys = len(self.catalog.source.key)
        derived = [
            (attributes, covered, covered or attributes.joint is not Joint.NONE)
            for attributes, covered in ready.derive(page, bound)
        ]
        columns = _columns(plan, page, [joint for _, _, joint in derived], joint_dropped)
        decoded = _decoded(columns, len(page))
        kept = tuple([
            Row(attributes, fields, joint, row[:keys], covered)
            for row, (attributes, covered, joint), fields in zip(page, derived, decoded, strict=True)
            if fields is not None
        ])  # fmt: skip
        lost = len(page) - len(kept)
        end = self._position(ready, plan, page[-1], bound) if page else None
        return Fetched(kept, total - lost, len(rows) > size, plan.classes, lost, end, self._covering)

    def _position(self, ready: _Ready, plan: _Plan, row: tuple[Any, ...], bound: e.Bound) -> tuple[Any, ...]:
        types = ready.builder.types
        keys = [
            padded(e.leaf(part)) if types[name].is_integer else e.leaf(part)
            for name, part in zip(self.catalog.source.key, row, strict=False)
        ]
        return (*plan.sorts(row, bound), *keys) if plan.shape.sort else tuple(keys)


def _shape(
    kind: str,
    conditions: tuple[tuple[str, str, int], ...],
    views: Views,
    page: PageRequest,
    values: Mapping[str, Any],
) -> Shape:
    return Shape(
        target=kind,
        forms=sum(name.startswith("form_") for name in values),
        conditions=conditions,
        open_classes=shown_classes(views.open),
        sealed_classes=shown_classes(views.sealed),
        fields=shown_fields(views),
        sort=tuple(Sort(each.field, each.descending) for each in page.sort),
        after=page.after is not None,
    )


@dataclass(frozen=True, slots=True)
class _Column:
    """One released field of a page: its raw values by row."""

    name: str
    decode: Decoder
    raw: list[Any]


def _columns(
    plan: _Plan, rows: list[tuple[Any, ...]], joint: list[bool], dropped: frozenset[FieldClass]
) -> list[_Column]:
    """The released fields of a page; what a joint case drops is not even decoded, for a fault in it would tell (R16b)."""
    columns = [_Column(name, decode, [row[place] for row in rows]) for name, place, decode in plan.decoders]
    if dropped and any(joint):
        for column in columns:
            if plan.classes[column.name] in dropped:
                column.raw[:] = [None if hidden else raw for raw, hidden in zip(column.raw, joint, strict=True)]
    return columns


def _decoded(columns: list[_Column], count: int) -> list[dict[str, Any] | None]:
    """The released fields of each of ``count`` rows; None for a row with a value that cannot be decoded."""
    if not columns:
        return [{} for _ in range(count)]
    try:
        values = [column.decode(column.raw) for column in columns]
    except Undecodable:
        single = [[_Column(c.name, c.decode, [c.raw[i]]) for c in columns] for i in range(count)]
        return [_decoded(row, 1)[0] for row in single] if count > 1 else [None]
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def live_types(driver: Driver, catalog: c.Catalog) -> dict[str, ColumnType]:
    """The live type of every column that the catalog names.

    Raises:
        DatabaseClosed: tables or columns are not there; the text names them all.
    """
    source = catalog.source
    tables = {"": driver.columns(source.table_schema, source.table)}
    tables |= {join.alias: driver.columns(join.table_schema, join.table) for join in source.joins}
    places = {name: (name.rpartition(".")[0], name.rpartition(".")[2]) for name in c.columns_of(catalog)}
    missing = [name for name, (alias, bare) in places.items() if bare not in tables[alias]]
    if missing:
        told = "column" + ("s " if len(missing) > 1 else " ") + ", ".join(map(repr, missing))
        raise DatabaseClosed(f"{catalog.database}: the live database has no {told} as the catalog names it")
    return {name: tables[alias][bare] for name, (alias, bare) in places.items()}


def _parts(condition: Condition) -> tuple[Any, ...]:
    return condition.value if isinstance(condition.value, tuple) else (condition.value,)


def _values(target: Subject | Search, catalog: c.Catalog, types: Mapping[str, ColumnType]) -> dict[str, Any]:
    """Bound values of a target."""
    if isinstance(target, Search):
        return _search_values(target, catalog, types)
    if target.person_id is not None:
        forms = citizen_number_forms(target.person_id)
        name = catalog.subject.person_id
    else:
        forms, name = (target.name or NOBODY,), catalog.subject.name
    padded = _padded(forms, types[name] if name else None)
    values: dict[str, Any] = {f"form_{i}": form for i, form in enumerate(padded)}
    if target.person_id is None:
        values["birth"] = e.date_of(target.birth_date or "", dashed=True) or e.UNKNOWN_INTEGER
    return values


def _padded(forms: Sequence[str], column: ColumnType | None) -> tuple[str, ...]:
    """Each form as it is and padded to the column's width: CHAR data in VARCHAR columns, found by its index still."""
    if column is None or column.width is None:
        return tuple(forms)
    return (*forms, *(form.ljust(column.width) for form in forms if len(form) < column.width))


def _search_values(target: Search, catalog: c.Catalog, types: Mapping[str, ColumnType]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for index, condition in enumerate(target.conditions):
        field = catalog.declared(condition.field)
        tree = field_expr(field)
        for part, given in enumerate(_parts(condition)):
            values[condition_name(index, part)] = _canonical(tree, given)
            if isinstance(tree, e.Text):
                width = types[field.column].width or 0
                values[condition_name(index, 2 * part, raw=True)] = str(given).strip(" ")
                values[condition_name(index, 2 * part + 1, raw=True)] = str(given).strip(" ").ljust(width)
    return values


def _canonical(tree: e.Expr, given: str | int) -> str | int:
    """A condition's value as its field is compared; what is no value of the field equals none."""
    if isinstance(tree, e.IntegerOf):
        number = given if isinstance(given, int) else e.integer_of(given)
        return number if -1 < number < 10**e.MAX_INTEGER_DIGITS else -2
    if isinstance(tree, e.DateOf):
        return e.date_of(str(given), dashed=True) or e.UNKNOWN_INTEGER
    return str(given).strip(" ")


def open_connector(
    loaded: c.LoadedCatalog,
    open_record: FilterNode,
    parameters: LegalParameters,
    classify: Classify,
    clock: Clock | None = None,
) -> SqlConnector:
    """A connector for a catalog. Nothing is connected before the first fetch or canary.

    Args:
        loaded: the catalog, and the folder that its paths start from.
        open_record: the revision's compiled filter.
        parameters: the revision's legal parameters.
        classify: the revision's engine; what the canary's expected results come from.
        clock: deadlines; the machine's unless given.

    Raises:
        ConfigurationError: the URL cannot be read, or its database is of a kind without a driver.
    """
    source = loaded.catalog.connector
    if not isinstance(source, c.SqlSource):
        raise ConfigurationError(f"{loaded.catalog.database}: expected kind sql, got {source.kind}")
    limits = Limits(source.statement_timeout_ms, source.pool_size)
    driver = open_driver(loaded.dsn(), loaded.folder, loaded.catalog.database, limits, clock or SystemClock())
    return SqlConnector(loaded.catalog, driver, open_record, parameters, classify)


def open_driver(dsn: str, folder: Path, database: str, limits: Limits, clock: Clock) -> Driver:
    """The driver of a URL. Nothing is connected yet.

    Args:
        dsn: the SQLAlchemy URL.
        folder: what a relative path in it starts from.
        database: its name in error texts.
        limits: its bounds.
        clock: deadlines.

    Raises:
        ConfigurationError: no URL, or of a database without a driver.
    """
    try:
        url = make_url(dsn)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"{database}: dsn_file holds no URL such as sqlite:///file") from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database:
        return SqliteDriver(folder / url.database, limits, clock)
    if backend == "postgresql":
        dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return PostgresDriver(dsn, limits, clock)
    if backend in {"mysql", "mariadb"}:
        return _mariadb(database, url, limits, clock)
    raise ConfigurationError(f"{database}: expected sqlite, postgresql or mariadb, got {backend!r}")


def _mariadb(database: str, url: URL, limits: Limits, clock: Clock) -> Driver:
    try:
        from sidecar.records.connectors.mariadb import MariaDbDriver  # noqa: PLC0415  # its PyMySQL is an extra
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"{database}: MariaDB needs PyMySQL: install sealed-records-sidecar[mariadb]"
        ) from None
    return MariaDbDriver(url, limits, clock)
