"""Letters that were taken back, as a snapshot in memory: an inquiry asks nobody for what changes once a month (R17)."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Engine, bindparam, select

from sidecar.clock import Clock
from sidecar.papers.snapshot import Snapshot
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
        self._counters = Snapshot(engine, clock, refresh_seconds, _ALL)

    def revoked(self, counter: str) -> bool:
        """See ``Revocations``."""
        return counter in self._counters()
