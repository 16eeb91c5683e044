"""Issuers' public keys: JWK sets from a file or URL, cached, with a maximum age (RFC 7517; RFC 8725 §3.10).

Only configured places are ever asked; what a token says about places of keys is never followed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import jwt
import orjson
import requests
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from sidecar.clock import Clock
from sidecar.errors import ConfigurationError, SidecarError
from sidecar.keys.jwk import PublicKey
from sidecar.settings import Issuer, Settings

MAX_SET_BYTES = 262144
"""No issuer needs a larger set; a larger answer is cut off and refused."""

MAX_KEYS = 100
"""Most keys of a set."""

MIN_RSA_BITS = 2048
"""Shorter RSA keys are left out (RFC 7518 §3.3)."""

FETCH_SECONDS = 3.0
"""Longest wait for a connection, and for each part of an answer."""

FETCH_TOTAL_SECONDS = 6.0
"""Longest time a whole answer may take, so that one that drips cannot hold a request."""

_CURVES = {"EC": ("P-256", "ES256"), "OKP": ("Ed25519", "EdDSA")}
_MEMBERS = {"EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x"), "RSA": ("kty", "n", "e")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})

_log = structlog.get_logger(__name__)


class KeySetUnusable(SidecarError):
    """A key set cannot be fetched or read; the old one is used until its maximum age."""

    code = "key-set-unusable"
    status = 503


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the algorithms that its type and its own ``alg`` allow."""

    kid: str
    key: PublicKey
    algorithms: frozenset[str]


Source = Callable[[], bytes]
"""Gives the bytes of a JWK set; raises ``KeySetUnusable``."""


def parse_key_set(data: bytes) -> dict[str, VerificationKey]:
    """Read a JWK set; keys that cannot verify our algorithms are left out (RFC 7517 §5).

    Left out: other types and curves, keys for encryption, without ``kid``, RSA below 2048 bits, and keys that were
    published with their private part.

    Raises:
        KeySetUnusable: no JSON object with keys, too many, a ``kid`` twice, or no usable key.
    """
    try:
        listed = orjson.loads(data)["keys"]
    except (ValueError, TypeError, KeyError) as exc:
        raise KeySetUnusable("expected a JSON object with keys") from exc
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise KeySetUnusable(f"expected a list of at most {MAX_KEYS} keys")
    found: dict[str, VerificationKey] = {}
    for key in filter(None, map(_usable, listed)):
        if key.kid in found:
            raise KeySetUnusable(f"expected every kid once, got {key.kid!r} twice")
        found[key.kid] = key
    if not found:
        raise KeySetUnusable(f"expected a key for verification, got none among {len(listed)}")
    return found


def _usable(jwk: Any) -> VerificationKey | None:
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig" or _PRIVATE & jwk.keys():
        return None
    kid, kty = jwk.get("kid"), jwk.get("kty")
    if not isinstance(kid, str) or not kid or not isinstance(kty, str) or kty not in _MEMBERS:
        return None
    members = {name: jwk.get(name) for name in _MEMBERS[kty]}
    if not all(isinstance(value, str) for value in members.values()):
        return None
    read = _read_key(kty, members)
    if read is None:
        return None
    key, algorithms = read
    if "alg" in jwk:
        algorithms &= {jwk["alg"]} if isinstance(jwk["alg"], str) else set()
    return VerificationKey(kid, key, algorithms) if algorithms else None


def _read_key(kty: str, members: Mapping[str, Any]) -> tuple[PublicKey, frozenset[str]] | None:
    try:
        if kty == "RSA":
            rsa = RSAAlgorithm.from_jwk(dict(members))
            if not isinstance(rsa, RSAPublicKey) or rsa.key_size < MIN_RSA_BITS:
                return None
            return rsa, frozenset({"PS256", "RS256"})
        curve, algorithm = _CURVES[kty]
        if members["crv"] != curve:
            return None
        reader = ECAlgorithm.from_jwk if kty == "EC" else OKPAlgorithm.from_jwk
        key: Any = reader(dict(members))
    except (jwt.InvalidKeyError, ValueError):
        return None
    return key, frozenset({algorithm})


def file_source(path: Path) -> Source:
    """A key set from a file."""

    def read() -> bytes:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_SET_BYTES + 1)
        except OSError as exc:
            raise KeySetUnusable(f"{path}: cannot be read: {exc.strerror}") from exc
        _bounded(data)
        return data

    return read


