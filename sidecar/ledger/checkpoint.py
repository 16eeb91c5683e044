"""Checkpoints: origin, size and root of the log as the text of a signed note (C2SP tlog-checkpoint)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.ledger.merkle import HASH_BYTES
from sidecar.ledger.note import NoteInvalid, Verifier, open_note, sign

_TEXT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree of ``size`` leaves has this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed: three lines, none of them an extension."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode('ascii')}\n"

    def signed(self, key: Ed25519PrivateKey) -> str:
        """The signed note; the key's name is the origin. The caller MUST have kept size and root durably before."""
        return sign(self.text(), self.origin, key)


def parse(text: str) -> Checkpoint:
    """Read a checkpoint's text.

    Raises:
        NoteInvalid: it is none of ours: not three lines, a size with leading zeros, a root that is no SHA-256.
    """
    match = _TEXT.fullmatch(text)
    root = b64decode(match[3]) if match else b""
    if match is None or len(root) != HASH_BYTES or b64encode(root).decode("ascii") != match[3]:
        raise NoteInvalid("expected a checkpoint: origin, size and root, one a line")
    return Checkpoint(match[1], int(match[2]), root)


def open_checkpoint(note: bytes, log: Verifier) -> Checkpoint:
    """The checkpoint of a note that ``log`` has signed.

    Raises:
        NoteInvalid: it has not, or the note holds no checkpoint of this origin.
    """
    text, _ = open_note(note, [log])
    found = parse(text)
    if found.origin != log.name:
        raise NoteInvalid(f"expected origin {log.name}, got {found.origin}")
    return found
