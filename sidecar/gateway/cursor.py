"""Opaque cursors: encrypted, authenticated and of one length, whatever position is inside (AES-256-GCM, NIST SP 800-38D).

A cursor says nothing to who holds it: not the page, not the last record's key, not how long that key is. It is bound
(as associated data) to officer, inquiry request, order, revision and database, so that it opens only where it was made.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sidecar.codes import Code
from sidecar.errors import RequestInvalid

NONCE_BYTES = 12
"""96 random bits: at most 2^32 cursors a key (SP 800-38D §8.3), far above what a key's life sees."""

PADDED_BYTES = 1024
"""Content is padded to a multiple of this. Positions are a few sort values and a key: one multiple holds all but absurd ones."""

MAX_CURSOR_LENGTH = 8192
"""Longest cursor that is looked at; four paddings fit with room to spare."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a cursor belongs to; a cursor made under one binding does not open under another.

    Attributes:
        officer: ``issuer|subject`` of who asked.
        request: digest of everything the request states but the cursor.
        revision: label of the revision that decided.
    """

    officer: str
    request: bytes
    revision: str

    def digest(self) -> bytes:
        """SHA-256 over the parts; the lengths keep them apart."""
        parts = (self.officer.encode(), self.request, self.revision.encode())
        return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


@dataclass(frozen=True, slots=True)
class Position:
    """Where an inquiry goes on.

    Attributes:
        inquiry: id of the inquiry whose use of the letter the page shares.
        page: number of the page that the cursor leads to, from 2.
        expires: POSIX seconds after which the cursor is no good.
        after: the last released record's sort values and key.
    """

    inquiry: str
    page: int
    expires: int
    after: tuple[Any, ...]


class CursorBox:
    """Seals and opens cursors under one key of 32 bytes."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, position: Position, binding: Binding, nonce: bytes) -> str:
        """The cursor as base64url text. ``nonce`` MUST be ``NONCE_BYTES`` fresh random bytes."""
        content = orjson.dumps([position.inquiry, position.page, position.expires, list(position.after)])
        room = -(len(content) + 4) % PADDED_BYTES
        padded = len(content).to_bytes(4, "big") + content + bytes(room)
        sealed = self._cipher.encrypt(nonce, padded, binding.digest())
        return base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()

    def open(self, cursor: str, binding: Binding, now: int) -> Position:
        """The position inside.

        Args:
            cursor: what the client sent back.
            binding: what this request is bound to.
            now: POSIX seconds.

        Raises:
            RequestInvalid: ``cursor-invalid``: damaged, foreign, made for another request, or expired. Which of them
                is not said.
        """
        raw = _decode(cursor)
        try:
            padded = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], binding.digest())
        except (InvalidTag, ValueError) as exc:
            raise _invalid() from exc
        length = int.from_bytes(padded[:4], "big")
        inquiry, page, expires, after = orjson.loads(padded[4 : 4 + length])
        if now > expires:
            raise _invalid()
        return Position(inquiry, page, expires, tuple(after))


def _decode(cursor: str) -> bytes:
    if len(cursor) > MAX_CURSOR_LENGTH:
        raise _invalid()
    try:
        return base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError) as exc:
        raise _invalid() from exc


def _invalid() -> RequestInvalid:
    return RequestInvalid(Code.CURSOR_INVALID, "the cursor is damaged, expired or belongs to another request")
