"""Reads log files that grow and rotate, from where the last look ended: nothing twice, nothing left out.

A file is known by device, inode and the digest of its first bytes, whatever its name becomes (logrotate's renaming,
a new name a day, ``server_audit.log.1``). One that is shorter than what was read of it, or begins otherwise, was cut off
or replaced in place: it is read from its start, and the caller is told.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, Final

from sidecar.errors import ConfigurationError

MAX_FILES: Final = 256
"""Files of one log; more means that the pattern takes in others."""

MAX_READ: Final = 4_194_304
"""Bytes read at once: some thousand statements, and four of the longest."""

HEAD: Final = 256
"""First bytes that tell a file from another with its inode."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file of ``size`` bytes was read: ``offset``; digest of its first ``head`` bytes."""

    offset: int
    head: int
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Log:
    """One file, open.

    Attributes:
        key: device and inode.
        start: where to read on.
        torn: what was still to be read of it is not there any more.
        changed: last change, POSIX seconds.
        size: bytes when it was opened.
        following: the file that was written to next, where there is one.
    """

    key: str
    file: BinaryIO
    start: int
    torn: bool
    changed: float
    size: int
    following: Path | None

    def read(self, offset: int) -> bytes:
        """At most ``MAX_READ`` bytes."""
        self.file.seek(offset)
        return self.file.read(MAX_READ)

    def ahead(self) -> bytes:
        """What the following file begins with: a rotation may come between two records of one statement."""
        if self.following is None:
            return b""
        with _opened(self.following) as file:
            return file.read(MAX_READ) if file is not None else b""

    def place(self, offset: int) -> Place:
        """The place at an offset."""
        head = min(self.size, HEAD)
        return Place(offset, head, _digest(self.file, head), max(self.size, offset))


def logs(pattern: Path, known: Mapping[str, Place]) -> Iterator[Log]:
    """The files of a log, those that were written to last at the end; each is closed when the next is asked for.

    Raises:
        ConfigurationError: none matches, or too many; one cannot be read.
    """
    paths = _paths(pattern)
    lost = dict(known)  # places whose file is not what it was: it may have been copied before
    for path in paths:
        with _opened(path) as file:
            if file is not None and _intact(file, known.get(_key(file))):
                lost.pop(_key(file), None)
    for path, following in zip_longest(paths, paths[1:]):
        with _opened(path) as file:
            if file is not None:
                yield _log(file, following, known, lost)


def _paths(pattern: Path) -> list[Path]:
    try:
        found = [path for path in pattern.parent.glob(pattern.name) if path.is_file()]
        dated = sorted((path.stat().st_mtime_ns, path.name, path) for path in found)
    except FileNotFoundError:
        return _paths(pattern)  # one was renamed between the two
    except OSError as exc:
        raise ConfigurationError(f"{pattern}: cannot be read: {exc.strerror}") from exc
    if not dated or len(dated) > MAX_FILES:
        raise ConfigurationError(f"{pattern}: expected 1 to {MAX_FILES} files of the audit, got {len(dated)}")
    return [path for *_, path in dated]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | None]:
    """A regular file; None for anything else, and where it was renamed: its content stands under the next name."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc.strerror}") from exc
    with os.fdopen(descriptor, "rb") as file:
        yield file if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _key(file: BinaryIO) -> str:
    status = os.fstat(file.fileno())
    return f"{status.st_dev}:{status.st_ino}"


def _log(file: BinaryIO, following: Path | None, known: Mapping[str, Place], lost: dict[str, Place]) -> Log:
    status, key = os.fstat(file.fileno()), _key(file)
    start, torn = _start(file, known.get(key), key, lost)
    return Log(key, file, start, torn, status.st_mtime, status.st_size, following)


def _start(file: BinaryIO, place: Place | None, key: str, lost: dict[str, Place]) -> tuple[int, bool]:
    """Where to read on: in the same file, in a copy of one that was cut off (copytruncate), or at the start."""
    size = os.fstat(file.fileno()).st_size
    if place is not None and _intact(file, place):
        torn = size < place.size
        return (0 if torn else place.offset), torn
    copied = next((one for one, its in lost.items() if one != key and its.head and _intact(file, its)), None)
    if copied is not None:
        return min(lost.pop(copied).offset, size), False
    # A file whose inode was given to a new one had been read to its end; one that had not was cut off.
    left = lost.get(key)
    return 0, left is not None and left.offset < left.size


def _intact(file: BinaryIO, place: Place | None) -> bool:
    """Whether a file begins as it did when this place was kept."""
    if place is None or os.fstat(file.fileno()).st_size < place.head:
        return False
    return _digest(file, place.head) == place.digest


def _digest(file: BinaryIO, head: int) -> str:
    file.seek(0)
    return hashlib.sha256(file.read(head)).hexdigest()
