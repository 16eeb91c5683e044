"""What databases, disks and networks do to a ledger: fail-over, full disks, broken connections, clocks set back."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import Engine, select

from sidecar.clock import FixedClock, SystemClock
from sidecar.demo.postgres import PostgresCluster
from sidecar.errors import ConfigurationError, LedgerUnavailable, SidecarError
from sidecar.keys.files import read_ed25519_private
from sidecar.keys.generate import create_log_key
from sidecar.ledger.open import open_ledger
from sidecar.ledger.projector import Positioned
from sidecar.ledger.publish import CHECKPOINT_FILE, publish
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signed import SignedFile, nothing_signed
from sidecar.ledger.signer import open_signer
from sidecar.ledger.tables import ENTRIES, POSITIONS
from sidecar.ledger.types import Committed, Ledger
from sidecar.ledger.verify import verify_database
from sidecar.settings import Settings
from sidecar.storage.engine import open_state
from tests.support.cutting import Cutter
from tests.support.ledger_rules import count, papers, used
from tests.support.postgres import short_directory
from tests.support.standby import either, standby, synchronous
from tests.support.state import NOTES, NOW, ORIGIN, entry, new_state, note, settings_for, use

pytestmark = pytest.mark.functional

PATIENCE_SECONDS = 60.0
MIB = 1024 * 1024


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that PostgreSQL's user reaches."""
    found = short_directory()
    yield found
    shutil.rmtree(found)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of ``size`` bytes of its own; needs root, as mount does."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def filled(disk: Path, left: int) -> Iterator[None]:
    """Nothing but ``left`` bytes of the disk is free meanwhile."""
    free = os.statvfs(disk)
    with tempfile.NamedTemporaryFile(dir=disk) as ballast:
        os.posix_fallocate(ballast.fileno(), 0, max(free.f_bavail * free.f_frsize - left, 1))
        yield


def until_refused(ledger: Ledger, most: int) -> list[Committed]:
    """Commit until it does not work any more."""
    done: list[Committed] = []
    while len(done) < most:
        try:
            done.append(ledger.commit(entry(), [note(f"{len(done)}")])[0])
        except LedgerUnavailable:
            return done
    raise AssertionError(f"{most} entries went onto a full disk")


