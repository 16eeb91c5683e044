"""Paper letters: the archive clerk registers what the officer brings, so that its uses are counted (Q5, R17)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

import orjson

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind, Role, Scope
from sidecar.errors import CodedError, RequestInvalid
from sidecar.identity.types import Officer
from sidecar.keys.ids import RandomBytes, system_random
from sidecar.keys.ring import KeyRing
from sidecar.law.days import beijing_day, is_day
from sidecar.law.identifiers import IdentifierInvalid, credit_code, letter_number
from sidecar.ledger.build import EntryBuilder, milliseconds
from sidecar.ledger.types import Effect, EffectRefused, Entry, Ledger
from sidecar.papers.parse import MAX_LISTED, MAX_USES, LetterMalformed, subject_name
from sidecar.papers.tables import LETTERS
from sidecar.policy.bases import basis_key
from sidecar.policy.types import LegalParameters

_BIGINT: Final = frozenset({"first_day", "last_day", "uses", "registered"})
_INSERT: Final = (
    "INSERT INTO letters ("
    + ", ".join(f'"{column.name}"' for column in LETTERS.c)
    + ") SELECT "
    + ", ".join(f"CAST(%({c.name})s AS {'BIGINT' if c.name in _BIGINT else 'TEXT'})" for c in LETTERS.c)
    + " WHERE {guard} ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class PaperLetter:
    """A paper letter as typed; subjects as citizen numbers or ``name/YYYY-MM-DD``, days YYYYMMDD, both inclusive."""

    unit: str
    number: str
    officer: str
    subjects: tuple[str, ...]
    databases: tuple[str, ...]
    scope: str
    basis: tuple[str, str]
    purpose: str
    first_day: int
    last_day: int
    uses: int = 1


def letter_row(
    letter: PaperLetter, params: LegalParameters, databases: AbstractSet[str], keys: KeyRing, today: int
) -> dict[str, Any]:
    """The letter's row without who registered it; subjects are pseudonyms by the key of today's year (P6).

    Raises:
        RequestInvalid: a part is missing, unknown or malformed; no value is repeated.
    """
    try:
        unit, number = credit_code(letter.unit), letter_number(letter.number)
        names = sorted({_pseudonym(subject_name(text, today), keys, today // 10000) for text in letter.subjects})
    except (IdentifierInvalid, LetterMalformed) as exc:
        raise RequestInvalid(Code.IDENTIFIER_INVALID, str(exc)) from None
    fault = _fault(letter, params, databases)
    if fault:
        raise RequestInvalid(Code.LETTER_MALFORMED, fault)
    return {
        "unit": unit,
        "number": number,
        "officer": letter.officer,
        "subjects": orjson.dumps(names).decode(),
        "databases": orjson.dumps(sorted(set(letter.databases))).decode(),
        "scope": letter.scope,
        "instrument": letter.basis[0],
        "article": letter.basis[1],
        "purpose": letter.purpose,
        "first_day": letter.first_day,
        "last_day": letter.last_day,
        "uses": letter.uses,
    }


def insert_letter(name: str, row: Mapping[str, Any]) -> Effect:
    """The required insert of a letter; refused where the unit's number is registered already."""
    return Effect(name, _INSERT, dict(row), required=True)


def _pseudonym(subject: str, keys: KeyRing, year: int) -> str:
    return " ".join(keys.pseudonym("name_birth" if "/" in subject else "person_id", subject, year))


def _fault(letter: PaperLetter, params: LegalParameters, databases: AbstractSet[str]) -> str:
    expected = {
        "officer: expected the number of one": 0 < len(letter.officer.strip()) <= 128,
        f"subjects: expected 1 to {MAX_LISTED}": 0 < len(letter.subjects) <= MAX_LISTED,
        "databases: expected some that there are": bool(letter.databases) and set(letter.databases) <= databases,
        "scope: expected open or sealed": letter.scope in set(Scope),
        "basis: expected one of the active revision's list": bool(basis_key(*letter.basis, params)),
        "purpose: expected a code of the active revision": letter.purpose in params.purposes,
        "validity: expected days": is_day(letter.first_day) and is_day(letter.last_day),
        "validity: expected its first day before its last": letter.first_day <= letter.last_day,
        f"uses: expected 1 to {MAX_USES}": 1 <= letter.uses <= MAX_USES,
    }
    return next((text for text, holds in expected.items() if not holds), "")


class PaperLetters:
    """Registers paper letters. Thread-safe.

    Args:
        ledger: where entries of kind ``dossier`` go.
        keys: makes pseudonyms and hashes.
        clock: time.
        random: source of ids and salts.
    """

    def __init__(self, ledger: Ledger, keys: KeyRing, clock: Clock, random: RandomBytes = system_random) -> None:
        self._ledger = ledger
        self._keys = keys
        self._clock = clock
        self._builder = EntryBuilder(clock, random)

    def register(
        self, clerk: Officer, letter: PaperLetter, params: LegalParameters, databases: AbstractSet[str]
    ) -> str:
        """Register a letter with its entry; returns its normalised number.

        Raises:
            RequestInvalid: a part is missing, unknown or malformed.
            CodedError: ``role-missing`` or ``self-approval`` (the letter names the clerk; 403), ``state-conflict`` (the
                unit's number is registered; 409); recorded.
            LedgerUnavailable: it may or may not be registered.
        """
        if Role.ARCHIVE_CLERK not in clerk.roles:
            self._refuse(clerk, Code.ROLE_MISSING)
        now = self._clock.now()
        row = letter_row(letter, params, databases, self._keys, beijing_day(now))
        if (clerk.unit, clerk.subject) == (row["unit"], row["officer"]):
            self._refuse(clerk, Code.SELF_APPROVAL)
        row |= {"registered_by": f"{clerk.issuer}|{clerk.subject}", "registered": milliseconds(now)}
        hashed = self._keys.keyed_hash("letter", row["number"], beijing_day(now) // 10000)
        entry = replace(self._entry(clerk), letter=hashed, scope=row["scope"], purpose=row["purpose"])
        try:
            self._ledger.commit(entry, [insert_letter("letter", row)])
        except EffectRefused:
            self._refuse(clerk, Code.STATE_CONFLICT, 409)
        return str(row["number"])

    def _entry(self, clerk: Officer, outcome: str = "allow", codes: tuple[str, ...] = ()) -> Entry:
        return self._builder.build(
            EntryKind.DOSSIER,
            Channel.API,
            officer=f"{clerk.issuer}|{clerk.subject}",
            unit=clerk.unit,
            outcome=outcome,
            codes=codes,
            extra={"transition": "register_letter"},
        )

    def _refuse(self, clerk: Officer, code: Code, status: int = 403) -> NoReturn:
        self._ledger.commit(self._entry(clerk, "refuse", (code.value,)))
        raise CodedError(code, "the letter cannot be registered by this person, or is registered", status=status)
