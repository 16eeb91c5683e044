"""The key ring of a deployment: pseudonyms (P6), receipts (RFC 7515, RFC 8037), cursors.

Folder: ``receipt.pem`` (Ed25519, PKCS #8), ``cursor.key``, ``application.key`` and ``pseudonym-<year>.key`` (32 random bytes,
base64), and ``receipts.jwks`` with the public keys of former receipt keys, where one was rotated. All but the last are secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import jwt
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl.signing import SigningKey

from sidecar.clock import Clock
from sidecar.errors import ConfigurationError, SidecarError
from sidecar.keys.files import read_ed25519_private, read_symmetric
from sidecar.keys.jwk import b64url, key_set, public_jwk
from sidecar.law.days import beijing_day

RECEIPT_FILE = "receipt.pem"
CURSOR_FILE = "cursor.key"
APPLICATION_FILE = "application.key"
FORMER_RECEIPTS_FILE = "receipts.jwks"

RECEIPT_TYPE = "receipt+jwt"
MAX_RECEIPT_BYTES = 16384
"""No receipt of ours is longer; nothing longer is parsed."""

YEARS_SECONDS = 1.0
"""How soon a new key file is seen."""

PSEUDONYM_BYTES = 16
"""First bytes of the HMAC that make a pseudonym (P6)."""

_PSEUDONYM_FILE = re.compile(r"pseudonym-([0-9]{4})\.key")

PSEUDONYM_KINDS = frozenset({"name_birth", "person_id"})
"""``person_id``: a normalised citizen number; ``name_birth``: ``<name>/<YYYY-MM-DD>``, both parts normalised."""


class KeyMissing(SidecarError):
    """There is no pseudonym key for the year: nothing can be recorded, hence nothing is answered (503)."""

    code = "ledger-unavailable"
    status = 503


class ReceiptInvalid(SidecarError):
    """A receipt is not ours, or was changed."""

    code = "receipt-invalid"
    status = 422


class KeyRing(Protocol):
    """The keys that a request needs. Thread-safe; nothing it returns or raises holds a key."""

    @property
    def cursor_key(self) -> bytes:
        """32 bytes that encrypt cursors; for nothing else."""

    @property
    def receipt_kid(self) -> str:
        """``kid`` of the key that signs receipts."""

    def pseudonym(self, kind: str, value: str, year: int) -> tuple[str, str]:
        """(id of the year's key, pseudonym) of a subject; its caller MUST have normalised ``value``."""

    def keyed_hash(self, kind: str, value: str, year: int) -> str:
        """Keyed hash of a paper's number or a search; ``kind`` keeps the kinds apart."""

    def sign_receipt(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS over the claims, ``typ: receipt+jwt``."""


class FileKeyRing:
    """The ring from a folder; see ``KeyRing``. A year's key that appears later is found without a restart."""

    def __init__(
        self,
        directory: Path,
        receipt: Ed25519PrivateKey,
        cursor_key: bytes,
        former: Mapping[str, Ed25519PublicKey],
        clock: Clock,
    ) -> None:
        self._directory = directory
        # libsodium signs in half of OpenSSL's time; this is done at every answer.
        self._signer = SigningKey(receipt.private_bytes_raw())
        self._cursor_key = cursor_key
        self._jwk = public_jwk(receipt.public_key())
        self._kid: str = self._jwk["kid"]
        self._verifiers = {**former, self._kid: receipt.public_key()}
        self._header = _encode({"alg": "EdDSA", "kid": self._kid, "typ": RECEIPT_TYPE}) + b"."
        self._years: dict[int, tuple[str, bytes]] = {}
        self._clock = clock
        self._listed: tuple[float, tuple[int, ...]] = (float("-inf"), ())
        self._lock = Lock()

    @classmethod
    def load(cls, directory: Path, clock: Clock) -> FileKeyRing:
        """Read the folder; this Beijing year's pseudonym key must be there.

        Raises:
            ConfigurationError: a file is missing, too open to others, or malformed; the text has the fix.
        """
        ring = cls(
            directory,
            read_ed25519_private(directory / RECEIPT_FILE),
            read_symmetric(directory / CURSOR_FILE),
            read_former_receipts(directory / FORMER_RECEIPTS_FILE),
            clock,
        )
        ring._year_key(beijing_day(clock.now()) // 10000, loading=True)
        return ring

    @property
    def cursor_key(self) -> bytes:
        """32 bytes that encrypt cursors; for nothing else."""
        return self._cursor_key

    @property
    def receipt_kid(self) -> str:
        """``kid`` of the key that signs receipts."""
        return self._kid

    def pseudonym(self, kind: str, value: str, year: int) -> tuple[str, str]:
        """(key id, base64url of the first 16 bytes of HMAC-SHA-256(year's key, kind ‖ 0x00 ‖ value)) (P6).

        Args:
            kind: one of ``PSEUDONYM_KINDS``.
            value: the normalised value (R22).
            year: Beijing year of the entry.

        Raises:
            ValueError: unknown kind.
            KeyMissing: there is no key for the year.
        """
        if kind not in PSEUDONYM_KINDS:
            raise ValueError(f"pseudonym: expected a kind of {sorted(PSEUDONYM_KINDS)}, got {kind!r}")
        key_id, key = self._year_key(year)
        return key_id, _mac(key, kind, value)

    def keyed_hash(self, kind: str, value: str, year: int) -> str:
        """Keyed hash for papers' numbers and searches, made like a pseudonym under another kind.

        Raises:
            ValueError: the kind is one of a pseudonym's.
            KeyMissing: there is no key for the year.
        """
        if kind in PSEUDONYM_KINDS or "\x00" in kind:
            raise ValueError(f"keyed hash: expected a kind that no pseudonym has, got {kind!r}")
        return _mac(self._year_key(year)[1], kind, value)

    def sign_receipt(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS (EdDSA, ``typ: receipt+jwt``) over the claims; about 0.03 ms."""
        signed = self._header + _encode(claims)
        return f"{signed.decode('ascii')}.{b64url(self._signer.sign(signed).signature)}"

    def verify_receipt(self, receipt: str) -> dict[str, Any]:
        """The claims of a receipt that this deployment signed, now or under a former key.

        Raises:
            ReceiptInvalid: malformed, of another type or key, or changed.
        """
        if len(receipt) > MAX_RECEIPT_BYTES:
            raise ReceiptInvalid(f"expected at most {MAX_RECEIPT_BYTES} characters, got {len(receipt)}")
        try:
            header = jwt.get_unverified_header(receipt)
            key = self._verifiers.get(header.get("kid", ""))
            if key is None or header.get("typ") != RECEIPT_TYPE:
                raise ReceiptInvalid("expected a receipt of this deployment, got another key or type")
            payload: bytes = jwt.PyJWS().decode_complete(receipt, key, algorithms=["EdDSA"])["payload"]
            claims = orjson.loads(payload)
        except (jwt.PyJWTError, InvalidSignature, ValueError) as exc:
            raise ReceiptInvalid("the receipt is malformed or was changed") from exc
        if not isinstance(claims, dict):
            raise ReceiptInvalid("expected claims, got another JSON value")
        return claims

    def public_jwks(self) -> bytes:
        """JWK set with which anybody can verify receipts: the present key first, then the former ones."""
        former = [public_jwk(key, kid) for kid, key in self._verifiers.items() if kid != self._kid]
        return key_set(self._jwk, *former)

    def has_year(self, year: int) -> bool:
        """Whether pseudonyms can be made for a year; an operator is warned in December."""
        try:
            self._year_key(year)
        except KeyMissing:
            return False
        return True

    def years(self) -> tuple[int, ...]:
        """Years that have a pseudonym key file, ascending; the folder is read once in ``YEARS_SECONDS``."""
        now = self._clock.monotonic()
        if now - self._listed[0] >= YEARS_SECONDS:
            found = (_PSEUDONYM_FILE.fullmatch(path.name) for path in self._directory.iterdir())
            self._listed = now, tuple(sorted(int(match[1]) for match in found if match))
        return self._listed[1]

    def _year_key(self, year: int, *, loading: bool = False) -> tuple[str, bytes]:
        found = self._years.get(year)
        if found is not None:
            return found
        with self._lock:
            try:
                key = read_symmetric(self._directory / pseudonym_file(year))
            except ConfigurationError as exc:
                if loading:
                    raise
                raise KeyMissing(f"no usable pseudonym key for {year}; run: sidecar keys rotate --year {year}") from exc
            # The id tells a swapped key from the old one, and nothing about the key (256 random bits).
            found = f"{year}-{hashlib.sha256(b'pseudonym-key-id' + key).hexdigest()[:8]}", key
            self._years[year] = found
            return found


class YearKeys:
    """Keyed hashes by the years' keys alone: for a process beside the gateway, which holds no other key. Not thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._keys: dict[int, bytes] = {}

    def keyed_hash(self, kind: str, value: str, year: int) -> str:
        """As the ring's.

        Raises:
            ValueError: the kind is one of a pseudonym's.
            ConfigurationError: there is no usable key for the year.
        """
        if kind in PSEUDONYM_KINDS or "\x00" in kind:
            raise ValueError(f"keyed hash: expected a kind that no pseudonym has, got {kind!r}")
        if year not in self._keys:
            self._keys[year] = read_symmetric(self._directory / pseudonym_file(year))
        return _mac(self._keys[year], kind, value)


def pseudonym_file(year: int) -> str:
    """Name of a year's key file."""
    return f"pseudonym-{year:04d}.key"


def _mac(key: bytes, kind: str, value: str) -> str:
    digest = hmac.digest(key, kind.encode("ascii") + b"\x00" + value.encode("utf-8"), "sha256")
    return b64url(digest[:PSEUDONYM_BYTES])


def _encode(value: Mapping[str, Any]) -> bytes:
    return b64url(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).encode("ascii")


def read_former_receipts(path: Path) -> dict[str, Ed25519PublicKey]:
    """Public keys of former receipt keys by ``kid``; none where there is no file.

    Raises:
        ConfigurationError: the file is no set of Ed25519 public keys.
    """
    if not path.exists():
        return {}
    try:
        keys = jwt.PyJWKSet.from_json(path.read_text(encoding="ascii")).keys
    except (OSError, ValueError, jwt.PyJWTError) as exc:
        raise ConfigurationError(f"{path}: expected a JWK set") from exc
    former = {jwk.key_id: jwk.key for jwk in keys}
    if not all(kid and isinstance(key, Ed25519PublicKey) for kid, key in former.items()):
        raise ConfigurationError(f"{path}: expected Ed25519 public keys with kid")
    return {str(kid): key for kid, key in former.items()}
