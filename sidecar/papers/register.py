"""The seal register: decisions to seal and unseal for databases without a mark of their own (S13, U1, R9, R10).

The file (``register.yaml``)::

    register: 1
    decisions:
      - effect: seal                       # seal | unseal
        database: cases
        record_key: "330102-0007"          # canonical text form of the record's key
        number: （2024）浙0102刑封12号
        authority: 示例县人民法院
        date: 2024-05-06
        ground: s1                         # code
        subject: {person_id: "330102200506010017", name: 张三}    # or name and birth_date

A decision that lacks a part, or stands in it twice, is refused with the whole file. Of several decisions on a record
the latest counts; of a sealing and an unsealing of the same day, the sealing.

A mark is a record's, the pseudonym only finds it. Decisions under a key that is not in the ring (destroyed, swapped,
not yet handed to this replica) cannot be found by a person any more: they hold for whoever asks, by record key, so that
no sealed record is ever answered as if it had no mark. ``lost_keys`` names such keys to the operator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Final, Literal, Protocol, Self

import orjson
from pydantic import Field, model_validator
from sqlalchemy import Engine, Select, and_, bindparam, false, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.codes import Channel, EntryKind
from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.identity.imports import check_two_people
from sidecar.keys.ids import RandomBytes, system_random
from sidecar.keys.ring import KeyRing
from sidecar.law.days import beijing_day, day_text
from sidecar.law.identifiers import person_name, read_citizen_number
from sidecar.ledger.build import EntryBuilder, milliseconds, uuid7
from sidecar.ledger.types import Effect, Ledger
from sidecar.papers.files import Day, Digits, Part, Text, read_file
from sidecar.papers.tables import SEAL_REGISTER
from sidecar.records.types import RegisterMarks, Search, Subject
from sidecar.storage.engine import reading
from sidecar.storage.reader import Reader

MAX_DECISIONS: Final = 800
"""Decisions a file: they go with one entry, in one transaction of bounded size."""

_ROWS: Final = 100
"""Rows a statement: SQLite takes time with the square of a statement's parameters."""

_NEW_VERSION: Final = (
    "INSERT INTO seal_register_version (id, version) SELECT 1, %(version)s WHERE {guard}"
    " ON CONFLICT (id) DO UPDATE SET version = excluded.version"
)
_COLUMNS: Final = tuple(column.name for column in SEAL_REGISTER.c)
_INTEGERS: Final = frozenset({"date", "created"})
_QUOTED: Final = ", ".join(f'"{name}"' for name in _COLUMNS)
_PICKED: Final = ", ".join(f"column{place}" for place in range(1, len(_COLUMNS) + 1))


class YearKeys(KeyRing, Protocol):
    """A key ring that knows its years; ``keys.ring.FileKeyRing``."""

    def years(self) -> tuple[int, ...]:
        """Years that have a pseudonym key."""


class Asked(Protocol):
    """What is read of an inquiry; ``gateway.types.Inquiry``."""

    @property
    def database(self) -> str:
        """Name of the database."""

    @property
    def target(self) -> Subject | Search:
        """Whom or what it asks for."""


class SealRegister:
    """Looks marks up by pseudonym; ``gateway.ports.Register``. Thread-safe.

    Args:
        engine: the state database.
        keys: the ring.
    """

    def __init__(self, engine: Engine, keys: YearKeys) -> None:
        self._reader = Reader(engine)
        self._keys = keys

    def marks(self, inquiry: Asked) -> RegisterMarks:
        """Marks on the subject's records in the database; for a search, on all of them. One query, whatever is found.

        Only where the ring lacks a key of the register there are more, and then whoever the subject is: the decisions
        under that key come along, for they may be about the subject.

        Raises:
            LedgerUnavailable: the state database does not answer: nothing may be released.
            KeyMissing: a year's key cannot be read any more.
        """
        database = {"database": inquiry.database}
        if not isinstance(inquiry.target, Subject):
            return effective(self._reader.rows(_all_marks(), database))
        names = self.names(inquiry.target)
        marks = self._reader.rows(_marks_about(len(names)), database | _bound(names))
        for lost in sorted(self._used() - names.keys()):
            marks += self._reader.rows(_marks_under(), database | {"key_id": lost})
        return effective(marks)

    def lost_keys(self) -> tuple[str, ...]:
        """Ids of the keys that decisions stand under and the ring lacks: to be imported again; ascending.

        Raises:
            LedgerUnavailable: the state database does not answer.
            KeyMissing: a year's key cannot be read.
        """
        return tuple(sorted(self._used() - self.names(Subject(person_id="")).keys()))

    def _used(self) -> frozenset[str]:
        return frozenset(key_id for (key_id,) in self._reader.rows(_used_keys(), {}))

    def names(self, subject: Subject) -> dict[str, str]:
        """Id of each key of the ring → the subject's pseudonym under it; raises ``KeyMissing``."""
        kind, value = pseudonym_source(subject)
        return dict(self._keys.pseudonym(kind, value, year) for year in self._keys.years())


