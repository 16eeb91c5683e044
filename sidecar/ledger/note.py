"""Signed notes with Ed25519 keys: signing, cosigning, verifier keys, opening (C2SP signed-note, tlog-cosignature)."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
"""Type byte of a key that signs the note's text as it stands."""

COSIGNATURE = b"\x04"
"""Type byte of a witness's key, which signs a time and the text."""

KEY_ID_BYTES = 4
TIME_BYTES = 8
PUBLIC_BYTES = 32

MAX_NOTE_BYTES = 65536
"""A checkpoint with a hundred signatures has a fifth of it; the bound keeps a wrong file from filling the memory."""

MAX_SIGNATURES = 100
"""More than any quorum of witnesses (a verifier must accept 16); the bound limits what a forged note costs."""

_DASH = "\N{EM DASH} "


class NoteInvalid(ValueError):
    """The note or key is malformed, or does not carry the signature that is asked for."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with the name it signs under."""

    name: str
    public: bytes
    kind: bytes = ED25519

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name ‖ LF ‖ type ‖ public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        """The verifier key string, content of a ``*.vkey`` file."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(self.kind + self.public).decode('ascii')}"


def verifier(name: str, key: Ed25519PublicKey, kind: bytes = ED25519) -> Verifier:
    """The verifier of a key under ``name``: a log's, or a witness's with ``COSIGNATURE``.

    Raises:
        NoteInvalid: the name is empty or has a space, a control character or a plus sign.
    """
    _check_name(name)
    return Verifier(name, key.public_bytes_raw(), kind)


def parse_verifier(text: str) -> Verifier:
    """Read a verifier key string.

    Raises:
        NoteInvalid: it is none, its key id is not that of its key, or the key is of another type than Ed25519.
    """
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    _check_name(name)
    key = _base64(encoded)
    if key[:1] not in {ED25519, COSIGNATURE} or len(key) != 1 + PUBLIC_BYTES:
        raise NoteInvalid("expected an Ed25519 verifier key")
    found = Verifier(name, key[1:], key[:1])
    if key_id != found.key_id.hex():
        raise NoteInvalid(f"expected key id {found.key_id.hex()}, got {key_id}")
    return found


def sign(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """The note of ``text`` with one signature.

    Raises:
        NoteInvalid: the text cannot stand in a note: it does not end with a line break, or has control characters.
    """
    _check_text(text)
    signer = verifier(name, key.public_key())
    signature = b64encode(signer.key_id + key.sign(text.encode())).decode("ascii")
    return f"{text}\n{_DASH}{name} {signature}\n"


def cosign(text: str, name: str, key: Ed25519PrivateKey, seconds: int) -> str:
    """A witness's signature line for a note of ``text``: it has seen it at this POSIX second."""
    signer = verifier(name, key.public_key(), COSIGNATURE)
    signature = seconds.to_bytes(TIME_BYTES, "big") + key.sign(_cosigned(text, seconds))
    return f"{_DASH}{name} {b64encode(signer.key_id + signature).decode('ascii')}\n"


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def open_note(note: bytes, verifiers: Sequence[Verifier]) -> tuple[str, tuple[Verifier, ...]]:
    """Text of a note and those of ``verifiers`` that have signed it, at least one.

    1. The note is UTF-8 without control characters; signatures stand behind its last blank line.
    2. Signatures of unknown keys are ignored; of a known key the first one counts.
    3. A bad signature of a known key makes the whole note invalid.

    Raises:
        NoteInvalid: one of that does not hold, or none of the verifiers has signed.
    """
    text, lines = _split(note)
    known = {(v.name, v.key_id): v for v in verifiers}
    signed: list[Verifier] = []
    for line in lines:
        name, key_id, signature = _signature(line)
        found = known.get((name, key_id))
        if found is None or found in signed:
            continue
        try:
            _verify(found, signature, text)
        except (InvalidSignature, ValueError) as exc:
            raise NoteInvalid(f"the signature of {name} is bad") from exc
        signed.append(found)
    if not signed:
        raise NoteInvalid("the note carries no signature of a known key")
    return text, tuple(signed)


def cosigned_at(note: bytes, witnesses: Sequence[Verifier]) -> dict[str, int]:
    """POSIX seconds at which each of ``witnesses`` cosigned a note, by name; those that have not are missing.

    Raises:
        NoteInvalid: as ``open_note``.
    """
    text, lines = _split(note)
    known = {(v.name, v.key_id): v for v in witnesses}
    found: dict[str, int] = {}
    for name, key_id, signature in map(_signature, lines):
        witness = known.get((name, key_id))
        if witness is None or name in found:
            continue
        try:
            _verify(witness, signature, text)
        except (InvalidSignature, ValueError) as exc:
            raise NoteInvalid(f"the signature of {name} is bad") from exc
        found[name] = int.from_bytes(signature[:8], "big")
    return found


def _verify(signer: Verifier, signature: bytes, text: str) -> None:
    message = text.encode()
    if signer.kind == COSIGNATURE:
        seconds, signature = int.from_bytes(signature[:TIME_BYTES], "big"), signature[TIME_BYTES:]
        message = _cosigned(text, seconds)
    Ed25519PublicKey.from_public_bytes(signer.public).verify(signature, message)


def _split(note: bytes) -> tuple[str, list[str]]:
    if len(note) > MAX_NOTE_BYTES:
        raise NoteInvalid(f"expected a note of at most {MAX_NOTE_BYTES} bytes, got {len(note)}")
    try:
        whole = note.decode()
    except UnicodeDecodeError as exc:
        raise NoteInvalid("the note is not UTF-8") from exc
    _check_text(whole)
    head, blank, signatures = whole.rpartition("\n\n")
    lines = signatures.split("\n")[:-1]
    if not blank or not 1 <= len(lines) <= MAX_SIGNATURES:
        raise NoteInvalid(f"expected 1 to {MAX_SIGNATURES} signatures behind a blank line, got {len(lines)}")
    return head + "\n", lines


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH):
        raise NoteInvalid("a signature line does not begin with a dash")
    _check_name(name)
    data = _base64(encoded)
    if len(data) <= KEY_ID_BYTES:
        raise NoteInvalid(f"expected a signature of more than {KEY_ID_BYTES} bytes, got {len(data)}")
    return name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:]


def _base64(text: str) -> bytes:
    try:
        return b64decode(text.encode("ascii"), validate=True)
    except ValueError as exc:
        raise NoteInvalid("expected base64") from exc


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or ord(c) < ord(" ") for c in name):
        raise NoteInvalid("expected a key name without spaces and plus signs")


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(c < " " and c != "\n" for c in text):
        raise NoteInvalid("expected lines without control characters, the last one ended")
