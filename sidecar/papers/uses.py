"""Uses of letters and inquiries that share one, as effects of a ledger entry: counted with it or not at all (R17, P2).

Every condition stands in the statement that changes the row, so that of two at once the database lets one through.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from sqlalchemy import Engine, delete, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.codes import Code
from sidecar.errors import LedgerUnavailable, RequestInvalid
from sidecar.law.days import beijing_day
from sidecar.ledger.types import Effect
from sidecar.papers.tables import IDEMPOTENCY_KEYS, INQUIRIES
from sidecar.papers.types import Letter
from sidecar.storage.engine import reading

COUNT_USE: Final = "count_use"
"""Effect that counts a use of a letter; refused (``letter-used``) where none is left."""

OPEN_INQUIRY: Final = "open_inquiry"
"""Effect refused where a twin with the same Idempotency-Key was first."""

SHARE_INQUIRY: Final = "share_inquiry"
"""Effect refused where the inquiry is over or another's."""

STORE_INQUIRY: Final = "store_inquiry"
"""Effect that makes the row, where ``OPEN_INQUIRY`` takes the key."""

_COUNT_USE: Final = (
    "INSERT INTO letter_uses (counter, used) SELECT %(counter)s, 1 WHERE {guard}"
    " ON CONFLICT (counter) DO UPDATE SET used = letter_uses.used + 1 WHERE letter_uses.used < %(uses)s"
)
_INSERT_INQUIRY: Final = (
    "INSERT INTO inquiries (id, officer, request, expires, pages)"
    " SELECT %(id)s, %(officer)s, %(request)s, %(expires)s, 1 WHERE {guard} ON CONFLICT DO NOTHING"
)
_TAKE_KEY: Final = (
    "INSERT INTO idempotency_keys (officer, key, inquiry, expires)"
    " SELECT %(officer)s, %(key)s, %(inquiry)s, %(expires)s WHERE {guard}"
    " ON CONFLICT (officer, key) DO UPDATE SET inquiry = excluded.inquiry, expires = excluded.expires"
    " WHERE idempotency_keys.expires <= %(now)s"
)
_SHARE: Final = (
    "UPDATE inquiries SET pages = pages + 1"
    " WHERE id = %(id)s AND officer = %(officer)s AND request = %(request)s AND expires > %(now)s AND {guard}"
)


class HashKeys(Protocol):
    """The part of ``keys.ring.KeyRing`` that uses need."""

    def keyed_hash(self, kind: str, value: str, year: int) -> str:
        """Keyed hash; raises ``KeyMissing``."""


@dataclass(frozen=True, slots=True)
class Shared:
    """An inquiry whose use a repeated request shares; ``expires``: POSIX seconds."""

    inquiry: str
    expires: int


class Uses:
    """Makes the effects that count, and finds twins. Thread-safe.

    Args:
        engine: the state database.
        keys: hashes requests.
        idempotency_seconds: how long an Idempotency-Key is remembered.
    """

    def __init__(self, engine: Engine, keys: HashKeys, *, idempotency_seconds: int) -> None:
        self._engine = reading(engine)
        self._writing = engine
        self._keys = keys
        self._remembered = idempotency_seconds

    def first_page(
        self,
        *,
        inquiry: str,
        officer: str,
        digest: bytes,
        letter: Letter | None,
        idempotency_key: str,
        further: bool,
        expires: int,
        now: int,
    ) -> Sequence[Effect]:
        """Effects of a new inquiry: one use of its letter, and its row and key where anything can share that use.

        ``OPEN_INQUIRY`` comes first: a repeated request finds its twin before it is told that the letter was used.

        Args:
            inquiry: its id, a UUIDv7.
            officer: ``issuer|subject``.
            digest: of the request.
            letter: the valid letter; None where there is none.
            idempotency_key: "" where there is none.
            further: whether it has a following page.
            expires: POSIX seconds after which it has no further pages.
            now: POSIX seconds.

        Raises:
            KeyMissing: there is no pseudonym key for the year.
        """
        uses = (count_use(letter),) if letter is not None else ()
        if not (idempotency_key or further):
            return uses
        row = {"id": inquiry, "officer": officer, "request": self._request(inquiry, digest), "expires": expires}
        effects = [Effect(OPEN_INQUIRY, _INSERT_INQUIRY, row, required=True)]
        if idempotency_key:
            until = min(expires, now + self._remembered)
            key = {
                "officer": officer,
                "key": _digest(idempotency_key),
                "inquiry": inquiry,
                "expires": until,
                "now": now,
            }
            effects = [
                Effect(OPEN_INQUIRY, _TAKE_KEY, key, required=True),
                Effect(STORE_INQUIRY, _INSERT_INQUIRY, row, required=True),
            ]
        return (*effects, *uses)

    def shared_page(self, *, inquiry: str, officer: str, digest: bytes, now: int) -> Sequence[Effect]:
        """Effect of a following page or a repeated request: the inquiry is this officer's, the same and not over."""
        params = {"id": inquiry, "officer": officer, "request": self._request(inquiry, digest), "now": now}
        return (Effect(SHARE_INQUIRY, _SHARE, params, required=True),)

    def twin(self, officer: str, idempotency_key: str, digest: bytes, now: int) -> Shared | None:
        """The inquiry that this request repeats, where its key is still remembered.

        Raises:
            RequestInvalid: ``idempotency-mismatch``: the key belongs to another request.
            LedgerUnavailable: the state database does not answer.
        """
        statement = (
            select(INQUIRIES.c.id, INQUIRIES.c.request, INQUIRIES.c.expires)
            .join(IDEMPOTENCY_KEYS, IDEMPOTENCY_KEYS.c.inquiry == INQUIRIES.c.id)
            .where(
                IDEMPOTENCY_KEYS.c.officer == officer,
                IDEMPOTENCY_KEYS.c.key == _digest(idempotency_key),
                IDEMPOTENCY_KEYS.c.expires > now,
            )
        )
        try:
            with self._engine.connect() as connection:
                found = connection.execute(statement).first()
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("inquiries cannot be read from the state database") from exc
        if found is None:
            return None
        if found.request != self._request(found.id, digest):
            raise RequestInvalid(Code.IDEMPOTENCY_MISMATCH, "Idempotency-Key: it belongs to another request")
        return Shared(found.id, found.expires)

    def purge(self, now: int) -> int:
        """Forget keys and inquiries that are over; uses of letters stay. How many rows went.

        Args:
            now: POSIX seconds.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        try:
            with self._writing.begin() as connection:
                over = [delete(table).where(table.c.expires <= now) for table in (IDEMPOTENCY_KEYS, INQUIRIES)]
                return sum(connection.execute(statement).rowcount for statement in over)
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("inquiries cannot be purged from the state database") from exc

    def _request(self, inquiry: str, digest: bytes) -> str:
        return self._keys.keyed_hash("request", digest.hex(), _year_of(inquiry))


def count_use(letter: Letter) -> Effect:
    """The effect that counts one use of a letter, on condition that one is left (R17)."""
    return Effect(COUNT_USE, _COUNT_USE, {"counter": letter.counter, "uses": letter.uses}, required=True)


def _year_of(inquiry: str) -> int:
    """Beijing year of the instant in a UUIDv7 (RFC 9562 §5.7): the pages of one inquiry have one, also at New Year."""
    return beijing_day(datetime.fromtimestamp((uuid.UUID(inquiry).int >> 80) / 1000, UTC)) // 10000


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8")).hexdigest()
