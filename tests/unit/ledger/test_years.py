"""One origin a calendar year: the turn at New Year, a new origin after a rollback, and what is verified across them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, update

from sidecar.ledger import merkle, note, origins, turn
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.entry import decode
from sidecar.ledger.evidence import check_proof, read_key
from sidecar.ledger.export import export
from sidecar.ledger.proof import find, prove_entry
from sidecar.ledger.signed import SignedFile
from sidecar.ledger.stored import StoredLog
from sidecar.ledger.tables import CHECKPOINTS, ENTRIES, NODES, ORIGINS, POSITIONS, STARTS
from sidecar.ledger.verify import Export, Keys, verify, verify_database, verify_origins
from tests.support.signing import KEY, Bench, known, roll_back, settle, turn_year
from tests.support.state import NOW, ORIGIN, entry

NEW_YEAR = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
NEXT = f"{ORIGIN}/2027"
LOG = read_key(str(note.verifier(ORIGIN, KEY.public_key())))


@pytest.fixture
def bench(engine, ledger, tmp_path):
    made = Bench(engine, ledger, tmp_path)
    yield made
    made.sequencer.release()


def reports(bench):
    return verify_origins(bench.engine, keys=Keys(LOG))


def faults(bench):
    return [(report.origin, report.fault and report.fault.kind) for report in reports(bench)]


def first_entry(bench, origin):
    with bench.engine.connect() as connection:
        query = select(ENTRIES.c.body).join(POSITIONS, ENTRIES.c.leaf_hash == POSITIONS.c.leaf_hash)
        return decode(connection.execute(query.where(POSITIONS.c.position == origin.first)).scalar_one())


def test_a_year_is_beijings():
    assert origins.beijing_year(NEW_YEAR - timedelta(microseconds=1)) == 2026
    assert origins.beijing_year(NEW_YEAR) == 2027
    assert origins.begins(2027) == NEW_YEAR


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("county", (0, 0)),
        ("county/2027", (2027, 1)),
        ("county/2027.2", (2027, 2)),
        ("county/x", None),
        ("a/2027/b", None),
    ],
)
def test_the_origins_of_a_deployment_have_an_order(name, order):
    assert origins.order(name) == order


def test_the_old_year_goes_on_until_its_last_moment(bench):
    bench.clock.set(NEW_YEAR - timedelta(seconds=2))
    bench.grow(2)
    assert [origin.name for origin in known(bench)] == [ORIGIN]
    bench.grow(0)
    assert [origin.name for origin in known(bench)] == [ORIGIN, NEXT]


def test_new_year_closes_the_old_log_and_opens_the_next(bench):
    bench.grow(300)
    turn_year(bench)
    old, new = known(bench)
    assert (old.size, old.reason, old.closed, old.destroyed) == (300, "year", int(NEW_YEAR.timestamp() * 1000), 0)
    assert (new.name, new.label, new.first, new.first_event, new.closed) == (NEXT, "2027", 300, 1, 0)
    opening = first_entry(bench, new)
    assert (opening["kind"], opening["codes"]) == ("system", ["ledger-opened"])
    assert opening["extra"] == {
        "origin": NEXT,
        "previous": ORIGIN,
        "previous_root": turn._text(old.root),
        "previous_size": "300",
        "reason": "year",
    }
    settle(bench, 5)
    with bench.engine.connect() as connection:
        closed, present = StoredLog(connection, old), StoredLog(connection)
        assert closed.checkpoint().note.decode() == Checkpoint(ORIGIN, 300, old.root).signed(KEY)
        assert (present.size(), present.checkpoint().size) == (6, 6)
        assert present.checkpoint().origin == NEXT
    assert bench.kept().origin == NEXT
    assert [(told.origin, told.size) for told in bench.told[1:]] == [(ORIGIN, 300), (NEXT, 1), (NEXT, 6)]
    assert faults(bench) == [(ORIGIN, None), (NEXT, None)]


def test_entries_of_the_old_year_that_wait_stand_in_the_old_log(bench):
    bench.grow(1)
    bench.ledger.commit(entry())  # of November
    turn_year(bench)
    old, new = known(bench)
    assert (old.size, new.first) == (2, 2)


def test_a_log_without_entries_is_carried_over(bench):
    turn_year(bench)
    (only,) = known(bench)
    assert (only.name, only.label, only.year) == (ORIGIN, "2027", 2027)
    settle(bench, 1)
    turn_year(bench, 2028)
    assert [origin.label for origin in known(bench)] == ["2027", "2028"]


def test_a_year_without_any_sequencer_is_no_log(bench):
    bench.grow(1)
    turn_year(bench, 2029)
    assert [origin.label for origin in known(bench)] == ["2026", "2029"]


def test_tiles_of_two_years_never_meet(bench):
    bench.grow(513)
    turn_year(bench)
    settle(bench, 600)
    assert [(row.level, row.number) for row in bench.rows(NODES)] == [(1, 0), (1, 1), (1, 513), (1, 514)]
    assert faults(bench) == [(ORIGIN, None), (NEXT, None)]


def test_a_new_process_goes_on_at_any_point_of_the_turn(bench):
    bench.grow(3)
    bench.clock.set(NEW_YEAR)
    for _ in range(6):
        bench.sequencer.release()
        bench.start()
        bench.sequencer.step()
        bench.pass_(1)
    assert bench.kept().origin == NEXT
    assert bench.codes() == ["ledger-opened"]
    assert faults(bench) == [(ORIGIN, None), (NEXT, None)]


def test_another_replicas_file_follows_through_the_years(bench):
    bench.grow(3)
    behind = bench.file.read_bytes()
    bench.grow(3)
    turn_year(bench)
    turn_year(bench, 2028)
    bench.file.write_bytes(behind)
    bench.sequencer.release()
    bench.start()
    settle(bench, 3)
    assert (bench.kept().origin, bench.kept().size) == (f"{ORIGIN}/2028", 4)
    assert bench.codes() == ["ledger-opened", "ledger-opened"]


def test_a_database_set_back_to_the_old_year_is_not_signed(bench):
    bench.grow(2)
    later = Checkpoint(NEXT, 4, merkle.leaf_hash(b"what was signed"))
    SignedFile(bench.file).keep(later)
    bench.sequencer.release()
    bench.start()
    bench.grow(1)
    assert bench.codes() == ["ledger-rolled-back"]
    assert bench.kept() == later


def test_another_deployments_file_is_not_signed_by(bench):
    SignedFile(bench.file).keep(Checkpoint("city", 4, bytes(32)))
    bench.grow(1)
    assert bench.codes() == ["log-unsigned"]


def test_proofs_of_either_year_are_found_by_the_entrys_id(bench):
    made = [entry() for _ in range(4)]
    for each in made[:2]:
        bench.ledger.commit(each)
    bench.grow(0)
    turn_year(bench)
    for each in made[2:]:
        bench.ledger.commit(each)
    settle(bench)
    keys = [LOG, read_key(str(note.verifier(NEXT, KEY.public_key())))]
    with bench.engine.connect() as connection:
        leaves = dict(connection.execute(select(POSITIONS.c.entry_id, POSITIONS.c.leaf_hash)).all())
        for each, key, expected in zip(made, (keys[0], keys[0], keys[1], keys[1]), (0, 1, 1, 2), strict=True):
            for identifier, leaf in ((each.id, None), ("", bytes(leaves[each.id]))):
                log, index = find(connection, identifier, leaf)
                proof = prove_entry(log, index, 1)
                position, statement = check_proof(proof, bytes(leaves[each.id]), key)
                assert (position, statement.origin) == (expected, key.name)
        assert find(connection, "", bytes(32)) is None


def test_either_year_is_exported_and_verified_without_the_database(bench, tmp_path):
    bench.grow(3)
    turn_year(bench)
    settle(bench, 2)
    for name, size in ((ORIGIN, 3), (NEXT, 3)):
        folder = tmp_path / origins.file_name(name)
        assert export(bench.engine, folder, origin=name) == size
        report = verify(Export(folder), keys=Keys(LOG))
        assert (report.origin, report.fault, report.checkpoints > 0) == (name, None, True)


def _change(table, **values):
    return lambda bench: bench.change(update(table).where(table.c.number == 2).values(values))


@pytest.mark.parametrize(
    ("attack", "found"),
    [
        (
            lambda bench: bench.change(delete(POSITIONS).where(POSITIONS.c.position == 2)),
            [("county", "truncated"), (NEXT, "dropped")],
        ),
        (lambda bench: bench.change(delete(ENTRIES).where(ENTRIES.c.writer_seq == 2)), [("county", "dropped")]),
        (lambda bench: bench.change(delete(STARTS)), [(NEXT, "dropped")]),
        (_change(ORIGINS, first_event=2), [("county", None), (NEXT, "event")]),
        (_change(ORIGINS, first=4), [("county", None), (NEXT, "changed")]),
        (lambda bench: bench.change(update(ORIGINS).where(ORIGINS.c.number == 1).values(root=bytes(32))), None),
        (lambda bench: bench.change(update(CHECKPOINTS).where(CHECKPOINTS.c.size == 3).values(root=bytes(32))), None),
    ],
)
def test_what_is_changed_in_either_year_is_found(bench, attack, found):
    bench.grow(3)
    turn_year(bench)
    settle(bench, 2)
    assert faults(bench) == [(ORIGIN, None), (NEXT, None)]
    attack(bench)
    seen = faults(bench)
    if found is None:
        assert seen[0][1] is not None
    else:
        assert [each for each in seen if each[1]] == [each for each in found if each[1]]


def test_a_first_entry_that_names_another_tree_is_found(bench):
    bench.grow(3)
    turn_year(bench)
    bench.change(update(ORIGINS).where(ORIGINS.c.number == 1).values(name="county/2025"))
    assert verify_database(bench.engine).fault.text == (
        "the first entry names another tree before it than the 3 entries of county/2025"
    )


def frozen(bench):
    """A ledger that was set back from 6 entries to 3, and has grown since."""
    bench.grow(3, 60)
    bench.grow(3, 60)
    seen = bench.kept()
    roll_back(bench, 3)
    bench.grow(1, 60)
    assert bench.codes() == ["ledger-rolled-back"]
    return seen


def begin_anew(bench, seen):
    with bench.engine.connect() as connection, connection.begin():
        return turn.Turn(bench.clock, []).after_rollback(connection, seen, {"approvers": "an li, bo wang"})


def test_after_a_rollback_a_new_origin_quotes_what_was_signed_and_is_signed(bench):
    seen = frozen(bench)
    opened = begin_anew(bench, seen)
    assert (opened.name, opened.label, opened.first) == (f"{ORIGIN}/2026.2", "2026.2", 5)
    extra = first_entry(bench, opened)["extra"]
    assert (extra["seen"], extra["seen_size"], extra["seen_root"]) == (ORIGIN, "6", turn._text(seen.root))
    assert (extra["previous_size"], extra["reason"], extra["approvers"]) == ("5", "rolled-back", "an li, bo wang")
    bench.grow(0, 60)
    bench.grow(2, 60)
    assert (bench.kept().origin, bench.kept().size) == (opened.name, 3)
    signed = {(told.origin, told.size) for told in bench.told}
    assert (ORIGIN, 5) not in signed  # the frozen log is never signed again


def test_the_frozen_log_is_evidence_and_the_new_one_is_whole(bench):
    begin_anew(bench, frozen(bench))
    bench.grow(0, 60)
    bench.grow(2, 60)
    old, new = reports(bench)
    assert (old.frozen, old.fault.kind, new.frozen, new.fault) == (True, "rolled-back", False, None)


def test_a_new_origin_does_not_wash_what_was_signed_otherwise(bench):
    seen = frozen(bench)
    begin_anew(bench, Checkpoint(ORIGIN, seen.size, bytes(32)))
    bench.grow(1, 60)
    assert bench.kept() == seen


def test_the_next_year_follows_a_year_that_was_begun_anew(bench):
    begin_anew(bench, frozen(bench))
    bench.grow(1, 60)
    bench.grow(1, 60)
    turn_year(bench)
    assert [origin.name for origin in known(bench)] == [ORIGIN, f"{ORIGIN}/2026.2", NEXT]
    assert bench.kept().origin == NEXT
    assert NOW < NEW_YEAR
