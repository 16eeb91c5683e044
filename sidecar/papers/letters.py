"""Unit letters (单位公函): signed ones verified in numbered steps, paper ones looked up (Q5, R17; RFC 7515, RFC 8725)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Protocol

import jwt
import orjson
from sqlalchemy import Engine, Row, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.codes import Code
from sidecar.errors import LedgerUnavailable
from sidecar.identity.keysets import VerificationKey
from sidecar.identity.types import Officer
from sidecar.law.days import beijing_day, day_last_second, day_start
from sidecar.law.identifiers import IdentifierInvalid, credit_code, letter_number
from sidecar.papers.parse import MAX_LETTER, Claims, LetterMalformed, is_compact, open_parts, read_claims
from sidecar.papers.revocations import Revocations, RevocationsNow
from sidecar.papers.tables import LETTERS
from sidecar.papers.types import Absent, Invalid, Letter
from sidecar.policy.bases import basis_key
from sidecar.policy.types import LegalParameters
from sidecar.storage.engine import reading


class UnitKeys(Protocol):
    """The part of ``identity.registry.Registry`` that letters need."""

    def unit_key(self, unit_code: str, kid: str) -> VerificationKey | None:
        """The unit's key of this name, if it is valid today; raises ``LedgerUnavailable``."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """A letter whose signature was verified with ``key``."""

    issuer: str
    key: VerificationKey
    claims: Claims


class _Refused(Exception):  # never leaves this module
    def __init__(self, code: Code) -> None:
        super().__init__(code.value)
        self.code = code


class LetterReader:
    """Turns what was brought as a letter into a letter. Thread-safe.

    Verified signatures are kept by SHA-256 digest, least recently used ones go first; on a hit the key's presence in
    the registry, the validity and the revocation are checked again.

    Args:
        keys: the units' keys; ``identity.registry.Registry``.
        engine: the state database, for paper letters and revocations.
        audience: this deployment's id.
        cache_size: most verified letters kept; 0 turns the cache off.
        revocations: which letters were taken back; asked of the database each time unless given.
    """

    def __init__(
        self,
        keys: UnitKeys,
        engine: Engine,
        *,
        audience: str,
        cache_size: int,
        revocations: Revocations | None = None,
    ) -> None:
        self._keys = keys
        self._engine = reading(engine)
        self._revocations = revocations or RevocationsNow(engine)
        self._audience = audience
        self._cache_size = cache_size
        self._cache: OrderedDict[bytes, _Verified] = OrderedDict()
        self._lock = Lock()

    def read(self, text: str, officer: Officer, now: datetime, params: LegalParameters) -> Absent | Letter | Invalid:
        """Read a letter: a compact JWS, or the number of a paper letter that was registered for the officer's unit.

        1. Size and form: a text that is neither a compact JWS nor a letter number (E8) is no letter; a number that
           is well formed and not registered is unknown. No member of header or claims is named twice; the header's
           ``typ`` is a letter's and it names no key and no extension.
        2. The issuer is a unit's credit code.
        3. The key is one of that unit by ``kid``, valid today.
        4. The algorithm is of the key.
        5. The signature.
        6. The audience is this deployment and no other.
        7. The claims are well formed (E8, R22).
        8. It has begun and is not over, in whole Beijing days (R17).
        9. It was not taken back.

        Args:
            text: as stated; blank is absent.
            officer: as verified.
            now: the instant of the inquiry.
            params: of the revision that decides; the basis is normalised by them.

        Raises:
            LedgerUnavailable: registry or state database do not answer.
        """
        if not text.strip():
            return Absent()
        try:
            signed = is_compact(text)
            letter = (
                _letter(self._signed(text, now), params) if signed else self._paper(text, officer, params)
            )  # 1 to 7
            _check_validity(letter, now)  # 8
            self._check_revocation(letter)  # 9
        except _Refused as exc:
            return Invalid(exc.code.value)
        return letter

    # --- signed letters ------------------------------------------------------------------------------------------

    def _signed(self, text: str, now: datetime) -> _Verified:
        digest = hashlib.sha256(text.encode("ascii")).digest()
        verified = self._cached(digest)
        if verified is None:
            verified = self._verify(text, beijing_day(now))
            self._keep(digest, verified)
        return verified

    def _verify(self, text: str, today: int) -> _Verified:
        try:
            header, claims = open_parts(text)  # 1
            issuer = credit_code(claims["iss"]) if isinstance(claims.get("iss"), str) else ""  # 2
        except (LetterMalformed, IdentifierInvalid):
            raise _Refused(Code.LETTER_MALFORMED) from None
        if not issuer:
            raise _Refused(Code.LETTER_MALFORMED)
        key = self._key(issuer, header)  # 3, 4
        _check_signature(text, key, header["alg"])  # 5
        _check_audience(claims.get("aud"), self._audience)  # 6
        try:
            return _Verified(issuer, key, read_claims(claims, today))  # 7
        except LetterMalformed:
            raise _Refused(Code.LETTER_MALFORMED) from None

    def _key(self, issuer: str, header: Mapping[str, Any]) -> VerificationKey:
        kid, algorithm = header.get("kid"), header.get("alg")
        key = self._keys.unit_key(issuer, kid) if isinstance(kid, str) else None
        if key is None or not isinstance(algorithm, str) or algorithm not in key.algorithms:
            raise _Refused(Code.LETTER_FORGED)
        return key

    def _cached(self, digest: bytes) -> _Verified | None:
        with self._lock:
            found = self._cache.get(digest)
            if found is None:
                return None
            self._cache.move_to_end(digest)
        if self._keys.unit_key(found.issuer, found.key.kid) is found.key:
            return found
        with self._lock:
            self._cache.pop(digest, None)
        return None

    def _keep(self, digest: bytes, verified: _Verified) -> None:
        if self._cache_size == 0:
            return
        with self._lock:
            self._cache[digest] = verified
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)

    # --- paper letters -------------------------------------------------------------------------------------------

    def _paper(self, text: str, officer: Officer, params: LegalParameters) -> Letter:
        try:
            number = letter_number(text[: MAX_LETTER + 1])
        except IdentifierInvalid:
            raise _Refused(Code.LETTER_MALFORMED) from None
        found = self._row(select(LETTERS).where(LETTERS.c.unit == officer.unit, LETTERS.c.number == number))
        if found is None:
            raise _Refused(Code.LETTER_UNKNOWN)
        return paper_letter(found, params)

    def _check_revocation(self, letter: Letter) -> None:
        if self._revocations.revoked(letter.counter):
            raise _Refused(Code.LETTER_REVOKED)

    def _row(self, statement: Any) -> Row[Any] | None:
        try:
            with self._engine.connect() as connection:
                return connection.execute(statement).first()
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("letters cannot be read from the state database") from exc


