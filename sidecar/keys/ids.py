"""UUIDv7 from an injected clock and source of randomness (RFC 9562 §5.7, §6.2)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from threading import Lock

from sidecar.clock import Clock

RandomBytes = Callable[[int], bytes]
"""A source of randomness: so many bytes. Cryptographic in production; a seeded one in tests and replay."""

system_random: RandomBytes = secrets.token_bytes
"""The operating system's source."""

_RANDOM_BITS = 74
_STEP_BYTES = 5
"""Ids of one millisecond lie up to 2^40 apart: two processes forked with one state still differ."""


class UuidSource:
    """Makes UUIDv7s that rise strictly within the process, also where the clock stands still or goes back.

    Thread-safe. Processes draw their own randomness, so that theirs differ.
    """

    def __init__(self, clock: Clock, random: RandomBytes = system_random) -> None:
        self._clock = clock
        self._random = random
        self._lock = Lock()
        self._millis = -1
        self._tail = 0

    def new(self) -> str:
        """The next identifier, 36 lower-case characters."""
        millis = int(self._clock.now().timestamp() * 1000)
        with self._lock:
            if millis > self._millis:
                self._millis = millis
                self._tail = int.from_bytes(self._random(10)) >> 6
            else:
                self._advance()
            return _format(self._millis, self._tail)

    def _advance(self) -> None:
        self._tail += 1 + int.from_bytes(self._random(_STEP_BYTES))
        if self._tail >> _RANDOM_BITS:  # the millisecond is full: borrow the next one
            self._millis += 1
            self._tail = int.from_bytes(self._random(10)) >> 6


def derived(millis: int, digest: bytes) -> str:
    """The UUIDv7 that a time (POSIX milliseconds) and a digest of at least 10 bytes always give: what is named by content.

    Where the content could be guessed the digest MUST be a keyed one.
    """
    return _format(millis, int.from_bytes(digest[:10]) >> 6)


def _format(millis: int, tail: int) -> str:
    value = millis << 80 | 0x7 << 76 | tail >> 62 << 64 | 0b10 << 62 | tail & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
