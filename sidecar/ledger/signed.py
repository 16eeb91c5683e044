"""The last checkpoint that the log key has signed: none that contradicts it is signed afterwards (C2SP tlog-checkpoint)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sidecar.errors import CodedError, ConfigurationError
from sidecar.keys.files import replace
from sidecar.ledger.checkpoint import Checkpoint, parse
from sidecar.ledger.merkle import EMPTY_ROOT
from sidecar.ledger.note import NoteInvalid


class LogRefused(CodedError):
    """The log is neither signed nor proven; the code says why.

    ``ledger-damaged``: it is not whole. ``ledger-rolled-back``: it is smaller than a tree that was signed before.
    ``ledger-forked``: it holds other entries than those that were signed.
    """

    status = 503


def nothing_signed(origin: str) -> bytes:
    """Content of the file of a new log key: the empty tree, which every log contains."""
    return Checkpoint(origin, 0, EMPTY_ROOT).text().encode()


class SignedFile:
    """One file with the text of a checkpoint, replaced in one step and flushed; a lock file stands beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the right to sign; waits for another process to finish. The system frees it when its holder dies.

        Raises:
            ConfigurationError: the lock file cannot be opened.
        """
        lock = self._path.with_name(self._path.name + ".lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise ConfigurationError(f"{lock}: cannot be opened: {exc.strerror}") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def last(self) -> Checkpoint:
        """What was signed last.

        Raises:
            ConfigurationError: the file is missing, writable by all or damaged; nothing may be signed then.
        """
        try:
            content, mode = self._path.read_text(encoding="utf-8"), self._path.stat().st_mode
        except OSError as exc:
            raise ConfigurationError(f"{self._path}: cannot be read: {exc.strerror}") from exc
        except UnicodeDecodeError as exc:
            raise ConfigurationError(f"{self._path}: expected the last signed checkpoint") from exc
        if mode & stat.S_IWOTH:  # it is no secret; a volume's group may write it
            raise ConfigurationError(f"{self._path}: can be written by everybody; run: chmod 600 {self._path}")
        try:
            return parse(content)
        except NoteInvalid as exc:
            raise ConfigurationError(f"{self._path}: expected the last signed checkpoint") from exc

    def keep(self, checkpoint: Checkpoint) -> None:
        """Make ``checkpoint`` the last one, durably; before its signature leaves this process.

        Raises:
            ConfigurationError: it cannot be written.
        """
        replace(self._path, checkpoint.text().encode())
