"""Counts requests without a valid token by source and minute into one ``attempts`` entry: a flood buries nothing.

An address is needed to act on a flood, but the whole of it is personal data of whoever shares it: the entry names the
network in clear (/24 of IPv4, /48 of IPv6) and the address by a keyed hash, so that equal sources can be seen as equal
and the address is found again by whoever holds the year's key.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sidecar.clock import Clock
from sidecar.codes import Channel, EntryKind
from sidecar.errors import LedgerUnavailable
from sidecar.ledger.build import EntryBuilder
from sidecar.ledger.types import Ledger

MAX_SOURCES = 4096
"""Sources counted apart in a minute; the rest share one count, so that a forged flood cannot take the memory."""

NAMED_SOURCES = 12
"""Sources that the entry names, the busiest ones: with them it stays within the smaller size class."""

OTHER = "other"
"""Stands for the sources beyond ``MAX_SOURCES``."""

Pseudonym = Callable[[str, str], str]
"""Keyed hash of (kind, value), from the year's pseudonym key."""


@dataclass(slots=True)
class _Minute:
    start: datetime
    sources: Counter[str] = field(default_factory=Counter)
    codes: set[str] = field(default_factory=set)


class AttemptCounter:
    """Counts one process's attempts. Thread-safe; ``tick`` is called every few seconds and at shutdown."""

    def __init__(
        self, ledger: Ledger, builder: EntryBuilder, clock: Clock, pseudonym: Pseudonym, channel: str = Channel.API
    ) -> None:
        self._ledger = ledger
        self._builder = builder
        self._clock = clock
        self._pseudonym = pseudonym
        self._channel = channel
        self._lock = threading.Lock()
        self._current: _Minute | None = None
        self._finished: list[_Minute] = []

    def count(self, source: str, code: str) -> None:
        """Count a request from ``source`` (peer address) that was turned away with ``code``.

        Raises:
            LedgerUnavailable: an earlier minute cannot be recorded; its counts are kept. Answer 503, not 401 (P2).
        """
        with self._lock:
            minute = self._roll()
            known = source in minute.sources or len(minute.sources) < MAX_SOURCES
            minute.sources[source if known else OTHER] += 1
            minute.codes.add(code)
        self._flush()

    def tick(self, *, final: bool = False) -> None:
        """Record minutes that are over; with ``final`` the present one too.

        Raises:
            LedgerUnavailable: they cannot be recorded; the counts are kept for the next call.
        """
        with self._lock:
            if self._current and (final or self._current.start < _minute(self._clock.now())):
                self._finished.append(self._current)
                self._current = None
        self._flush()

    def _roll(self) -> _Minute:
        now = _minute(self._clock.now())
        if self._current and self._current.start != now:
            self._finished.append(self._current)
            self._current = None
        if self._current is None:
            self._current = _Minute(now)
        return self._current

    def _flush(self) -> None:
        while True:
            with self._lock:
                if not self._finished:
                    return
                minute = self._finished.pop()
            try:
                self._record(minute)
            except LedgerUnavailable:
                self._keep(minute)
                raise

    def _keep(self, minute: _Minute) -> None:
        """Put back what could not be recorded, in one heap: an outage must not cost memory by the minute."""
        with self._lock:
            if not self._finished:
                self._finished.append(minute)
                return
            kept = self._finished[0]
            kept.start = min(kept.start, minute.start)
            kept.codes |= minute.codes
            for source, count in minute.sources.items():
                known = source in kept.sources or len(kept.sources) < MAX_SOURCES
                kept.sources[source if known else OTHER] += count

    def _record(self, minute: _Minute) -> None:
        extra = {
            "count": str(minute.sources.total()),
            "minute": f"{minute.start:%Y-%m-%dT%H:%MZ}",
            "sources": str(len(minute.sources)),
        }
        busiest = sorted(minute.sources.items(), key=lambda item: (-item[1], item[0]))[:NAMED_SOURCES]
        for rank, (source, count) in enumerate(busiest):
            extra[f"source_{rank:02d}"] = f"{network(source)} {self._pseudonym('source', source)} {count}"
        entry = self._builder.build(
            EntryKind.ATTEMPTS, self._channel, outcome="refuse", codes=tuple(minute.codes), extra=extra
        )
        self._ledger.commit(entry)


def network(source: str) -> str:
    """The network of an address, /24 or /48; ``unknown`` for what is no address (a Unix socket's peer)."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return "unknown"
    prefix = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, prefix), strict=False))


def _minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)
