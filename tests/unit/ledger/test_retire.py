"""A closed year goes only when it is exported, cosigned and old; a log is begun anew only where it contradicts its own key."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, update

from sidecar.errors import ConfigurationError
from sidecar.ledger import note, origins, retire
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.evidence import read_key
from sidecar.ledger.export import export
from sidecar.ledger.signed import SignedFile
from sidecar.ledger.tables import CHECKPOINTS, ENTRIES, NODES, POSITIONS
from sidecar.ledger.verify import Export, Keys, verify, verify_origins
from tests.support.signing import KEY, Bench, known, roll_back, settle, turn_year
from tests.support.state import ORIGIN

NEXT = f"{ORIGIN}/2027"
LOG = read_key(str(note.verifier(ORIGIN, KEY.public_key())))
LATER = datetime(2037, 1, 1, tzinfo=UTC)


@pytest.fixture
def bench(engine, ledger, tmp_path):
    made = Bench(engine, ledger, tmp_path)
    yield made
    made.sequencer.release()


@pytest.fixture
def closed(bench, tmp_path):
    """Two years, the first one exported."""
    bench.grow(300)
    turn_year(bench)
    settle(bench, 3)
    export(bench.engine, tmp_path / "2026", origin=ORIGIN)
    return bench


def ripe(bench, origin, now=LATER, years=10, quorum=0):
    with bench.engine.connect() as connection:
        retire.check_ripe(connection, origin, now, years, quorum)


def count(bench, table):
    with bench.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_closed_year_is_destroyed_whole_and_the_rest_is_verified_as_before(closed, tmp_path):
    old, new = known(closed)
    ripe(closed, old)
    report = verify(Export(tmp_path / "2026"), keys=Keys(LOG))
    retire.check_export(old, report)
    before = verify_origins(closed.engine, keys=Keys(LOG))[1]
    retire.destroy(closed.engine, closed.ledger, closed.clock, old, approvers="an, bo")
    with closed.engine.connect() as connection:
        assert retire.left(connection, old) == 0
    assert (count(closed, ENTRIES), count(closed, POSITIONS), count(closed, NODES)) == (5, 4, 0)
    assert next(row.size for row in closed.rows(CHECKPOINTS)) == 300  # its last checkpoint stays
    (after,) = verify_origins(closed.engine, keys=Keys(LOG))
    assert (after.origin, after.root, after.fault, after.pending) == (NEXT, before.root, None, 1)
    assert known(closed)[0].destroyed
    settle(closed, 1)
    assert closed.codes() == ["ledger-opened", "ledger-destroyed"]
    assert verify_origins(closed.engine, keys=Keys(LOG))[0].ok
    turn_year(closed, 2028)
    assert (new.number, [report.ok for report in verify_origins(closed.engine)]) == (2, [True, True])


def test_a_destruction_that_was_broken_off_goes_on(closed, monkeypatch):
    old = known(closed)[0]
    monkeypatch.setattr(retire, "ROWS", 100)

    def broken(done):
        if done == 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retire.destroy(closed.engine, closed.ledger, closed.clock, old, approvers="an, bo", progress=broken)
    retire.destroy(closed.engine, closed.ledger, closed.clock, known(closed)[0], approvers="an, bo")
    assert closed.codes() == ["ledger-opened", "ledger-destroyed"]  # once
    assert verify_origins(closed.engine, keys=Keys(LOG))[0].ok


def test_what_is_not_ripe_stays(closed):
    old, new = known(closed)
    for origin, options, text in (
        (new, {}, f"{ORIGIN} is older"),
        (old, {"now": datetime(2036, 12, 31, 15, 59, tzinfo=UTC)}, "is kept until the end of 2036"),
        (old, {"quorum": 1}, "is not signed and cosigned to its end"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            ripe(closed, origin, **options)


def test_the_present_log_stays(bench):
    bench.grow(1)
    with pytest.raises(ConfigurationError, match="is the present log"):
        ripe(bench, known(bench)[0])


def test_an_export_of_another_tree_does_not_do(closed, tmp_path):
    old, new = known(closed)
    export(closed.engine, tmp_path / "2027", origin=NEXT)
    with pytest.raises(ConfigurationError, match="the export is not"):
        retire.check_export(old, verify(Export(tmp_path / "2027")))
    lines = (tmp_path / "2026" / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "2026" / "entries.jsonl").write_text("\n".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="the export"):
        retire.check_export(old, verify(Export(tmp_path / "2026")))
    assert new.closed == 0


# --- after a rollback ------------------------------------------------------------------------------------------------


@pytest.fixture
def frozen(bench):
    """A ledger that was set back from 6 entries to 3; its sequencer is stopped."""
    bench.grow(3, 60)
    bench.grow(3, 60)
    bench.seen = bench.kept()
    roll_back(bench, 3)
    bench.grow(1, 60)
    assert bench.codes() == ["ledger-rolled-back"]
    bench.sequencer.release()
    return bench


def begin(bench, seen):
    return retire.begin_anew(bench.engine, bench.clock, [], SignedFile(bench.file), seen=seen, approvers="an, bo")


def test_a_log_is_begun_anew_once_and_signed_again(frozen):
    opened = begin(frozen, frozen.seen)
    assert (opened.name, frozen.kept().origin, frozen.kept().size) == (f"{ORIGIN}/2026.2", f"{ORIGIN}/2026.2", 0)
    assert begin(frozen, frozen.seen) == opened  # as after a crash before the file was written
    frozen.start()
    frozen.grow(2, 60)
    assert frozen.kept().size >= 3
    reports = verify_origins(frozen.engine, keys=Keys(LOG))
    assert [(report.frozen, report.ok) for report in reports] == [(True, False), (False, True)]


def test_a_log_that_contains_the_tree_is_not_begun_anew(bench):
    bench.grow(3)
    bench.sequencer.release()
    with pytest.raises(ConfigurationError, match="there is nothing to begin anew for"):
        begin(bench, bench.kept())


def test_a_smaller_tree_than_the_file_knows_does_not_do(frozen):
    with pytest.raises(ConfigurationError, match="show the newest checkpoint"):
        begin(frozen, Checkpoint(ORIGIN, 2, bytes(32)))


def test_while_a_sequencer_is_at_work_nothing_is_begun(frozen):
    frozen.start()
    frozen.sequencer.step()
    with pytest.raises(ConfigurationError, match="stop the service first"):
        begin(frozen, frozen.seen)


def test_a_year_that_the_database_has_lost_is_begun_under_another_label(bench):
    bench.grow(3)
    lost = Checkpoint(NEXT, 9, bytes(32))
    SignedFile(bench.file).keep(lost)
    bench.clock.set(origins.begins(2027))
    bench.sequencer.release()
    assert begin(bench, lost).name == f"{ORIGIN}/2027.2"
    bench.start()
    settle(bench, 1)
    assert bench.kept().origin == f"{ORIGIN}/2027.2"


def test_a_position_behind_the_end_is_found_after_the_turn(closed):
    closed.change(update(POSITIONS).where(POSITIONS.c.position == 300).values(position=900))
    assert [report.ok for report in verify_origins(closed.engine)] == [True, False]
