"""Key files: read only where nobody else can, written whole or not at all, never overwritten by accident (style 14)."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sidecar.errors import ConfigurationError

MAX_KEY_FILE_BYTES = 65536
"""No key file of ours is larger; the bound keeps a wrong path from filling the memory."""

SYMMETRIC_BYTES = 32
"""Length of cursor and pseudonym keys (HMAC-SHA-256, AES-256)."""

SECRET_MODE = 0o600
PUBLIC_MODE = 0o644


def read_secret(path: Path) -> bytes:
    """Read a secret file that only its owner can read.

    Accepted: a regular file of this process's user or of root without any right of group and others (0600, 0400), or
    one that belongs to root and that nobody may write (0440): so Kubernetes mounts a Secret where ``fsGroup`` is set.

    Raises:
        ConfigurationError: missing, too open, foreign or too large; the text has the path and the fix.
    """
    try:
        with path.open("rb") as file:
            _check_mode(path, os.fstat(file.fileno()))
            data = file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc.strerror}") from exc
    if len(data) > MAX_KEY_FILE_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MAX_KEY_FILE_BYTES} bytes, got more")
    return data


def _check_mode(path: Path, status: os.stat_result) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"{path}: expected a regular file")
    if status.st_uid not in {os.geteuid(), 0}:
        raise ConfigurationError(f"{path}: expected owner {os.geteuid()} or root, got {status.st_uid}; chown it")
    mounted = status.st_uid == 0 and mode == 0o440
    if mode & 0o077 and not mounted:
        raise ConfigurationError(f"{path}: expected mode 0600, got {mode:04o}; run: chmod 600 {path}")


def read_symmetric(path: Path) -> bytes:
    """Read a 32-byte key in base64.

    Raises:
        ConfigurationError: as ``read_secret``, or it is no such key.
    """
    text = read_secret(path).strip()
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ConfigurationError(f"{path}: expected base64") from exc
    if len(key) != SYMMETRIC_BYTES:
        raise ConfigurationError(f"{path}: expected {SYMMETRIC_BYTES} bytes in base64, got {len(key)}")
    return key


def read_ed25519_private(path: Path) -> Ed25519PrivateKey:
    """Read an Ed25519 private key, PKCS #8 in PEM.

    Raises:
        ConfigurationError: as ``read_secret``, or it is no such key.
    """
    try:
        key = serialization.load_pem_private_key(read_secret(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ConfigurationError(f"{path}: expected an unencrypted Ed25519 private key in PEM") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: expected an Ed25519 key, got {type(key).__name__}")
    return key


def read_ed25519_public(path: Path) -> Ed25519PublicKey:
    """Read an Ed25519 public key (SubjectPublicKeyInfo in PEM), e.g. an approver's.

    Raises:
        ConfigurationError: it cannot be read or is no such key.
    """
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise ConfigurationError(f"{path}: expected an Ed25519 public key in PEM") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{path}: expected an Ed25519 public key, got {type(key).__name__}")
    return key


def write_new(path: Path, data: bytes, mode: int = SECRET_MODE) -> None:
    """Create a file whole and durable; an existing one stays as it is.

    Raises:
        ConfigurationError: the file exists, or cannot be written.
    """
    staged = _stage(path, data, mode)
    try:
        os.link(staged, path)  # fails where the name is taken: create is not open
    except FileExistsError as exc:
        raise ConfigurationError(f"{path}: exists already; it is never overwritten") from exc
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be written: {exc.strerror}") from exc
    finally:
        staged.unlink()
    _sync_folder(path.parent)


def replace(path: Path, data: bytes, mode: int = SECRET_MODE) -> None:
    """Put a file in the place of an old one in one step; a crash leaves either the old or the new one.

    Raises:
        ConfigurationError: it cannot be written.
    """
    staged = _stage(path, data, mode)
    try:
        staged.replace(path)
    except OSError as exc:
        staged.unlink(missing_ok=True)
        raise ConfigurationError(f"{path}: cannot be replaced: {exc.strerror}") from exc
    _sync_folder(path.parent)


def _stage(path: Path, data: bytes, mode: int) -> Path:
    staged = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)  # whatever the umask says
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be written: {exc.strerror}") from exc
    return staged


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
