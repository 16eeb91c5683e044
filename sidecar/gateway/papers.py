"""Steps 3 and 5 with the real papers: what was brought, what it matches, what its use costs (Q5–Q9, R17)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sidecar.gateway.ports import Brought, Use
from sidecar.gateway.types import Inquiry
from sidecar.identity.types import Officer
from sidecar.keys.ring import KeyMissing, KeyRing
from sidecar.law.identifiers import IdentifierInvalid, normalise
from sidecar.ledger.types import Effect
from sidecar.papers import matching
from sidecar.papers.register import pseudonym_source
from sidecar.papers.types import Absent, Application, Invalid, Letter
from sidecar.papers.uses import Shared, Uses
from sidecar.policy.types import LegalParameters
from sidecar.records.types import Subject


class Letters(Protocol):
    """``papers.letters.LetterReader``."""

    def read(self, text: str, officer: Officer, now: datetime, params: LegalParameters) -> Absent | Letter | Invalid:
        """The letter."""


class Applications(Protocol):
    """``papers.lookup.ApplicationReader``."""

    def read(self, text: str, now: datetime) -> Absent | Application | Invalid:
        """The application of this id; absent where it is blank, invalid where there is none."""


@dataclass(frozen=True, slots=True)
class PapersAtHand:
    """``ports.Papers`` over letters, applications and uses."""

    letters: Letters
    applications: Applications
    uses: Uses
    keys: KeyRing

    def bring(self, inquiry: Inquiry, officer: Officer, basis: str, purpose: str, params: LegalParameters) -> Brought:
        """See ``ports.Papers``."""
        letter = self.letters.read(inquiry.letter, officer, inquiry.received, params)
        application = self.applications.read(inquiry.application, inquiry.received)
        target = inquiry.target
        wanted = matching.Wanted(
            issuer=officer.issuer,
            officer=officer.subject,
            unit=officer.unit,
            subject=pseudonym_source(target)[1] if isinstance(target, Subject) else "",
            pseudonym=self._pseudonym(inquiry),
            database=inquiry.database,
            scope=inquiry.scope,
            basis=basis or _as_stated(*inquiry.basis),
            purpose=purpose or _as_stated(inquiry.purpose),
        )
        return Brought(
            letter=matching.letter_facts(letter, wanted),
            application=matching.application_facts(application, wanted),
            undertaking=matching.undertaking_facts(application, wanted),
            valid_letter=letter if isinstance(letter, Letter) else None,
        )

    def _pseudonym(self, inquiry: Inquiry) -> Callable[[str], str | None]:
        """The subject's pseudonym under the key of another year: papers may be older than New Year."""
        target = inquiry.target

        def under(key_id: str) -> str | None:
            year = key_id.partition("-")[0]
            if not isinstance(target, Subject) or not (year.isascii() and year.isdigit()):
                return None
            try:
                found, pseudonym = self.keys.pseudonym(*pseudonym_source(target), int(year))
            except KeyMissing:
                return None  # the year's key was destroyed, and with it every match
            return pseudonym if found == key_id else None

        return under

    def twin(self, officer: str, idempotency_key: str, digest: bytes, now: int) -> Shared | None:
        """See ``ports.Papers``."""
        return self.uses.twin(officer, idempotency_key, digest, now)

    def count(self, use: Use) -> Sequence[Effect]:
        """See ``ports.Papers``."""
        if use.shared:
            return self.uses.shared_page(inquiry=use.inquiry, officer=use.officer, digest=use.digest, now=use.now)
        return self.uses.first_page(
            inquiry=use.inquiry,
            officer=use.officer,
            digest=use.digest,
            letter=use.letter,
            idempotency_key=use.idempotency_key,
            further=use.further,
            expires=use.expires,
            now=use.now,
        )


def _as_stated(*parts: str) -> str:
    """What is in no list, as a letter has it: the inquiry is refused for that alone, not for a letter that says the same."""
    try:
        normal = [normalise(part) for part in parts]
    except IdentifierInvalid:
        return ""
    return "/".join(normal) if all(normal) else ""
