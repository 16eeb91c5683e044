"""A typed inquiry and its answer: what both doors (Flask route, thin lane) hand to the one handler (P1–P3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.records.types import Search, SortKey, Subject


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One inquiry as read and normalised (step 2). Blank papers are empty strings; the policy says what is missing.

    Attributes:
        id: UUIDv7.
        received: instant of receipt, UTC.
        channel: a value of ``codes.Channel``.
        database: name of a catalog; may be unknown.
        target: subject or search.
        scope: ``open`` | ``sealed``.
        reason: free text, for the dossier only.
        basis: (instrument, article) as stated.
        purpose: as stated.
        case_number: as stated, brackets normalised (R22).
        letter: compact JWS, or the number of a registered paper letter.
        application: id of the application.
        page_size, cursor, sort: paging.
        idempotency_key: ``Idempotency-Key`` header.
    """

    id: str
    received: datetime
    channel: str
    database: str
    target: Subject | Search
    scope: str
    reason: str
    basis: tuple[str, str]
    purpose: str
    case_number: str
    letter: str
    application: str
    page_size: int
    cursor: str
    sort: tuple[SortKey, ...]
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a door read off the wire, before anything is believed.

    A door gives the head with ``arriving``; only who was authenticated by it is listened to further. A body that was
    announced and never comes holds a thread for as long as its connection lives: nobody without a token gets one.
    """

    channel: str
    method: str
    path: str
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    source: str  # peer address, for counting unauthenticated attempts
    query: str = ""  # query string without the question mark; no operation of the gateway takes one
    fault: str = ""  # what is wrong with the head (RFC 9112), for the client; the handler refuses and records it
    arriving: Callable[[], bytes] | None = None  # reads the body off the wire, where that was not done yet

    def whole(self) -> Request:
        """The request with its body; blocks until it has come."""
        return self if self.arriving is None else replace(self, body=self.arriving(), arriving=None)


@dataclass(frozen=True, slots=True)
class Response:
    """What a door sends, byte for byte, at a multiple of ``step`` seconds after the request came; 0 is at once."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    step: float = 0.0
