"""Small expression trees with two interpreters, Python (``python``) and SQL (``dialect``), that cannot raise and agree on every dialect (P4).

A tree is built from *leaves*, the text that the database's own ``CAST(column AS text)`` gives, trimmed of blanks (CHAR
padding); null is the empty text, and ``IsNull`` tells them apart. Every node is total: junk, impossible dates (S14) and
overlong numbers have a value of their own (``-1`` for integers, ``0`` for dates). No node yields null, so that ``not``
means not. Text is compared byte by byte, whatever the column's collation says. Dates are integers YYYYMMDD.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.law.days import FIRST_YEAR, is_day

MAX_INTEGER_DIGITS = 9
"""Integers of more digits are unknown: these fit into 32 bits in every database."""

UNKNOWN_INTEGER = -1
NO_DATE = 0

FIRST_DAY = FIRST_YEAR * 10000
DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class Text:
    """A column's text, trimmed; null and text with a NUL character are the empty text."""

    column: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether the column is null."""

    column: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: text, integer or boolean."""

    value: str | int | bool


@dataclass(frozen=True, slots=True)
class Substring:
    """``length`` characters from position ``start`` (from 1) of an ASCII text; guard it by ``AfterDigits``."""

    text: TextExpr
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Before:
    """What stands before the first ``mark`` in a text; the empty text where there is none."""

    text: TextExpr
    mark: str


@dataclass(frozen=True, slots=True)
class After:
    """What stands after the first ``mark`` in a text; the empty text where there is none."""

    text: TextExpr
    mark: str


@dataclass(frozen=True, slots=True)
class Contains:
    """Whether ``mark`` is in a text."""

    text: TextExpr
    mark: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Texts one after the other."""

    parts: tuple[TextExpr, ...]


@dataclass(frozen=True, slots=True)
class Replaced:
    """A text with every first of a pair replaced by the second, pair by pair in their order."""

    text: TextExpr
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AfterDigits:
    """What is left when leading ASCII digits are taken away: the empty text for a number."""

    text: TextExpr


@dataclass(frozen=True, slots=True)
class IntegerOf:
    """One to nine ASCII digits as an integer, else ``-1``."""

    text: TextExpr


@dataclass(frozen=True, slots=True)
class DateOf:
    """A real date from 1800 on, written ``YYYYMMDD`` or (``dashed``) ``YYYY-MM-DD``, as an integer, else ``0``."""

    text: TextExpr
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``add``, ``sub``, ``mul``, ``div`` or ``mod`` of integers that stay below 2^31.

    ``div`` and ``mod`` take a positive literal and are used on values ≥ 0.
    """

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Compare:
    """``eq ne lt le gt ge`` of two integers, or ``eq ne`` of two texts."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class In:
    """Whether a value is one of some constants; never where there are none."""

    item: Expr
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class InBound:
    """Whether a text is in a set that is bound at execution (the seal register's keys)."""

    item: Expr
    name: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """The constant that a text maps to, else ``otherwise``."""

    item: Expr
    map: tuple[tuple[str, str | int], ...]
    otherwise: str | int


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; true where there are none."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One part holds; false where there are none."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Expr


@dataclass(frozen=True, slots=True)
class Case:
    """The value of the first condition that holds, else ``otherwise``."""

    whens: tuple[tuple[Expr, Expr], ...]
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class KeyText:
    r"""The canonical text of a record's key: its columns' texts with ``\`` and ``|`` escaped, joined by ``|``."""

    columns: tuple[str, ...]


Expr = (
    Text | IsNull | Literal | Substring | Before | After | Contains | Joined | Replaced | AfterDigits | IntegerOf | DateOf
    | Arithmetic | Compare | In | InBound | Lookup | And | Or | Not | Case | KeyText
)  # fmt: skip
TextExpr = Expr
"""A tree whose value is a text."""

TRUE = Literal(value=True)
FALSE = Literal(value=False)

Leaves = Sequence[str | None]
"""A fetched row: the columns' texts as the database cast them, None for null."""

Bound = Mapping[str, Collection[str]]
"""Sets that are bound at execution."""

Evaluate = Callable[[Leaves, Bound], Any]


def leaf(raw: str | None) -> str:
    """The text of a column as every node sees it."""
    if raw is None or "\0" in raw:
        return ""
    return raw.strip(" ")


def integer_of(text: str) -> int:
    """Python reading of ``IntegerOf``."""
    if 1 <= len(text) <= MAX_INTEGER_DIGITS and text.isascii() and text.isdigit():
        return int(text)
    return UNKNOWN_INTEGER


def date_of(text: str, *, dashed: bool) -> int:
    """Python reading of ``DateOf``."""
    if dashed:
        if len(text) != 10 or text[4] != "-" or text[7] != "-":
            return NO_DATE
        text = text[:4] + text[5:7] + text[8:]
    if len(text) != 8 or not text.isascii() or not text.isdigit():
        return NO_DATE
    day = int(text)
    # Most days need no calendar: the first 28 of a month are in every one.
    if 0 < day % 100 < 29 and 0 < day // 100 % 100 < 13 and day >= FIRST_DAY:
        return day
    return day if is_day(day) else NO_DATE


def replaced(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Python reading of ``Replaced``."""
    for old, new in pairs:
        text = text.replace(old, new)
    return text


def key_text(parts: Sequence[str]) -> str:
    r"""The canonical text of a record's key from its columns' leaves: ``AJ2020|1``; ``\`` and ``|`` escaped by ``\``."""
    joined = "|".join(parts)
    if "\\" not in joined and joined.count("|") == len(parts) - 1:
        return joined
    return "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)


def columns_of(expr: Expr) -> frozenset[str]:
    """The columns that a tree reads."""
    if isinstance(expr, Text | IsNull):
        return frozenset({expr.column})
    if isinstance(expr, KeyText):
        return frozenset(expr.columns)
    return frozenset().union(*map(columns_of, children(expr)))


def children(expr: Expr) -> tuple[Expr, ...]:
    """The trees right under a node."""
    if isinstance(expr, Substring | Before | After | Contains | Replaced | AfterDigits | IntegerOf | DateOf):
        return (expr.text,)
    if isinstance(expr, Arithmetic | Compare):
        return (expr.left, expr.right)
    if isinstance(expr, In | InBound | Lookup | Not):
        return (expr.part if isinstance(expr, Not) else expr.item,)
    if isinstance(expr, And | Or | Joined):
        return expr.parts
    if isinstance(expr, Case):
        return (*(part for when in expr.whens for part in when), expr.otherwise)
    return ()
