"""Small expression trees with two interpreters, Python and SQL, that cannot raise and agree on every dialect (P4).

A tree is built from *leaves*, the text that the database's own ``CAST(column AS text)`` gives, trimmed of blanks (CHAR
padding); null is the empty text, and ``IsNull`` tells them apart. Every node is total: junk, impossible dates (S14) and
overlong numbers have a value of their own (``-1`` for integers, ``0`` for dates). No node yields null, so that ``not``
means not. Text is compared byte by byte, whatever the column's collation says. Dates are integers YYYYMMDD.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.law.days import is_day

MAX_INTEGER_DIGITS = 9
"""Integers of more digits are unknown: these fit into 32 bits in every database."""

UNKNOWN_INTEGER = -1
NO_DATE = 0

_DIGITS = "0123456789"
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "sub": operator.sub,
    "div": operator.floordiv,
    "mod": operator.mod,
}


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
    """``sub``, ``div`` or ``mod`` of integers; ``div`` and ``mod`` take a positive literal and are used on values ≥ 0."""

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


TextExpr = Text | Substring
Expr = (
    Text | IsNull | Literal | Substring | AfterDigits | IntegerOf | DateOf | Arithmetic | Compare | In | InBound | Lookup
    | And | Or | Not | Case | KeyText
)  # fmt: skip

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
    return day if is_day(day) else NO_DATE


def key_text(parts: Sequence[str]) -> str:
    r"""The canonical text of a record's key from its columns' texts: ``AJ2020|1``; ``\`` and ``|`` escaped by ``\``."""
    return "|".join(leaf(part).replace("\\", "\\\\").replace("|", "\\|") for part in parts)


def columns_of(expr: Expr) -> frozenset[str]:
    """The columns that a tree reads."""
    if isinstance(expr, Text | IsNull):
        return frozenset({expr.column})
    if isinstance(expr, KeyText):
        return frozenset(expr.columns)
    return frozenset().union(*map(columns_of, children(expr)))


def children(expr: Expr) -> tuple[Expr, ...]:
    """The trees right under a node."""
    if isinstance(expr, Substring | AfterDigits | IntegerOf | DateOf):
        return (expr.text,)
    if isinstance(expr, Arithmetic | Compare):
        return (expr.left, expr.right)
    if isinstance(expr, In | InBound | Lookup | Not):
        return (expr.part if isinstance(expr, Not) else expr.item,)
    if isinstance(expr, And | Or):
        return expr.parts
    if isinstance(expr, Case):
        return (*(part for when in expr.whens for part in when), expr.otherwise)
    return ()


def python(expr: Expr, index: Mapping[str, int]) -> Evaluate:
    """The Python interpreter: a tree becomes a function of a row's leaves and the bound sets.

    Args:
        expr: the tree.
        index: column → its place in the row.
    """
    if isinstance(expr, Text | IsNull | KeyText | Literal):
        return _python_leaf(expr, index)
    if isinstance(expr, Substring | AfterDigits | IntegerOf | DateOf):
        return _python_text(expr, index)
    if isinstance(expr, Arithmetic | Compare):
        return _python_binary(expr, index)
    if isinstance(expr, In | InBound | Lookup):
        return _python_member(expr, index)
    return _python_logic(expr, index)


def _python_leaf(expr: Text | IsNull | KeyText | Literal, index: Mapping[str, int]) -> Evaluate:
    if isinstance(expr, Literal):
        value = expr.value
        return lambda _row, _bound: value
    if isinstance(expr, KeyText):
        places = [index[column] for column in expr.columns]
        return lambda row, _bound: key_text([leaf(row[i]) for i in places])
    i = index[expr.column]
    if isinstance(expr, IsNull):
        return lambda row, _bound: row[i] is None
    return lambda row, _bound: leaf(row[i])


def _python_text(expr: Substring | AfterDigits | IntegerOf | DateOf, index: Mapping[str, int]) -> Evaluate:
    inner = python(expr.text, index)
    if isinstance(expr, Substring):
        start, end = expr.start - 1, expr.start - 1 + expr.length
        return lambda row, bound: inner(row, bound)[start:end]
    if isinstance(expr, AfterDigits):
        return lambda row, bound: inner(row, bound).lstrip(_DIGITS)
    if isinstance(expr, IntegerOf):
        return lambda row, bound: integer_of(inner(row, bound))
    dashed = expr.dashed
    return lambda row, bound: date_of(inner(row, bound), dashed=dashed)


def _python_binary(expr: Arithmetic | Compare, index: Mapping[str, int]) -> Evaluate:
    apply = _OPERATORS[expr.operator]
    left, right = python(expr.left, index), python(expr.right, index)
    if isinstance(expr.right, Literal):
        constant = expr.right.value
        return lambda row, bound: apply(left(row, bound), constant)
    return lambda row, bound: apply(left(row, bound), right(row, bound))


def _python_member(expr: In | InBound | Lookup, index: Mapping[str, int]) -> Evaluate:
    item = python(expr.item, index)
    if isinstance(expr, In):
        values = frozenset(expr.values)
        return lambda row, bound: item(row, bound) in values
    if isinstance(expr, InBound):
        name = expr.name
        return lambda row, bound: bool(bound[name]) and item(row, bound) in bound[name]
    table, otherwise = dict(expr.map), expr.otherwise
    return lambda row, bound: table.get(item(row, bound), otherwise)


def _python_logic(expr: And | Or | Not | Case, index: Mapping[str, int]) -> Evaluate:
    if isinstance(expr, Not):
        part = python(expr.part, index)
        return lambda row, bound: not part(row, bound)
    if isinstance(expr, Case):
        whens = [(python(condition, index), python(value, index)) for condition, value in expr.whens]
        return _first_of(whens, python(expr.otherwise, index))
    parts = [python(part, index) for part in expr.parts]
    if isinstance(expr, And):
        return lambda row, bound: all(part(row, bound) for part in parts)
    return lambda row, bound: any(part(row, bound) for part in parts)


def _first_of(whens: Sequence[tuple[Evaluate, Evaluate]], otherwise: Evaluate) -> Evaluate:
    def evaluate(row: Leaves, bound: Bound) -> Any:
        for condition, value in whens:
            if condition(row, bound):
                return value(row, bound)
        return otherwise(row, bound)

    return evaluate
