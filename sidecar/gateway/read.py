"""Step 2: from what a door read off the wire to a normalised inquiry (R22), before anything is decided.

1. The envelope: a head that says one thing (RFC 9112), no query parameters, JSON by its content type without a
   content coding, a body within the limit.
2. The body: strictly parsed and of the right shape (``gateway.body``).
3. Identifiers: normalised and checked by their standards; papers are left as stated, for the policy judges them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from sidecar.codes import Code
from sidecar.errors import RequestInvalid
from sidecar.gateway.body import Stated, parse_object, read_shape
from sidecar.gateway.types import Inquiry, Request
from sidecar.law import identifiers
from sidecar.law.days import beijing_day, parse_day
from sidecar.law.identifiers import IdentifierInvalid
from sidecar.records.types import Condition, Search, SortKey, Subject

MAX_IDEMPOTENCY_KEY = 128
"""Characters of an ``Idempotency-Key``: a UUID, or a digest, with a prefix."""

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]*")  # two headers of the name come joined by a comma
_JSON: Final = frozenset({"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What a deployment lets through.

    Attributes:
        body_bytes: largest body.
        page_size: records a page where none is stated.
        max_page_size: largest page size.
    """

    body_bytes: int
    page_size: int
    max_page_size: int


def read_inquiry(request: Request, inquiry_id: str, received: datetime, limits: Limits) -> Inquiry:
    """The inquiry that a request states.

    Raises:
        RequestInvalid: 400, 413, 415 or 422; nothing in its text was sent by the client.
    """
    _check_envelope(request, limits)
    stated = read_shape(parse_object(request.body), limits.page_size, limits.max_page_size)
    return Inquiry(
        id=inquiry_id,
        received=received,
        channel=request.channel,
        database=stated.database,
        target=_target(stated, beijing_day(received)),
        scope=stated.scope,
        reason=stated.reason.strip(),
        basis=(stated.instrument.strip(), stated.article.strip()),
        purpose=stated.purpose.strip(),
        case_number=as_stated(stated.case_number),
        letter=stated.letter.strip(),
        application=stated.application_id.strip(),
        page_size=stated.page_size,
        cursor=stated.cursor,
        sort=tuple(SortKey(field, descending) for field, descending in stated.sort),
        idempotency_key=idempotency_key(request.headers),
    )


def check_coding(headers: Mapping[str, str]) -> None:
    """Refuse a body in a content coding (RFC 9110 §8.4): nothing is unpacked, and nothing read other than it was meant.

    Raises:
        RequestInvalid: ``body-invalid`` (415).
    """
    if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise RequestInvalid(Code.BODY_INVALID, "content encoding: expected none", status=415)


def _check_envelope(request: Request, limits: Limits) -> None:
    if request.fault:
        raise RequestInvalid(Code.BODY_INVALID, request.fault, status=400)
    if len(request.body) > limits.body_bytes:
        raise RequestInvalid(Code.BODY_TOO_LARGE, f"the body is larger than {limits.body_bytes} bytes", status=413)
    if request.query:
        raise RequestInvalid(Code.FIELD_UNKNOWN, "query parameters are not accepted")
    if request.headers.get("content-type", "").lower() not in _JSON:
        raise RequestInvalid(Code.BODY_INVALID, "content type: expected application/json", status=415)
    check_coding(request.headers)


def idempotency_key(headers: Mapping[str, str]) -> str:
    """The ``Idempotency-Key`` header; "" without one.

    Raises:
        RequestInvalid: ``body-invalid``.
    """
    key = headers.get("idempotency-key", "")
    if len(key) > MAX_IDEMPOTENCY_KEY or not _IDEMPOTENCY_KEY.fullmatch(key):
        raise RequestInvalid(
            Code.BODY_INVALID,
            f"Idempotency-Key: expected once, at most {MAX_IDEMPOTENCY_KEY} visible ASCII characters without ','",
        )
    return key


def _target(stated: Stated, today: int) -> Subject | Search:
    try:
        if stated.person_id:
            return Subject(person_id=identifiers.citizen_number(stated.person_id, today))
        if stated.by_subject:
            return _named(stated.name, stated.birth_date, today)
    except IdentifierInvalid as exc:
        raise RequestInvalid(exc.code, str(exc)) from exc
    return Search(tuple(Condition(*condition) for condition in stated.conditions))


def _named(name: str, birth_date: str, today: int) -> Subject:
    """A person by name and birth date, which is not to come (E5, R23)."""
    born = parse_day(birth_date)
    if born is None or born > today:
        raise RequestInvalid(Code.IDENTIFIER_INVALID, "birth_date: expected a day that is not to come")
    return Subject(name=identifiers.person_name(name), birth_date=birth_date)


def as_stated(text: str) -> str:
    """Normalised where it can be; what cannot stays as stated, for the policy refuses it (E7, R12)."""
    try:
        return identifiers.case_number(text) if text.strip() else ""
    except IdentifierInvalid:
        return text


def case_number_state(case_number: str) -> str:
    """``missing``, ``malformed``, ``free_form`` (R12) or ``court_form`` (E7)."""
    if not case_number.strip():
        return "missing"
    if identifiers.is_court_case_number(case_number):
        return "court_form"
    try:
        identifiers.case_number(case_number)
    except IdentifierInvalid:
        return "malformed"
    return "free_form"


def request_digest(inquiry: Inquiry) -> bytes:
    """SHA-256 over everything the inquiry states but its cursor: what a cursor and an ``Idempotency-Key`` belong to."""
    target = inquiry.target
    stated = [
        inquiry.channel,
        inquiry.database,
        [target.person_id, target.name, target.birth_date]
        if isinstance(target, Subject)
        else [[c.field, c.operator, c.value] for c in target.conditions],
        inquiry.scope,
        inquiry.reason,
        inquiry.basis,
        inquiry.purpose,
        inquiry.case_number,
        inquiry.letter,
        inquiry.application,
        inquiry.page_size,
        [[key.field, key.descending] for key in inquiry.sort],
    ]
    return hashlib.sha256(orjson.dumps(stated)).digest()
