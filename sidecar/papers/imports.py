"""Import of paper letters and of applications approved on paper: two people, one entry, all or nothing (Q5–Q7).

The file (``papers.yaml``)::

    papers: 1
    letters:
      - {unit: "113399010000010114", number: 京公法字〔2026〕337号, officer: "330101", subjects: ["330102200506010017"],
         databases: [cases], scope: sealed, basis: {instrument: 刑事诉讼法, article: "286"}, purpose: case_handling,
         valid_from: 2026-11-01, valid_to: 2026-11-30, uses: 1}
    applications:
      - {issuer: https://idp.example, officer: "330101", unit: "113399010000010114", person_id: "330102200506010017",
         database: cases, scope: sealed, basis: {instrument: 刑事诉讼法, article: "286"}, purpose: case_handling,
         reason: 办理案件, case_number: "", approver: {issuer: https://idp.example, officer: "330999"},
         valid_to: 2026-12-31, copies_approved: false}

The undertaking is no part of it: the officer signs it in person, before anything is released (Q8).

Importing a file again changes and records nothing: letters are named by unit and number, applications by their content
and the key of the year. A letter that says something else than the registered one refuses the whole file.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson
from pydantic import Field
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind
from sidecar.errors import CodedError, ConfigurationError, LedgerUnavailable, RequestInvalid
from sidecar.identity.imports import check_two_people
from sidecar.keys.ids import RandomBytes, derived, system_random
from sidecar.keys.ring import KeyRing
from sidecar.law.days import beijing_day, day_last_second, day_start, day_text
from sidecar.law.identifiers import IdentifierInvalid, credit_code
from sidecar.ledger.build import EntryBuilder, milliseconds
from sidecar.ledger.types import Effect, EffectRefused, Entry, Ledger
from sidecar.papers import changes
from sidecar.papers.content import ContentSealer
from sidecar.papers.drafts import Draft, read_draft
from sidecar.papers.files import Day, Digits, Part, Text, read_file
from sidecar.papers.paper_letters import PaperLetter, insert_letter, letter_row
from sidecar.papers.register import pseudonym_source
from sidecar.papers.tables import APPLICATIONS, LETTERS
from sidecar.papers.types import ApplicationState
from sidecar.policy.types import LegalParameters
from sidecar.records.types import Subject
from sidecar.storage.engine import reading

MAX_PAPERS: Final = 100
"""Letters, and applications, a file: they go with one entry."""

Scope = Literal["open", "sealed"]


class _Basis(Part):
    instrument: Text
    article: Digits


class _Letter(Part):
    unit: Digits
    number: Text
    officer: Digits
    subjects: list[Digits]
    databases: list[str]
    scope: Scope
    basis: _Basis
    purpose: str
    valid_from: Day
    valid_to: Day
    uses: int = 1


class _Person(Part):
    issuer: str = Field(min_length=1, max_length=255)
    officer: Digits = Field(min_length=1, max_length=128)


class _Application(_Person):
    unit: Digits
    person_id: Digits | None = None
    name: str | None = None
    birth_date: Day | None = None
    database: str
    scope: Scope
    basis: _Basis
    purpose: str
    reason: str
    case_number: str = ""
    approver: _Person
    valid_to: Day
    copies_approved: bool = False


class _File(Part):
    papers: Literal[1]
    letters: list[_Letter] = Field(default_factory=list, max_length=MAX_PAPERS)
    applications: list[_Application] = Field(default_factory=list, max_length=MAX_PAPERS)


@dataclass(frozen=True, slots=True)
class PapersSummary:
    """What a file held: letters, ids of the applications in its order; and how many of both are new."""

    letters: int
    applications: tuple[str, ...]
    new: int


@dataclass(frozen=True, slots=True)
class Desk:
    """What papers are read with: keys, sealer, the active revision's parameters and databases, the clock."""

    keys: KeyRing
    sealer: ContentSealer
    params: LegalParameters
    databases: AbstractSet[str]
    clock: Clock
    random: RandomBytes = system_random

    @property
    def today(self) -> int:
        """Beijing day, YYYYMMDD."""
        return beijing_day(self.clock.now())


