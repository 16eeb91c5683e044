"""A set of texts of the state database in memory: an inquiry asks nobody for what changes once a month."""

from __future__ import annotations

from threading import Lock
from typing import Any

from sqlalchemy import Engine, Select

from sidecar.clock import Clock
from sidecar.storage.reader import Reader


class Snapshot:
    """At most ``refresh_seconds`` old, twice that while another thread reads. Thread-safe.

    Args:
        engine: the state database.
        clock: for the age.
        refresh_seconds: how soon a change is seen.
        query: of one column of texts, without parameters.
    """

    def __init__(self, engine: Engine, clock: Clock, refresh_seconds: float, query: Select[Any]) -> None:
        self._reader = Reader(engine)
        self._clock = clock
        self._refresh = refresh_seconds
        self._query = query
        self._lock = Lock()
        self._texts: frozenset[str] = frozenset()
        self._loaded = float("-inf")

    def __call__(self) -> frozenset[str]:
        """The texts.

        Raises:
            LedgerUnavailable: the snapshot is too old, and the state database does not answer.
        """
        age = self._clock.monotonic() - self._loaded
        if age >= self._refresh and self._lock.acquire(blocking=age >= 2 * self._refresh):
            try:
                self._reload()
            finally:
                self._lock.release()
        return self._texts

    def _reload(self) -> None:
        started = self._clock.monotonic()
        if started - self._loaded < self._refresh:
            return  # another thread has just done it
        self._texts = frozenset(text for (text,) in self._reader.rows(self._query, {}))
        self._loaded = started
