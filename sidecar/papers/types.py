"""Letters, applications and undertakings as frozen values (R17, R18)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ApplicationState(StrEnum):
    """States of an application; transitions in ``papers.applications``."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Letter:
    """A unit letter (单位公函).

    Attributes:
        issuer: unit code (GB 32100) of the issuing unit.
        number: normalised letter number (E8, R22).
        officer: subject (``sub``) of the officer it names.
        subjects: normalised citizen numbers, or ``name/YYYY-MM-DD``.
        databases: names of databases it covers.
        scope: open | sealed.
        basis: ``<instrument>/<article>``, normalised by the revision's parameters; as stated where not listed.
        purpose: purpose code.
        valid_from, valid_to: POSIX seconds or Beijing days already turned into them; both ends inclusive (R17).
        uses: how often it may be used; a missing count means one (R17).
        kind: ``jws`` | ``paper``.
    """

    issuer: str
    number: str
    officer: str
    subjects: frozenset[str]
    databases: frozenset[str]
    scope: str
    basis: str
    purpose: str
    valid_from: int
    valid_to: int
    uses: int
    kind: str

    @property
    def counter(self) -> str:
        """Key of the use counter: issuer and normalised number (R17)."""
        return f"{self.issuer}|{self.number}"


@dataclass(frozen=True, slots=True)
class Application:
    """A written application (申请) with its approval and undertaking, as far as an inquiry needs them."""

    id: str
    state: ApplicationState
    officer_issuer: str
    officer: str
    unit: str
    subject: str  # pseudonym of the subject (P6)
    database: str
    scope: str
    basis: str
    purpose: str
    valid_to: int | None  # POSIX seconds, of a draft or an approval
    approver: str | None  # "issuer|subject"
    copies_approved: bool
    undertaking_by: str | None  # "issuer|subject" of who signed the undertaking
    subject_key: str = ""  # id of the year's key of the pseudonym


@dataclass(frozen=True, slots=True)
class Absent:
    """The paper was not brought, or is blank."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """The paper was brought but cannot be accepted; ``code`` is a ``letter-…`` or ``application-…`` code."""

    code: str


@dataclass(frozen=True, slots=True)
class Papers:
    """What was brought to one inquiry (Q5–Q8)."""

    letter: Absent | Letter | Invalid
    application: Absent | Application | Invalid
