"""Attempts without a token become one entry a minute, whatever their number; none is forgotten when the ledger is down."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from sidecar.clock import FixedClock
from sidecar.errors import LedgerUnavailable
from sidecar.ledger.attempts import MAX_SOURCES, NAMED_SOURCES, AttemptCounter, network
from sidecar.ledger.build import EntryBuilder
from sidecar.ledger.entry import SIZES, decode, encode
from sidecar.ledger.tables import ENTRIES
from tests.support.state import NOW


class Down:
    """A ledger that is down until told otherwise."""

    def __init__(self, ledger) -> None:
        self.ledger, self.down, self.committed = ledger, True, []

    def commit(self, entry):
        if self.down:
            raise LedgerUnavailable("down")
        self.committed.append(entry)
        return self.ledger.commit(entry)


@pytest.fixture
def clock():
    return FixedClock(NOW)


def counter(ledger, clock):
    return AttemptCounter(ledger, EntryBuilder(clock), clock, lambda kind, value: f"{kind}-{len(value)}".ljust(22, "x"))


def recorded(engine) -> list[dict]:
    with engine.connect() as connection:
        return [
            decode(body) for body in connection.execute(select(ENTRIES.c.body).order_by(ENTRIES.c.writer_seq)).scalars()
        ]


def test_a_minute_is_one_entry(engine, ledger, clock):
    attempts = counter(ledger, clock)
    for n in range(100):
        attempts.count("203.0.113.7" if n % 4 else "2001:db8:1:2::3", "token-missing" if n % 2 else "token-expired")
    attempts.tick()
    assert recorded(engine) == []
    clock.set(NOW + timedelta(minutes=1))
    attempts.count("203.0.113.9", "token-missing")
    (entry,) = recorded(engine)
    assert (entry["kind"], entry["outcome"], entry["codes"]) == (
        "attempts",
        "refuse",
        ["token-expired", "token-missing"],
    )
    assert entry["extra"] == {
        "count": "100",
        "minute": "2026-11-23T08:00Z",
        "sources": "2",
        "source_00": "203.0.113.0/24 source-11xxxxxxxxxxxxx 75",
        "source_01": "2001:db8:1::/48 source-15xxxxxxxxxxxxx 25",
    }
    attempts.tick(final=True)
    attempts.tick(final=True)
    assert [e["extra"]["count"] for e in recorded(engine)] == ["100", "1"]


def test_no_whole_address_is_in_the_entry(engine, ledger, clock):
    attempts = counter(ledger, clock)
    attempts.count("203.0.113.77", "token-missing")
    attempts.tick(final=True)
    assert "203.0.113.77" not in str(recorded(engine))


def test_a_flood_from_many_sources_takes_bounded_memory_and_one_small_entry(ledger, clock):
    kept = Down(ledger)
    attempts = counter(kept, clock)
    for n in range(MAX_SOURCES + 500):
        attempts.count(f"2001:db8:{n >> 8:x}{n & 255:02x}:ffff:ffff:ffff:ffff:{n:04x}", "token-missing")
    assert len(attempts._current.sources) == MAX_SOURCES + 1
    kept.down = False
    attempts.tick(final=True)
    (entry,) = kept.committed
    assert entry.extra["count"] == str(MAX_SOURCES + 500)
    assert sum(name.startswith("source_") for name in entry.extra) == NAMED_SOURCES
    assert len(encode(entry)[1].data) == SIZES[0]


def test_counts_outlast_a_ledger_that_is_down(ledger, clock):
    kept = Down(ledger)
    attempts = counter(kept, clock)
    attempts.count("203.0.113.7", "token-missing")
    for minute in (1, 2, 3):
        clock.set(NOW + timedelta(minutes=minute))
        with pytest.raises(LedgerUnavailable):
            attempts.count("203.0.113.7", "token-expired")
    assert len(attempts._finished) == 1
    kept.down = False
    attempts.tick(final=True)
    assert sum(int(entry.extra["count"]) for entry in kept.committed) == 4
    assert {code for entry in kept.committed for code in entry.codes} == {"token-missing", "token-expired"}


def test_what_is_no_address_has_no_network():
    assert network("unix:") == "unknown"
