"""A new application, read and normalised: complete in form before it can be made (Q5, R22)."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sidecar.codes import Code, Scope
from sidecar.errors import RequestInvalid
from sidecar.law.days import day_text, parse_day
from sidecar.law.identifiers import IdentifierInvalid, case_number, citizen_number, normalise, person_name
from sidecar.papers.content import Content
from sidecar.policy.bases import basis_key
from sidecar.policy.types import LegalParameters
from sidecar.records.types import Subject


@dataclass(frozen=True, slots=True)
class Draft:
    """What an officer states, as typed; ``basis`` is (instrument, article)."""

    subject: Subject
    database: str
    scope: str
    reason: str
    basis: tuple[str, str]
    purpose: str
    case_number: str = ""


@dataclass(frozen=True, slots=True)
class Stated:
    """A draft that is complete: codes for the row, content to be sealed, the subject for its pseudonym."""

    subject: Subject
    database: str
    scope: str
    basis: str
    purpose: str
    content: Content


def read_draft(draft: Draft, params: LegalParameters, databases: AbstractSet[str], today: int) -> Stated:
    """Normalise and check a draft.

    Args:
        draft: as typed.
        params: of the active revision: its bases and purposes are the ones that there are (P5).
        databases: names of databases.
        today: Beijing day, YYYYMMDD.

    Raises:
        RequestInvalid: something is missing, unknown or malformed; the code says what, no value is repeated.
    """
    subject = _subject(draft.subject, today)
    reason = draft.reason.strip()
    _expect(bool(reason), Code.REASON_MISSING, "reason: expected one")
    _expect(draft.database in databases, Code.DATABASE_UNKNOWN, "database: expected one that there is")
    _expect(draft.scope in set(Scope), Code.BODY_INVALID, "scope: expected open or sealed")
    content = Content(subject.person_id or "", subject.name or "", subject.birth_date or "", reason, _case(draft))
    return Stated(subject, draft.database, draft.scope, _basis(draft, params), _purpose(draft, params), content)


def _expect(holds: bool, code: Code, text: str) -> None:
    if not holds:
        raise RequestInvalid(code, text)


def _subject(stated: Subject, today: int) -> Subject:
    try:
        if stated.person_id is not None:
            return Subject(person_id=citizen_number(stated.person_id, today))
        named = person_name(stated.name or "")
    except IdentifierInvalid as exc:
        raise RequestInvalid(exc.code, str(exc)) from None
    born = parse_day(stated.birth_date or "")
    if born is None or born > today:
        raise RequestInvalid(Code.IDENTIFIER_INVALID, "birth_date: expected a day that is not to come")
    return Subject(name=named, birth_date=day_text(born))


def _case(draft: Draft) -> str:
    try:
        return case_number(draft.case_number) if draft.case_number.strip() else ""
    except IdentifierInvalid as exc:
        raise RequestInvalid(exc.code, str(exc)) from None


def _basis(draft: Draft, params: LegalParameters) -> str:
    _expect(all(part.strip() for part in draft.basis), Code.BASIS_MISSING, "basis: expected instrument and article")
    key = basis_key(*draft.basis, params)
    _expect(bool(key), Code.BASIS_NOT_LISTED, "basis: expected one of the active revision's list")
    return key


def _purpose(draft: Draft, params: LegalParameters) -> str:
    try:
        purpose = normalise(draft.purpose)
    except IdentifierInvalid:
        purpose = "?"
    _expect(bool(purpose), Code.PURPOSE_MISSING, "purpose: expected one")
    _expect(purpose in params.purposes, Code.PURPOSE_UNKNOWN, "purpose: expected a code of the active revision")
    return purpose