def url_source(url: str, clock: Clock, *, insecure: bool = False, ca_file: Path | None = None) -> Source:
    """A key set from exactly this URL: no redirects, no proxies or credentials of the environment, bounded.

    Raises:
        ConfigurationError: the URL is neither https nor http to this machine, and ``insecure`` is not set.
    """
    parts = urlsplit(url)
    allowed = parts.scheme == "https" or (parts.scheme == "http" and (insecure or _is_loopback(parts.hostname or "")))
    if not allowed or not parts.hostname or parts.username is not None:
        raise ConfigurationError(f"jwks_url: expected https:// (or http:// to this machine) without user, got {url!r}")
    return partial(_fetch, url, clock, str(ca_file) if ca_file else True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fetch(url: str, clock: Clock, verify: bool | str) -> bytes:
    deadline = clock.monotonic() + FETCH_TOTAL_SECONDS
    data = bytearray()
    try:
        with requests.Session() as session:
            session.trust_env = False
            headers = {"Accept": "application/jwk-set+json, application/json"}
            with session.get(
                url, headers=headers, allow_redirects=False, stream=True, timeout=FETCH_SECONDS, verify=verify
            ) as response:
                if response.status_code != requests.codes.ok:
                    raise KeySetUnusable(f"{url}: expected status 200, got {response.status_code}")
                for part in response.iter_content(8192):
                    data += part
                    _bounded(data)
                    if clock.monotonic() > deadline:
                        raise KeySetUnusable(f"{url}: expected an answer within {FETCH_TOTAL_SECONDS} s")
    except requests.RequestException as exc:
        raise KeySetUnusable(f"{url}: cannot be fetched ({type(exc).__name__})") from exc
    return bytes(data)


def _bounded(data: bytes | bytearray) -> None:
    if len(data) > MAX_SET_BYTES:
        raise KeySetUnusable(f"expected at most {MAX_SET_BYTES} bytes")


class KeySet:
    """One issuer's keys. Thread-safe; only one thread fetches, the others go on with what is there.

    The set is fetched again for an unknown ``kid`` (at most every ``refresh`` seconds, whoever asks for what), and by
    itself at half its maximum age. Where that fails the old set stays in use until ``max_age``; then no key is known.

    Args:
        source: where the set comes from.
        clock: for ages, monotonic.
        max_age: seconds after which a set is not used any more.
        refresh: least seconds between two fetches.
    """

    def __init__(self, source: Source, clock: Clock, *, max_age: float, refresh: float) -> None:
        self._source = source
        self._clock = clock
        self._max_age = max_age
        self._refresh = refresh
        self._lock = Lock()
        self._keys: dict[str, VerificationKey] = {}
        self._loaded = float("-inf")
        self._tried = float("-inf")

    def key(self, kid: str) -> VerificationKey | None:
        """The key of this name, or None: unknown, or the set is too old. May fetch."""
        age = self._clock.monotonic() - self._loaded
        if age >= self._max_age / 2 or kid not in self._keys:
            self._try_refresh(wait=age >= self._max_age or kid not in self._keys)
        if self._clock.monotonic() - self._loaded >= self._max_age:
            return None
        return self._keys.get(kid)

    def _try_refresh(self, *, wait: bool) -> None:
        if self._clock.monotonic() - self._tried < self._refresh and not (wait and self._lock.locked()):
            return
        if not self._lock.acquire(blocking=wait):
            return
        try:
            now = self._clock.monotonic()
            if now - self._tried < self._refresh:
                return  # another thread has just done it
            self._tried = now
            self._keys = parse_key_set(self._source())
            self._loaded = now
        except KeySetUnusable as exc:
            _log.warning("key-set-unusable", detail=str(exc))
        finally:
            self._lock.release()


def open_key_set(issuer: Issuer, settings: Settings, clock: Clock) -> KeySet:
    """The key set of a configured issuer; a file is read again every ``refresh_seconds`` when asked for another key.

    Raises:
        ConfigurationError: neither file nor URL is configured, or both, or the URL is not allowed.
    """
    if (issuer.jwks_file is None) == (issuer.jwks_url is None):
        raise ConfigurationError(f"issuer {issuer.issuer!r}: expected exactly one of jwks_file and jwks_url")
    if issuer.jwks_url is not None:
        ca_file = settings.path(issuer.ca_file) if issuer.ca_file else None
        source = url_source(issuer.jwks_url, clock, insecure=issuer.jwks_insecure, ca_file=ca_file)
    else:
        source = file_source(settings.path(issuer.jwks_file or Path()))
    return KeySet(source, clock, max_age=issuer.max_age_seconds, refresh=issuer.refresh_seconds)
