"""Officers' tokens: JWTs of named issuers, verified in numbered steps (RFC 7519, RFC 8725)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Final

import jwt
import orjson

from sidecar.clock import Clock
from sidecar.codes import Code
from sidecar.errors import ConfigurationError, TokenRejected
from sidecar.identity.keysets import KeySet, VerificationKey, open_key_set
from sidecar.identity.types import Officer, WorkCertificate
from sidecar.law.days import beijing_day, parse_day
from sidecar.law.identifiers import IdentifierInvalid, credit_code
from sidecar.settings import Issuer, Settings

MAX_TOKEN_BYTES: Final = 8192
"""Longest token parsed; servers cut headers off at about the same length."""

MAX_CLAIM: Final = 255
"""Longest ``sub`` and ``jti``: they are stored and written to the ledger."""

MAX_SUBJECT: Final = 128

MAX_TIME: Final = 2**53
"""Times beyond it are no exact JSON numbers."""

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")

TYPES: Final = frozenset({"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"})
"""``typ`` of an officer's token (RFC 9068); a letter or a receipt is none (RFC 8725 §3.11)."""

FORBIDDEN_HEADERS: Final = frozenset({"b64", "crit", "jku", "jwk", "x5c", "x5u", "zip"})
"""Headers that name keys or change what is signed: a token that has one is refused, not trusted less."""

REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat", "nbf", "jti")
CERTIFICATE_STATES: Final = frozenset({"valid", "expired", "suspended", "revoked"})


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer, its keys, the roles it may grant, and where it keeps our claims."""

    name: str
    keys: KeySet
    roles: frozenset[str]
    claims: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Verified:
    officer: Officer
    key: VerificationKey
    day: int


class TokenVerifier:
    """Turns a bearer token into an officer. Thread-safe.

    Verified tokens are kept by SHA-256 digest until ``exp``; on a hit expiry, revocation, the Beijing day and the
    signing key's presence in its set are checked again.

    Args:
        issuers: the trusted issuers.
        audience: this deployment's id.
        algorithms: accepted signature algorithms.
        max_lifetime: longest ``exp`` − ``iat`` in seconds.
        leeway: tolerance for clocks in seconds.
        cache_size: most tokens kept; 0 turns the cache off.
        revoked: whether (issuer, ``jti``) was taken back; ``Registry.token_revoked``.
    """

    def __init__(
        self,
        *,
        issuers: list[TrustedIssuer],
        audience: str,
        algorithms: list[str],
        max_lifetime: int,
        leeway: int,
        cache_size: int,
        revoked: Callable[[str, str], bool],
    ) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        if len(self._issuers) != len(issuers):
            raise ConfigurationError("identity.issuers: expected every issuer once")
        self._audience = audience
        self._algorithms = frozenset(algorithms)
        self._max_lifetime = max_lifetime
        self._leeway = leeway
        self._cache_size = cache_size
        self._cache: OrderedDict[bytes, _Verified] = OrderedDict()
        self._lock = Lock()
        self._revoked = revoked

    def verify(self, token: str, now: datetime) -> Officer:
        """Verify a token (step 1 of an inquiry).

        1. Size and form; the header names no key and no extension, and its ``typ`` is a token's.
        2. The algorithm is on the list.
        3. The issuer is a trusted one, by exact ``iss``.
        4. The key is in that issuer's set by ``kid``, and its type is of the algorithm.
        5. The signature.
        6. The audience is this deployment.
        7. Times: begun, not over, not longer than permitted.
        8. Subject, token id and unit are well formed.
        9. Every role is one that the issuer may grant.
        10. The work certificate, judged on the Beijing day.
        11. The token was not taken back.

        Raises:
            TokenRejected: with a ``token-…`` code; nothing of the token is in its text.
            LedgerUnavailable: revocation cannot be checked.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        verified = self._cached(digest, now)
        if verified is None:
            verified = self._verify(token, now)
            self._keep(digest, verified)
        officer = verified.officer
        if self._revoked(officer.issuer, officer.token_id):  # 11
            raise TokenRejected(Code.TOKEN_REVOKED, "the token was taken back")
        return officer

    def _verify(self, token: str, now: datetime) -> _Verified:
        header, claims = _parse(token)  # 1
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:  # 2
            raise TokenRejected(Code.TOKEN_ALGORITHM, f"expected one of {sorted(self._algorithms)}")
        issuer = self._issuer(claims)  # 3
        key = _key(issuer, header, algorithm)  # 4
        _check_signature(token, key, algorithm)  # 5
        _require(claims)
        self._check_audience(claims["aud"])  # 6
        self._check_times(claims, now.timestamp())  # 7
        day = beijing_day(now)
        officer = Officer(
            issuer=issuer.name,
            subject=_text(claims, "sub", MAX_SUBJECT),  # 8
            unit=_unit(_claim(issuer, claims, "unit")),
            certificate=_certificate(issuer, claims, day),  # 10
            roles=_roles(issuer, claims),  # 9
            token_id=_text(claims, "jti", MAX_CLAIM),
            expires=int(claims["exp"]),
        )
        return _Verified(officer, key, day)

    def _issuer(self, claims: Mapping[str, Any]) -> TrustedIssuer:
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise TokenRejected(Code.TOKEN_ISSUER, "expected a trusted issuer, got another one")
        return issuer

    def _check_audience(self, audience: Any) -> None:
        listed = [audience] if isinstance(audience, str) else audience
        if not isinstance(listed, list) or self._audience not in listed:
            raise TokenRejected(Code.TOKEN_AUDIENCE, f"expected the audience {self._audience!r}, got another one")

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        begins, issued, ends = (_time(claims, name) for name in ("nbf", "iat", "exp"))
        if now >= ends + self._leeway:
            raise TokenRejected(Code.TOKEN_EXPIRED, "the token is over")
        if max(begins, issued) > now + self._leeway:
            raise TokenRejected(Code.TOKEN_NOT_YET_VALID, "the token has not begun")
        if not 0 < ends - issued <= self._max_lifetime:
            text = f"expected a lifetime of at most {self._max_lifetime} s, got {ends - issued} s"
            raise TokenRejected(Code.TOKEN_LIFETIME, text)

    def _cached(self, digest: bytes, now: datetime) -> _Verified | None:
        found = self._cache.get(digest)
        if found is None:
            return None
        officer, issuer = found.officer, self._issuers[found.officer.issuer]
        fresh = now.timestamp() < officer.expires + self._leeway and found.day == beijing_day(now)
        if fresh and issuer.keys.key(found.key.kid) is found.key:
            return found
        with self._lock:
            self._cache.pop(digest, None)
        return None

    def _keep(self, digest: bytes, verified: _Verified) -> None:
        if self._cache_size == 0 or digest in self._cache:
            return
        with self._lock:
            while len(self._cache) >= self._cache_size:
                self._cache.popitem(last=False)
            self._cache[digest] = verified


