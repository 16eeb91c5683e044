"""The catalog's keys for a legacy HTTP service: how it is reached, and its declared routes (P3, P7).

A route says where the subject stands in a call, and where records and totals stand in the answer. What goes out is made from the
route's own template, so that nothing of an answer passes but what the catalog names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sidecar.records import wire_json

MAX_ROWS: Final = 2000
"""Largest bound B: what one inquiry reads, classifies and forgets again."""

ANSWER_STEP_MS: Final = 50
"""Step of a legacy HTTP service's answers: its own answer usually takes less."""

ANSWER_STEP: Final = (
    "Answers leave at multiples of this time after the request came, so that the time does not tell what was left out. "
    "0 switches it off."
)

Charset = Literal["utf-8", "gb18030", "gbk"]
_Place = Literal["path", "query", "header", "form", "json", "xml"]
_Meaning = Literal[
    "person_id", "name", "birth_date", "condition", "page", "offset", "size", "cursor", "passed"
]  # fmt: skip
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_SEGMENT = re.compile(r"[^/{}?#%\s]+|\{[A-Za-z][A-Za-z0-9_-]{0,63}\}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_OWN_REQUEST: Final = frozenset(
    {"authorization", "connection", "content-encoding", "content-length", "content-type", "cookie", "host", "te", "trailer",
     "accept-encoding", "expect", "proxy-authorization", "transfer-encoding", "upgrade", "range", "if-none-match",
     "if-modified-since", "if-match", "if-unmodified-since", "if-range"}
)  # fmt: skip
_OWN_ANSWER: Final = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "cache-control", "date", "etag", "expires",
     "inquiry-receipt", "last-modified", "link", "location", "server", "set-cookie", "trailer", "transfer-encoding",
     "upgrade", "vary", "age", "content-range", "accept-ranges", "content-md5", "digest", "repr-digest"}
)  # fmt: skip
"""Headers that are ours, or that say something about the body: they are never passed on."""

_COUNTED: Final = re.compile("count|total|pages|length|size", re.IGNORECASE)
"""Headers that would count what may not be seen; ``total_header`` is counted anew."""

_PAGED: Final[Mapping[str, str]] = {"page": "page", "offset": "offset", "cursor": "cursor", "link": "cursor"}


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"expected {what}, got {value!r}")
        return value

    return AfterValidator(check)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


HeaderName = Annotated[str, _matching(_HEADER, "the name of a header")]
Texts = Annotated[
    tuple[Annotated[str, BeforeValidator(lambda v: str(v) if type(v) is int else v), Field(max_length=200)], ...],
    Field(min_length=1),
]


class Login(_Model):
    """How the sidecar logs in. The password stands in a file, never here (P7)."""

    kind: Literal["basic", "digest"]
    username: str = Field(min_length=1, max_length=200)
    password_file: Path = Field(description="File with the password; relative to the catalog's folder.")


class Tls(_Model):
    """Certificates towards the service; its own is always verified."""

    ca_file: Path | None = Field(None, description="Its authority, where the system does not know it.")
    certificate_file: Path | None = Field(None, description="The sidecar's client certificate, PEM.")
    key_file: Path | None = Field(None, description="Its private key, PEM.")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        return self


class HttpSource(_Model):
    """How a legacy HTTP service is reached, and what one inquiry may cost it."""

    kind: Literal["http"]
    base_url: str = Field(description="Address that the paths of the routes are added to.")
    login: Login | None = None
    tls: Tls = Tls()
    timeout_ms: int = Field(3000, ge=50, le=60_000, description="Longest wait for a connection and for each part.")
    deadline_ms: int = Field(10_000, ge=100, le=120_000, description="Longest time for all calls of one inquiry.")
    max_bytes: int = Field(4_194_304, ge=1024, le=67_108_864, description="Largest answer to one call, unpacked.")
    max_depth: int = Field(32, ge=2, le=200, description="Deepest nesting of an answer.")
    max_rows: int = Field(
        500, ge=1, le=MAX_ROWS, description="The bound B: an inquiry whose result has more records gets the fixed 503."
    )
    answer_step_ms: int = Field(ANSWER_STEP_MS, ge=0, le=10_000, description=ANSWER_STEP)
    pool_size: int = Field(4, ge=1, le=64, description="Connections a process.")
    inquiry_header: HeaderName = Field("Inquiry-Id", description="Header in which the inquiry's id goes along.")

    @model_validator(mode="after")
    def _plain(self) -> Self:
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("base_url: expected http:// or https:// with a host, without query")
        if parts.username is not None or parts.password is not None:
            raise ValueError("base_url: names and passwords belong under login")
        return self


