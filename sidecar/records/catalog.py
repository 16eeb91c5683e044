"""The catalog: one YAML file a database that maps legacy columns to the canonical record (E10, P7).

What a catalog does not map is unknown, and what is unknown is withheld: every default is the withheld side. A catalog
decides what is sealed, so its digest is part of the approved revision. ``catalog.schema.json`` is made from these models.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema

from sidecar.codes import FieldClass
from sidecar.errors import ConfigurationError
from sidecar.policy.types import Joint, MainActs, RecordKind
from sidecar.records.calls import OpenRoute
from sidecar.records.routes import ANSWER_STEP, HttpSource, Route, distinct
from sidecar.records.tables import BUILT_IN
from sidecar.records.written import TWO_DIGITS, DateFormat
from sidecar.settings import SettingsInvalid, load_yaml

MAX_CATALOG_BYTES = 262_144
"""A catalog is written by hand; what is larger is a mistake."""

RESERVED = frozenset({"cover_mark", "punished"})
"""Names that redaction gives itself."""

_COLUMN = re.compile(r"(?:[^\W\d]\w{0,30}\.)?[^\W\d][\w$#]{0,62}")
_TABLE = re.compile(r"[^\W\d][\w$#]{0,62}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"expected {what} (letters, digits, underscore), got {value!r}")
        return value

    return AfterValidator(check)


def _text(value: Any) -> Any:
    """YAML reads an unquoted code as a number; codes are text (``"01"`` is not ``1``, so only plain integers pass)."""
    return str(value) if type(value) is int else value


def _keys_as_text(value: Any) -> Any:
    return {_text(key): inner for key, inner in value.items()} if isinstance(value, dict) else value


Column = Annotated[str, _matching(_COLUMN, "a column, or alias.column of a join")]
TableName = Annotated[str, _matching(_TABLE, "a table")]
Name = Annotated[str, _matching(_NAME, "a name in lower case")]
Code = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | int), Field(max_length=200)]
Codes = Annotated[tuple[Code, ...], Field(min_length=1)]
Pivot = Annotated[
    int | None,
    Field(ge=0, le=99, description="For years of two digits: from it on they are 19yy, those below it 20yy."),
]
Penalty = Literal["fine", "exempted", "detention", "surveillance", "imprisonment", "life", "death", "other"]


class _TableName:
    """A table's name may stand for a map: editors are told so; ``Catalog`` puts the table in."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The map's own schema, or a name."""
        found = dict(handler(core))
        return {"anyOf": [*found.pop("anyOf", [found]), {"type": "string", "description": "A table's name."}]}


_TABLE_NAME = _TableName()


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SqlSource(_Model):
    """How the legacy database is reached. Its credentials stand in a file, never here (P7)."""

    kind: Literal["sql"]
    dsn_file: Path = Field(description="File with the SQLAlchemy URL; relative to the catalog's folder.")
    statement_timeout_ms: int = Field(
        3000, ge=50, le=60_000, description="Longest a statement may take, set in the server."
    )
    pool_size: int = Field(4, ge=1, le=64, description="Connections a process.")
    answer_step_ms: int = Field(5, ge=0, le=10_000, description=ANSWER_STEP)


class Join(_Model):
    """A left join of another table; its columns are written ``alias.column``."""

    table: TableName
    table_schema: TableName | None = Field(None, alias="schema")
    alias: Annotated[str, _matching(_TABLE, "an alias")]
    on: dict[Column, Column] = Field(min_length=1, description="Column of the joined table → column it must equal.")


class Source(_Model):
    """Where the records are: one row a record."""

    table: TableName = Field("", description="Needed with SQL; an HTTP service has routes instead.")
    table_schema: TableName | None = Field(None, alias="schema")
    key: Annotated[tuple[Column, ...], Field(min_length=1, max_length=4)]
    joins: tuple[Join, ...] = ()


def _check_pivot(written: str, pivot: int | None) -> None:
    if (written in TWO_DIGITS) != (pivot is not None):
        raise ValueError(f"pivot belongs to the formats {', '.join(sorted(TWO_DIGITS))}, and they need it")


class DateColumn(_Model):
    """A column with a date; what is no real date in this format is unknown (S14, R3)."""

    column: Column
    format: DateFormat = "YYYYMMDD"
    pivot: Pivot = None
    unknown: tuple[Code, ...] = Field((), description="Placeholders that mean unknown, e.g. 19000101.")

    @model_validator(mode="after")
    def _pivot_where_needed(self) -> Self:
        _check_pivot(self.format, self.pivot)
        return self


class OffenceColumn(DateColumn):
    """A day of an offence."""

    optional: bool = Field(False, description="Blank means that there was no further act.")


def _date_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class Subject(_Model):
    """How a person is found."""

    person_id: Column | None = None
    name: Column | None = None
    birth_date: Annotated[
        DateColumn | None, BeforeValidator(_date_column, json_schema_input_type=str | DateColumn | None)
    ] = None

    @model_validator(mode="after")
    def _some_way(self) -> Self:
        if self.person_id is None and (self.name is None or self.birth_date is None):
            raise ValueError("expected person_id, or name and birth_date: nobody could be found")
        return self


class Minority(_Model):
    """Birth and offence dates (S1, S5, S6)."""

    birth: DateColumn
    offences: Annotated[tuple[OffenceColumn, ...], Field(min_length=1, max_length=8)]

    @model_validator(mode="after")
    def _first_is_needed(self) -> Self:
        if self.offences[0].optional:
            raise ValueError("the first of offences cannot be optional")
        return self


class Term(_Model):
    """The decided term in months (S4, R5) and the kind of penalty it belongs to."""

    column: Column
    format: Literal["months", "chinese"] = Field(
        "months", description="How the term is written: a number of months, or a text such as 有期徒刑三年六个月."
    )
    years: Column | None = Field(None, description="Column of the term's years, beside which column has the months.")
    kind_from: Column | None = Field(
        None, description="Column of the kind of penalty; without it each term is imprisonment."
    )
    kinds: Annotated[dict[Code, Penalty], BeforeValidator(_keys_as_text), _TABLE_NAME] = Field(default_factory=dict)
    unknown: tuple[Code | None, ...] = Field((), description="Terms that mean unknown; null, zero and junk always do.")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.kind_from is None) != (not self.kinds):
            raise ValueError("kind_from and kinds belong together")
        if self.years is not None and self.format != "months":
            raise ValueError("years belongs to the format months")
        return self


class _Coded(_Model):
    """A code and what each of its values means, or one value for the whole table (``constant``)."""

    column: Column | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        mapped = getattr(self, "map", {})
        constant = getattr(self, "constant", None)
        if (constant is None) == (self.column is None) or (self.column is None) == bool(mapped):
            raise ValueError("expected column and map, or constant")
        return self


class KindOfRecord(_Coded):
    """The kind of record; what is not mapped is unknown."""

    map: Annotated[dict[Code, RecordKind], BeforeValidator(_keys_as_text), _TABLE_NAME] = Field(default_factory=dict)
    constant: RecordKind | None = Field(None, description="Every row of the table is of this kind.")
    blank: RecordKind | None = Field(None, description="What null or blank means; unknown where not given.")


class JointCase(_Coded):
    """Joint case and separation of the file (S10, R8); what is not mapped is unknown."""

    map: Annotated[dict[Code, Joint], BeforeValidator(_keys_as_text), _TABLE_NAME] = Field(default_factory=dict)
    constant: Joint | None = Field(None, description="Every row of the table is so.")
    blank: Joint | None = Field(None, description="What null or blank means; unknown where not given.")


class MainActsFinding(_Coded):
    """A person's finding where acts lie on both sides of majority (S6); what is not mapped is unknown."""

    map: Annotated[dict[Code, MainActs], BeforeValidator(_keys_as_text), _TABLE_NAME] = Field(min_length=1)


