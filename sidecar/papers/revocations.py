"""Letters that were taken back, as a snapshot in memory: an inquiry asks nobody for what changes once a month (R17)."""

from __future__ import annotations

from threading import Lock
from typing import Protocol

from sqlalchemy import Engine, bindparam, select

from sidecar.clock import Clock
from sidecar.papers.tables import REVOKED_LETTERS
from sidecar.storage.reader import Reader

_ALL = select(REVOKED_LETTERS.c.counter)
_ONE = _ALL.where(REVOKED_LETTERS.c.counter == bindparam("counter"))


class Revocations(Protocol):
    """Whether a letter was taken back."""

    def revoked(self, counter: str) -> bool:
        """By ``Letter.counter``; raises ``LedgerUnavailable`` where that cannot be known."""


class RevocationsNow:
    """Asks the state database each time. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._reader = Reader(engine)

    def revoked(self, counter: str) -> bool:
        """See ``Revocations``."""
        return bool(self._reader.rows(_ONE, {"counter": counter}))


class RevocationSnapshot:
    """Answers from a snapshot that is at most ``refresh_seconds`` old, twice that while another thread reads. Thread-safe.

    Args:
        engine: the state database.
        clock: for the age.
        refresh_seconds: how soon a revocation takes effect, as for the registry.
    """

    def __init__(self, engine: Engine, clock: Clock, refresh_seconds: float) -> None:
        self._reader = Reader(engine)
        self._clock = clock
        self._refresh = refresh_seconds
        self._lock = Lock()
        self._counters: frozenset[str] = frozenset()
        self._loaded = float("-inf")

    def revoked(self, counter: str) -> bool:
        """See ``Revocations``."""
        age = self._clock.monotonic() - self._loaded
        if age >= self._refresh and self._lock.acquire(blocking=age >= 2 * self._refresh):
            try:
                self._reload()
            finally:
                self._lock.release()
        return counter in self._counters

    def _reload(self) -> None:
        started = self._clock.monotonic()
        if started - self._loaded < self._refresh:
            return  # another thread has just done it
        self._counters = frozenset(counter for (counter,) in self._reader.rows(_ALL, {}))
        self._loaded = started