class Parameter(_Model):
    """One thing that a call says: where it stands and what it means."""

    where: _Place = Field(alias="in")
    name: str = Field(
        min_length=1, max_length=500, description="Name; in a body the path (JSON) or XPath of its place."
    )
    meaning: _Meaning = Field(alias="is")
    required: bool = False
    format: Literal["YYYYMMDD", "YYYY-MM-DD"] = Field("YYYYMMDD", description="Of a birth date.")
    field: str | None = Field(None, description="Filterable field that a condition is on.")
    values: Texts | None = Field(None, description="All that may be passed on.")
    pattern: str | None = Field(None, max_length=200, description="Regular expression of what may be passed on.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.meaning == "condition") != (self.field is not None):
            raise ValueError(f"{self.name}: a condition, and nothing else, has a field")
        passed = self.values is not None or self.pattern is not None
        if (self.meaning == "passed") != passed or (self.values is not None and self.pattern is not None):
            raise ValueError(f"{self.name}: what is passed, and nothing else, has values or a pattern")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as exc:
                raise ValueError(f"{self.name}: no regular expression") from exc
        if self.where in {"path", "query", "form"} and not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name}: expected a name")
        if self.where == "header" and (not _HEADER.fullmatch(self.name) or self.name.lower() in _OWN_REQUEST):
            raise ValueError(f"{self.name}: this header is never passed on")
        if self.where == "json":
            wire_json.compile_path(self.name)
        return self


class Paging(_Model):
    """How the service pages, and so the client is answered; the sidecar itself always walks to the end."""

    kind: Literal["none", "page", "offset", "cursor", "link"] = "none"
    first: int = Field(1, ge=0, le=1, description="Number of the first page.")
    size: int = Field(20, ge=1, le=1000, description="Records a page where the client does not say.")
    max_size: int = Field(100, ge=1, le=1000, description="Most records a page that a client gets.")
    walk: int = Field(100, ge=1, le=1000, description="Records a page that the sidecar asks the service for.")


class Body(_Model):
    """The body that a call has: exactly this, but for the places of the parameters."""

    content_type: str = Field("", max_length=100)
    template: str = Field("", max_length=20_000)
    namespaces: dict[str, str] = Field(default_factory=dict, description="Prefixes of the parameters' XPaths.")


class Check(_Model):
    """A place whose text says that the service succeeded; any other is its fault."""

    path: str
    values: Texts


class Recorded(_Model):
    """A recorded answer and what is known of its records, for the canary at start."""

    body: str = Field(max_length=100_000)
    open: tuple[str, ...] = Field((), description="Keys of the records that the policy must call open.")
    sealed: tuple[str, ...] = Field((), description="Keys of those that it must call sealed.")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.open and not self.sealed:
            raise ValueError("expected the keys of its records")
        return self


class Answer(_Model):
    """Where records and totals stand, and what an answer looks like."""

    format: Literal["json", "xml", "soap11", "soap12"]
    template: str = Field(max_length=20_000, description="The service's answer with no record, as it writes it.")
    content_type: str = Field("", max_length=100, description="As the service writes it.")
    records: str = Field(description="Path of the list (JSON), XPath of the element that holds the records.")
    record: str = Field("", description="XPath of the records from there; not for JSON.")
    namespaces: dict[str, str] = Field(default_factory=dict)
    columns: dict[str, str] = Field(
        default_factory=dict, description="Column → path inside the record, where it is not the member of its name."
    )
    optional: tuple[str, ...] = Field((), description="Columns that a record may lack: null then.")
    hidden: Literal["omit", "blank"] = Field(
        "omit", description="Columns that may not be seen are left out, or empty; optional ones are always left out."
    )
    total: str = Field("", description="Place of the number of all records.")
    pages: str = Field("", description="Place of the number of pages.")
    count: str = Field("", description="Place of the number of records on the page.")
    page: str = Field("", description="Place where the page's number, or the offset, is repeated.")
    size: str = Field("", description="Place where the page's size is repeated.")
    next: str = Field("", description="Place of the cursor of the next page.")
    succeeded: Check | None = None
    empty_is_null: bool = Field(False, description="XML: an empty element means null; else it is a blank text.")
    absent_is_empty: bool = Field(False, description="Without the list there are no records; else it is a fault.")
    empty_statuses: tuple[Annotated[int, Field(ge=204, le=410)], ...] = Field(
        (), description="Statuses that mean that there is no record, e.g. 404."
    )
    total_header: HeaderName | None = Field(None, description="Header with the number of all records.")
    headers: tuple[HeaderName, ...] = Field((), description="Headers of the service that are passed on.")
    spaced: bool = Field(False, description="JSON: a blank follows each comma and colon.")
    escaped: bool = Field(False, description="JSON: characters beyond ASCII are escaped.")
    gzip: bool = Field(False, description="Answers are packed for clients that accept it.")
    recorded: tuple[Recorded, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.format == "json") == bool(self.record):
            raise ValueError("record: expected for XML and SOAP, and for them only")
        if own := [name for name in self.headers if name.lower() in _OWN_ANSWER or _COUNTED.search(name)]:
            raise ValueError(f"headers: never passed on: {own}")
        return self

    def numbers(self) -> dict[str, str]:
        """What is put where in the template."""
        named = {name: getattr(self, name) for name in ("total", "pages", "count", "page", "size", "next")}
        return {name: place for name, place in named.items() if place}