_Rows = list[dict[str, Any]]


def import_papers(
    path: Path, *, engine: Engine, ledger: Ledger, desk: Desk, registrar: str, confirmed_by: str
) -> PapersSummary:
    """Import a file: all of it with one entry of kind ``registry``, or nothing.

    Raises:
        ConfigurationError: the file cannot be used; the text names the place, never a value.
        CodedError: ``self-approval``: registrar and second person, or an officer and the approver, are one;
            ``state-conflict``: a letter is registered already and says something else, or another import came first.
        LedgerUnavailable: nothing, or only the whole, was imported.
    """
    check_two_people(registrar, confirmed_by)
    file, data = read_file(path, _File)
    if not file.letters and not file.applications:
        raise ConfigurationError(f"{path}: expected letters or applications, got none")
    letters = [_letter(f"{path}: letters.{n}", part, desk) for n, part in enumerate(file.letters)]
    applications = [_application(f"{path}: applications.{n}", part, desk) for n, part in enumerate(file.applications)]
    _once(path, "letters", [(row["unit"], row["number"]) for row in letters])
    _once(path, "applications", [row["id"] for row in applications])
    new = _new(path, engine, letters, applications)
    if any(new):
        entry = _entry(file, data, desk, registrar, confirmed_by)
        effects = _effects(*new, registrar, entry.id)
        try:
            ledger.commit(entry, effects)
        except EffectRefused as exc:
            raise CodedError(Code.STATE_CONFLICT, "another import came first; run it again", status=409) from exc
    return PapersSummary(len(letters), tuple(str(row["id"]) for row in applications), sum(map(len, new)))


def _once(path: Path, kind: str, names: list[Any]) -> None:
    for place, name in enumerate(names):
        if (first := names.index(name)) != place:
            raise ConfigurationError(f"{path}: {kind}.{place}: expected each once, got {kind}.{first} again")


def _new(path: Path, engine: Engine, letters: _Rows, applications: _Rows) -> tuple[_Rows, _Rows]:
    """The rows that are not there yet.

    Raises:
        CodedError: a letter is registered, and is another.
    """
    known = _known(engine, letters, applications)
    for place, row in enumerate(letters):
        found = known.get((row["unit"], row["number"]), row)
        if any(found[name] != value for name, value in row.items() if name != "registered"):
            text = f"{path}: letters.{place}: is registered already, and says something else"
            raise CodedError(Code.STATE_CONFLICT, text, status=409)
    return (
        [row for row in letters if (row["unit"], row["number"]) not in known],
        [row for row in applications if row["id"] not in known],
    )


def _known(engine: Engine, letters: _Rows, applications: _Rows) -> dict[Any, Mapping[str, Any]]:
    """Registered letters by unit and number, and applications by id, of those that the file names."""
    numbered = select(LETTERS).where(LETTERS.c.number.in_([row["number"] for row in letters]))
    named = select(APPLICATIONS.c.id).where(APPLICATIONS.c.id.in_([row["id"] for row in applications]))
    try:
        with reading(engine).connect() as connection:
            found: dict[Any, Mapping[str, Any]] = {
                (row["unit"], row["number"]): dict(row) for row in connection.execute(numbered).mappings()
            }
            found |= {row["id"]: dict(row) for row in connection.execute(named).mappings()}
            return found
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("papers cannot be read; has `sidecar db upgrade` run?") from exc


