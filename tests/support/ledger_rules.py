"""What every implementation of ``ledger.types.Ledger`` keeps; run on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from sidecar.errors import LedgerUnavailable
from sidecar.ledger.tables import ENTRIES, WRITERS
from sidecar.ledger.types import Effect, EffectRefused
from sidecar.ledger.verify import verify_database
from tests.support.state import NOTES, NOW, USES, entry, note, use


def count(engine, table) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def papers(engine, **uses: int) -> None:
    with engine.begin() as connection:
        connection.execute(USES.insert(), [{"id": name, "used": 0, "uses": n} for name, n in uses.items()])


def used(engine, name: str) -> int:
    with engine.connect() as connection:
        return connection.execute(select(USES.c.used).where(USES.c.id == name)).scalar_one()


def unused(paper: str) -> Effect:
    """A condition: the paper was not used yet."""
    sql = "SELECT 1 WHERE {guard} AND EXISTS (SELECT 1 FROM test_uses WHERE id = %(id)s AND used = 0)"
    return Effect("unused", sql, {"id": paper}, required=True)


class LedgerRules:
    """Subclass with fixtures ``engine`` and ``ledger``."""

    def test_commit_stores_entry_and_effects(self, engine, ledger):
        papers(engine, a=1)
        committed, made = ledger.commit(entry(), [use("a"), note("n", None)], lambda leaf: leaf.hash)
        with engine.connect() as connection:
            row = connection.execute(select(ENTRIES)).one()
        assert (row.writer, row.writer_seq, row.leaf_hash) == (committed.writer, 1, made)
        assert (used(engine, "a"), count(engine, NOTES)) == (1, 1)
        assert verify_database(engine).pending == 1

    @pytest.mark.parametrize(
        ("effects", "name"),
        [
            ([use("spent")], "letter"),
            ([use("spent"), use("good", "other")], "letter"),
            ([use("good"), use("spent", "other")], "other"),
            ([use("absent"), note("n")], "letter"),
            ([Effect("both", "UPDATE test_uses SET used = used + 1 WHERE {guard}", {}, required=True)], "both"),
        ],
    )
    def test_a_refused_effect_leaves_nothing(self, engine, ledger, effects, name):
        papers(engine, spent=0, good=5)
        with pytest.raises(EffectRefused) as refused:
            ledger.commit(entry(), effects)
        assert refused.value.name == name
        assert (count(engine, ENTRIES), count(engine, NOTES), used(engine, "good"), used(engine, "spent")) == (
            0,
            0,
            0,
            0,
        )
        assert ledger.commit(entry())[0].seq == 1

    def test_effects_may_stand_in_any_order(self, engine, ledger):
        papers(engine, good=5)
        ledger.commit(entry(), [note("n"), use("good")])
        assert (count(engine, NOTES), used(engine, "good")) == (1, 1)

    def test_a_condition_that_holds_changes_nothing(self, engine, ledger):
        papers(engine, good=5)
        ledger.commit(entry(), [unused("good"), use("good"), note("n")])
        assert (count(engine, ENTRIES), count(engine, NOTES), used(engine, "good")) == (1, 1, 1)

    @pytest.mark.parametrize("effects", [[unused("good"), use("good")], [use("good"), unused("good")]])
    def test_a_condition_that_does_not_hold_leaves_nothing(self, engine, ledger, effects):
        papers(engine, good=5)
        ledger.commit(entry(), [use("good")])
        with pytest.raises(EffectRefused) as refused:
            ledger.commit(entry(), [*effects, note("n")])
        assert refused.value.name == "unused"
        assert (count(engine, ENTRIES), count(engine, NOTES), used(engine, "good")) == (1, 0, 1)

    def test_a_failing_effect_leaves_nothing_and_the_next_commit_works(self, engine, ledger):
        papers(engine, a=5)
        ledger.commit(entry(), [note("n")])
        with pytest.raises(LedgerUnavailable):
            ledger.commit(entry(), [use("a"), note("n")])
        assert (count(engine, ENTRIES), used(engine, "a")) == (1, 0)
        ledger.commit(entry(), [use("a"), note("m")])
        assert verify_database(engine).ok

    def test_a_failure_meanwhile_is_raised_and_the_ledger_goes_on(self, engine, ledger):
        def fail(_):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            ledger.commit(entry(), [], fail)
        ledger.commit(entry())
        report = verify_database(engine)
        assert (report.ok, report.pending) == (True, 2)

    def test_of_many_at_once_exactly_one_has_the_last_use(self, engine, ledger):
        papers(engine, once=1)
        start = threading.Barrier(6)

        def attempt(n):
            start.wait()
            try:
                ledger.commit(entry(), [use("once"), note(f"n{n}")])
            except EffectRefused:
                return False
            return True

        with ThreadPoolExecutor(6) as pool:
            outcomes = list(pool.map(attempt, range(6)))
        assert sorted(outcomes) == [False] * 5 + [True]
        assert (used(engine, "once"), count(engine, ENTRIES), count(engine, NOTES)) == (1, 1, 1)

    def test_chains_of_concurrent_commits_hold(self, engine, ledger):
        with ThreadPoolExecutor(4) as pool:
            committed = list(pool.map(lambda _: ledger.commit(entry())[0], range(60)))
        assert len({(c.writer, c.seq) for c in committed}) == 60
        report = verify_database(engine)
        assert (report.fault, report.pending) == (None, 60)
        assert count(engine, WRITERS) <= 4

    def test_a_writer_that_rested_is_not_used_again(self, engine, ledger):
        moments = (NOW, NOW + timedelta(hours=12), NOW + timedelta(hours=24, seconds=1))
        writers = []
        for moment in moments:
            ledger._clock.set(moment)
            assert ledger.ready()  # asking is no work
            committed, _ = ledger.commit(entry())
            writers.append((committed.writer, committed.seq))
        assert [seq for _, seq in writers] == [1, 2, 1]
        assert len({writer for writer, _ in writers}) == 2
        assert verify_database(engine).ok

    def test_after_close_nothing_is_committed(self, engine, ledger):
        assert ledger.ready()
        ledger.close()
        ledger.close()
        assert not ledger.ready()
        with pytest.raises(LedgerUnavailable, match="closed"):
            ledger.commit(entry())
        assert count(engine, ENTRIES) == 0

    def test_effects_that_break_their_contract_are_refused(self, ledger):
        with pytest.raises(ValueError, match="unique names"):
            ledger.commit(entry(), [note("a"), note("b")])
        with pytest.raises(ValueError, match="exactly once, got 0"):
            ledger.commit(entry(), [Effect("x", "DELETE FROM test_notes", {})])
        with pytest.raises(ValueError, match=r"a name of \[a-z_\]\+"):
            ledger.commit(entry(), [Effect("X1", "DELETE FROM test_notes WHERE {guard}", {})])
        with pytest.raises(ValueError, match="condition to be required"):
            ledger.commit(entry(), [Effect("x", "SELECT 1 WHERE {guard}", {})])
