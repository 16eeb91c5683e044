"""Inquiry sessions: a name and a password that stand for one inquiry's officer and facts, for legacy clients (RFC 7617, Q5, R17).

The password has 256 random bits and is told once. What is stored is an HMAC under it, and officer and facts sealed under a key
that it gives: whoever reads the table learns neither who asks about whom nor how to go on asking (P6).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, delete, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.codes import Code
from sidecar.errors import LedgerUnavailable, TokenRejected
from sidecar.gateway.stated import Facts
from sidecar.identity.types import Officer, WorkCertificate
from sidecar.ledger.types import Effect
from sidecar.papers.tables import INQUIRIES, SESSIONS
from sidecar.records.types import Subject
from sidecar.storage.engine import reading

SECRET_BYTES: Final = 32
"""Too many to be guessed, so that a plain HMAC of them can be stored."""

MAX_CREDENTIALS: Final = 256
"""Characters of ``user:password`` in base64; ours have 108."""

_OPEN: Final = (
    "INSERT INTO inquiry_sessions (id, verifier, content, expires)"
    " SELECT %(id)s, %(verifier)s, %(content)s, %(expires)s WHERE {guard}"
)
# One key for one content: a nonce is never used twice.
_NONCE: Final = bytes(12)
_NOBODY: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Session:
    """An open session.

    Attributes:
        id: of its inquiry.
        officer: as the token said when it was opened.
        database: name; subject: whom it is about.
        facts: what was stated.
        expires: POSIX seconds.
        pages: answers that its inquiry has given.
    """

    id: str
    officer: Officer
    database: str
    subject: Subject
    facts: Facts
    expires: int
    pages: int


class Sessions:
    """Opens sessions and finds them again. Thread-safe.

    Args:
        engine: the state database.
        revoked: whether a token was taken back, by issuer and id; asked on every use.
    """

    def __init__(self, engine: Engine, revoked: Callable[[str, str], bool]) -> None:
        self._reading = reading(engine)
        self._writing = engine
        self._revoked = revoked

    def opening(self, session: Session, secret: bytes) -> Effect:
        """The effect that stores a session with the entry of its inquiry.

        Args:
            session: what it stands for.
            secret: ``SECRET_BYTES`` fresh random bytes; told to the client, kept nowhere.
        """
        content = {
            "officer": asdict(session.officer) | {"roles": sorted(session.officer.roles)},
            "database": session.database,
            "subject": asdict(session.subject),
            "facts": asdict(session.facts),
        }
        sealed = AESGCM(_derive(secret, b"key")).encrypt(_NONCE, orjson.dumps(content), session.id.encode())
        row = {"id": session.id, "verifier": _verifier(secret), "content": sealed, "expires": session.expires}
        return Effect("open_session", _OPEN, row, required=True)

    def find(self, authorization: str, now: int) -> Session:
        """The session of an ``Authorization: Basic …`` header.

        Raises:
            TokenRejected: ``session-unknown``: no such session, another password, or its time is over; which is not said.
                ``token-revoked``: the token that it was opened with was taken back.
            LedgerUnavailable: the state database does not answer.
        """
        name, secret = _credentials(authorization)
        row = self._row(name)
        # Compared whether there is a session or not: the time says nothing.
        same = hmac.compare_digest(_verifier(secret), row.verifier if row is not None else _NOBODY)
        if row is None or not same or row.expires <= now:
            raise _unknown()
        try:
            content = orjson.loads(AESGCM(_derive(secret, b"key")).decrypt(_NONCE, row.content, row.id.encode()))
        except InvalidTag:
            raise _unknown() from None
        session = _read(row, content)
        if self._revoked(session.officer.issuer, session.officer.token_id):
            raise TokenRejected(Code.TOKEN_REVOKED, "the session's token was taken back")
        return session

    def _row(self, name: str) -> Any:
        query = (
            select(SESSIONS, INQUIRIES.c.pages)
            .join(INQUIRIES, INQUIRIES.c.id == SESSIONS.c.id)
            .where(SESSIONS.c.id == name)
        )
        try:
            with self._reading.connect() as connection:
                return connection.execute(query).first()
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("sessions cannot be read from the state database") from exc

    def purge(self, now: int) -> int:
        """Forget sessions that are over; how many. ``now``: POSIX seconds.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        try:
            with self._writing.begin() as connection:
                return connection.execute(delete(SESSIONS).where(SESSIONS.c.expires <= now)).rowcount
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("sessions cannot be purged from the state database") from exc


def password(secret: bytes) -> str:
    """A secret as the client sends it."""
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")


def _credentials(authorization: str) -> tuple[str, bytes]:
    _, _, encoded = authorization.partition(" ")
    try:
        if len(encoded) > MAX_CREDENTIALS:
            raise _unknown()
        name, _, word = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
        secret = base64.b64decode(word + "=" * (-len(word) % 4), b"-_", validate=True)
        if str(uuid.UUID(name)) != name or len(secret) != SECRET_BYTES or password(secret) != word:
            raise _unknown()
    except (binascii.Error, ValueError):  # UnicodeDecodeError is one
        raise _unknown() from None
    return name, secret


def _unknown() -> TokenRejected:
    return TokenRejected(Code.SESSION_UNKNOWN, "no such session, or its time is over")


def _derive(secret: bytes, what: bytes) -> bytes:
    return hmac.digest(secret, b"inquiry-session " + what, hashlib.sha256)


def _verifier(secret: bytes) -> str:
    return _derive(secret, b"verifier").hex()


def _read(row: Any, content: dict[str, Any]) -> Session:
    officer = content["officer"]
    certificate = WorkCertificate(**officer.pop("certificate"))
    roles = frozenset(officer.pop("roles"))
    return Session(
        id=row.id,
        officer=Officer(**officer, certificate=certificate, roles=roles),
        database=content["database"],
        subject=Subject(**content["subject"]),
        facts=Facts(**content["facts"]),
        expires=row.expires,
        pages=row.pages,
    )