def _entry(file: _File, data: bytes, desk: Desk, registrar: str, confirmed_by: str) -> Entry:
    digest = desk.keys.keyed_hash("papers_import", hashlib.sha256(data).hexdigest(), desk.today // 10000)
    extra = {"action": "papers_import", "confirmed_by": confirmed_by, "digest": digest}
    extra |= {"letters": str(len(file.letters)), "applications": str(len(file.applications))}
    builder = EntryBuilder(desk.clock, desk.random)
    return builder.build(EntryKind.REGISTRY, Channel.CLI, officer=registrar, outcome="allow", extra=extra)


def _effects(letters: _Rows, applications: _Rows, registrar: str, entry_id: str) -> list[Effect]:
    effects = [
        insert_letter(f"letter_{_word(place)}", row | {"registered_by": registrar}) for place, row in enumerate(letters)
    ]
    for place, row in enumerate(applications):
        effects += _new_application(_word(place), row, registrar, entry_id)
    return effects


def _letter(place: str, part: _Letter, desk: Desk) -> dict[str, Any]:
    letter = PaperLetter(
        unit=part.unit,
        number=part.number,
        officer=part.officer,
        subjects=tuple(part.subjects),
        databases=tuple(part.databases),
        scope=part.scope,
        basis=(part.basis.instrument, part.basis.article),
        purpose=part.purpose,
        first_day=part.valid_from,
        last_day=part.valid_to,
        uses=part.uses,
    )
    try:
        row = letter_row(letter, desk.params, desk.databases, desk.keys, desk.today)
    except RequestInvalid as exc:
        raise ConfigurationError(f"{place}: {exc}") from exc
    return row | {"registered": milliseconds(desk.clock.now())}


def _application(place: str, part: _Application, desk: Desk) -> dict[str, Any]:
    if part.approver.officer == part.officer:
        raise CodedError(Code.SELF_APPROVAL, f"{place}: expected another person as approver", status=403)
    born = day_text(part.birth_date) if part.birth_date else None
    basis = (part.basis.instrument, part.basis.article)
    subject = Subject(person_id=part.person_id) if part.person_id else Subject(name=part.name, birth_date=born)
    draft = Draft(subject, part.database, part.scope, part.reason, basis, part.purpose, part.case_number)
    try:
        unit, stated = credit_code(part.unit), read_draft(draft, desk.params, desk.databases, desk.today)
    except (RequestInvalid, IdentifierInvalid) as exc:
        raise ConfigurationError(f"{place}: {exc}") from exc
    if part.valid_to < desk.today:
        raise ConfigurationError(f"{place}: expected valid_to from today on")
    key_id, pseudonym = desk.keys.pseudonym(*pseudonym_source(stated.subject), desk.today // 10000)
    says = {
        "officer_issuer": part.issuer,
        "officer": part.officer,
        "unit": unit,
        "subject": pseudonym,
        "subject_key": key_id,
        "database": stated.database,
        "scope": stated.scope,
        "basis": stated.basis,
        "purpose": stated.purpose,
        "valid_to": int(day_last_second(part.valid_to).timestamp()),
        "approver": f"{part.approver.issuer}|{part.approver.officer}",
        "copies_approved": int(part.copies_approved),
    }
    identifier = _identifier(desk, says | asdict(stated.content))
    return {
        **says,
        "id": identifier,
        "state": ApplicationState.APPROVED.value,
        "version": 1,
        "received": milliseconds(desk.clock.now()),
        "undertaking_by": None,
        "content": desk.sealer.seal(identifier, stated.content),
        "content_key_id": desk.sealer.key_id,
    }


def _identifier(desk: Desk, says: Mapping[str, Any]) -> str:
    """An application's id by what it says, keyed, for what it says could be guessed (P6); its time is the key's year's."""
    year = desk.today // 10000
    digest = hashlib.sha256(orjson.dumps(says, option=orjson.OPT_SORT_KEYS)).hexdigest()
    keyed = desk.keys.keyed_hash("application_import", digest, year)
    return derived(int(day_start(year * 10000 + 101).timestamp()) * 1000, base64.urlsafe_b64decode(keyed + "=="))


def _new_application(word: str, row: dict[str, Any], registrar: str, entry_id: str) -> list[Effect]:
    line = {"id": row["id"], "version": 1, "action": "import", "state": row["state"], "actor": registrar}
    line |= {"time": row["received"], "entry_id": entry_id}
    return [changes.insert(row, f"application_{word}"), changes.event(line, f"event_{word}")]


def _word(place: int) -> str:
    """Names of effects have letters only."""
    return f"{chr(97 + place // 26)}{chr(97 + place % 26)}"
