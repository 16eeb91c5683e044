"""Answers of a legacy HTTP service: records and totals found in them, and new answers made from the route's template (P3).

Nothing of an answer goes out but records, cut down to the columns that may be seen; all around them is the catalog's template.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sidecar.records import wire_json, wire_xml
from sidecar.records.routes import Answer
from sidecar.records.wire_json import ABSENT, BodyFault

MAX_TOTAL_DIGITS: Final = 9
"""No person has more records, and no service that we stand in front of."""

DEEPEST: Final = 100
"""Nesting of templates; they are the approvers' own."""


class Unmappable(ValueError):
    """A record lacks a column that the catalog names; ``column`` is the catalog's word."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one answer of the service holds; ``total`` and ``next`` only where the route declares their places."""

    records: Sequence[Any]
    total: int | None
    next: str


class Form(Protocol):
    """Answers of one route. Pure, and safe to use from several threads."""

    def read(self, text: str, max_depth: int) -> Parsed:
        """What an answer of the service holds; raises ``BodyFault``."""

    def leaves(self, record: Any, lenient: Collection[str] = ()) -> tuple[str | None, ...]:
        """The columns' texts in order; raises ``Unmappable``, but for lenient columns: there what is missing is junk."""

    def cut(self, record: Any, shown: Collection[str]) -> Any:
        """A copy of a record with these columns and nothing else; a hidden optional column is never blank but left out."""

    def write(self, records: Sequence[Any], numbers: Mapping[str, str], *, escaped: bool = False) -> str:
        """The template with records and numbers (by ``Answer.numbers``) in their places."""


def open_form(answer: Answer, columns: Sequence[str]) -> Form:
    """The form of a route's answers.

    Args:
        answer: the route's declaration.
        columns: all columns of the catalog, in the order of ``leaves``.

    Raises:
        ValueError: a path is none, or leads nowhere in the template.
    """
    if unknown := sorted({*answer.columns, *answer.optional} - {*columns}):
        raise ValueError(f"columns that the catalog does not use: {unknown}")
    return JsonForm(answer, columns) if answer.format == "json" else XmlForm(answer, columns)


def _text(found: Any, what: str) -> str:
    """The text of a place that must be there."""
    if found is ABSENT or found == wire_json.JUNK:
        raise BodyFault(f"no {what}")
    return found or ""


def _total(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_TOTAL_DIGITS):
        raise BodyFault("the total is no number")
    return int(text)


class JsonForm:
    """Answers in JSON."""

    def __init__(self, answer: Answer, columns: Sequence[str]) -> None:
        self._answer = answer
        self._columns = {name: _column_path(answer.columns.get(name), name) for name in columns}
        self._optional = frozenset(answer.optional)
        self._records = wire_json.compile_path(answer.records)
        self._numbers = {name: wire_json.compile_path(place) for name, place in answer.numbers().items()}
        self._check = wire_json.compile_path(answer.succeeded.path) if answer.succeeded else ()
        _apart(self._columns)
        template = wire_json.parse(answer.template, DEEPEST)
        if wire_json.get(template, self._records) != []:
            raise ValueError(f"template: expected an empty list at {answer.records}")
        for name, place in self._numbers.items():
            if isinstance(wire_json.get(template, place), dict | list) or wire_json.get(template, place) is ABSENT:
                raise ValueError(f"template: expected a value at {name}")

    def read(self, text: str, max_depth: int) -> Parsed:
        """See ``Form``."""
        value = wire_json.parse(text, max_depth)
        check = self._answer.succeeded
        if check is not None and self._leaf(value, self._check) not in check.values:
            raise BodyFault("the service says that it failed")
        records = wire_json.get(value, self._records)
        if records is ABSENT or records is None:
            if not self._answer.absent_is_empty:
                raise BodyFault("no list of records")
            records = []
        if type(records) is not list:
            raise BodyFault("the records are no list")
        total = _total(_text(self._leaf(value, self._numbers["total"]), "total")) if "total" in self._numbers else None
        following = self._leaf(value, self._numbers["next"]) if "next" in self._numbers else ""
        return Parsed(records, total, "" if following is ABSENT else _text(following, "cursor"))

    @staticmethod
    def _leaf(value: Any, place: wire_json.Path) -> Any:
        found = wire_json.get(value, place)
        return found if found is ABSENT else wire_json.leaf(found)

    def leaves(self, record: Any, lenient: Collection[str] = ()) -> tuple[str | None, ...]:
        """See ``Form``."""
        found = []
        for name, place in self._columns.items():
            value = self._leaf(record, place)
            found.append(_missing(name, self._optional, lenient) if value is ABSENT else value)
        return tuple(found)

    def cut(self, record: Any, shown: Collection[str]) -> Any:
        """See ``Form``."""
        blank = self._answer.hidden == "blank"
        kept = {self._columns[name] for name in shown}
        hidden = {place for name, place in self._columns.items() if name not in shown and name not in self._optional}
        return wire_json.cut(record, kept, hidden if blank else ())

    def write(self, records: Sequence[Any], numbers: Mapping[str, str], *, escaped: bool = False) -> str:
        """See ``Form``."""
        answer = wire_json.parse(self._answer.template, DEEPEST)
        wire_json.put(answer, self._records, list(records)) if self._records else None
        for name, place in self._numbers.items():
            if name in numbers:
                wire_json.put(answer, place, wire_json.like(wire_json.get(answer, place), numbers[name]))
        whole = answer if self._records else list(records)
        return wire_json.dump(whole, spaced=self._answer.spaced, escaped=self._answer.escaped or escaped)


