"""Calls of legacy clients: matched with the declared routes, read, and made again towards the service (P3, P7).

What goes to the service is built from the declaration: its own method, path, names and template, with the values of the
declared places. Whatever else a call says is an error.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from sidecar.codes import Code
from sidecar.errors import RequestInvalid
from sidecar.law import identifiers
from sidecar.law.identifiers import IdentifierInvalid
from sidecar.records import wire_json, wire_xml
from sidecar.records.answers import DEEPEST, Form, open_form
from sidecar.records.expr import NO_DATE, date_of
from sidecar.records.routes import Parameter, Route
from sidecar.records.types import Condition, Search, Subject
from sidecar.records.wire_json import ABSENT, BodyFault

MAX_FIELDS: Final = 100
"""Names of a query or form; no declared call has so many."""

MAX_VALUE: Final = 500
"""Characters of one value."""

MAX_CURSOR: Final = 8192
"""Characters of a cursor of ours."""

MAX_DEPTH: Final = 32
"""Nesting of a call's body."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "form": frozenset({"application/x-www-form-urlencoded"}),
    "json": frozenset({"application/json"}),
    "xml": frozenset({"text/xml", "application/xml", "application/soap+xml"}),
}
_SENT: Final[Mapping[str, str]] = {
    "form": "application/x-www-form-urlencoded",
    "json": "application/json",
    "xml": "text/xml",
}

