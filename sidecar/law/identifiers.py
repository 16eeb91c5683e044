"""Identifiers: citizen numbers (GB 11643), credit codes (GB 32100), case and letter numbers (E5–E8, R12, R22–R24).

Every reader normalises first (R22) and then matches the whole text; what still fails raises ``IdentifierInvalid``,
whose text says what was expected and never holds the value.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from operator import mul
from typing import Final

from sidecar.law.days import is_day
from sidecar.law.terms import NUMERALS


class Fault(StrEnum):
    """What is wrong with an identifier."""

    BLANK = "blank"
    CHARACTERS = "characters"
    CHECK = "check"
    CONTROL = "control"
    DATE = "date"
    FORM = "form"
    FUTURE = "future"
    LENGTH = "length"
    REGION = "region"
    ZEROS = "zeros"


class IdentifierInvalid(ValueError):
    """An identifier cannot be accepted.

    Attributes:
        code: reason code, ``identifier-invalid`` or ``case-number-invalid``.
        fault: what is wrong, for a message to the person who typed it.
    """

    def __init__(self, code: str, text: str, fault: Fault) -> None:
        super().__init__(text)
        self.code = code
        self.fault = fault


MAX_LENGTH = 64
"""Longest case number, letter number or name (R12)."""

_INVALID = "identifier-invalid"
_CASE_INVALID = "case-number-invalid"


def normalise(text: str) -> str:
    """R22 for every identifier: NFKC (full-width to ASCII), outer spaces trimmed, no control characters.

    Control characters are the Unicode categories Cc, Cf, Cs, Co and Cn: line ends, zero-width and bidirectional marks.

    Raises:
        IdentifierInvalid: it has control characters.
    """
    value = unicodedata.normalize("NFKC", text).strip(" ")
    if not value.isprintable() and any(unicodedata.category(char)[0] == "C" for char in value):
        raise IdentifierInvalid(_INVALID, "expected no control or invisible characters, got some", Fault.CONTROL)
    return value


# --- citizen numbers (E5, R23) -----------------------------------------------------------------------------------

CITIZEN_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CITIZEN_CHECKS: Final = "10X98765432"
_CITIZEN_18 = re.compile(r"[0-9]{17}[0-9X]")
_CITIZEN_15 = re.compile(r"[0-9]{15}")


@dataclass(frozen=True, slots=True)
class CitizenNumber:
    """A valid citizen number.

    Attributes:
        value: 18 characters, upper-case X.
        birth: birth date, YYYYMMDD.
        sequence_zero: the sequence is 000, which GB 11643 does not assign: accepted with this warning (R23).
    """

    value: str
    birth: int
    sequence_zero: bool


def read_citizen_number(text: str, today: int | None = None) -> CitizenNumber:
    """Read an 18-digit number or its 15-digit form (19yy).

    Args:
        text: as stated.
        today: the Beijing day, YYYYMMDD; a birth date after it is invalid. None where no day is known.

    Raises:
        IdentifierInvalid: characters, region, date or check character are wrong.
    """
    value = normalise(text).upper()
    if _CITIZEN_15.fullmatch(value):
        value = _complete(f"{value[:6]}19{value[6:]}")
    elif not _CITIZEN_18.fullmatch(value):
        fault = Fault.CHARACTERS if len(value) in {15, 18} else Fault.LENGTH
        raise IdentifierInvalid(_INVALID, "citizen number: expected 18 characters (or 15 digits)", fault)
    if value[:6] == "000000":
        raise IdentifierInvalid(_INVALID, "citizen number: expected a region, got zeros", Fault.REGION)
    birth = birth_day_of(value)
    if not is_day(birth):
        raise IdentifierInvalid(_INVALID, "citizen number: expected a real birth date from 1800 on", Fault.DATE)
    if today is not None and birth > today:
        raise IdentifierInvalid(_INVALID, "citizen number: expected a birth date that is not to come", Fault.FUTURE)
    if _complete(value[:17]) != value:
        raise IdentifierInvalid(_INVALID, "citizen number: the check character does not fit", Fault.CHECK)
    return CitizenNumber(value, birth, value[14:17] == "000")


def citizen_number(text: str, today: int | None = None) -> str:
    """The normalised 18-character number; see ``read_citizen_number``."""
    return read_citizen_number(text, today).value


def citizen_number_forms(number: str) -> tuple[str, ...]:
    """Every form in which a legacy database may hold a normalised number: 18 with X and with x, 15 digits of 19yy."""
    forms = [number]
    if number.endswith("X"):
        forms.append(number[:17] + "x")
    if number[6:8] == "19":
        forms.append(number[:6] + number[8:17])
    return tuple(forms)


def birth_day_of(number: str) -> int:
    """Birth date of a normalised number, YYYYMMDD."""
    return int(number[6:14])


def _complete(first_17: str) -> str:
    total = sum(map(mul, CITIZEN_WEIGHTS, map(int, first_17)))
    return first_17 + CITIZEN_CHECKS[total % 11]


# --- unified social credit codes (E6, R23) -----------------------------------------------------------------------

CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CREDIT_WEIGHTS: Final = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_CREDIT = re.compile(f"[{CREDIT_ALPHABET}]{{18}}")


def credit_code(text: str) -> str:
    """The normalised unified social credit code of a unit (lower case is raised).

    Raises:
        IdentifierInvalid: length, alphabet or check character are wrong, or it is all zeros.
    """
    value = normalise(text).upper()
    if not _CREDIT.fullmatch(value):
        fault = Fault.CHARACTERS if len(value) == 18 else Fault.LENGTH
        raise IdentifierInvalid(_INVALID, "credit code: expected 18 characters of GB 32100", fault)
    if value == "0" * 18:
        raise IdentifierInvalid(_INVALID, "credit code: expected a code, got zeros", Fault.ZEROS)
    if credit_check(value[:17]) != value[17]:
        raise IdentifierInvalid(_INVALID, "credit code: the check character does not fit", Fault.CHECK)
    return value


def credit_check(first_17: str) -> str:
    """Check character for the first 17 characters of a credit code (GB 32100)."""
    total = sum(w * CREDIT_ALPHABET.index(char) for w, char in zip(CREDIT_WEIGHTS, first_17, strict=True))
    return CREDIT_ALPHABET[-total % 31]


# --- case numbers (E7, R12, R24) ---------------------------------------------------------------------------------

_HAN_RANGES: Final = (
    (0x2E80, 0x2E99),
    (0x2E9B, 0x2EF3),
    (0x2F00, 0x2FD5),
    (0x3005, 0x3005),
    (0x3007, 0x3007),
    (0x3021, 0x3029),
    (0x3038, 0x303B),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFA6D),
    (0xFA70, 0xFAD9),
    (0x16FE2, 0x16FE3),
    (0x16FF0, 0x16FF6),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B81D),
    (0x2B820, 0x2CEAD),
    (0x2CEB0, 0x2EBE0),
    (0x2EBF0, 0x2EE5D),
    (0x2F800, 0x2FA1D),
    (0x30000, 0x3134A),
    (0x31350, 0x33479),
)
"""Unicode script Han (Scripts.txt of Unicode 17)."""

_SUFFIXES: Final = frozenset(f"之{text}" for text, value in NUMERALS.items() if value < 100)
_COURT = re.compile(
    r"（[0-9]{4}）(?:最高法|(?P<court>[^0-9（）]{1,2})[0-9]{0,4})刑[初终再更监申核他][0-9]+号(?P<suffix>之.{1,3})?"
)
_CASE_BRACKETS: Final = str.maketrans("()〔〕[]【】", "（）" * 4)
_LETTER_BRACKETS: Final = str.maketrans("()[]【】", "〔〕" * 3)


def is_han(char: str) -> bool:
    """Whether the character's Unicode script is Han."""
    point = ord(char)
    return any(first <= point <= last for first, last in _HAN_RANGES)


