"""Sealing of dossiers and replay inputs: AES-256-GCM under a short-lived data key, itself wrapped by age (X25519).

No private key is on the gateway: only the record organ and the procuratorate can unwrap. What its administrator can
read while a data key lives is in the threat model. (Sealing each row to public keys would cost 0.2 ms.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Final

import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sidecar.clock import Clock
from sidecar.errors import ConfigurationError, SidecarError
from sidecar.keys.files import read_secret
from sidecar.keys.ids import RandomBytes, UuidSource, system_random

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32

MAX_SEALS: Final = 2**32
"""Random 96-bit nonces are good for 2^32 messages a key (NIST SP 800-38D §8.3); then a new key comes early."""


class UnsealFailed(SidecarError):
    """A sealed value cannot be opened: another identity or key, or it was changed."""

    code = "unseal-failed"
    status = 422


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key, readable for the recipients only. ``created_ms``: POSIX milliseconds; ``wrapped``: an age file."""

    id: str
    created_ms: int
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed value; ``key_id`` names the ``WrappedKey`` that opens it."""

    key_id: str
    nonce: bytes
    ciphertext: bytes


@dataclass(slots=True)
class _DataKey:
    public: WrappedKey
    cipher: AESGCM
    born: float
    process: int
    seals: int = 0


class DataKeySealer:
    """Seals under the process's present data key. Thread-safe; a forked child makes a key of its own.

    Args:
        recipients: age public keys (``age1…``); each of them can unwrap.
        clock: for the key's age.
        random: source of key, nonces and ids.
        lifetime: longest life of a data key.
        publish: called with each new wrapped key before its first use; it MUST have made it durable when it returns.
            Where it raises, the key is never used. None: the caller stores ``current()`` together with what it seals.

    Raises:
        ConfigurationError: no recipient, or one is no age public key.
    """

    def __init__(
        self,
        recipients: Sequence[str],
        clock: Clock,
        random: RandomBytes = system_random,
        lifetime: timedelta = timedelta(hours=8),
        publish: Callable[[WrappedKey], None] | None = None,
    ) -> None:
        if not recipients:
            raise ConfigurationError("keys.dossier_recipients: expected at least one age public key, got none")
        self._recipients = [_recipient(text) for text in recipients]
        self._clock = clock
        self._random = random
        self._ids = UuidSource(clock, random)
        self._lifetime = lifetime.total_seconds()
        self._publish = publish
        self._lock = Lock()
        self._key: _DataKey | None = None

    def current(self) -> WrappedKey:
        """The wrapped key that ``seal`` uses now; a new one where the old one is too old."""
        return self._present().public

    def seal(self, plaintext: bytes, aad: bytes) -> Sealed:
        """Seal under the present key; ``aad`` (e.g. the inquiry's id) must be given again to open."""
        key = self._present()
        nonce = self._random(NONCE_BYTES)
        key_id = key.public.id
        return Sealed(key_id, nonce, key.cipher.encrypt(nonce, plaintext, _bound(key_id, aad)))

    def _present(self) -> _DataKey:
        with self._lock:
            key = self._key
            if key is None or self._worn(key):
                key = self._make()
                if self._publish is not None:
                    self._publish(key.public)
                self._key = key
            key.seals += 1
            return key

    def _worn(self, key: _DataKey) -> bool:
        aged = self._clock.monotonic() - key.born >= self._lifetime
        return aged or key.process != os.getpid() or key.seals >= MAX_SEALS

    def _make(self) -> _DataKey:
        secret = self._random(KEY_BYTES)
        key_id = self._ids.new()
        wrapped = pyrage.encrypt(key_id.encode("ascii") + secret, self._recipients)
        public = WrappedKey(key_id, int(self._clock.now().timestamp() * 1000), wrapped)
        return _DataKey(public, AESGCM(secret), self._clock.monotonic(), os.getpid())


class Unsealer:
    """Opens sealed values with one recipient's age identity; for the record organ and the procuratorate.

    Raises:
        ConfigurationError: the identity file cannot be used.
    """

    def __init__(self, identity_file: Path) -> None:
        self._identities = [_identity(identity_file, line) for line in _identity_lines(identity_file)]
        if not self._identities:
            raise ConfigurationError(f"{identity_file}: expected an age identity (AGE-SECRET-KEY-1…), got none")
        self._ciphers: dict[str, AESGCM] = {}

    def unseal(self, sealed: Sealed, key: WrappedKey, aad: bytes) -> bytes:
        """The plaintext.

        Raises:
            UnsealFailed: not wrapped for this identity, another key, or changed.
        """
        if sealed.key_id != key.id:
            raise UnsealFailed(f"expected the data key {sealed.key_id}, got {key.id}")
        cipher = self._ciphers.get(key.id) or self._unwrap(key)
        try:
            return cipher.decrypt(sealed.nonce, sealed.ciphertext, _bound(key.id, aad))
        except (InvalidTag, ValueError) as exc:
            raise UnsealFailed("the sealed value or its binding was changed") from exc

    def _unwrap(self, key: WrappedKey) -> AESGCM:
        try:
            content = pyrage.decrypt(key.wrapped, self._identities)
        except pyrage.DecryptError as exc:
            raise UnsealFailed(f"the data key {key.id} is not wrapped for this identity") from exc
        name = key.id.encode("ascii")
        if not content.startswith(name) or len(content) != len(name) + KEY_BYTES:
            raise UnsealFailed(f"the wrapped key under {key.id} is another one")
        self._ciphers[key.id] = AESGCM(content[len(name) :])
        return self._ciphers[key.id]


def unseal(sealed: Sealed, key: WrappedKey, aad: bytes, identity_file: Path) -> bytes:
    """Open one sealed value; see ``Unsealer``."""
    return Unsealer(identity_file).unseal(sealed, key, aad)


def _bound(key_id: str, aad: bytes) -> bytes:
    return key_id.encode("ascii") + b"\x00" + aad


def _recipient(text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as exc:
        raise ConfigurationError(f"keys.dossier_recipients: expected an age public key (age1…), got {text!r}") from exc


def _identity_lines(path: Path) -> list[str]:
    try:
        text = read_secret(path).decode("ascii")
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{path}: expected an age identity file") from exc
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _identity(path: Path, line: str) -> pyrage.x25519.Identity:
    try:
        return pyrage.x25519.Identity.from_str(line)
    except pyrage.IdentityError:
        # without the cause: its text may quote the key
        raise ConfigurationError(f"{path}: expected an age identity (AGE-SECRET-KEY-1…)") from None
