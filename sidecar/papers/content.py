"""Content of applications, sealed with the deployment's own key so that the approver can read it (P6; NIST SP 800-38D).

What stands in clear is a pseudonym and codes. Subject, reason, case number and the text of a refusal are sealed with
AES-256-GCM under ``application.key`` of the key ring's folder, bound to the application's id. At an application's end
nothing of it stays there but a refusal, which its officer reads (Q7); the dossier's copy is for the organs' keys only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sidecar.errors import ConfigurationError, SidecarError
from sidecar.keys.files import read_symmetric
from sidecar.keys.ring import APPLICATION_FILE

NONCE_BYTES: Final = 12

ERASED: Final = b""
"""What stands in the place of a sealed content that was erased."""


class ContentUnreadable(SidecarError):
    """A sealed content cannot be opened: another key, another application's, or it was changed."""

    code = "internal-error"
    status = 500


@dataclass(frozen=True, slots=True)
class Content:
    """What a person wrote into an application.

    Attributes:
        person_id: normalised citizen number; "" where the subject is named.
        name, birth_date: normalised name and ``YYYY-MM-DD``; "" where there is a number.
        reason: free text.
        case_number: as stated, normalised (R22).
        refusal: text with which it was refused; "" before.
        refusal_codes: codes of the refusal.
    """

    person_id: str
    name: str
    birth_date: str
    reason: str
    case_number: str
    refusal: str = ""
    refusal_codes: tuple[str, ...] = ()


class ContentSealer:
    """Seals and opens; thread-safe. Nothing it raises holds content.

    Attributes:
        key_id: name of the key, for the row.

    Args:
        key: 32 bytes, for nothing else.
        random: source of nonces.
    """

    def __init__(self, key: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        self._cipher = AESGCM(key)
        # tells a swapped key from the old one, and nothing about the key (256 random bits)
        self.key_id = hashlib.sha256(b"application-key-id" + key).hexdigest()[:16]
        self._random = random

    @classmethod
    def load(cls, directory: Path) -> ContentSealer:
        """With the key of the ring's folder.

        Raises:
            ConfigurationError: the file is missing (rings that are older than it), too open to others, or malformed.
        """
        file = directory / APPLICATION_FILE
        if not file.exists():
            raise ConfigurationError(f"{file}: there is none yet; run: sidecar keys generate application")
        return cls(read_symmetric(file))

    def seal(self, application: str, content: Content) -> bytes:
        """Nonce and ciphertext of an application's content."""
        return self._seal(f"content/{application}", orjson.dumps(asdict(content)))

    def open(self, application: str, sealed: bytes) -> Content:
        """The content; blank where it was erased.

        Raises:
            ContentUnreadable: it cannot be opened.
        """
        if sealed == ERASED:
            return Content("", "", "", "", "")
        fields = orjson.loads(self._open(f"content/{application}", sealed))
        return Content(**fields | {"refusal_codes": tuple(fields["refusal_codes"])})

    def _seal(self, bound: str, plaintext: bytes) -> bytes:
        nonce = self._random(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, bound.encode("utf-8"))

    def _open(self, bound: str, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound.encode("utf-8"))
        except (InvalidTag, ValueError) as exc:
            raise ContentUnreadable("an application's content cannot be opened with application.key") from exc
