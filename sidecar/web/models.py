"""Bodies of the API as pydantic models: the source of OpenAPI 3.1 and the reader of every body but the hot one.

An inquiry's body is read by hand (``gateway.body``); a property test holds the hand equal to ``INQUIRY`` here.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, TypeAdapter

from sidecar.gateway import body

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
LINE = r"^[^\u0000-\u001f\u007f-\u009f]*$"
LINES = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$"


class Model(BaseModel):
    """A body or a part of one: no unknown members, no conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("control characters are not accepted")
    return text


def _lines(text: str) -> str:
    if _CONTROL_BUT_LINES.search(text):
        raise ValueError("control characters are not accepted")
    return text


def _day(text: str) -> str:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("expected YYYY-MM-DD")
    date.fromisoformat(text)
    return text


def line(limit: int, description: str, *, least: int = 0, examples: list[str] | None = None) -> Any:
    """A field for a text of one line; where ``least`` is 0 it may be left out, which is the same as blank."""
    return Field(
        default="" if least == 0 else ...,
        min_length=least,
        max_length=limit,
        description=description,
        examples=examples,
        json_schema_extra={"pattern": LINE},
    )


def _stated(name: str, description: str, *, least: int = 0, examples: list[str] | None = None) -> Any:
    return line(body.TEXT_LIMITS[name], description, least=least, examples=examples)


Line = Annotated[StrictStr, AfterValidator(_line)]
Lines = Annotated[StrictStr, AfterValidator(_lines)]
Day = Annotated[StrictStr, AfterValidator(_day)]
ReasonCode = Annotated[StrictStr, Field(pattern=r"^[a-z]+(-[a-z]+)*$")]
SafeInteger = Annotated[StrictInt, Field(ge=-body.MAX_SAFE_INTEGER, le=body.MAX_SAFE_INTEGER)]
SearchText = Annotated[Line, Field(max_length=body.TEXT_LIMITS["value"], json_schema_extra={"pattern": LINE})]


class PersonById(Model):
    """A person by citizen number (GB 11643), 18 or 15 digits."""

    person_id: Line = _stated("person_id", "Citizen number.", least=1, examples=["339901200506019013"])


class PersonByName(Model):
    """A person by name and day of birth."""

    name: Line = _stated("name", "Name as registered.", least=1)
    birth_date: Day = Field(description="Day of birth.", json_schema_extra={"format": "date"})


class Basis(Model):
    """Legal basis (Q2): an instrument and an article of the revision's allow-list."""

    instrument: Line = _stated("instrument", "Title, alias or id of the law, regulation or decision.")
    article: Line = _stated("article", "Article.")


class Comparing(Model):
    """A declared field compared with one value."""

    field: Line = _stated("field", "A field that the catalog declares filterable.", least=1)
    operator: Literal["eq", "ne", "lt", "le", "gt", "ge"]
    value: SearchText | SafeInteger


class Beginning(Model):
    """A declared field that begins with a text."""

    field: Line = _stated("field", "A field that the catalog declares filterable.", least=1)
    operator: Literal["prefix"]
    value: SearchText


class AnyOf(Model):
    """A declared field that has one of several values."""

    field: Line = _stated("field", "A field that the catalog declares filterable.", least=1)
    operator: Literal["in"]
    value: list[SearchText | SafeInteger] = Field(min_length=1, max_length=body.MAX_LIST)


class Order(Model):
    """Order by a declared field."""

    field: Line = _stated("field", "A field that the catalog declares sortable.", least=1)
    order: Literal["asc", "desc"] = "asc"


class _Facts(Model):
    database: Line = _stated("database", "Name of the database.", least=1)
    scope: Literal["open", "sealed"] = Field("open", description="What is asked for.")
    reason: Lines = Field(
        "", max_length=body.MAX_REASON, description="Reason, for the dossier.", json_schema_extra={"pattern": LINES}
    )
    basis: Basis = Field(default_factory=Basis)
    purpose: Line = _stated("purpose", "Purpose code: what the answer will be used for.")
    case_number: Line = _stated("case_number", "Case number, or the internal file's number (R12).")
    letter: Line = _stated("letter", "Unit letter: a compact JWS, or the number of a registered paper letter.")
    application_id: Line = _stated("application_id", "Id of the approved application.")