def soon(what: str, attempt: Callable[[], Any]) -> Any:
    """What ``attempt`` gives once it neither fails nor gives nothing: nobody but it does anything for that."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if found := attempt():
                return found
        except SidecarError:
            pass
        assert time.monotonic() < end, f"{what} did not come back"


def sequencer(settings: Settings, engine: Engine, ledger: Ledger, clock: Any = None) -> Sequencer:
    """With a signer."""
    clock = clock or SystemClock()
    return Sequencer(engine, ledger, clock, [], publisher=open_signer(settings, ledger, clock))


def log_key(folder: Path) -> None:
    create_log_key(folder / "keys" / "log.pem", folder / "log.signed", nothing_signed(ORIGIN))


def nothing_is_lost(engine: Engine, acknowledged: list[Committed]) -> None:
    """Every acknowledged entry is there, with its effect; the log is whole."""
    with engine.connect() as connection:
        stored = {bytes(leaf) for leaf in connection.execute(select(ENTRIES.c.leaf_hash)).scalars()}
    assert {each.leaf_hash for each in acknowledged} <= stored
    assert count(engine, NOTES) <= len(stored)
    assert verify_database(engine).fault is None


# --- full disks ------------------------------------------------------------------------------------------------------


def test_postgresql_on_a_full_disk_refuses_and_comes_back(folder: Path, tmp_path: Path) -> None:
    limits = "max_wal_size = '32MB'\nmin_wal_size = '32MB'\nwal_recycle = on"
    with small_disk(folder / "disk", 160 * MIB) as disk, PostgresCluster(disk / "c", settings=limits) as cluster:
        cluster.createdb("state")
        settings = settings_for(tmp_path, cluster.url("state"))
        log_key(tmp_path)
        engine = new_state(settings)
        with closing(open_ledger(settings, SystemClock(), engine=engine)) as ledger:
            with filled(disk, 256 * 1024):
                acknowledged = until_refused(ledger, 5000)
            cluster.start()  # nothing happens where it survived
            acknowledged.append(soon("the ledger", lambda: ledger.commit(entry(), [note("after")])[0]))
            own = sequencer(settings, engine, ledger)
            soon("the sequencer", own.step)
            own.release()
        nothing_is_lost(engine, acknowledged)
        assert count(engine, POSITIONS) == count(engine, ENTRIES)
        engine.dispose()


def test_sqlite_on_a_full_disk_refuses_and_comes_back(folder: Path) -> None:
    with small_disk(folder / "disk", 4 * MIB) as disk:
        settings = settings_for(disk)
        log_key(disk)
        engine = new_state(settings)
        with closing(open_ledger(settings, SystemClock(), engine=engine)) as ledger:
            with filled(disk, 128 * 1024):
                acknowledged = until_refused(ledger, 5000)
                assert not ledger.ready()
            acknowledged.append(soon("the ledger", lambda: ledger.commit(entry(), [note("after")])[0]))
            own = sequencer(settings, engine, ledger)
            soon("the sequencer", own.step)
            own.release()
        nothing_is_lost(engine, acknowledged)
        assert count(engine, POSITIONS) == count(engine, ENTRIES)
        engine.dispose()


def test_an_export_onto_a_full_disk_is_refused_and_signs_nothing(folder: Path, tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    log_key(tmp_path)
    engine = new_state(settings)
    with closing(open_ledger(settings, SystemClock(), engine=engine)) as ledger:
        for _ in range(300):
            ledger.commit(entry())
        own = Sequencer(engine, ledger, SystemClock(), [])
        while own.step():
            pass
        own.release()
    key, signed = read_ed25519_private(tmp_path / "keys" / "log.pem"), SignedFile(tmp_path / "log.signed")
    with small_disk(folder / "disk", MIB // 2) as disk:
        with pytest.raises(ConfigurationError, match="No space left"):
            publish(engine, disk / "export", key, signed)
        assert not (disk / "export" / CHECKPOINT_FILE).exists()
        assert signed.last().size == 0
    assert publish(engine, folder / "elsewhere", key, signed).size == 300
    engine.dispose()


def test_without_room_for_the_promise_nothing_is_signed_until_there_is(folder: Path, tmp_path: Path) -> None:
    with small_disk(folder / "disk", MIB) as disk:
        settings = Settings(
            base=tmp_path,
            deployment={"id": ORIGIN},
            storage={"url": "sqlite:///state.db"},
            ledger={"signed_file": disk / "log.signed"},
        )
        create_log_key(tmp_path / "keys" / "log.pem", disk / "log.signed", nothing_signed(ORIGIN))
        engine, clock = new_state(settings), FixedClock(NOW)
        with closing(open_ledger(settings, clock, engine=engine)) as ledger:
            own = sequencer(settings, engine, ledger, clock)
            ledger.commit(entry())
            with filled(disk, 0):
                own.step()
                assert count(engine, ENTRIES) == 2  # log-unsigned is recorded
            assert SignedFile(disk / "log.signed").last().size == 0
            clock.set(clock.now() + timedelta(minutes=1))
            own.step()
            clock.set(clock.now() + timedelta(minutes=1))
            own.step()
            assert SignedFile(disk / "log.signed").last().size == 2
            own.release()
        engine.dispose()


# --- fail-over -------------------------------------------------------------------------------------------------------


def test_a_promoted_standby_has_every_acknowledged_entry_and_all_go_on_by_themselves(
    folder: Path, tmp_path: Path
) -> None:
    with PostgresCluster(folder / "one") as primary:
        primary.createdb("state")
        with standby(primary, folder / "two") as second:
            synchronous(primary)
            settings = settings_for(tmp_path, either(primary, second, "state"))
            log_key(tmp_path)
            engine = new_state(settings)
            with closing(open_ledger(settings, SystemClock(), engine=engine)) as ledger:
                own = sequencer(settings, engine, ledger)
                acknowledged = written_during(ledger, lambda: fail_over(primary, second, own))
                acknowledged.append(soon("the ledger", lambda: ledger.commit(entry(), [note("after")])[0]))
                soon("the sequencer", own.step)
                own.release()
            nothing_is_lost(engine, acknowledged)
            assert count(engine, POSITIONS) == count(engine, ENTRIES) >= len(acknowledged)
            engine.dispose()


def fail_over(primary: PostgresCluster, second: PostgresCluster, own: Sequencer) -> None:
    own.step()
    primary.kill()
    with pytest.raises(LedgerUnavailable):
        own.step()
    second.execute("SELECT pg_promote()")


def written_during(ledger: Ledger, event: Callable[[], None]) -> list[Committed]:
    """What four writers were acknowledged before, during and after the event."""
    acknowledged: list[Committed] = []
    over = threading.Event()

    def write(name: int) -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                acknowledged.append(ledger.commit(entry(), [note(f"{name}-{number}")])[0])
            except LedgerUnavailable:
                over.wait(0.01)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for each in writers:
        each.start()
    soon("the writers", lambda: len(acknowledged) >= 40)
    event()
    before = len(acknowledged)
    soon("the writers", lambda: len(acknowledged) >= before + 40)
    over.set()
    for each in writers:
        each.join()
    return acknowledged


# --- lost connections ------------------------------------------------------------------------------------------------


@pytest.fixture
def behind_cutter(folder: Path, tmp_path: Path) -> Iterator[tuple[Engine, Ledger, Cutter]]:
    """A ledger whose connections to PostgreSQL go through TCP and a relay."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with PostgresCluster(folder / "c", port=port) as cluster, Cutter(port) as cutter:
        cluster.createdb("state")
        url = f"postgresql+psycopg://postgres@127.0.0.1:{cutter.port}/state"
        settings = settings_for(tmp_path, url, password_file=cluster.password_file)
        new_state(settings_for(tmp_path, cluster.url("state"))).dispose()
        engine = open_state(settings)
        with closing(open_ledger(settings, FixedClock(NOW), engine=engine)) as ledger:
            yield engine, ledger, cutter
        engine.dispose()