class YesNo(_Model):
    """A flag whose unknown codes count as yes."""

    column: Column
    yes: tuple[Code, ...] = ()
    no: Codes


class Mark(_Model):
    """A seal or cover mark: null is no mark, an unknown code is a mark (R8)."""

    column: Column
    none: tuple[Code, ...] = Field((), description="Codes that mean no mark.")
    set: tuple[Code, ...] = Field((), description="Codes that mean a mark; every code that is not under none does.")

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        if both := {*self.none} & {*self.set}:
            raise ValueError(f"codes stand under none and set: {sorted(both)}")
        return self


class CodeIn(_Model):
    """A column that must hold one of these codes."""

    column: Column
    set: Codes


class Unsealing(_Model):
    """An unsealing decision: without all of these parts it does not unseal (U1, R10)."""

    number: Column
    authority: Column
    date: DateColumn
    effect: CodeIn
    ground: CodeIn


class DisclosureAgreed(_Model):
    """S9, R7: the person's and the representative's wish and the court's agreement; all must be recorded."""

    person: CodeIn
    representative: CodeIn
    court: CodeIn


class AttributeMap(_Model):
    """Where the derived attributes come from. What is left out is unknown, hence withheld."""

    minor: Minority | None = None
    sentence_months: Term | None = None
    kind: KindOfRecord | None = None
    exempted: YesNo | None = Field(None, description="Left out: taken from the kind of penalty, if that is mapped.")
    main_acts: MainActsFinding | None = None
    joint: JointCase | None = None
    cover_mark: Mark | None = None
    seal_mark: Mark | None = Field(None, description="Left out: marks are in the seal register alone.")
    unsealing: Unsealing | None = None
    disclosure_agreed: DisclosureAgreed | None = None
    concluded: DateColumn | None = None