Values = Mapping[Parameter, str]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A legacy client's call as a door read it.

    Attributes:
        path: below the database, percent-decoded, as the bytes of latin-1 (PEP 3333).
        headers: lower-case names.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call to the service: percent-encoded path below its address and query, headers and body."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was read.

    Attributes:
        opened: its route.
        target: whom or what it asks about.
        values: the values of its parameters as they came.
        start: records before the page that the client wants.
        size: records of that page.
        cursor: the cursor that the client sent; "" without one.
        packed: the client takes gzip, and the route gives it.
    """

    opened: OpenRoute
    target: Subject | Search
    values: Values
    start: int
    size: int
    cursor: str
    packed: bool


class OpenRoute:
    """A declared route with its paths compiled. Pure, and safe to use from several threads.

    Raises:
        ValueError: its paths and templates do not fit each other.
    """

    def __init__(self, route: Route, columns: Sequence[str]) -> None:
        self.route = route
        self.charset = route.charset
        self.segments = route.segments()
        self.form: Form = open_form(route.answer, columns)
        self._kind = route.body_kind()
        self._in_body = {p: self._body_place(p) for p in route.parameters if p.where in {"json", "xml"}}
        self._by_meaning: Mapping[str, Parameter] = {
            p.meaning: p for p in route.parameters if p.meaning not in {"condition", "passed"}
        }
        self._conditions = tuple(p for p in route.parameters if p.meaning == "condition")
        if self._kind in {"json", "xml"}:
            self._check_template()

    @property
    def target(self) -> str:
        """``person``, ``name`` or ``search``."""
        return "person" if "person_id" in self._by_meaning else "name" if "name" in self._by_meaning else "search"

    def _body_place(self, parameter: Parameter) -> Any:
        if parameter.where == "json":
            return wire_json.compile_path(parameter.name)
        return wire_xml.path(parameter.name, self.route.request.namespaces)

    def _check_template(self) -> None:
        document = self._template()
        for parameter, place in self._in_body.items():
            found = self._found(document, parameter, place)
            settable = parameter.where == "json" or wire_xml.single(place(document))
            if found is ABSENT or found == wire_json.JUNK or not settable:
                raise ValueError(f"{self.route.name}: request.template: expected one value at {parameter.name}")

    def _template(self) -> Any:
        text = self.route.request.template
        return wire_json.parse(text, DEEPEST) if self._kind == "json" else wire_xml.parse(text, DEEPEST)

    @staticmethod
    def _found(document: Any, parameter: Parameter, place: Any) -> Any:
        if parameter.where == "xml":
            return wire_xml.leaf(place(document))
        value = wire_json.get(document, place)
        return value if value is ABSENT else wire_json.leaf(value)

    # --- reading -------------------------------------------------------------------------------------------------

    def matches(self, segments: Sequence[str]) -> Mapping[str, str] | None:
        """The values in a path, if it is this route's; None if it is not."""
        if len(segments) != len(self.segments):
            return None
        found = {}
        for mine, given in zip(self.segments, segments, strict=True):
            if mine.startswith("{"):
                if given in {"", ".", ".."}:
                    return None
                found[mine[1:-1]] = given
            elif mine != given:
                return None
        return found

    def read(self, incoming: Incoming, in_path: Mapping[str, str], today: int) -> Call:
        """A call of this route.

        Args:
            incoming: as it came.
            in_path: what ``matches`` gave.
            today: YYYYMMDD, for identifiers.

        Raises:
            RequestInvalid: something is missing, undeclared, twice, or has no meaning; nothing sent is in the text.
        """
        found = self._values(incoming, in_path)
        values: dict[Parameter, str] = {}
        for parameter in self.route.parameters:
            text = found.get(parameter, "")
            if text:
                values[parameter] = _allowed(parameter, text)
            elif parameter.required or parameter.meaning in {"person_id", "name", "birth_date"}:
                raise _invalid(parameter.name, "expected a value")
        start, size = self._page(values)
        cursor = values.get(self._by_meaning["cursor"], "") if "cursor" in self._by_meaning else ""
        packed = self.route.answer.gzip and accepts_gzip(incoming.headers.get("accept-encoding", ""))
        return Call(self, self._target(values, today), values, start, size, cursor, packed)

    def _values(self, incoming: Incoming, in_path: Mapping[str, str]) -> dict[Parameter, str]:
        queried = _pairs(incoming.query, self.charset, "query")
        posted = self._posted(incoming) if self._kind == "form" else {}
        declared = {(p.where, p.name) for p in self.route.parameters}
        if any(("query", name) not in declared for name in queried) or any(("form", n) not in declared for n in posted):
            raise RequestInvalid(Code.FIELD_UNKNOWN, "a parameter is not declared")
        if not self._kind and incoming.body:
            raise RequestInvalid(Code.FIELD_UNKNOWN, "a body is not declared")
        found = self._read_body(incoming) if self._in_body else {}
        for parameter in self.route.parameters:
            name = parameter.name
            if parameter.where in {"path", "query", "form"}:
                given = {"path": in_path, "query": queried, "form": posted}[parameter.where]
                found[parameter] = given.get(name, "")
            elif parameter.where == "header":
                found[parameter] = incoming.headers.get(name.lower(), "")
        return found

    def _posted(self, incoming: Incoming) -> Mapping[str, str]:
        self._check_type(incoming)
        try:
            text = incoming.body.decode("ascii")
        except UnicodeDecodeError:
            raise _invalid("form", "expected percent-encoded text") from None
        return _pairs(text, self.charset, "form")

    def _check_type(self, incoming: Incoming) -> None:
        kind, _, rest = incoming.headers.get("content-type", "").partition(";")
        named = re.search(r'charset="?([A-Za-z0-9_-]+)', rest)
        if kind.strip().lower() not in _TYPES[self._kind] or (named and not same_charset(named[1], self.charset)):
            raise RequestInvalid(
                Code.BODY_INVALID, f"content type: expected {self._kind} in {self.charset}", status=415
            )

    def _read_body(self, incoming: Incoming) -> dict[Parameter, str]:
        """The values in a body that is as the template but for them."""
        self._check_type(incoming)
        try:
            text = incoming.body.decode(self.charset)
            document = wire_json.parse(text, MAX_DEPTH) if self._kind == "json" else wire_xml.parse(text, MAX_DEPTH)
            found = {p: self._found(document, p, place) for p, place in self._in_body.items()}
        except (BodyFault, UnicodeDecodeError):
            raise RequestInvalid(Code.BODY_INVALID, "the body cannot be read in one way", status=400) from None
        if wire_json.JUNK in found.values():
            raise RequestInvalid(Code.BODY_INVALID, "a declared place holds no single value")
        present = {p for p, value in found.items() if value is not ABSENT}
        mine, given = self._template(), document
        self._blank(mine, self._in_body.keys())
        self._blank(given, present)
        flat = wire_json.flat if self._kind == "json" else wire_xml.flat
        known: Any = flat(mine)
        if any(place not in known or known[place] != value for place, value in flat(given).items()):
            raise RequestInvalid(Code.FIELD_UNKNOWN, "the body is not as declared")
        return {p: found[p] or "" for p in present}

    def _blank(self, document: Any, parameters: Any) -> None:
        for parameter in parameters:
            self._put(document, parameter, "")

    def _put(self, document: Any, parameter: Parameter, text: str) -> None:
        place = self._in_body[parameter]
        if parameter.where == "json":
            wire_json.put(document, place, wire_json.like(wire_json.get(document, place), text))
        else:
            wire_xml.put(document, place, text)

    def _page(self, values: Values) -> tuple[int, int]:
        paging = self.route.paging
        size = self._number(values, "size", paging.size, 1, paging.max_size)
        page = self._number(values, "page", paging.first, paging.first, 10**8)
        offset = self._number(values, "offset", 0, 0, 10**8)
        return offset + (page - paging.first) * size, size

    def _number(self, values: Values, meaning: str, default: int, least: int, most: int) -> int:
        parameter = self._by_meaning.get(meaning)
        text = values.get(parameter, "") if parameter is not None else ""
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise _invalid(meaning, f"expected an integer from {least} to {most}")
        return int(text)

    def _target(self, values: Values, today: int) -> Subject | Search:
        by = self._by_meaning
        try:
            if "person_id" in by:
                return Subject(person_id=identifiers.citizen_number(values[by["person_id"]], today))
            if "name" in by:
                day = _iso(values[by["birth_date"]], by["birth_date"])
                return Subject(name=identifiers.person_name(values[by["name"]]), birth_date=day)
        except IdentifierInvalid as exc:
            raise RequestInvalid(exc.code, str(exc)) from exc
        return Search(tuple(Condition(str(p.field), "eq", values[p]) for p in self._conditions if p in values))

    # --- towards the service -------------------------------------------------------------------------------------

    def values_for(self, target: Subject | Search) -> tuple[Values, ...]:
        """What to send to ask about a target: one set of values for each legal form of a number; none if it cannot be asked."""
        by = self._by_meaning
        if isinstance(target, Search):
            return self._search(target) if self.target == "search" and self._fixed() else ()
        if target.person_id is not None and self.target == "person" and self._fixed():
            return tuple({by["person_id"]: form} for form in identifiers.citizen_number_forms(target.person_id))
        if target.name and target.birth_date and self.target == "name" and self._fixed():
            day = target.birth_date
            written = day if by["birth_date"].format == "YYYY-MM-DD" else day.replace("-", "")
            return ({by["name"]: target.name, by["birth_date"]: written},)
        return ()

    def _fixed(self) -> bool:
        """Whether the call needs nothing but the target."""
        return not any(p.required and p.meaning in {"condition", "passed"} for p in self.route.parameters)

    def _search(self, target: Search) -> tuple[Values, ...]:
        mine = {p.field: p for p in self._conditions}
        asked = [c.field for c in target.conditions]
        single = all(c.operator == "eq" and not isinstance(c.value, tuple) for c in target.conditions)
        if not single or len(set(asked)) != len(asked) or not set(asked) <= mine.keys():
            return ()
        return ({mine[c.field]: str(c.value) for c in target.conditions},)

    def outgoing(self, values: Values, paging: Mapping[str, str], query: str = "") -> Outgoing:
        """The call to the service.

        Args:
            values: of the parameters.
            paging: meaning → value for the page that is fetched now; the client's own paging is left out.
            query: the whole query instead, from a ``Link`` header of the service.

        Raises:
            RequestInvalid: a value has characters that the service's charset lacks.
        """
        sent = {p: text for p, text in values.items() if p.meaning not in {"page", "offset", "size", "cursor"}}
        sent |= {self._by_meaning[name]: text for name, text in paging.items() if name in self._by_meaning}
        by_place = {
            place: {p.name: t for p, t in sent.items() if p.where == place}
            for place in ("path", "query", "form", "header")
        }
        try:
            path = "/".join([_segment(s, by_place["path"], self.charset) for s in self.segments])
            queried = query or urlencode(by_place["query"], encoding=self.charset, errors="strict")
            body = self._body(sent, by_place["form"])
        except UnicodeEncodeError:
            raise RequestInvalid(Code.BODY_INVALID, "a value cannot be written for the service") from None
        headers = dict(by_place["header"])
        if body is not None:
            headers["Content-Type"] = self.route.request.content_type or f"{_SENT[self._kind]}; charset={self.charset}"
        return Outgoing(self.route.method, path, queried, headers, body)

    def link(self, call: Call, path: str, cursor: str) -> str:
        """Address of the following page for a client of ours: the same path and query with this cursor."""
        mine = self._by_meaning["cursor"]
        queried = {p.name: text for p, text in call.values.items() if p.where == "query" and p is not mine}
        query = urlencode({**queried, mine.name: cursor}, encoding=self.charset, errors="strict")
        return f"{quote(path, safe='/', encoding='latin-1')}?{query}"

    def _body(self, sent: Values, form: Mapping[str, str]) -> bytes | None:
        if self._kind == "form":
            return urlencode(form, encoding=self.charset, errors="strict").encode("ascii")
        if not self._in_body:
            return self.route.request.template.encode(self.charset) if self.route.request.template else None
        document = deepcopy(self._template())
        for parameter in self._in_body:
            if parameter in sent:
                self._put(document, parameter, sent[parameter])
        if self._kind == "json":
            return wire_json.dump(document, spaced=False, escaped=False).encode(self.charset)
        return (wire_xml.split(self.route.request.template)[0] + wire_xml.dump(document)).encode(self.charset)


