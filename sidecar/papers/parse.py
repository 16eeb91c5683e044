"""From a letter's signed text to its claims: form before meaning, strictly (RFC 7515, RFC 8725 §3.11; E8, R17, R22)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from sidecar.codes import Scope
from sidecar.law.days import beijing_day, day_last_second, day_start, parse_day
from sidecar.law.identifiers import MAX_LENGTH, citizen_number, letter_number, normalise, person_name

TYPE: Final = "unit-letter+jws"
"""``typ`` of a letter: a token or a receipt is none (RFC 8725 §3.11)."""

MAX_LETTER: Final = 16384
"""Characters of a letter that is parsed."""

MAX_LISTED: Final = 100
"""Most subjects, and most databases, of a letter."""

MAX_TEXT: Final = 255
MAX_USES: Final = 10000
MAX_TIME: Final = 200_000_000_000
"""POSIX seconds; far beyond any letter, and still within the calendar after a day is added."""

FORBIDDEN_HEADERS: Final = frozenset({"b64", "crit", "jku", "jwk", "x5c", "x5u", "zip"})
"""Headers that name keys or change what is signed: a letter that has one is refused, not trusted less."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_BIRTH_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class LetterMalformed(ValueError):
    """The letter has not the form of one; nothing of it is in the text."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a letter says, normalised but for the basis, which a revision's parameters normalise.

    Attributes:
        number: normalised letter number (E8).
        officer: ``sub`` of the officer.
        subjects: normalised citizen numbers, or ``name/YYYY-MM-DD``.
        databases: names.
        scope: open | sealed.
        basis: (instrument, article) as stated.
        purpose: purpose code.
        first, last: POSIX seconds of the first and the last second of the validity, whole Beijing days (R17).
        uses: how often; 1 where nothing is said (R17).
    """

    number: str
    officer: str
    subjects: frozenset[str]
    databases: frozenset[str]
    scope: str
    basis: tuple[str, str]
    purpose: str
    first: int
    last: int
    uses: int


def is_compact(text: str) -> bool:
    """Whether the text has the form of a compact JWS; no letter number has it, for it ends in 号."""
    return _COMPACT.fullmatch(text) is not None


def open_parts(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not verified yet.

    Raises:
        LetterMalformed: no compact JWS of JSON objects, or its header is not a letter's.
    """
    if len(text) > MAX_LETTER or not is_compact(text):
        raise LetterMalformed(f"expected a compact JWS of at most {MAX_LETTER} characters")
    header, claims = (_object(part) for part in text.split(".")[:2])
    if FORBIDDEN_HEADERS & header.keys():
        raise LetterMalformed(f"expected none of the headers {sorted(FORBIDDEN_HEADERS)}")
    if header.get("typ") != TYPE:
        raise LetterMalformed(f"expected typ {TYPE}")
    return header, claims


def _object(part: str) -> dict[str, Any]:
    """The JSON object of a part, if it can be read in one way only: a member named twice is none (RFC 8725 §3.12)."""
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars="-_", validate=True)
        value = orjson.loads(data)  # refuses NaN, lone surrogates and bytes that are not UTF-8
        json.loads(data, object_pairs_hook=_unique)
    except (binascii.Error, ValueError, RecursionError):
        # without the cause: its text may quote the letter
        raise LetterMalformed("expected base64url of JSON with unique members") from None
    if not isinstance(value, dict):
        raise LetterMalformed("expected JSON objects")
    return value


def _unique(members: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in members}) != len(members):
        raise ValueError("a member is named twice")


def read_claims(claims: Mapping[str, Any], today: int) -> Claims:
    """The claims of a letter, normalised.

    Args:
        claims: as signed.
        today: Beijing day, YYYYMMDD; nobody is born after it.

    Raises:
        LetterMalformed: one is missing, of another type, or out of its domain.
    """
    first, last = (beijing_day_of(claims, name) for name in ("nbf", "exp"))
    if first > last:
        raise LetterMalformed("expected nbf before exp")
    try:
        return Claims(
            number=letter_number(_text(claims, "number", MAX_LENGTH)),
            officer=_text(claims, "officer", 128),
            subjects=frozenset(subject_name(text, today) for text in _texts(claims, "subjects")),
            databases=frozenset(_texts(claims, "databases")),
            scope=_scope(claims),
            basis=_basis(claims),
            purpose=_text(claims, "purpose", 64),
            first=int(day_start(first).timestamp()),
            last=int(day_last_second(last).timestamp()),
            uses=_uses(claims),
        )
    except ValueError as exc:
        raise LetterMalformed(str(exc)) from None


def subject_name(text: str, today: int) -> str:
    """A subject as letters name one: a normalised citizen number, or ``name/YYYY-MM-DD`` (R22, R23).

    Raises:
        IdentifierInvalid, LetterMalformed: it is neither, or the person would be born after today (YYYYMMDD).
    """
    name, slash, born = normalise(text).rpartition("/")
    if not slash:
        return citizen_number(text, today)
    day = parse_day(born) if _BIRTH_DAY.fullmatch(born) else None
    if day is None or day > today:
        raise LetterMalformed("expected a subject as citizen number or name/YYYY-MM-DD, born by today")
    return f"{person_name(name)}/{born}"


def beijing_day_of(claims: Mapping[str, Any], name: str) -> int:
    """The Beijing day of a claim in POSIX seconds, YYYYMMDD.

    Raises:
        LetterMalformed: the claim is no such time.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_TIME:
        raise LetterMalformed(f"expected {name} in POSIX seconds")
    return beijing_day(datetime.fromtimestamp(value, UTC))


def _text(claims: Mapping[str, Any], name: str, longest: int) -> str:
    return _clean(claims.get(name), name, longest)


def _clean(value: Any, name: str, longest: int) -> str:
    """Text without control characters (R22), normalised."""
    text = normalise(value) if isinstance(value, str) else ""
    if not 0 < len(text) <= longest:
        raise LetterMalformed(f"expected {name} as text of 1 to {longest} characters")
    return text


def _texts(claims: Mapping[str, Any], name: str) -> list[str]:
    value = claims.get(name)
    if not isinstance(value, list) or not 0 < len(value) <= MAX_LISTED:
        raise LetterMalformed(f"expected {name} as a list of 1 to {MAX_LISTED} texts")
    return [_clean(item, name, MAX_TEXT) for item in value]


def _scope(claims: Mapping[str, Any]) -> str:
    scope = claims.get("scope")
    if not isinstance(scope, str) or scope not in set(Scope):
        raise LetterMalformed("expected the scope open or sealed")
    return scope


def _basis(claims: Mapping[str, Any]) -> tuple[str, str]:
    """As object, or as the text ``<instrument>/<article>``: titles may hold a stroke, articles hold none."""
    basis = claims.get("basis")
    if isinstance(basis, str):
        instrument, _, article = normalise(basis).rpartition("/")
        basis = {"instrument": instrument, "article": article}
    if not isinstance(basis, dict):
        raise LetterMalformed("expected basis with instrument and article")
    return _text(basis, "instrument", MAX_TEXT), _text(basis, "article", 64)


def _uses(claims: Mapping[str, Any]) -> int:
    uses = claims.get("uses", 1)
    if isinstance(uses, bool) or not isinstance(uses, int) or not 1 <= uses <= MAX_USES:
        raise LetterMalformed(f"expected uses from 1 to {MAX_USES}")
    return uses
