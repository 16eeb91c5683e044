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
"""

from __future__ import annotations

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind
from sidecar.errors import CodedError, ConfigurationError, RequestInvalid
from sidecar.identity.imports import check_two_people
from sidecar.keys.ids import RandomBytes, UuidSource, system_random
from sidecar.keys.ring import KeyRing
from sidecar.law.days import beijing_day, day_last_second, day_text
from sidecar.law.identifiers import IdentifierInvalid, credit_code
from sidecar.ledger.build import EntryBuilder, milliseconds
from sidecar.ledger.types import Effect, EffectRefused, Ledger
from sidecar.papers import changes
from sidecar.papers.content import ContentSealer
from sidecar.papers.drafts import Draft, read_draft
from sidecar.papers.files import Day, Digits, Part, Text, read_file
from sidecar.papers.paper_letters import PaperLetter, insert_letter, letter_row
from sidecar.papers.register import pseudonym_source
from sidecar.papers.types import ApplicationState
from sidecar.policy.types import LegalParameters
from sidecar.records.types import Subject

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
    """What was imported: how many letters, and the new ids of the applications in the file's order."""

    letters: int
    applications: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """What papers are read with: keys, sealer, the active revision's parameters and databases, the clock."""

    keys: KeyRing
    sealer: ContentSealer
    params: LegalParameters
    databases: AbstractSet[str]
    clock: Clock
    random: RandomBytes = system_random


def import_papers(path: Path, *, ledger: Ledger, desk: Desk, registrar: str, confirmed_by: str) -> PapersSummary:
    """Import a file: all of it with one entry of kind ``registry``, or nothing.

    Raises:
        ConfigurationError: the file cannot be used; the text names the place, never a value.
        CodedError: ``self-approval``: registrar and second person, or an officer and the approver, are one;
            ``state-conflict``: a letter is registered already.
        LedgerUnavailable: nothing, or only the whole, was imported.
    """
    check_two_people(registrar, confirmed_by)
    file, data = read_file(path, _File)
    year = beijing_day(desk.clock.now()) // 10000
    digest = desk.keys.keyed_hash("papers_import", hashlib.sha256(data).hexdigest(), year)
    extra = {"action": "papers_import", "confirmed_by": confirmed_by, "digest": digest}
    extra |= {"letters": str(len(file.letters)), "applications": str(len(file.applications))}
    builder = EntryBuilder(desk.clock, desk.random)
    entry = builder.build(EntryKind.REGISTRY, Channel.CLI, officer=registrar, outcome="allow", extra=extra)
    effects: list[Effect] = []
    for place, letter in enumerate(file.letters):
        row = _letter(f"{path}: letters.{place}", letter, desk)
        effects.append(insert_letter(f"letter_{_word(place)}", row | {"registered_by": registrar}))
    ids = UuidSource(desk.clock, desk.random)
    rows = [_application(f"{path}: applications.{n}", a, desk, ids.new()) for n, a in enumerate(file.applications)]
    for place, row in enumerate(rows):
        effects += _new_application(_word(place), row, registrar, entry.id)
    if not effects:
        raise ConfigurationError(f"{path}: expected letters or applications, got none")
    try:
        ledger.commit(entry, effects)
    except EffectRefused as exc:
        raise CodedError(Code.STATE_CONFLICT, f"{exc.name}: is registered already", status=409) from exc
    return PapersSummary(len(file.letters), tuple(str(row["id"]) for row in rows))


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
    now = desk.clock.now()
    try:
        row = letter_row(letter, desk.params, desk.databases, desk.keys, beijing_day(now))
    except RequestInvalid as exc:
        raise ConfigurationError(f"{place}: {exc}") from exc
    return row | {"registered": milliseconds(now)}


def _application(place: str, part: _Application, desk: Desk, identifier: str) -> dict[str, Any]:
    now = desk.clock.now()
    if part.approver.officer == part.officer:
        raise CodedError(Code.SELF_APPROVAL, f"{place}: expected another person as approver", status=403)
    born = day_text(part.birth_date) if part.birth_date else None
    basis = (part.basis.instrument, part.basis.article)
    subject = Subject(person_id=part.person_id) if part.person_id else Subject(name=part.name, birth_date=born)
    draft = Draft(subject, part.database, part.scope, part.reason, basis, part.purpose, part.case_number)
    try:
        unit, stated = credit_code(part.unit), read_draft(draft, desk.params, desk.databases, beijing_day(now))
    except (RequestInvalid, IdentifierInvalid) as exc:
        raise ConfigurationError(f"{place}: {exc}") from exc
    if part.valid_to < beijing_day(now) or not (part.person_id or born):
        raise ConfigurationError(f"{place}: expected valid_to from today on, and person_id or name with birth_date")
    key_id, pseudonym = desk.keys.pseudonym(*pseudonym_source(stated.subject), beijing_day(now) // 10000)
    return {
        "id": identifier,
        "state": ApplicationState.APPROVED.value,
        "version": 1,
        "officer_issuer": part.issuer,
        "officer": part.officer,
        "unit": unit,
        "subject": pseudonym,
        "subject_key": key_id,
        "database": stated.database,
        "scope": stated.scope,
        "basis": stated.basis,
        "purpose": stated.purpose,
        "received": milliseconds(now),
        "valid_to": int(day_last_second(part.valid_to).timestamp()),
        "approver": f"{part.approver.issuer}|{part.approver.officer}",
        "copies_approved": int(part.copies_approved),
        "undertaking_by": None,
        "content": desk.sealer.seal(identifier, stated.content),
        "content_key_id": desk.sealer.key_id,
    }


def _new_application(word: str, row: dict[str, Any], registrar: str, entry_id: str) -> list[Effect]:
    line = {"id": row["id"], "version": 1, "action": "import", "state": row["state"], "actor": registrar}
    line |= {"time": row["received"], "entry_id": entry_id}
    return [changes.insert(row, f"application_{word}"), changes.event(line, f"event_{word}")]


def _word(place: int) -> str:
    """Names of effects have letters only."""
    return f"{chr(97 + place // 26)}{chr(97 + place % 26)}"