def _bound(names: Mapping[str, str]) -> dict[str, str]:
    """The values of ``_marks_about``."""
    values: dict[str, str] = {}
    for place, (key_id, pseudonym) in enumerate(names.items()):
        values |= {f"key_{place}": key_id, f"subject_{place}": pseudonym}
    return values


@cache
def _all_marks() -> Select[Any]:
    """All decisions of a database."""
    c = SEAL_REGISTER.c
    return select(c.record_key, c.effect, c.date).where(c.database == bindparam("database"))


@cache
def _marks_under() -> Select[Any]:
    """All decisions of a database under one key."""
    return _all_marks().where(SEAL_REGISTER.c.subject_key == bindparam("key_id"))


@cache
def _used_keys() -> Select[Any]:
    """Ids of the keys of all decisions: as many steps in the index as there are keys, however many decisions."""
    c = SEAL_REGISTER.c
    keys = select(func.min(c.subject_key).label("id")).cte("used_keys", recursive=True)
    following = select(func.min(c.subject_key)).where(c.subject_key > keys.c.id).scalar_subquery()
    keys = keys.union_all(select(following).where(keys.c.id.is_not(None)))
    return select(keys.c.id).where(keys.c.id.is_not(None))


@cache
def _marks_about(years: int) -> Select[Any]:
    """Decisions about a subject under any of so many years' pseudonyms."""
    c = SEAL_REGISTER.c
    named = (
        and_(c.subject_key == bindparam(f"key_{place}"), c.subject == bindparam(f"subject_{place}"))
        for place in range(years)
    )
    return _all_marks().where(or_(false(), *named))


def pseudonym_source(subject: Subject) -> tuple[str, str]:
    """(kind, value) of which a subject's pseudonym is made (``keys.ring.PSEUDONYM_KINDS``)."""
    if subject.person_id is not None:
        return "person_id", subject.person_id
    return "name_birth", f"{subject.name}/{subject.birth_date}"


def effective(decisions: Iterable[tuple[Any, ...]]) -> RegisterMarks:
    """What holds of (record key, effect, day): the latest a record; of both on one day, the sealing."""
    latest: dict[str, tuple[int, bool]] = {}
    for key, effect, day in decisions:
        latest[key] = max(latest.get(key, (0, False)), (day, effect != "unseal"))
    return RegisterMarks(
        sealed=frozenset(key for key, (_, seals) in latest.items() if seals),
        unsealed=frozenset(key for key, (_, seals) in latest.items() if not seals),
    )


class _Subject(Part):
    person_id: Digits | None = None
    name: Text = Field(min_length=1, max_length=64)
    birth_date: Day | None = None

    @model_validator(mode="after")
    def _normal(self) -> Self:
        self.subjects()
        return self

    def subjects(self) -> tuple[Subject, ...]:
        """Every way in which an inquiry may name this person."""
        named = person_name(self.name)
        if self.person_id is None:
            if self.birth_date is None:
                raise ValueError("expected person_id, or birth_date beside the name")
            return (Subject(name=named, birth_date=day_text(self.birth_date)),)
        number = read_citizen_number(self.person_id)
        days = {number.birth, self.birth_date or number.birth}  # a database may hold another day than the number
        by_name = (Subject(name=named, birth_date=day_text(day)) for day in sorted(days))
        return (Subject(person_id=number.value), *by_name)

    def born(self) -> int:
        """The latest birth date that is stated, YYYYMMDD."""
        number = read_citizen_number(self.person_id).birth if self.person_id is not None else 0
        return max(number, self.birth_date or 0)


class _Decision(Part):
    effect: Literal["seal", "unseal"]
    database: str = Field(min_length=1, max_length=64)
    record_key: Digits = Field(min_length=1, max_length=255)
    number: Text = Field(min_length=1, max_length=64)
    authority: Text = Field(min_length=1, max_length=200)
    date: Day
    ground: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    subject: _Subject


class _File(Part):
    version: Literal[1] = Field(alias="register")
    decisions: list[_Decision] = Field(min_length=1, max_length=MAX_DECISIONS)


@dataclass(frozen=True, slots=True)
class RegisterSummary:
    """What an import did: decisions of the file, and how many of its rows are new."""

    decisions: int
    new: int


