"""The ledger on real databases: the rules on PostgreSQL, races between processes, kill -9, lost connections, full disks."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select

from sidecar.clock import FixedClock
from sidecar.demo.postgres import PostgresCluster
from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.keys.generate import create_log_key
from sidecar.ledger import merkle, proofs
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.open import open_ledger
from sidecar.ledger.roles import grants
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signed import SignedFile, nothing_signed
from sidecar.ledger.signer import open_signer
from sidecar.ledger.stored import StoredLog
from sidecar.ledger.tables import ENTRIES
from sidecar.ledger.verify import verify_database
from sidecar.storage.durability import check_durable
from sidecar.storage.engine import open_state
from tests.support.ledger_rules import LedgerRules, count, papers, used
from tests.support.postgres import short_directory
from tests.support.state import NOTES, NOW, ORIGIN, entry, new_state, note, open_both, settings_for, use

pytestmark = pytest.mark.functional

ROOT = Path(__file__).parents[2]


class TestPostgres(LedgerRules):
    @pytest.fixture
    def state(self, tmp_path, postgres_url):
        yield from open_both(settings_for(tmp_path, postgres_url))

    @pytest.fixture
    def engine(self, state):
        return state[0]

    @pytest.fixture
    def ledger(self, state):
        return state[1]

    def test_only_one_sequencer_works_and_a_dead_one_is_replaced(self, engine, ledger):
        first, second = (Sequencer(engine, ledger, FixedClock(NOW), []) for _ in range(2))
        ledger.commit(entry())
        assert (first.step(), second.step()) == (1, None)
        ledger.commit(entry())
        with engine.begin() as connection:  # as if its machine had gone
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        deadline = time.monotonic() + 5
        while (done := second.step()) is None and time.monotonic() < deadline:
            pass
        assert done == 1
        with pytest.raises(LedgerUnavailable):
            first.step()
        assert first.step() is None
        second.release()
        report = verify_database(engine)
        assert (report.ok, report.size) == (True, 2)

    def test_run_integrates_until_it_is_stopped(self, engine, ledger):
        sequencer = Sequencer(engine, ledger, FixedClock(NOW), [], poll_ms=10)
        stop, errors = threading.Event(), []
        thread = threading.Thread(target=sequencer.run, args=(stop, errors.append))
        thread.start()
        for _ in range(20):
            ledger.commit(entry())
        deadline = time.monotonic() + 10
        while verify_database(engine).size < 20 and time.monotonic() < deadline:
            pass
        stop.set()
        thread.join()
        assert verify_database(engine).size == 20
        assert set(errors) == {None}

    def test_a_connection_closed_while_idle_costs_no_commit(self, engine, ledger):
        before = ledger.commit(entry())[0]
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND datname = current_database()"
            )
        after = ledger.commit(entry())[0]
        assert (after.seq, after.writer == before.writer) == (1, False)
        report = verify_database(engine)
        assert (report.fault, report.pending) == (None, 2)

    def test_a_connection_that_breaks_during_the_commit_releases_nothing(self, engine, ledger):
        papers(engine, a=1)
        with engine.connect() as blocker:
            blocker.exec_driver_sql("SELECT 1 FROM test_uses FOR UPDATE")
            failures = []

            def attempt():
                try:
                    ledger.commit(entry(), [use("a")])
                except LedgerUnavailable as exc:
                    failures.append(exc)

            thread = threading.Thread(target=attempt)
            thread.start()
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as killer:
                kill = (
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
                deadline = time.monotonic() + 5
                while not killer.exec_driver_sql(kill).all() and time.monotonic() < deadline:
                    pass
            thread.join()
        assert len(failures) == 1
        assert (used(engine, "a"), count(engine, ENTRIES)) == (0, 0)
        assert ledger.commit(entry(), [use("a")])[0].seq == 1
        assert verify_database(engine).ok

    def test_a_lock_held_too_long_is_unavailable(self, tmp_path, postgres_url, engine):
        slow = open_ledger(settings_for(tmp_path, postgres_url, statement_timeout_ms=100), FixedClock(NOW))
        papers(engine, a=1)
        with engine.connect() as blocker:
            blocker.exec_driver_sql("SELECT 1 FROM test_uses FOR UPDATE")
            with pytest.raises(LedgerUnavailable, match="57014"):
                slow.commit(entry(), [use("a")])
        slow.commit(entry(), [use("a")])
        slow.close()
        assert (used(engine, "a"), count(engine, ENTRIES)) == (1, 1)

    def test_a_gateway_role_inserts_and_does_nothing_else(
        self, engine, ledger, postgres_cluster, postgres_database, tmp_path
    ):
        role = f"gateway_{postgres_database}"
        postgres_cluster.execute(f"CREATE ROLE {role} LOGIN", postgres_database)
        postgres_cluster.execute("CREATE TABLE alembic_version (version_num text)", postgres_database)
        for statement in grants("gateway", role):
            postgres_cluster.execute(statement, postgres_database)
        url = postgres_cluster.url(postgres_database).replace("postgres@", f"{role}@")
        own = open_ledger(settings_for(tmp_path, url), FixedClock(NOW))
        own.commit(entry())
        own.close()
        with psycopg.connect(
            postgres_cluster.dsn(postgres_database).replace("user=postgres", f"user={role}")
        ) as connection:
            for forbidden in ("DELETE FROM ledger_entries", "UPDATE ledger_entries SET body = ''", "TRUNCATE ledger_entries",
                              "UPDATE ledger_state SET size = 0", "UPDATE ledger_writers SET integrated_seq = 0"):  # fmt: skip
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(forbidden)
                connection.rollback()
        postgres_cluster.execute(f"DROP OWNED BY {role}", postgres_database)
        postgres_cluster.execute(f"DROP ROLE {role}", postgres_database)

    def test_a_sequencer_role_gives_positions_and_signs(
        self, engine, ledger, postgres_cluster, postgres_database, tmp_path
    ):
        role = f"sequencer_{postgres_database}"
        postgres_cluster.execute(f"CREATE ROLE {role} LOGIN", postgres_database)
        postgres_cluster.execute("CREATE TABLE alembic_version (version_num text)", postgres_database)
        for statement in grants("sequencer", role):
            postgres_cluster.execute(statement, postgres_database)
        settings = settings_for(tmp_path, postgres_cluster.url(postgres_database).replace("postgres@", f"{role}@"))
        create_log_key(tmp_path / "keys" / "log.pem", tmp_path / "log.signed", nothing_signed(ORIGIN))
        own, clock = open_state(settings), FixedClock(NOW)
        sequencer = Sequencer(own, ledger, clock, [], publisher=open_signer(settings, ledger, clock))
        for size in (257, 258, 259):  # a full tile, and a checkpoint that takes the place of another
            for _ in range(size - SignedFile(tmp_path / "log.signed").last().size):
                ledger.commit(entry())
            clock.set(clock.now() + timedelta(seconds=1))
            while sequencer.step():
                pass
        assert SignedFile(tmp_path / "log.signed").last().size == 259
        sequencer.release()
        own.dispose()
        postgres_cluster.execute(f"DROP OWNED BY {role}", postgres_database)
        postgres_cluster.execute(f"DROP ROLE {role}", postgres_database)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_postgresql_that_may_lose_commits_is_refused(tmp_path, setting):
    folder = short_directory()
    try:
        with PostgresCluster(folder / "c", settings=f"{setting} = off") as cluster:
            engine = open_state(settings_for(tmp_path, cluster.url()))
            with pytest.raises(ConfigurationError, match=f"ALTER SYSTEM SET {setting} = on"):
                check_durable(engine)
            engine.dispose()
    finally:
        shutil.rmtree(folder)


def child(folder, url: str, paper: str, prefix: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.crash_writer", str(folder), url, paper, prefix],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """Engine and URL of a fresh state database of each kind."""
    url = "sqlite:///state.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = new_state(settings_for(tmp_path, url))
    yield engine, url
    engine.dispose()


def test_two_processes_never_share_a_use(database, tmp_path):
    engine, url = database
    papers(engine, p=40)
    children = [child(tmp_path, url, "p", prefix) for prefix in "ab"]
    for process in children:
        process.stdin.write("\n")
        process.stdin.flush()
    acknowledged = [process.communicate(timeout=60)[0].split() for process in children]
    assert [process.returncode for process in children] == [0, 0]
    assert len(acknowledged[0]) + len(acknowledged[1]) == 40
    assert (used(engine, "p"), count(engine, ENTRIES), count(engine, NOTES)) == (40, 40, 40)
    assert verify_database(engine).ok


@pytest.mark.parametrize("after", [3, 17, 40])
def test_kill_loses_no_acknowledged_entry_and_counts_no_use_without_one(database, tmp_path, after):
    engine, url = database
    papers(engine, p=100000)
    process = child(tmp_path, url, "p", "a")
    process.stdin.write("\n")
    process.stdin.flush()
    acknowledged = [process.stdout.readline().strip() for _ in range(after)]
    process.kill()
    with process:
        acknowledged += process.stdout.read().split()  # what is in the pipe, and what was read ahead
    with engine.connect() as connection:
        stored = {leaf.hex() for leaf in connection.execute(select(ENTRIES.c.leaf_hash)).scalars()}
    assert set(acknowledged) <= stored
    assert len(stored) - len(acknowledged) in {0, 1}
    assert used(engine, "p") == count(engine, NOTES) == len(stored)
    report = verify_database(engine)
    assert (report.fault, report.pending) == (None, len(stored))


def test_a_killed_server_loses_no_acknowledged_entry(tmp_path):
    folder = short_directory()
    try:
        with PostgresCluster(folder / "c") as cluster:
            cluster.createdb("state")
            for engine, ledger in open_both(settings_for(tmp_path, cluster.url("state"))):
                papers(engine, p=100000)
                acknowledged = [ledger.commit(entry(), [use("p"), note(str(n))])[0].leaf_hash for n in range(30)]
                cluster.kill()
                assert not ledger.ready()
                with pytest.raises(LedgerUnavailable):
                    ledger.commit(entry(), [use("p")])
                cluster.start()
                assert ledger.ready()
                ledger.commit(entry(), [use("p")])
                with engine.connect() as connection:
                    stored = set(connection.execute(select(ENTRIES.c.leaf_hash)).scalars())
                assert set(acknowledged) < stored
                assert used(engine, "p") == len(stored) == 31
                assert verify_database(engine).ok
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def disk():
    """Call with a number of bytes: from then on no file grows beyond it, which SQLite sees as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size=soft: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_refuses_commits_and_recovers(tmp_path, disk):
    for engine, ledger in open_both(settings_for(tmp_path)):
        ledger.commit(entry())
        disk(4096)
        with pytest.raises(LedgerUnavailable):
            ledger.commit(entry())
        assert not ledger.ready()
        with pytest.raises(LedgerUnavailable):
            ledger.commit(entry())
        disk()
        assert ledger.ready()
        ledger.commit(entry())
        assert count(engine, ENTRIES) == 2
        assert verify_database(engine).ok


