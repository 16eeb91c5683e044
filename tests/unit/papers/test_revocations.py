"""Letters taken back, from a snapshot and at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, insert

from sidecar.errors import LedgerUnavailable
from sidecar.papers.revocations import RevocationSnapshot, RevocationsNow
from sidecar.papers.tables import REVOKED_LETTERS
from sidecar.storage.metadata import METADATA


class Ticking:
    """A clock that stands until it is told to go on."""

    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self):
        raise AssertionError("a snapshot's age is no wall time")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'state.db'}")
    METADATA.create_all(engine, [REVOKED_LETTERS])
    yield engine
    engine.dispose()


def revoke(engine: Engine, counter: str) -> None:
    with engine.begin() as connection:
        connection.execute(insert(REVOKED_LETTERS).values(counter=counter, revoked=1))


def test_asked_each_time_a_revocation_counts_at_once(engine: Engine) -> None:
    revocations = RevocationsNow(engine)
    assert not revocations.revoked("a")
    revoke(engine, "a")
    assert revocations.revoked("a")
    assert not revocations.revoked("b")


def test_a_snapshot_notices_a_revocation_after_its_time_and_not_later(engine: Engine) -> None:
    clock = Ticking()
    revocations = RevocationSnapshot(engine, clock, timedelta(seconds=1).total_seconds())
    assert not revocations.revoked("a")
    revoke(engine, "a")
    clock.seconds += 0.9
    assert not revocations.revoked("a")
    clock.seconds += 0.1
    assert revocations.revoked("a")
    assert not revocations.revoked("b")


def test_without_the_database_an_old_snapshot_answers_nothing(engine: Engine) -> None:
    clock = Ticking()
    revocations = RevocationSnapshot(engine, clock, 1)
    assert not revocations.revoked("a")
    REVOKED_LETTERS.drop(engine)
    assert not revocations.revoked("a")
    clock.seconds += 1
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            revocations.revoked("a")