def _segment(segment: str, in_path: Mapping[str, str], charset: str) -> str:
    text = in_path[segment[1:-1]] if segment.startswith("{") else segment
    return quote(text, safe="", encoding=charset, errors="strict")


def match(routes: Sequence[OpenRoute], incoming: Incoming) -> tuple[OpenRoute, Mapping[str, str]] | None:
    """The route of a call, and what stands in its path; None where none is declared."""
    for opened, found in _of_path(routes, incoming.path):
        if opened.route.method == incoming.method:
            return opened, found
    return None


def methods(routes: Sequence[OpenRoute], path: str) -> tuple[str, ...]:
    """The methods that are declared for a path."""
    return tuple(sorted({opened.route.method for opened, _ in _of_path(routes, path)}))


def _of_path(routes: Sequence[OpenRoute], path: str) -> Iterator[tuple[OpenRoute, Mapping[str, str]]]:
    for opened in routes:
        try:
            text = path.encode("latin-1").decode(opened.charset)
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
        found = opened.matches(text.removeprefix("/").split("/"))
        if found is not None:
            yield opened, found


def same_charset(first: str, second: str) -> bool:
    """Whether two names are those of one charset; ``gb2312`` is sent by many that mean GBK."""
    try:
        names = {codecs.lookup(first).name, codecs.lookup(second).name}
    except LookupError:
        return False
    return len(names) == 1 or names in ({"gb2312", "gbk"}, {"gb2312", "gb18030"})


