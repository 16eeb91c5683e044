"""Checks signed checkpoints, cosignatures and inclusion proofs for whoever does not trust the writer.

C2SP signed-note, tlog-checkpoint, tlog-cosignature and tlog-proof; RFC 8032. Shares nothing with the writer but the
hashes, needs neither database nor settings, and reads whatever is put before it.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sidecar.ledger import merkle

LOG, WITNESS = 1, 4
"""Type bytes of keys: of a log (Ed25519 over the text), of a witness (over time and text)."""

MAX_BYTES = 65536
"""Of a note or proof; a checkpoint with a hundred cosignatures has a fifth of it."""

MAX_LINES = 200
"""Signatures of a note, or hashes of a proof (a path has 63 at most): a bound on what a forged one costs."""

PROOF_HEADER = "c2sp.org/tlog-proof@v1"

_KEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_TEXT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*")
_SIGNATURE = re.compile(r"\N{EM DASH} ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_DASHED = "\n\n\N{EM DASH} "
_TIME_BYTES = 8


class EvidenceInvalid(ValueError):
    """What was put before us does not show what it should; the text says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A verifier key: name, type byte, public key."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """First four bytes of SHA-256(name ‖ LF ‖ type ‖ public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a log has signed, and which witnesses have seen, each at which POSIX second."""

    origin: str
    size: int
    root: bytes
    witnesses: tuple[tuple[str, int], ...]


def read_key(text: str) -> Key:
    """Read the content of a ``*.vkey`` file.

    Raises:
        EvidenceInvalid: it is none, or of a type that is not known here.
    """
    match = _KEY.fullmatch(text.strip())
    content = _base64(match[3]) if match else b""
    if match is None or len(content) != 1 + 32 or content[0] not in {LOG, WITNESS}:
        raise EvidenceInvalid("expected a verifier key of an Ed25519 log or witness")
    key = Key(match[1], content[0], content[1:])
    if key.id.hex() != match[2]:
        raise EvidenceInvalid(f"{key.name}: expected key id {key.id.hex()}, got {match[2]}")
    return key


def read_checkpoint(note: bytes, log: Key, witnesses: Sequence[Key] = ()) -> Statement:
    """The statement of a checkpoint that ``log`` has signed, with those of ``witnesses`` that have cosigned it.

    1. The text is origin, size and root; the origin is the log key's name.
    2. A bad signature of a known key makes all of it invalid; unknown keys are ignored.
    3. The log's signature is there.

    Raises:
        EvidenceInvalid: one of that does not hold.
    """
    text, lines = _split(note)
    match = _TEXT.fullmatch(text)
    if match is None:
        raise EvidenceInvalid("expected a checkpoint: origin, size and root, one a line")
    if log.kind != LOG or match[1] != log.name:
        raise EvidenceInvalid(f"expected a checkpoint of {log.name}, got one of {match[1]}")
    seen: dict[Key, int] = {}
    for name, signature in map(_line, lines):
        for key in (log, *witnesses):
            if (key.name, key.id) == (name, signature[:4]) and key not in seen:
                seen[key] = _verified(key, signature[4:], text)
    if log not in seen:
        raise EvidenceInvalid(f"the checkpoint carries no signature of {log.name}")
    cosigned = tuple((key.name, time) for key, time in seen.items() if key != log)
    return Statement(match[1], int(match[2]), b64decode(match[3]), cosigned)


def check_proof(proof: bytes, leaf: bytes, log: Key, witnesses: Sequence[Key] = ()) -> tuple[int, Statement]:
    """Position of ``leaf``, and the signed statement under which it stands there.

    Raises:
        EvidenceInvalid: the proof is malformed, not signed by the log, or does not lead from the leaf to the root.
    """
    text = _decoded(proof)
    head, blank, note = text.partition("\n\n")
    header, *lines = head.split("\n")
    if header != PROOF_HEADER or not blank:
        raise EvidenceInvalid(f"expected a proof that begins with {PROOF_HEADER}")
    if lines and lines[0].startswith("extra "):
        lines = lines[1:]
    match = _INDEX.fullmatch(lines[0]) if lines else None
    if match is None or len(lines) > MAX_LINES:
        raise EvidenceInvalid("expected the index and the hashes of a proof")
    statement = read_checkpoint(note.encode(), log, witnesses)
    index = int(match[1])
    try:
        merkle.verify_inclusion(leaf, index, statement.size, [_base64(line) for line in lines[1:]], statement.root)
    except merkle.ProofInvalid as exc:
        raise EvidenceInvalid(f"the entry is not at {index} of the signed log: {exc}") from exc
    return index, statement


def _verified(key: Key, signature: bytes, text: str) -> int:
    """Rule 2; the time of a cosignature, 0 of a log's signature."""
    time = 0
    message = text.encode()
    if key.kind == WITNESS:
        time, signature = int.from_bytes(signature[:_TIME_BYTES], "big"), signature[_TIME_BYTES:]
        message = f"cosignature/v1\ntime {time}\n".encode() + message
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError) as exc:
        raise EvidenceInvalid(f"the signature of {key.name} is bad") from exc
    return time


def _split(note: bytes) -> tuple[str, list[str]]:
    whole = _decoded(note)
    head, blank, rest = whole.rpartition(_DASHED)
    lines = (_DASHED[2:] + rest).split("\n")
    if not blank or lines[-1] or len(lines) > MAX_LINES:
        raise EvidenceInvalid("expected signatures behind a blank line")
    return head + "\n", lines[:-1]


def _line(line: str) -> tuple[str, bytes]:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        raise EvidenceInvalid("expected a signature's line")
    return match[1], _base64(match[2])


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise EvidenceInvalid(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise EvidenceInvalid("expected UTF-8") from exc


def _base64(text: str) -> bytes:
    try:
        return b64decode(text.encode("ascii"), validate=True)
    except ValueError as exc:
        raise EvidenceInvalid("expected base64") from exc
