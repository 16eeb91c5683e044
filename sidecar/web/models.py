"""Bodies of the API as pydantic models: the source of OpenAPI 3.1 and the reader of every body but the hot one.

An inquiry's body is read by hand (``gateway.body``); a property test holds the hand equal to ``INQUIRY`` here.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr, TypeAdapter

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
SafeInteger = Annotated[StrictInt, Field(ge=-body.MAX_SAFE_INTEGER, le=body.MAX_SAFE_INTEGER)]
SearchText = Annotated[Line, Field(max_length=body.TEXT_LIMITS["value"], json_schema_extra={"pattern": LINE})]


class PersonById(Model):
    """A person by citizen number (GB 11643), 18 or 15 digits."""

    person_id: Line = _stated("person_id", "Citizen number.", least=1, examples=["330102200506010017"])


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


class _Stated(Model):
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
