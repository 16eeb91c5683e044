"""Makes entries: id, time and salt from an injected clock and source of randomness (UUIDv7: RFC 9562 §5.7)."""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sidecar.clock import Clock
from sidecar.ledger.types import Entry

Random = Callable[[int], bytes]
"""Gives so many random bytes; ``os.urandom`` in production."""

SALT_BYTES = 16
"""128 bits: a leaf hash in a receipt tells nothing about its entry."""


def milliseconds(instant: datetime) -> int:
    """POSIX milliseconds, rounded down."""
    return int(instant.timestamp()) * 1000 + instant.microsecond // 1000


def timestamp(instant: datetime) -> str:
    """The ledger's form of an instant: UTC with milliseconds and ``Z``."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def uuid7(instant: datetime, random: Random = os.urandom) -> str:
    """A UUIDv7: 48 bits of POSIX milliseconds, then 74 random bits."""
    number = (milliseconds(instant) << 80) | int.from_bytes(random(10), "big")
    number = (number & ~(0xF << 76)) | (0x7 << 76)
    number = (number & ~(0x3 << 62)) | (0x2 << 62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def salt(random: Random = os.urandom) -> str:
    """A fresh salt, base64url without padding."""
    return urlsafe_b64encode(random(SALT_BYTES)).rstrip(b"=").decode("ascii")


class EntryBuilder:
    """Makes entries that are no inquiry: policy, registry, system, attempts. Thread-safe."""

    def __init__(self, clock: Clock, random: Random = os.urandom) -> None:
        self._clock = clock
        self._random = random

    def build(
        self,
        kind: str,
        channel: str,
        *,
        officer: str = "",
        unit: str = "",
        outcome: str = "",
        codes: tuple[str, ...] = (),
        revision: str = "",
        extra: Mapping[str, str] | None = None,
    ) -> Entry:
        """A new entry of ``kind`` with its own id, the present time and a fresh salt."""
        now = self._clock.now()
        return Entry(
            id=uuid7(now, self._random),
            time=timestamp(now),
            kind=kind,
            channel=channel,
            salt=salt(self._random),
            officer=officer,
            unit=unit,
            outcome=outcome,
            codes=tuple(sorted(codes)),
            revision=revision,
            extra=extra,
        )
