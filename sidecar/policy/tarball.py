"""Bundles as byte-identical archives: the same files give the same bytes, whoever packs them and when."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping

from sidecar.errors import ConfigurationError

MAX_BYTES = 16 << 20
"""A bundle unpacks to under a megabyte; more is a fault or an attack."""


def pack(files: Mapping[str, bytes]) -> bytes:
    """A gzipped tar of the files, sorted by name, without times and owners."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo("/" + name)  # OPA's own bundles have absolute names
            entry.size = len(files[name])
            entry.mode = 0o644
            tar.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The regular files of a gzipped tar, names without their leading slash; nothing is written.

    Raises:
        ConfigurationError: no such archive, or larger than ``MAX_BYTES``.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            plain = packed.read(MAX_BYTES + 1)
        if len(plain) > MAX_BYTES:
            raise ConfigurationError(f"bundle: expected at most {MAX_BYTES} bytes unpacked")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            return {m.name.lstrip("/"): _read(tar, m) for m in tar.getmembers() if m.isfile()}
    except (OSError, EOFError, tarfile.TarError) as exc:
        raise ConfigurationError(f"bundle: expected a gzipped tar: {type(exc).__name__}") from exc


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file is not None else b""