def token_verifier(settings: Settings, clock: Clock, revoked: Callable[[str, str], bool]) -> TokenVerifier:
    """The verifier of a deployment.

    Raises:
        ConfigurationError: an issuer appears twice, or its key set is not configured rightly.
    """
    identity = settings.identity
    return TokenVerifier(
        issuers=[_trusted(issuer, settings, clock) for issuer in identity.issuers],
        audience=settings.deployment.id,
        algorithms=list(identity.algorithms),
        max_lifetime=identity.max_lifetime_seconds,
        leeway=identity.leeway_seconds,
        cache_size=identity.token_cache,
        revoked=revoked,
    )


def _trusted(issuer: Issuer, settings: Settings, clock: Clock) -> TrustedIssuer:
    return TrustedIssuer(
        issuer.issuer, open_key_set(issuer, settings, clock), frozenset(issuer.roles), dict(issuer.claims)
    )


def _parse(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRejected(Code.TOKEN_MALFORMED, f"expected at most {MAX_TOKEN_BYTES} characters, got {len(token)}")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenRejected(Code.TOKEN_MALFORMED, f"expected three parts, got {len(parts)}")
    if not all(map(_BASE64URL.fullmatch, parts)):  # one token has one spelling: no padding (RFC 7515 §2)
        raise TokenRejected(Code.TOKEN_MALFORMED, "expected base64url without padding")
    header, claims = _json_part(parts[0]), _json_part(parts[1])
    if FORBIDDEN_HEADERS & header.keys():
        raise TokenRejected(Code.TOKEN_MALFORMED, f"expected none of the headers {sorted(FORBIDDEN_HEADERS)}")
    kind = header.get("typ", "")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise TokenRejected(Code.TOKEN_MALFORMED, "expected the type of a token, got another one")
    return header, claims


def _json_part(part: str) -> dict[str, Any]:
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars="-_", validate=True)
        value = orjson.loads(data)
    except (binascii.Error, ValueError):
        # without the cause: its text may quote the token
        raise TokenRejected(Code.TOKEN_MALFORMED, "expected base64url of JSON") from None
    if not isinstance(value, dict):
        raise TokenRejected(Code.TOKEN_MALFORMED, "expected JSON objects")
    return value


