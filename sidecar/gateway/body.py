"""Strict reading of an inquiry's JSON body (RFC 8259, RFC 7493): one meaning or none, before anything is decided.

Refused are: bytes that are not UTF-8 JSON, NaN and Infinity, lone surrogates, duplicate names, nesting beyond
``MAX_DEPTH``, unknown members, wrong types, control characters and excessive lengths. Missing or blank papers are no
faults of shape: the policy says what is missing (Q5). The shape is written down once more as pydantic models for
OpenAPI (``web.models``); a property test holds the two equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import orjson

from sidecar.codes import Code, Scope
from sidecar.errors import RequestInvalid
from sidecar.gateway.cursor import MAX_CURSOR_LENGTH
from sidecar.papers.parse import MAX_LETTER

MAX_DEPTH = 8
"""An inquiry needs four levels; more is an attack on a parser."""

MAX_SAFE_INTEGER = 2**53 - 1
"""Integers beyond lose digits in other JSON implementations (RFC 7493 §2.2)."""

MAX_REASON = 2000
"""Characters of the stated reason; a page of Chinese text is 1,500."""


MAX_CONDITIONS = 8
"""Conditions of a search; the statement stays preparable."""

MAX_LIST = 50
"""Values of one ``in``."""

MAX_SORT = 4
"""Sort keys of a search."""

MAX_PAGE_SIZE = 1000
"""Upper bound of every deployment's ``gateway.max_page_size``."""

TEXT_LIMITS: Final[Mapping[str, int]] = {
    "database": 64,
    "purpose": 64,
    "case_number": 64,
    "application_id": 64,
    "letter": MAX_LETTER,
    "cursor": MAX_CURSOR_LENGTH,
    "instrument": 200,
    "article": 100,
    "person_id": 64,
    "name": 200,
    "birth_date": 10,
    "field": 64,
    "value": 200,
}
"""Longest texts by member, in characters."""

OPERATORS: Final = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "in", "prefix"})
ORDERS: Final = frozenset({"asc", "desc"})
_SCOPES: Final = frozenset(scope.value for scope in Scope)

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BIRTH_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MEMBERS: Final = frozenset(
    {
        "application_id",
        "basis",
        "case_number",
        "cursor",
        "database",
        "filter",
        "letter",
        "page_size",
        "purpose",
        "reason",
        "scope",
        "sort",
        "subject",
    }
)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``, if it can be read in one way only.

    Raises:
        RequestInvalid: ``body-invalid`` (400).
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise _unreadable("the body is not JSON") from exc
    if type(value) is not dict:
        raise _unreadable("the body is not a JSON object")
    colons, opened = body.count(b":"), body.count(b"{") + body.count(b"[")
    if opened > MAX_DEPTH or colons != _names(value):
        # Texts may hold brackets and colons; without texts, colons are names and brackets are nesting, exactly.
        skeleton = _STRINGS.sub(b"", body)
        if _depth(skeleton) > MAX_DEPTH:
            raise _unreadable(f"the body is nested deeper than {MAX_DEPTH}")
        if skeleton.count(b":") != _names(value):
            raise _unreadable("the body names a member twice")
    return value


def _names(value: Any) -> int:
    kind = type(value)
    if kind is dict:
        return len(value) + sum(_names(v) for v in value.values() if type(v) is dict or type(v) is list)
    if kind is list:
        return sum(_names(v) for v in value if type(v) is dict or type(v) is list)
    return 0


def _depth(skeleton: bytes) -> int:
    depth = deepest = 0
    for byte in skeleton:
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


@dataclass(frozen=True, slots=True)
class Stated:
    """A body of the right shape, as stated: nothing is normalised or believed yet. Absent texts are empty."""

    database: str
    person_id: str
    name: str
    birth_date: str
    conditions: tuple[tuple[str, str, Any], ...]
    by_subject: bool
    scope: str
    reason: str
    instrument: str
    article: str
    purpose: str
    case_number: str
    letter: str
    application_id: str
    page_size: int
    cursor: str
    sort: tuple[tuple[str, bool], ...]