def accepts_gzip(header: str) -> bool:
    """Whether an ``Accept-Encoding`` names gzip and does not refuse it (RFC 9110 §12.5.3)."""
    for part in header.lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() in {"gzip", "x-gzip"}:
            return not re.fullmatch(r"\s*q\s*=\s*0(?:\.0*)?\s*", quality)
    return False


def _pairs(text: str, charset: str, what: str) -> Mapping[str, str]:
    if not text:
        return {}
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=True,
            encoding=charset,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:  # UnicodeDecodeError is one
        raise _invalid(what, f"expected names and values in {charset}") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _invalid(what, "expected each name once")
    return found


def _allowed(parameter: Parameter, text: str) -> str:
    most = MAX_CURSOR if parameter.meaning == "cursor" else MAX_VALUE
    if len(text) > most or _CONTROL.search(text):
        raise _invalid(parameter.name, f"expected at most {most} characters without control characters")
    if parameter.values is not None and text not in parameter.values:
        raise _invalid(parameter.name, "expected one of the declared values")
    if parameter.pattern is not None and not re.fullmatch(parameter.pattern, text):
        raise _invalid(parameter.name, "expected the declared form")
    if parameter.where == "header" and not text.isascii():
        raise _invalid(parameter.name, "expected ASCII")
    return text


def _iso(text: str, parameter: Parameter) -> str:
    dashed = parameter.format == "YYYY-MM-DD"
    if date_of(text, dashed=dashed) == NO_DATE:
        raise _invalid(parameter.name, f"expected a day {parameter.format}")
    return text if dashed else f"{text[:4]}-{text[4:6]}-{text[6:]}"


def _invalid(name: str, text: str) -> RequestInvalid:
    return RequestInvalid(Code.BODY_INVALID, f"{name}: {text}")
