"""Released values: from what the database holds to canonical JSON values (E10).

A value that cannot be decoded is a fault of its row: the row is withheld and reported, the answer's status stays (P3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidecar.records.catalog import ReleasedField
from sidecar.records.expr import NO_DATE, date_of

MAX_INTEGER_DIGITS = 15
"""Below 2^53: exact in every JSON reader."""

Decoder = Callable[[Any], str | int | None]


class Undecodable(ValueError):
    """A value is not what the catalog says; without the value."""


def decoder(field: ReleasedField) -> Decoder:
    """The decoder of a field; it raises ``Undecodable`` and nothing else."""
    if field.encoding is not None:
        return _encoded(field.encoding)
    if field.map is not None:
        return _mapped(dict(field.map))
    if field.format == "integer":
        return _integer
    if field.format != "text":
        return _date(dashed=field.format == "YYYY-MM-DD")
    return _text


def _text(raw: str | None) -> str | None:
    if raw is None:
        return None
    if not raw.isascii():
        try:
            raw.encode()
        except UnicodeEncodeError:
            raise Undecodable("not text") from None
    return raw.rstrip(" ")


def _integer(raw: str | None) -> int | None:
    text = (raw or "").strip(" ")
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > MAX_INTEGER_DIGITS:
        raise Undecodable("not an integer")
    return int(text)


def _date(*, dashed: bool) -> Decoder:
    def decode(raw: str | None) -> str | None:
        text = (raw or "").strip(" ")
        if not text:
            return None
        day = date_of(text, dashed=dashed)
        if day == NO_DATE:
            raise Undecodable("not a date")
        return f"{day // 10000:04}-{day // 100 % 100:02}-{day % 100:02}"

    return decode


def _mapped(table: dict[str, str]) -> Decoder:
    def decode(raw: str | None) -> str | None:
        text = (raw or "").strip(" ")
        if text in table:
            return table[text]
        if text:
            raise Undecodable("an unknown code")
        return None

    return decode


def _encoded(encoding: str) -> Decoder:
    """Bytes, or a text whose code points below 256 are the bytes (text that was stored wrongly)."""

    def decode(raw: bytes | str | None) -> str | None:
        if raw is None:
            return None
        try:
            content = raw.encode("latin-1") if isinstance(raw, str) else bytes(raw)
            return content.decode(encoding).rstrip(" ")
        except (UnicodeError, TypeError):
            raise Undecodable("not in the declared encoding") from None

    return decode