def import_register(
    path: Path,
    *,
    engine: Engine,
    ledger: Ledger,
    clock: Clock,
    keys: KeyRing,
    registrar: str,
    confirmed_by: str,
    databases: frozenset[str] | None = None,
    random: RandomBytes = system_random,
) -> RegisterSummary:
    """Import decisions: all of the file with one entry of kind ``registry``, or nothing.

    A decision is named by its content and the year's key: importing the same again changes and records nothing, and
    importing it under a later year's key makes it independent of the earlier one.

    Args:
        path: the file.
        engine: the state database.
        ledger: where the entry goes.
        clock: for the entry's time and the year of pseudonyms.
        keys: makes pseudonyms.
        registrar: who imports.
        confirmed_by: the second person, who has compared the file.
        databases: names of databases that there are; None: not compared.
        random: source of the entry's id and salt.

    Raises:
        ConfigurationError: the file cannot be used; the text names the places.
        CodedError: ``self-approval`` where registrar and second person are one.
        LedgerUnavailable: nothing, or only the whole, was imported.
    """
    check_two_people(registrar, confirmed_by)
    file, data = read_file(path, _File)
    _check(path, file, beijing_day(clock.now()), databases)
    people = {"entered_by": registrar, "confirmed_by": confirmed_by, "created": milliseconds(clock.now())}
    year = beijing_day(clock.now()) // 10000
    rows = {row["id"]: row | people for decision in file.decisions for row in _rows(decision, keys, year)}
    new = _unknown(engine, rows)
    if new:
        digest = keys.keyed_hash("register_import", hashlib.sha256(data).hexdigest(), year)
        extra = {"action": "register_import", "confirmed_by": confirmed_by, "digest": digest}
        extra |= {"decisions": str(len(file.decisions))}
        entry = EntryBuilder(clock, random).build(
            EntryKind.REGISTRY, Channel.CLI, officer=registrar, outcome="allow", extra=extra
        )
        version = {"version": uuid7(clock.now(), random)}
        ledger.commit(entry, [*_inserts(new), Effect("register_version", _NEW_VERSION, version, required=True)])
    return RegisterSummary(len(file.decisions), len(new))


def _check(path: Path, file: _File, today: int, databases: frozenset[str] | None) -> None:
    for place, decision in enumerate(file.decisions):
        if decision.date > today:
            raise ConfigurationError(f"{path}: decisions.{place}: expected a date that is not to come")
        if databases is not None and decision.database not in databases:
            raise ConfigurationError(f"{path}: decisions.{place}: expected a database of {sorted(databases)}")
        if decision.subject.born() > today:
            raise ConfigurationError(f"{path}: decisions.{place}: expected a birth date that is not to come")
    first: dict[_Decision, int] = {}
    for place, decision in enumerate(file.decisions):
        if first.setdefault(decision, place) != place:
            raise ConfigurationError(
                f"{path}: decisions.{place}: expected each once, got decisions.{first[decision]} again"
            )


def _rows(decision: _Decision, keys: KeyRing, year: int) -> list[dict[str, Any]]:
    stated = decision.model_dump(exclude={"subject"})
    rows = []
    for subject in decision.subject.subjects():
        key_id, pseudonym = keys.pseudonym(*pseudonym_source(subject), year)
        row = {**stated, "subject": pseudonym, "subject_key": key_id}
        digest = hashlib.sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).hexdigest()
        rows.append({"id": digest[:36], **row})
    return rows


def _unknown(engine: Engine, rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    query = select(SEAL_REGISTER.c.id).where(SEAL_REGISTER.c.id.in_(rows))
    try:
        with reading(engine).connect() as connection:
            known = set(connection.execute(query).scalars())
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the seal register cannot be read; has `sidecar db upgrade` run?") from exc
    return [row for identifier, row in rows.items() if identifier not in known]


def _inserts(rows: Sequence[dict[str, Any]]) -> list[Effect]:
    starts = range(0, len(rows), _ROWS)
    return [_insert(f"register_{ascii_lowercase[n]}", rows[start : start + _ROWS]) for n, start in enumerate(starts)]


def _insert(name: str, rows: Sequence[dict[str, Any]]) -> Effect:
    """One statement for several rows; its text depends on their number only."""
    values = ", ".join(
        "(" + ", ".join(f"CAST(%({name}_{n})s AS {_sql_type(name)})" for name in _COLUMNS) + ")"
        for n in range(len(rows))
    )
    sql = (
        f"INSERT INTO seal_register ({_QUOTED}) SELECT {_PICKED} FROM (VALUES {values}) AS new "  # noqa: S608  # our own names
        "WHERE {guard} ON CONFLICT DO NOTHING"
    )
    return Effect(name, sql, {f"{column}_{n}": row[column] for n, row in enumerate(rows) for column in _COLUMNS})


def _sql_type(name: str) -> str:
    return "BIGINT" if name in _INTEGERS else "TEXT"
