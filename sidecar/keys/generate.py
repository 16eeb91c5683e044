"""Making and rotating key files: 0600, whole or not at all, never in the place of another one (style 14)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sidecar.errors import ConfigurationError
from sidecar.keys.files import (
    PUBLIC_MODE,
    SECRET_MODE,
    SYMMETRIC_BYTES,
    read_ed25519_private,
    replace,
    write_new,
)
from sidecar.keys.ids import RandomBytes, system_random
from sidecar.keys.jwk import PublicKey, key_set, public_jwk
from sidecar.keys.ring import (
    APPLICATION_FILE,
    CURSOR_FILE,
    FORMER_RECEIPTS_FILE,
    RECEIPT_FILE,
    pseudonym_file,
    read_former_receipts,
)

FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A new Ed25519 key: its two files and its name."""

    private: Path
    public: Path
    kid: str


def create_ring(directory: Path, year: int, random: RandomBytes = system_random) -> list[Path]:
    """Create a deployment's ring: receipt key, cursor key, the key of applications, a Beijing year's pseudonym key.

    Raises:
        ConfigurationError: one of the files exists already: nothing is written then.
    """
    paths = [directory / name for name in (RECEIPT_FILE, CURSOR_FILE, APPLICATION_FILE, pseudonym_file(year))]
    _refuse_taken(paths)
    directory.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    write_new(paths[0], _private_pem(Ed25519PrivateKey.generate()))
    for path in paths[1:]:
        write_new(path, _symmetric(random))
    return paths


def add_application_key(directory: Path, random: RandomBytes = system_random) -> Path:
    """Create the key of applications in a ring that is older than it.

    Raises:
        ConfigurationError: there is one already.
    """
    path = directory / APPLICATION_FILE
    write_new(path, _symmetric(random))
    return path


def create_log_key(path: Path, signed_file: Path, nothing: bytes) -> Ed25519PublicKey:
    """Create the log key, and the file of what it has signed, which says ``nothing`` at first.

    Raises:
        ConfigurationError: one of the files exists already: nothing is written then.
    """
    _refuse_taken([path, signed_file])
    for file in (path, signed_file):
        file.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    write_new(path, _private_pem(key))
    write_new(signed_file, nothing)
    return key.public_key()


def add_pseudonym_year(directory: Path, year: int, random: RandomBytes = system_random) -> Path:
    """Create the pseudonym key of a further year; running processes find it by themselves.

    Raises:
        ConfigurationError: the year has one already.
    """
    path = directory / pseudonym_file(year)
    write_new(path, _symmetric(random))
    return path


def rotate_receipt(directory: Path) -> str:
    """Put a new receipt key in place and keep the old one's public half, so that old receipts still verify.

    The old private key is gone afterwards. Running processes keep the old key until they start again; a crash between
    the two writes leaves the old key in place, its public half listed once more than needed.

    Returns:
        The new ``kid``.

    Raises:
        ConfigurationError: the ring is incomplete or cannot be written.
    """
    old = public_jwk(read_ed25519_private(directory / RECEIPT_FILE).public_key())
    listed = directory / FORMER_RECEIPTS_FILE
    former = read_former_receipts(listed)
    kept = [public_jwk(key, kid) for kid, key in former.items() if kid != old["kid"]]
    replace(listed, key_set(old, *kept), PUBLIC_MODE)
    new = Ed25519PrivateKey.generate()
    replace(directory / RECEIPT_FILE, _private_pem(new))
    return str(public_jwk(new.public_key())["kid"])


def rotate_cursor(directory: Path, random: RandomBytes = system_random) -> None:
    """Put a new cursor key in place; cursors handed out before are refused once processes start again.

    Raises:
        ConfigurationError: there is none, or it cannot be written.
    """
    path = directory / CURSOR_FILE
    if not path.exists():
        raise ConfigurationError(f"{path}: expected a key to rotate, got none")
    replace(path, _symmetric(random))


def create_signing_key(directory: Path, name: str) -> SigningKey:
    """Create an Ed25519 key of an approver, unit or issuer: ``<name>.pem`` and ``<name>.pub.pem``.

    Raises:
        ConfigurationError: one of the files exists already: nothing is written then.
    """
    directory.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    made = SigningKey(
        directory / f"{name}.pem", directory / f"{name}.pub.pem", str(public_jwk(key.public_key())["kid"])
    )
    _refuse_taken([made.private, made.public])
    write_new(made.private, _private_pem(key))
    write_new(
        made.public,
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        PUBLIC_MODE,
    )
    return made


def create_age_identity(path: Path) -> str:
    """Create an age identity file (the format of ``age-keygen``).

    Returns:
        The public key (``age1…``) for ``keys.dossier_recipients``.

    Raises:
        ConfigurationError: the file exists already.
    """
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    identity = pyrage.x25519.Identity.generate()
    public = str(identity.to_public())
    write_new(path, f"# public key: {public}\n{identity}\n".encode("ascii"), SECRET_MODE)
    return public


def write_key_set(path: Path, keys: Mapping[str, PublicKey]) -> None:
    """Write public keys by ``kid`` as a JWK set (0644), in the place of an older one.

    Raises:
        ConfigurationError: it cannot be written.
    """
    replace(path, key_set(*(public_jwk(key, kid) for kid, key in keys.items())), PUBLIC_MODE)


def _refuse_taken(paths: Sequence[Path]) -> None:
    taken = [str(path) for path in paths if path.exists()]
    if taken:
        raise ConfigurationError(f"{', '.join(taken)}: exists already; it is never overwritten")


def _symmetric(random: RandomBytes) -> bytes:
    return base64.b64encode(random(SYMMETRIC_BYTES)) + b"\n"


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