def read_shape(value: Mapping[str, Any], page_size: int, max_page_size: int) -> Stated:
    """Check names, types and lengths.

    Args:
        value: the parsed body.
        page_size: page size where none is stated.
        max_page_size: largest page size of the deployment.

    Raises:
        RequestInvalid: ``body-invalid`` or ``field-unknown`` (422); the text names the member, never its value.
    """
    if not value.keys() <= _MEMBERS:
        raise RequestInvalid(Code.FIELD_UNKNOWN, "the body has an unknown member")
    if ("subject" in value) == ("filter" in value):
        raise _misshapen("exactly one of subject and filter is expected")
    basis = _object(value, "basis", frozenset({"instrument", "article"}))
    subject = _object(value, "subject", frozenset({"person_id", "name", "birth_date"}))
    scope = value.get("scope", "open")
    if type(scope) is not str or scope not in _SCOPES:
        raise _misshapen("scope: expected open or sealed")
    return Stated(
        database=_required(value, "database"),
        **_subject(subject, by_subject="subject" in value),
        conditions=_conditions(value),
        by_subject="subject" in value,
        scope=scope,
        reason=_reason(value),
        instrument=_text(basis, "instrument"),
        article=_text(basis, "article"),
        purpose=_text(value, "purpose"),
        case_number=_text(value, "case_number"),
        letter=_text(value, "letter"),
        application_id=_text(value, "application_id"),
        page_size=_page_size(value.get("page_size", page_size), max_page_size),
        cursor=_text(value, "cursor"),
        sort=_sort(value),
    )


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name, "")
    if type(text) is not str or len(text) > TEXT_LIMITS[name] or _CONTROL.search(text):
        raise _misshapen(
            f"{name}: expected a text of at most {TEXT_LIMITS[name]} characters without control characters"
        )
    return text


def _required(value: Mapping[str, Any], name: str) -> str:
    if text := _text(value, name):
        return text
    raise _misshapen(f"{name}: expected a text that is not empty")


def _reason(value: Mapping[str, Any]) -> str:
    reason = value.get("reason", "")
    if type(reason) is not str or len(reason) > MAX_REASON or _CONTROL_BUT_LINES.search(reason):
        raise _misshapen(f"reason: expected a text of at most {MAX_REASON} characters without control characters")
    return reason


def _object(value: Mapping[str, Any], name: str, members: frozenset[str]) -> Mapping[str, Any]:
    part = value.get(name, {})
    if type(part) is not dict or not part.keys() <= members:
        raise _misshapen(f"{name}: expected an object of {', '.join(sorted(members))}")
    return part


def _subject(subject: Mapping[str, Any], *, by_subject: bool) -> dict[str, str]:
    if by_subject and subject.keys() not in ({"person_id"}, {"name", "birth_date"}):
        raise _misshapen("subject: expected person_id, or name and birth_date")
    empty = {"person_id": "", "name": "", "birth_date": ""}
    read = empty | {name: _required(subject, name) for name in subject}
    if read["birth_date"] and not _is_day(read["birth_date"]):
        raise _misshapen("birth_date: expected a day YYYY-MM-DD")
    return read


def _is_day(text: str) -> bool:
    try:
        return bool(_BIRTH_DATE.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _page_size(size: Any, largest: int) -> int:
    if type(size) is not int or not 1 <= size <= largest:
        raise _misshapen(f"page_size: expected an integer from 1 to {largest}")
    return size


def _conditions(value: Mapping[str, Any]) -> tuple[tuple[str, str, Any], ...]:
    if "filter" not in value:
        return ()
    return _each(value["filter"], "filter", MAX_CONDITIONS, _condition)


def _condition(item: Any) -> tuple[str, str, Any]:
    if type(item) is not dict or item.keys() != {"field", "operator", "value"}:
        raise _misshapen("filter: expected objects of field, operator and value")
    operator, value = item["operator"], item["value"]
    if type(operator) is not str or operator not in OPERATORS:
        raise _misshapen(f"operator: expected one of {', '.join(sorted(OPERATORS))}")
    if operator == "in":
        return _required(item, "field"), operator, _each(value, "value", MAX_LIST, _scalar)
    if operator == "prefix" and type(value) is not str:
        raise _misshapen("value: a prefix is a text")
    return _required(item, "field"), operator, _scalar(value)


def _scalar(value: Any) -> str | int:
    if type(value) is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return value
    if type(value) is str and len(value) <= TEXT_LIMITS["value"] and not _CONTROL.search(value):
        return value
    raise _misshapen("value: expected a text without control characters or a safe integer")


def _sort(value: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    if "sort" not in value:
        return ()
    return _each(value["sort"], "sort", MAX_SORT, _sort_key, least=0)


def _sort_key(item: Any) -> tuple[str, bool]:
    if type(item) is not dict or not {"field"} <= item.keys() <= {"field", "order"}:
        raise _misshapen("sort: expected objects of field and order")
    order = item.get("order", "asc")
    if type(order) is not str or order not in ORDERS:
        raise _misshapen("order: expected asc or desc")
    return _required(item, "field"), order == "desc"


def _each(value: Any, name: str, most: int, read: Callable[[Any], Any], *, least: int = 1) -> tuple[Any, ...]:
    if type(value) is not list or not least <= len(value) <= most:
        raise _misshapen(f"{name}: expected a list of {least} to {most}")
    return tuple(read(item) for item in value)


def _unreadable(text: str) -> RequestInvalid:
    return RequestInvalid(Code.BODY_INVALID, text, status=400)


def _misshapen(text: str) -> RequestInvalid:
    return RequestInvalid(Code.BODY_INVALID, text)