class ReleasedField(_Model):
    """A field of the answer: the column it comes from and its class, which the table of views goes by."""

    column: Column
    field_class: FieldClass = Field(alias="class")
    encoding: str | None = Field(None, description="Codec of a column that holds bytes, e.g. gb18030.")
    format: Literal["text", "integer"] | DateFormat = "text"
    pivot: Pivot = None
    map: Annotated[dict[Code, str] | None, BeforeValidator(_keys_as_text), _TABLE_NAME] = Field(
        None, description="Code → released text; a code that is not mapped withholds the row."
    )
    prefix: int | None = Field(None, ge=1, le=6, description="Only so many first characters are the code.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError as exc:
                raise ValueError(f"unknown encoding {self.encoding!r}") from exc
        if (self.format != "text") + (self.map is not None) + (self.encoding is not None) > 1:
            raise ValueError("expected at most one of format, map and encoding")
        if self.prefix is not None and self.map is None:
            raise ValueError("prefix belongs to map")
        _check_pivot(self.format, self.pivot)
        return self

    def day(self) -> DateColumn | None:
        """The field as a date; None where it is none."""
        if self.format in {"text", "integer"}:
            return None
        return DateColumn.model_validate({"column": self.column, "format": self.format, "pivot": self.pivot})


_WITH_CODES = frozenset({"attributes", "released"})
"""Sections in which a table's name may stand for codes."""


def _put_in(part: Any, tables: Mapping[str, Any]) -> Any:
    """A part of a catalog with tables instead of their names.

    Raises:
        ValueError: there is no table of this name.
    """
    if not isinstance(part, dict):
        return part
    found = {}
    for key, value in part.items():
        if key in {"map", "kinds"} and isinstance(value, str):
            if value not in tables:
                raise ValueError(f"expected one of the tables {sorted(tables)}, got {value!r}")
            found[key] = tables[value]
        else:
            found[key] = _put_in(value, tables)
    return found


class Catalog(_Model):
    """One legacy database."""

    catalog: Literal[1]
    database: Annotated[str, _matching(re.compile(r"[a-z0-9][a-z0-9_-]{0,62}"), "a name in lower case")]
    title: str = Field("", max_length=200, description="Name for people.")
    connector: Annotated[SqlSource | HttpSource, Field(discriminator="kind")]
    source: Source
    routes: tuple[Route, ...] = Field((), max_length=50, description="Calls that an HTTP service may be asked.")
    subject: Subject
    tables: dict[Name, Annotated[dict[Code, str], BeforeValidator(_keys_as_text)]] = Field(
        default_factory=dict,
        description="Code tables: a name that map or kinds may give instead of the codes. Built in: "
        + ", ".join(sorted(BUILT_IN)),
    )
    attributes: AttributeMap = AttributeMap()
    released: dict[Name, ReleasedField] = Field(min_length=1)
    filterable: tuple[str, ...] = Field(
        (), description="Released fields, or columns of the key or of a released field."
    )
    sortable: tuple[str, ...] = Field((), description="Released fields, or columns of the key or of a released field.")

    @model_validator(mode="before")
    @classmethod
    def _with_tables(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        own = data.get("tables", {})
        tables = {**BUILT_IN, **(own if isinstance(own, dict) else {})}
        return {name: _put_in(part, tables) if name in _WITH_CODES else part for name, part in data.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if reserved := RESERVED & self.released.keys():
            raise ValueError(f"released: reserved names {sorted(reserved)}")
        for name in (*self.filterable, *self.sortable):
            self.declared(name)
        aliases = {join.alias for join in self.source.joins}
        if len(aliases) != len(self.source.joins):
            raise ValueError("source.joins: every alias once")
        for column in columns_of(self):
            if "." in column and column.split(".")[0] not in aliases:
                raise ValueError(f"column {column!r}: no join has this alias")
        return self

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if isinstance(self.connector, SqlSource):
            if not self.source.table or self.routes:
                raise ValueError("connector.kind sql: expected source.table and no routes")
            return self
        if self.source.table or self.source.joins or not self.routes or self.sortable:
            raise ValueError("connector.kind http: expected routes, no table or joins, and nothing sortable")
        if encoded := sorted(name for name, field in self.released.items() if field.encoding is not None):
            raise ValueError(f"connector.kind http: the charset is the route's, not a field's: {encoded}")
        distinct(self.routes)
        for route in self.routes:
            OpenRoute(route, self.columns())
            conditions = {p.field for p in route.parameters if p.field is not None}
            if undeclared := sorted(conditions - {*self.filterable}):
                raise ValueError(f"{route.name}: conditions on fields that are not filterable: {undeclared}")
        return self

    def columns(self) -> tuple[str, ...]:
        """Every column that the catalog names, once, sorted."""
        return tuple(sorted(set(columns_of(self))))

    def declared(self, name: str) -> ReleasedField:
        """The field that a filterable or sortable name stands for.

        Raises:
            ValueError: neither a released field, nor a column of one, nor a key column; or it has an encoding.
        """
        field = self.released.get(name)
        if field is None:
            field = next((f for f in self.released.values() if f.column == name), None)
        if field is None and name in self.source.key:
            field = ReleasedField.model_validate({"column": name, "class": FieldClass.PROCEDURE})
        if field is None:
            raise ValueError(
                f"{name!r} is neither a released field nor a column of one nor of the key: release it first"
            )
        if field.encoding is not None:
            raise ValueError(f"{name!r} has an encoding: it cannot be compared in the database")
        if field.column in self._covering():
            raise ValueError(f"{name!r} is the cover mark or the joint case: who asks for it would learn of it (R16b)")
        return field

    def field_classes(self) -> dict[str, FieldClass]:
        """Released field → its class."""
        return {name: field.field_class for name, field in self.released.items()}

    def covering(self) -> frozenset[str]:
        """Released fields that come from the cover mark's or the joint case's column: for who is entitled only (R16b)."""
        columns = self._covering()
        return frozenset(name for name, field in self.released.items() if field.column in columns)

    def _covering(self) -> frozenset[str | None]:
        maps = self.attributes
        return frozenset({part.column for part in (maps.cover_mark, maps.joint) if part is not None} - {None})


def columns_of(model: BaseModel) -> Iterator[str]:
    """Every column that a part of the catalog names."""
    if isinstance(model, Join):
        yield from (f"{model.alias}.{column}" for column in model.on)
        yield from model.on.values()
        return
    if isinstance(model, Unsealing):
        yield from (model.number, model.authority)
    if isinstance(model, Subject):
        yield from (column for column in (model.person_id, model.name) if column is not None)
    if isinstance(model, Source):
        yield from model.key
    if isinstance(model, Term):
        yield from (column for column in (model.kind_from, model.years) if column is not None)
    column = getattr(model, "column", None)
    if column is not None:
        yield column
    for inner in (getattr(model, name) for name in type(model).model_fields):
        yield from _columns_inside(inner)


def _columns_inside(value: Any) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from columns_of(value)
    elif isinstance(value, tuple):
        for part in value:
            yield from _columns_inside(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _columns_inside(part)


@dataclass(frozen=True, slots=True)
class LoadedCatalog:
    """A catalog with what it was read from: ``digest`` is ``sha256:…`` of the file's bytes, as a revision names it."""

    catalog: Catalog
    digest: str
    folder: Path

    def dsn(self) -> str:
        """The SQLAlchemy URL in ``dsn_file``.

        Raises:
            ConfigurationError: the file cannot be read or is empty.
        """
        if not isinstance(self.catalog.connector, SqlSource):
            raise ConfigurationError(f"{self.catalog.database}: expected a database with a URL, got an HTTP service")
        path = self.folder / self.catalog.connector.dsn_file
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigurationError(f"{self.catalog.database}: dsn_file {path} cannot be read") from exc
        if not text:
            raise ConfigurationError(
                f"{self.catalog.database}: dsn_file {path} is empty: write the database's URL into it"
            )
        return text


def parse(text: str, name: str = "catalog") -> Catalog:
    """Parse a catalog's text.

    Raises:
        ConfigurationError: not YAML, duplicate or unknown keys, wrong identifiers; the text names the place.
    """
    try:
        data = load_yaml(text)
        return Catalog.model_validate(data)
    except (yaml.YAMLError, SettingsInvalid, RecursionError) as exc:
        raise ConfigurationError(f"{name}: {exc}") from exc
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors(include_input=False))
        raise ConfigurationError(f"{name}: {problems}") from exc


def load(path: Path) -> LoadedCatalog:
    """Read a catalog file.

    Raises:
        ConfigurationError: as ``parse``; unreadable, too large or not UTF-8.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path}: cannot be read as UTF-8") from exc
    if len(content) > MAX_CATALOG_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MAX_CATALOG_BYTES} bytes, got {len(content)}")
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return LoadedCatalog(parse(text, str(path)), digest, path.parent)


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of the format, for editors; ``catalog.schema.json`` holds the same."""
    schema = Catalog.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