def test_a_disk_that_fills_up_keeps_every_acknowledged_entry(tmp_path, disk):
    for engine, ledger in open_both(settings_for(tmp_path)):
        ledger.commit(entry())
        disk(max(file.stat().st_size for file in tmp_path.iterdir()) + 20_000)
        acknowledged = list(until_unavailable(ledger))
        disk()
        ledger.commit(entry())
        assert len(acknowledged) < 500
        assert count(engine, ENTRIES) == len(acknowledged) + 2
        assert verify_database(engine).ok


def until_unavailable(ledger):
    for _ in range(500):
        try:
            yield ledger.commit(entry())[0]
        except LedgerUnavailable:
            return


def test_checkpoints_are_signed_on_every_kind_of_database(database, tmp_path):
    engine, url = database
    settings = settings_for(tmp_path, url)
    create_log_key(tmp_path / "keys" / "log.pem", tmp_path / "log.signed", nothing_signed(ORIGIN))
    ledger = open_ledger(settings, FixedClock(NOW), engine=engine)
    clock = FixedClock(NOW)
    sequencer = Sequencer(engine, ledger, clock, [], publisher=open_signer(settings, ledger, clock))
    for size in (1, 300):
        for _ in range(size - SignedFile(tmp_path / "log.signed").last().size):
            ledger.commit(entry())
        clock.set(clock.now() + timedelta(seconds=1))
        while sequencer.step():
            pass
        report = verify_database(engine)
        assert SignedFile(tmp_path / "log.signed").last() == Checkpoint(ORIGIN, size, report.root)
        with engine.connect() as connection:
            stored = StoredLog(connection).checkpoint()
            assert (stored.size, stored.root) == (size, report.root)
            proof = proofs.inclusion(StoredLog(connection), 0, size)
            merkle.verify_inclusion(next(StoredLog(connection).leaves(0, 1)), 0, size, proof, report.root)
    sequencer.release()
    ledger.close()