def _missing(name: str, optional: Collection[str], lenient: Collection[str]) -> str | None:
    """What stands for a column that a record lacks."""
    if name in optional:
        return None
    if name in lenient:
        return wire_json.JUNK
    raise Unmappable(name)


def _apart(columns: Mapping[str, wire_json.Path]) -> None:
    """Check that no column stands at or within another's place: whoever sees the one would see the other."""
    for name, place in columns.items():
        inside = [n for n, other in columns.items() if n != name and other[: len(place)] == place]
        if inside:
            raise ValueError(f"columns: {inside[0]} stands at the place of {name}")


def _column_path(given: str | None, name: str) -> wire_json.Path:
    return wire_json.compile_path(given) if given is not None else (name,)


class XmlForm:
    """Answers in XML or SOAP."""

    def __init__(self, answer: Answer, columns: Sequence[str]) -> None:
        self._answer = answer
        spaces = answer.namespaces
        self._columns = {name: _column_find(answer.columns.get(name), name, spaces) for name in columns}
        self._optional = frozenset(answer.optional)
        self._holder = wire_xml.path(answer.records, spaces)
        self._record = wire_xml.path(answer.record, spaces, inside=True)
        self._numbers = {name: wire_xml.path(place, spaces) for name, place in answer.numbers().items()}
        self._check = wire_xml.path(answer.succeeded.path, spaces) if answer.succeeded else None
        self._prolog, text = wire_xml.split(answer.template)
        self._template = wire_xml.parse(text, DEEPEST)
        holders = self._holder(self._template)
        if len(holders) != 1 or self._record(holders[0]):
            raise ValueError(f"template: expected one element at {answer.records}, without records")
        for name, find in self._numbers.items():
            if not wire_xml.single(find(self._template)):
                raise ValueError(f"template: expected one element or attribute at {name}")

    def read(self, text: str, max_depth: int) -> Parsed:
        """See ``Form``."""
        root = wire_xml.parse(text, max_depth)
        if self._answer.format in wire_xml.SOAP and wire_xml.is_fault(root, self._answer.format):
            raise BodyFault("a fault")
        check = self._answer.succeeded
        if check is not None and self._check is not None and wire_xml.leaf(self._check(root)) not in check.values:
            raise BodyFault("the service says that it failed")
        holders = self._holder(root)
        if len(holders) > 1 or (not holders and not self._answer.absent_is_empty):
            raise BodyFault("no element that holds the records, or several")
        records = self._record(holders[0]) if holders else ()
        total = self._place(root, "total")
        following = self._place(root, "next")
        return Parsed(
            records,
            None if total is None else _total(_text(total, "total")),
            "" if following is ABSENT or following is None else _text(following, "cursor"),
        )

    def _place(self, root: wire_xml.Element, name: str) -> Any:
        find = self._numbers.get(name)
        return None if find is None else wire_xml.leaf(find(root))

    def leaves(self, record: Any, lenient: Collection[str] = ()) -> tuple[str | None, ...]:
        """See ``Form``."""
        found = []
        for name, find in self._columns.items():
            value = wire_xml.leaf(find(record))
            value = _missing(name, self._optional, lenient) if value is ABSENT else value
            found.append(None if value == "" and self._answer.empty_is_null else value)
        return tuple(found)

    def cut(self, record: Any, shown: Collection[str]) -> Any:
        """See ``Form``."""
        kept = [self._columns[name] for name in shown]
        hidden = {name: find for name, find in self._columns.items() if name not in shown}
        blanked = [find for name, find in hidden.items() if name not in self._optional]
        return wire_xml.cut(record, kept, [*hidden.values()], blanked if self._answer.hidden == "blank" else ())

    def write(self, records: Sequence[Any], numbers: Mapping[str, str], *, escaped: bool = False) -> str:
        """See ``Form``; ``escaped`` is the encoder's business."""
        del escaped
        root = deepcopy(self._template)
        [holder] = self._holder(root)
        for record in records:
            holder.append(record)
        for name, find in self._numbers.items():
            if name in numbers:
                wire_xml.put(root, find, numbers[name])
        return self._prolog + wire_xml.dump(root)


def _column_find(given: str | None, name: str, namespaces: Mapping[str, str]) -> Callable[[Any], Sequence[Any]]:
    return wire_xml.path(given, namespaces, inside=True) if given is not None else wire_xml.child(name)