@pytest.mark.parametrize(("what", "there"), [("request", 0), ("answer", 1)])
def test_a_connection_cut_within_a_statement(
    behind_cutter: tuple[Engine, Ledger, Cutter], what: Literal["request", "answer"], there: int
) -> None:
    """Where the statement was lost nothing is released; where only its answer was, the entry is found again."""
    engine, ledger, cutter = behind_cutter
    papers(engine, p=10)
    first = ledger.commit(entry(), [use("p")])[0]
    engine.dispose()  # nobody else is connected whom it could meet
    cutter.cut(what)
    if there:
        assert ledger.commit(entry(), [use("p")])[0].seq == 2
    else:
        with pytest.raises(LedgerUnavailable):
            ledger.commit(entry(), [use("p")])
    after = ledger.commit(entry(), [use("p")])[0]
    assert (after.seq, after.writer == first.writer) == (1, False)
    assert used(engine, "p") == count(engine, ENTRIES) == 2 + there
    assert verify_database(engine).fault is None


# --- one sequencer, and whoever commits meanwhile --------------------------------------------------------------------


class Meanwhile:
    """A projector within whose transaction another commits."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.committed: list[Committed] = []

    def project(self, connection: Any, entries: Any) -> None:
        del connection
        assert all(isinstance(each, Positioned) for each in entries)
        self.committed.append(self._ledger.commit(entry())[0])


def test_integration_never_blocks_a_commit(tmp_path: Path, postgres_url: str) -> None:
    settings = settings_for(tmp_path, postgres_url)
    engine = new_state(settings)
    with closing(open_ledger(settings, SystemClock(), engine=engine)) as ledger:
        ledger.commit(entry())
        meanwhile = Meanwhile(ledger)
        own = Sequencer(engine, ledger, SystemClock(), [meanwhile])
        assert own.step() == 1
        assert (len(meanwhile.committed), count(engine, ENTRIES), count(engine, POSITIONS)) == (1, 2, 1)
        own.release()
    engine.dispose()


def test_a_clock_that_is_set_back_stops_neither_positions_nor_signatures(tmp_path: Path) -> None:
    settings, clock = settings_for(tmp_path), FixedClock(NOW)
    log_key(tmp_path)
    engine = new_state(settings)
    with closing(open_ledger(settings, clock, engine=engine)) as ledger:
        own = sequencer(settings, engine, ledger, SystemClock())
        for hours in (0, -1, -30, 1):
            clock.set(NOW + timedelta(hours=hours))
            ledger.commit(entry())
            while own.step():
                pass
        own.release()
    settled = sequencer(settings, engine, open_ledger(settings, clock, engine=engine))
    settled.step()
    settled.release()
    report = verify_database(engine)
    assert (report.fault, report.size, SignedFile(tmp_path / "log.signed").last().size) == (None, 4, 4)
    engine.dispose()
