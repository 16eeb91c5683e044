"""What papers match in an inquiry, as facts for the policy; no number leaves this module (Q5–Q9, R16a). Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.codes import Scope
from sidecar.papers.types import Absent, Application, Invalid, Letter
from sidecar.policy.types import ApplicationFacts, LetterFacts, UndertakingFacts


@dataclass(frozen=True, slots=True)
class Wanted:
    """An inquiry as far as papers can match it.

    Attributes:
        issuer, officer, unit: of the verified officer.
        subject: citizen number or ``name/YYYY-MM-DD`` as signed letters have it; "" for a search.
        pseudonym: (id of a year's key) → the subject's pseudonym under it, None where it is none; as our tables have it.
        database: name.
        scope: open | sealed.
        basis: key of the allow-list, "" where it is not listed.
        purpose: purpose code, "" where it is unknown.
    """

    issuer: str
    officer: str
    unit: str
    subject: str
    pseudonym: Callable[[str], str | None]
    database: str
    scope: str
    basis: str
    purpose: str


def letter_facts(letter: Absent | Letter | Invalid, wanted: Wanted) -> LetterFacts:
    """State of the letter and what it matches."""
    if isinstance(letter, Invalid):
        return LetterFacts(state="invalid", code=letter.code)
    if isinstance(letter, Absent):
        return LetterFacts()
    return LetterFacts(
        state="valid",
        kind=letter.kind,
        unit_match=letter.issuer == wanted.unit,
        officer_match=letter.officer == wanted.officer,
        subject_match=_names(letter, wanted),
        database_match=wanted.database in letter.databases,
        scope_match=covers(letter.scope, wanted.scope),
        basis_match=_same(letter.basis, wanted.basis),
        purpose_match=_same(letter.purpose, wanted.purpose),
    )


def application_facts(application: Absent | Application | Invalid, wanted: Wanted) -> ApplicationFacts:
    """State of the application and what it matches; its approver must be another person than its officer (Q6)."""
    if isinstance(application, Invalid):
        return ApplicationFacts(state="unknown")
    if isinstance(application, Absent):
        return ApplicationFacts()
    approver = application.approver
    return ApplicationFacts(
        state=application.state.value,
        officer_match=_own(application, wanted),
        subject_match=_is_about(application, wanted),
        database_match=application.database == wanted.database,
        scope_match=covers(application.scope, wanted.scope),
        basis_match=_same(application.basis, wanted.basis),
        purpose_match=_same(application.purpose, wanted.purpose),
        approver_distinct=bool(approver) and approver != f"{application.officer_issuer}|{application.officer}",
        copies_approved=application.copies_approved,
    )


def undertaking_facts(application: Absent | Application | Invalid, wanted: Wanted) -> UndertakingFacts:
    """Whether the application's undertaking is signed, and by this officer (Q8)."""
    if not isinstance(application, Application) or not application.undertaking_by:
        return UndertakingFacts()
    signed = application.undertaking_by == f"{wanted.issuer}|{wanted.officer}"
    return UndertakingFacts(state="signed", officer_match=signed)


def covers(granted: str, asked: str) -> bool:
    """Whether a paper's scope covers the one asked for: sealed covers open too."""
    return granted == asked or (granted == Scope.SEALED.value and asked == Scope.OPEN.value)


def _same(granted: str, asked: str) -> bool:
    """What was not stated or is not listed matches nothing."""
    return bool(asked) and granted == asked


def _own(application: Application, wanted: Wanted) -> bool:
    stated = (application.officer_issuer, application.officer, application.unit)
    return stated == (wanted.issuer, wanted.officer, wanted.unit)


def _names(letter: Letter, wanted: Wanted) -> bool:
    """A search never matches: a letter names persons (Q5)."""
    if not wanted.subject:
        return False
    if letter.kind != "paper":
        return wanted.subject in letter.subjects
    named = (text.split(" ", 1) for text in letter.subjects)
    return any(len(parts) == 2 and parts[1] == wanted.pseudonym(parts[0]) for parts in named)


def _is_about(application: Application, wanted: Wanted) -> bool:
    if not wanted.subject or not application.subject:
        return False
    return application.subject == wanted.pseudonym(application.subject_key)
