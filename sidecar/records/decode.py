"""Released values: from what the database holds to canonical JSON values (E10).

A value that cannot be decoded is a fault of its row: the row is withheld and reported, the answer's status stays (P3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sidecar.records.attributes import date
from sidecar.records.catalog import ReleasedField
from sidecar.records.expr import NO_DATE, Evaluate
from sidecar.records.memo import Memo
from sidecar.records.python import compile_one

MAX_INTEGER_DIGITS = 15
"""Below 2^53: exact in every JSON reader."""

Value = str | int | None
Decoder = Callable[[Sequence[Any]], list[Value]]
"""Decodes one column of a page; raises ``Undecodable`` if any value cannot be decoded, and nothing else."""


class Undecodable(ValueError):
    """A value is not what the catalog says; without the value."""


def decoder(field: ReleasedField) -> Decoder:
    """The decoder of a field."""
    if field.encoding is not None:
        encoding = field.encoding
        return lambda column: [None if raw is None else _decoded(raw, encoding) for raw in column]
    if field.map is not None:
        return _each(Memo(partial(_mapped, {"": None, **field.map}, field.prefix)))
    if field.format == "integer":
        return lambda column: [_integer(raw) for raw in column]
    day = field.day()
    if day is not None:
        return _each(Memo(partial(_date, compile_one(date(day), {day.column: 0}, remember=False))))
    return _texts


def _each(values: Memo) -> Decoder:
    # Codes, numbers and days are few and remembered; texts are not.
    return lambda column: [*map(values.__getitem__, column)]


def _texts(column: Sequence[str | None]) -> list[Value]:
    try:
        # A lone surrogate stands for a byte that is no text.
        "".join([raw for raw in column if raw is not None]).encode()
    except UnicodeEncodeError:
        raise Undecodable("not text") from None
    return [None if raw is None else raw.rstrip(" ") for raw in column]


def _integer(raw: str | None) -> int | None:
    text = (raw or "").strip(" ")
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > MAX_INTEGER_DIGITS:
        raise Undecodable("not an integer")
    return int(text)


def _date(read: Evaluate, raw: str | None) -> str | None:
    if not (raw or "").strip(" "):
        return None
    day = read((raw,), {})
    if day == NO_DATE:
        raise Undecodable("not a date")
    text = f"{day:08}"
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"


def _mapped(table: Mapping[str, str | None], prefix: int | None, raw: str | None) -> str | None:
    try:
        return table[(raw or "").strip(" ")[:prefix]]
    except KeyError:
        raise Undecodable("an unknown code") from None


def _bytes(raw: Any) -> bytes:
    if not isinstance(raw, bytes | memoryview):  # SQLite keeps a number in any column: bytes(n) would be n zeros
        raise Undecodable("neither bytes nor text")
    return bytes(raw)


def _decoded(raw: Any, encoding: str) -> str:
    """Bytes, or a text whose code points below 256 are the bytes (text that was stored wrongly)."""
    try:
        content = raw.encode("latin-1") if isinstance(raw, str) else _bytes(raw)
        return content.decode(encoding).rstrip(" ")
    except (UnicodeError, TypeError):
        raise Undecodable("not in the declared encoding") from None