def _key(issuer: TrustedIssuer, header: Mapping[str, Any], algorithm: str) -> VerificationKey:
    kid = header.get("kid")
    key = issuer.keys.key(kid) if isinstance(kid, str) and kid else None
    if key is None:
        raise TokenRejected(Code.TOKEN_KEY_UNKNOWN, "expected the kid of a key of the issuer, got another or none")
    if algorithm not in key.algorithms:
        raise TokenRejected(Code.TOKEN_ALGORITHM, f"expected one of {sorted(key.algorithms)} for the key")
    return key


def _check_signature(token: str, key: VerificationKey, algorithm: str) -> None:
    try:
        jwt.PyJWS().decode_complete(token, key.key, algorithms=[algorithm])
    except jwt.InvalidSignatureError as exc:
        raise TokenRejected(Code.TOKEN_SIGNATURE, "the signature is not of this key") from exc
    except (jwt.PyJWTError, ValueError):
        raise TokenRejected(Code.TOKEN_MALFORMED, "the token is malformed") from None


def _require(claims: Mapping[str, Any]) -> None:
    missing = [name for name in REQUIRED if claims.get(name) is None]
    if missing:
        raise TokenRejected(Code.TOKEN_CLAIMS, f"expected the claims {missing}, got none")


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_TIME:
        raise TokenRejected(Code.TOKEN_CLAIMS, f"expected {name} in POSIX seconds")
    return int(value)


def _text(claims: Mapping[str, Any], name: str, longest: int) -> str:
    value = claims[name]
    clean = isinstance(value, str) and value.strip() == value and 0 < len(value) <= longest
    if not clean or any(unicodedata.category(char)[0] == "C" for char in value) or "|" in value:
        raise TokenRejected(Code.TOKEN_CLAIMS, f"expected {name} as text of 1 to {longest} characters without '|'")
    return str(value)


def _claim(issuer: TrustedIssuer, claims: Mapping[str, Any], name: str) -> Any:
    """A claim of ours, by the issuer's path: the whole path as one name first, then step by step (``org.uscc``)."""
    parent, _, part = name.partition(".")
    path = issuer.claims.get(name) or ".".join(filter(None, (issuer.claims.get(parent, parent), part)))
    if path in claims:
        return claims[path]
    value: Any = claims
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _unit(value: Any) -> str:
    try:
        return credit_code(value if isinstance(value, str) else "")
    except IdentifierInvalid as exc:
        raise TokenRejected(Code.TOKEN_CLAIMS, f"expected unit as a {exc}") from None


def _roles(issuer: TrustedIssuer, claims: Mapping[str, Any]) -> frozenset[str]:
    roles = _claim(issuer, claims, "roles")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise TokenRejected(Code.TOKEN_CLAIMS, "expected roles as a list of texts")
    if not issuer.roles.issuperset(roles):
        raise TokenRejected(Code.TOKEN_ROLE_ISSUER, "expected roles that the issuer may grant, got another one")
    return frozenset(roles)


def _certificate(issuer: TrustedIssuer, claims: Mapping[str, Any], today: int) -> WorkCertificate:
    """The work certificate; its last day is inclusive. No number or no status at all: missing."""
    number, status, expires = (
        _claim(issuer, claims, f"work_certificate.{part}") for part in ("number", "status", "expires")
    )
    if not all(value is None or isinstance(value, str) for value in (number, status, expires)):
        raise TokenRejected(Code.TOKEN_CLAIMS, "expected number, status and expires of the work certificate as texts")
    if not (number or "").strip() or not status:
        return WorkCertificate("", "missing")
    last_day = parse_day(expires or "")
    if status not in CERTIFICATE_STATES or last_day is None:
        raise TokenRejected(Code.TOKEN_CLAIMS, "expected a known status and a real last day of the work certificate")
    state = "expired" if status == "valid" and last_day < today else status
    return WorkCertificate(number, state)