class _Stated(_Facts):
    page_size: StrictInt = Field(
        50,
        ge=1,
        le=body.MAX_PAGE_SIZE,
        description="Records a page; a deployment may set another default and a lower bound.",
    )
    cursor: Line = _stated("cursor", "`next_cursor` of the page before; everything else is stated as before.")
    sort: list[Order] = Field(default=[], max_length=body.MAX_SORT)


class InquiryBySubject(_Stated):
    """An inquiry about one person."""

    subject: PersonById | PersonByName


class InquiryBySearch(_Stated):
    """An inquiry by declared fields."""

    filter: list[Comparing | Beginning | AnyOf] = Field(min_length=1, max_length=body.MAX_CONDITIONS)


INQUIRY: TypeAdapter[InquiryBySubject | InquiryBySearch] = TypeAdapter(InquiryBySubject | InquiryBySearch)
"""Body of ``POST /v1/inquiries``."""


class NewSession(_Facts):
    """Facts of the one inquiry that a session stands for."""

    subject: PersonById | PersonByName


class SessionOpened(Model):
    """Name and password, for HTTP basic authentication below `/proxy/{database}/` (RFC 7617). They are told once."""

    inquiry_id: str
    username: str
    password: str
    expires: int = Field(description="POSIX seconds until which the session is good.")
    obligations: list[str]
    receipt: str = Field(description="Compact JWS over the released bytes (`typ: receipt+jwt`).")


# --- applications ------------------------------------------------------------------------------------------------


class NewApplication(Model):
    """A written application (Q5). The policy's parameters say which bases and purposes there are."""

    database: Line = _stated("database", "Name of the database.", least=1)
    subject: PersonById | PersonByName
    scope: Literal["open", "sealed"] = "sealed"
    reason: Lines = Field(min_length=1, max_length=body.MAX_REASON, json_schema_extra={"pattern": LINES})
    basis: Basis
    purpose: Line = _stated("purpose", "Purpose code.", least=1)
    case_number: Line = _stated("case_number", "Case number, or the internal file's number (R12).")


class NewLetter(Model):
    """A paper letter of a unit (Q5); both days are inclusive (R17)."""

    unit: Line = line(18, "Unified social credit code of the issuing unit.", least=1)
    number: Line = line(64, "Number of the letter.", least=1, examples=["京公法字〔2026〕337号"])
    officer: Line = line(128, "Number of the officer whom it names.", least=1)
    subjects: list[SearchText] = Field(
        min_length=1, max_length=100, description="Citizen numbers, or `name/YYYY-MM-DD`."
    )
    databases: list[SearchText] = Field(min_length=1, max_length=100)
    scope: Literal["open", "sealed"]
    basis: Basis
    purpose: Line = _stated("purpose", "Purpose code.", least=1)
    valid_from: Day = Field(json_schema_extra={"format": "date"})
    valid_to: Day = Field(json_schema_extra={"format": "date"})
    uses: StrictInt = Field(1, ge=1, le=10000, description="How often it may be used.")


class LetterRegistered(Model):
    """A registered letter, with its number as it is counted."""

    unit: str
    number: str


class Approval(Model):
    """An approval (Q6)."""

    copies_approved: StrictBool = Field(False, description="Whether copies of documents are necessary (Q9).")
    valid_days: StrictInt = Field(
        0, ge=0, le=3660, description="So many days after today it is good; 0: as the deployment is set."
    )


class ApplicationRefusal(Model):
    """A refusal (Q7)."""

    codes: list[ReasonCode] = Field(min_length=1, max_length=16, description="Reason codes.")
    text: Lines = Field("", max_length=body.MAX_REASON, json_schema_extra={"pattern": LINES})


class Signature(Model):
    """Signing of the confidentiality undertaking (Q8)."""

    language: Literal["zh", "en"] = Field("zh", description="Which wording is signed, where `wording` names none.")
    wording: StrictStr = Field(
        "", pattern=r"^([0-9a-f]{64})?$", description="Digest of exactly the wording that was shown (`to_sign`)."
    )


# --- answers -----------------------------------------------------------------------------------------------------

Identifier = Annotated[
    StrictStr,
    Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", description="UUIDv7."),
]
Receipt = Annotated[
    StrictStr,
    Field(
        pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$",
        description="Compact JWS (EdDSA, `typ: receipt+jwt`); `answer` in it commits to everything else in this body.",
    ),
]


