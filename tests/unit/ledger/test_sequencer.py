"""Positions are gapless, follow each writer's sequence, and are given by one sequencer at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from sidecar.clock import FixedClock
from sidecar.errors import EngineUnavailable, LedgerUnavailable
from sidecar.ledger import merkle
from sidecar.ledger.entry import decode
from sidecar.ledger.open import open_ledger
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.tables import ENTRIES, POSITIONS, STATE, WRITERS
from sidecar.ledger.verify import verify_database
from tests.support.state import NOW, entry


class Recorder:
    """A projector that keeps what it was given, and fails when told to."""

    def __init__(self) -> None:
        self.seen = []
        self.fail = False

    def project(self, connection, entries):
        if self.fail:
            raise EngineUnavailable("policy engine is down")
        self.seen += entries


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def sequencer(engine, ledger, recorder):
    made = Sequencer(engine, ledger, FixedClock(NOW), [recorder], batch=7)
    yield made
    made.release()


def drain(sequencer) -> int:
    total = 0
    while done := sequencer.step():
        total += done
    return total


def test_every_entry_gets_one_position_in_order(settings, engine, ledger, sequencer, recorder):
    other = open_ledger(settings, FixedClock(NOW), engine=engine)
    for n in range(20):
        (other if n % 3 else ledger).commit(replace(entry(), time=f"2026-11-23T08:00:{n:02d}.000Z"))
    assert drain(sequencer) == 20
    other.close()
    assert [e.position for e in recorder.seen] == list(range(20))
    assert [e.fields["time"] for e in recorder.seen] == [f"2026-11-23T08:00:{n:02d}.000Z" for n in range(20)]
    report = verify_database(engine)
    assert (report.fault, report.size, report.pending) == (None, 20, 0)
    assert report.root == merkle.root([e.leaf_hash for e in recorder.seen])


def test_a_writer_with_a_fast_clock_keeps_its_own_order(ledger, sequencer, recorder):
    times = ["2026-11-23T08:00:09.000Z", "2026-11-23T08:00:01.000Z", "2026-11-23T08:00:05.000Z"]
    for time in times:
        ledger.commit(replace(entry(), time=time))
    drain(sequencer)
    assert [e.fields["time"] for e in recorder.seen] == times


def test_a_failing_projector_undoes_the_positions_and_gets_the_entries_again(engine, ledger, sequencer, recorder):
    ledger.commit(entry())
    recorder.fail = True
    with pytest.raises(EngineUnavailable):
        sequencer.step()
    assert verify_database(engine).size == 0
    recorder.fail = False
    assert sequencer.step() == 1
    assert [e.position for e in recorder.seen] == [0]


def test_only_one_holds_the_lock_and_another_takes_over(engine, ledger, sequencer):
    second = Sequencer(engine, ledger, FixedClock(NOW), [])
    ledger.commit(entry())
    assert sequencer.step() == 1
    assert second.step() is None
    ledger.commit(entry())
    sequencer.release()
    assert second.step() == 1
    assert sequencer.step() is None
    second.release()


def test_a_size_that_moved_under_the_holder_stops_it(engine, ledger, sequencer):
    ledger.commit(entry())
    sequencer.step()
    ledger.commit(entry())
    with engine.begin() as connection:
        connection.execute(STATE.update().values(size=0, roots=b""))
    with pytest.raises(LedgerUnavailable):
        sequencer.step()


def damage(engine, what: str, seq: int) -> None:
    with engine.begin() as connection:
        where = ENTRIES.c.writer_seq == seq
        statement = {
            "gap": ENTRIES.delete().where(where),
            "chain": ENTRIES.update().where(where).values(chain=b"x" * 32),
            "body": ENTRIES.update().where(where).values(body=b"{"),
        }[what]
        connection.execute(statement)


@pytest.mark.parametrize("what", ["gap", "chain", "body"])
def test_a_damaged_writer_stops_and_is_reported_once(engine, ledger, sequencer, recorder, what):
    for _ in range(5):
        ledger.commit(entry())
    damage(engine, what, 3)
    with engine.begin() as connection:  # a fresh writer, so that the report does not stand behind the damage
        damaged = connection.execute(select(WRITERS.c.id)).scalar_one()
    ledger._drop_writer()
    for _ in range(4):
        sequencer.step()
    with engine.connect() as connection:
        assert connection.execute(select(WRITERS.c.fault).where(WRITERS.c.id == damaged)).scalar_one() == what
        own = connection.execute(select(POSITIONS.c.writer_seq).where(POSITIONS.c.writer == damaged)).scalars().all()
        bodies = [
            decode(b) for b in connection.execute(select(ENTRIES.c.body).where(ENTRIES.c.writer != damaged)).scalars()
        ]
    assert own == [1, 2]
    assert [(b["kind"], b["codes"], b["extra"]) for b in bodies] == [
        ("system", ["ledger-damaged"], {"fault": what, "writer": damaged, "writer_seq": "3"})
    ]
    assert [e.fields["kind"] for e in recorder.seen] == ["inquiry", "inquiry", "system"]


def test_a_writer_silent_for_days_is_still_seen(engine, ledger, recorder):
    clock = FixedClock(NOW)
    sequencer = Sequencer(engine, ledger, clock, [recorder])
    sequencer.step()
    ledger.commit(entry())
    with engine.begin() as connection:
        connection.execute(WRITERS.update().values(active=0))
    assert sum(sequencer.step() or 0 for _ in range(50)) == 1
    sequencer.release()