class Route(_Model):
    """One call that may be made. What is not declared is not there."""

    name: str = Field(min_length=1, max_length=64)
    method: Literal["GET", "POST"] = Field(description="A call that reads; what writes is never declared.")
    path: str = Field(max_length=500, description="Path below the database, with {names} as whole segments.")
    charset: Charset = Field("utf-8", description="Of bodies, queries and forms, both ways.")
    parameters: tuple[Parameter, ...] = Field((), max_length=50)
    paging: Paging = Paging()
    request: Body = Body()
    answer: Answer

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        segments = self.segments()
        if not all(_SEGMENT.fullmatch(segment) and segment not in {".", ".."} for segment in segments):
            raise ValueError(f"{self.name}: path: expected /segments/{{names}}, got {self.path!r}")
        named = sorted(segment[1:-1] for segment in segments if segment.startswith("{"))
        if named != sorted(p.name for p in self.parameters if p.where == "path"):
            raise ValueError(f"{self.name}: the path and the parameters in it name others")
        self._places()
        self._meanings()
        return self

    def segments(self) -> tuple[str, ...]:
        """The path's segments."""
        return tuple(self.path.removeprefix("/").split("/"))

    def _places(self) -> None:
        seen = [(p.where, p.name.lower() if p.where == "header" else p.name) for p in self.parameters]
        if len(set(seen)) != len(seen):
            raise ValueError(f"{self.name}: a place is named twice")
        bodies = {p.where for p in self.parameters} & {"form", "json", "xml"}
        if len(bodies) > 1 or (bodies and self.method == "GET"):
            raise ValueError(f"{self.name}: expected one kind of body, with POST")
        if bool(bodies & {"json", "xml"}) != bool(self.request.template):
            raise ValueError(f"{self.name}: request.template: expected where parameters stand in JSON or XML")

    def _meanings(self) -> None:
        found = {p.meaning for p in self.parameters if p.meaning not in {"condition", "passed"}}
        if sum(p.meaning not in {"condition", "passed"} for p in self.parameters) != len(found):
            raise ValueError(f"{self.name}: a meaning is there twice")
        by_number, by_name = "person_id" in found, bool(found & {"name", "birth_date"})
        if by_name and not {"name", "birth_date"} <= found:
            raise ValueError(f"{self.name}: name and birth_date belong together")
        conditions = any(p.meaning == "condition" for p in self.parameters)
        if by_number + by_name + conditions != 1:
            raise ValueError(f"{self.name}: expected person_id, or name and birth_date, or conditions")
        wanted = {_PAGED[self.paging.kind]} if self.paging.kind in _PAGED else set()
        if (found & {"page", "offset", "cursor"}) != wanted or ("size" in found and not wanted):
            raise ValueError(f"{self.name}: paging {self.paging.kind} and its parameters do not fit")
        if (self.paging.kind == "cursor") != bool(self.answer.next):
            raise ValueError(f"{self.name}: answer.next: expected with paging by cursor, and only there")

    def body_kind(self) -> str:
        """``form``, ``json``, ``xml``, or nothing."""
        return next((p.where for p in self.parameters if p.where in {"form", "json", "xml"}), "")


def distinct(routes: tuple[Route, ...]) -> None:
    """Check that no two routes answer one call, and that their names differ.

    Raises:
        ValueError: two do.
    """
    names = [route.name for route in routes]
    shapes = [(r.method, tuple("{}" if s.startswith("{") else s for s in r.segments())) for r in routes]
    if len(set(names)) != len(names) or len(set(shapes)) != len(shapes):
        raise ValueError("routes: two have one name, or one method and path")