def case_number(text: str) -> str:
    """A normalised case number of any organ: not blank, at most 64 characters, no control characters (R12, R22).

    Raises:
        IdentifierInvalid: code ``case-number-invalid``.
    """
    try:
        value = normalise(text).translate(_CASE_BRACKETS)
    except IdentifierInvalid as exc:
        raise IdentifierInvalid(_CASE_INVALID, f"case number: {exc}", exc.fault) from None
    if not value:
        raise IdentifierInvalid(_CASE_INVALID, "case number: expected one, got a blank", Fault.BLANK)
    if len(value) > MAX_LENGTH:
        text = f"case number: expected at most {MAX_LENGTH} characters, got {len(value)}"
        raise IdentifierInvalid(_CASE_INVALID, text, Fault.LENGTH)
    return value


def is_court_case_number(text: str) -> bool:
    """Whether it is a criminal court's case number (E7) with the trial kinds and suffixes of R24."""
    try:
        match = _COURT.fullmatch(case_number(text))
    except IdentifierInvalid:
        return False
    if match is None or (match["suffix"] is not None and match["suffix"] not in _SUFFIXES):
        return False
    return all(is_han(char) for char in match["court"] or "")


# --- letter numbers (E8, R17, R22) and names ---------------------------------------------------------------------

_LETTER = re.compile(r"\S{1,20}〔[0-9]{4}〕[1-9][0-9]*号")


def letter_number(text: str) -> str:
    """A normalised letter number such as 京公法字〔2022〕337号; it is part of the use counter's key (R17).

    Inner spaces are refused, so that one letter has one spelling.

    Raises:
        IdentifierInvalid: it has not the form of E8.
    """
    value = normalise(text).translate(_LETTER_BRACKETS)
    if len(value) > MAX_LENGTH or not _LETTER.fullmatch(value):
        raise IdentifierInvalid(_INVALID, "letter number: expected a form like 京公法字〔2022〕337号", Fault.FORM)
    return value


def person_name(text: str) -> str:
    """A normalised name: not blank, at most 64 characters, no control characters (R22).

    Raises:
        IdentifierInvalid: it is blank or too long or has control characters.
    """
    value = normalise(text)
    if not value:
        raise IdentifierInvalid(_INVALID, "name: expected one, got a blank", Fault.BLANK)
    if len(value) > MAX_LENGTH:
        raise IdentifierInvalid(_INVALID, f"name: expected at most {MAX_LENGTH} characters", Fault.LENGTH)
    return value