Instant = Annotated[StrictStr, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$")]


class Refused(Model):
    """Why an application was refused."""

    codes: list[ReasonCode]
    text: str


class Wording(Model):
    """A wording of the undertaking."""

    language: Literal["zh", "en"]
    version: int
    text: str
    wording: str = Field(description="Its digest, to be sent with the signature.")


class Event(Model):
    """Something that happened to an application."""

    action: str
    state: str
    actor: str
    time: Instant
    entry: Identifier


class Application(Model):
    """An application, as its officer and an approver see it."""

    id: Identifier
    state: Literal["draft", "submitted", "approved", "refused", "withdrawn", "expired"]
    version: int = Field(ge=1)
    received: Instant
    database: str
    scope: Literal["open", "sealed"]
    subject: PersonById | PersonByName | None = Field(
        description="Null at the end (refused, withdrawn, over): subject, reason and case number are in the dossier only."
    )
    reason: str
    basis: str
    purpose: str
    case_number: str
    officer: str
    approver: str | None
    valid_to: Instant | None
    copies_approved: bool
    undertaking_by: str | None
    refusal: Refused | None
    to_sign: list[Wording] = Field(description="Wordings of which one must be signed now.")
    history: list[Event]


class InquiryAnswer(Model):
    """What is released."""

    inquiry_id: Identifier
    records: list[dict[str, Any]] = Field(description="Records of this page; fields as the views show them.")
    count: int = Field(ge=0, description="All records released over all pages.")
    next_cursor: str | None = Field(description="Where the next page begins; null on the last page.")
    obligations: list[str] = Field(description="What must be done, or not done, with the answer.")
    receipt: Receipt


class Reason(Model):
    """One reason."""

    code: ReasonCode
    title: str


class Problem(Model):
    """A problem document (RFC 9457): the same whoever the subject is."""

    type: str = Field(json_schema_extra={"format": "uri-reference"})
    title: str
    status: int = Field(ge=200, le=599)
    code: ReasonCode = Field(description="The first reason's code.")
    reasons: list[Reason] = Field(min_length=1)
    missing: list[str] = Field(description="What should be brought.")
    rules: list[str] = Field(default=[], description="Rules that carried the decision.")
    detail: str = Field("", description="What is wrong with the request's form.")
    inquiry_id: Identifier | None = Field(None, description="The inquiry, where one was recorded.")
    receipt: Receipt | None = Field(None, description="Proof of what was answered, where it was recorded.")


class DatabaseListed(Model):
    """A database and its declared fields."""

    name: str
    filterable: list[str]
    sortable: list[str]


class Databases(Model):
    """The databases."""

    databases: list[DatabaseListed]


class KeySet(Model):
    """A JWK set (RFC 7517)."""

    keys: list[dict[str, Any]] = Field(min_length=1)


class Events(Model):
    """Events after a cursor."""

    events: list[dict[str, Any]] = Field(description="CloudEvents 1.0, oldest first.")
    next: int = Field(ge=0, description="Cursor of the next page.")
    last: int = Field(ge=0, description="Sequence of the newest event there is.")


class LogOrigin(Model):
    """One log of the ledger: a year's."""

    origin: str = Field(description="As its checkpoints have it.")
    label: str = Field(description="Its part of the path: `/log/{label}/`.")
    closed: bool
    reason: str = Field("", description="Why it was closed: `year` or `rolled-back`.")
    size: int = Field(0, ge=0, description="Entries of a closed one.")
    root: str = Field("", description="Root of a closed one, base64.")
    destroyed: bool = Field(False, description="Whether its entries were destroyed after their retention.")


class LogOrigins(Model):
    """The ledger's logs, the present one last."""

    origins: list[LogOrigin]


class RevisionListed(Model):
    """An activated revision."""

    number: int = Field(ge=1)
    label: str
    digest: str
    activated: int = Field(description="POSIX milliseconds.")


class Revisions(Model):
    """The latest revisions."""

    revisions: list[RevisionListed]


class Health(Model):
    """The process answers."""

    status: Literal["ok"]


class Checks(Model):
    """Single checks of readiness."""

    revision: bool
    engine: bool
    ledger: bool
    databases: bool


class Readiness(Model):
    """Whether inquiries can be answered."""

    status: Literal["ready", "unready"]
    checks: Checks