def paper_letter(row: Row[Any], params: LegalParameters) -> Letter:
    """A registered paper letter; its subjects are ``<key id> <pseudonym>`` (P6)."""
    return Letter(
        issuer=row.unit,
        number=row.number,
        officer=row.officer,
        subjects=frozenset(orjson.loads(row.subjects)),
        databases=frozenset(orjson.loads(row.databases)),
        scope=row.scope,
        basis=_basis((row.instrument, row.article), params),
        purpose=row.purpose,
        valid_from=int(day_start(row.first_day).timestamp()),
        valid_to=int(day_last_second(row.last_day).timestamp()),
        uses=row.uses,
        kind="paper",
    )


def _letter(verified: _Verified, params: LegalParameters) -> Letter:
    claims = verified.claims
    return Letter(
        issuer=verified.issuer,
        number=claims.number,
        officer=claims.officer,
        subjects=claims.subjects,
        databases=claims.databases,
        scope=claims.scope,
        basis=_basis(claims.basis, params),
        purpose=claims.purpose,
        valid_from=claims.first,
        valid_to=claims.last,
        uses=claims.uses,
        kind="jws",
    )


def _basis(stated: Sequence[str], params: LegalParameters) -> str:
    instrument, article = stated
    return basis_key(instrument, article, params) or f"{instrument}/{article}"


def _check_signature(text: str, key: VerificationKey, algorithm: str) -> None:
    try:
        jwt.PyJWS().decode_complete(text, key.key, algorithms=[algorithm])
    except jwt.InvalidSignatureError:
        raise _Refused(Code.LETTER_FORGED) from None
    except (jwt.PyJWTError, ValueError):
        raise _Refused(Code.LETTER_MALFORMED) from None


def _check_audience(stated: Any, audience: str) -> None:
    """A letter is for one deployment: a list that names more is for none (RFC 7519 §4.1.3 allows a list of one)."""
    if stated not in (audience, [audience]):
        raise _Refused(Code.LETTER_AUDIENCE_MISMATCH)


def _check_validity(letter: Letter, now: datetime) -> None:
    """Both ends are inclusive (R17): the last second is part of the validity, and so are its milliseconds."""
    seconds = int(now.timestamp())
    if seconds < letter.valid_from:
        raise _Refused(Code.LETTER_NOT_YET_VALID)
    if seconds > letter.valid_to:
        raise _Refused(Code.LETTER_EXPIRED)
