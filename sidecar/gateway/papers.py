"""The papers' port: letters, applications and uses composed for the gateway (step 3 and step 5; Q5–Q8, R17)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from sidecar.gateway.ports import Brought, Twin, Use
from sidecar.gateway.types import Inquiry
from sidecar.identity.types import Officer
from sidecar.ledger.types import Effect
from sidecar.papers.letters import LetterReader
from sidecar.papers.lookup import ApplicationReader
from sidecar.papers.matching import Wanted, application_facts, letter_facts, undertaking_facts
from sidecar.papers.types import Letter
from sidecar.papers.uses import Uses
from sidecar.policy.types import LegalParameters
from sidecar.records.types import Search, Subject


class Pseudonyms(Protocol):
    """The part of ``keys.ring.KeyRing`` that matching needs."""

    def pseudonym(self, kind: str, value: str, year: int) -> tuple[str, str]:
        """(id of the year's key, pseudonym); raises ``KeyMissing``."""


class PaperDesk:
    """What officers bring, read and matched; ``gateway.ports.Papers``. Thread-safe.

    Args:
        letters: reads letters.
        applications: reads applications.
        uses: counts.
        keys: the ring with the keys of all years that applications and paper letters were stored under.
        params: legal parameters of the active revision.
    """

    def __init__(
        self,
        *,
        letters: LetterReader,
        applications: ApplicationReader,
        uses: Uses,
        keys: Pseudonyms,
        params: Callable[[], LegalParameters],
    ) -> None:
        self._letters = letters
        self._applications = applications
        self._uses = uses
        self._keys = keys
        self._params = params

    def bring(self, inquiry: Inquiry, officer: Officer, basis: str, purpose: str) -> Brought:
        """See ``ports.Papers``. Raises ``LedgerUnavailable``, and ``KeyMissing`` where an old year's key is gone."""
        letter = self._letters.read(inquiry.letter, officer, inquiry.received, self._params())
        application = self._applications.read(inquiry.application, inquiry.received)
        wanted = self._wanted(inquiry, officer, basis, purpose)
        return Brought(
            letter=letter_facts(letter, wanted),
            application=application_facts(application, wanted),
            undertaking=undertaking_facts(application, wanted),
            valid_letter=letter if isinstance(letter, Letter) else None,
        )

    def twin(self, officer: str, idempotency_key: str, digest: bytes, now: int) -> Twin | None:
        """See ``ports.Papers``."""
        shared = self._uses.twin(officer, idempotency_key, digest, now)
        return Twin(shared.inquiry, shared.expires) if shared else None

    def count(self, use: Use) -> Sequence[Effect]:
        """See ``ports.Papers``."""
        if use.shared:
            return self._uses.shared_page(inquiry=use.inquiry, officer=use.officer, digest=use.digest, now=use.now)
        return self._uses.first_page(
            inquiry=use.inquiry,
            officer=use.officer,
            digest=use.digest,
            letter=use.letter,
            idempotency_key=use.idempotency_key,
            expires=use.expires,
            now=use.now,
        )

    def _wanted(self, inquiry: Inquiry, officer: Officer, basis: str, purpose: str) -> Wanted:
        kind, value = subject_form(inquiry.target)
        return Wanted(
            issuer=officer.issuer,
            officer=officer.subject,
            unit=officer.unit,
            subject=value,
            pseudonym=partial(pseudonym_under, self._keys, kind, value),
            database=inquiry.database,
            scope=inquiry.scope,
            basis=basis,
            purpose=purpose,
        )


def subject_form(target: Subject | Search) -> tuple[str, str]:
    """(kind of pseudonym, normalised value) of a subject; empty for a search."""
    if isinstance(target, Search):
        return "", ""
    if target.person_id is not None:
        return "person_id", target.person_id
    return "name_birth", f"{target.name}/{target.birth_date}"


def pseudonym_under(keys: Pseudonyms, kind: str, value: str, key_id: str) -> str | None:
    """The pseudonym under the key of that id, ``<year>-<hash>``; None where the year has another key by now.

    Raises:
        KeyMissing: the year has no key any more.
    """
    year = key_id.partition("-")[0]
    if not year.isdecimal() or not year.isascii():
        return None
    found, pseudonym = keys.pseudonym(kind, value, int(year))
    return pseudonym if found == key_id else None
