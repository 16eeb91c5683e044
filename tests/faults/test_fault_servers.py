"""Servers that fail: each fault has its status and code, is recorded and alerted, and releases nothing (P1, P2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from sidecar.clock import SystemClock
from sidecar.demo import faults
from sidecar.demo.exchange import Answer
from sidecar.demo.legacy import OPEN
from sidecar.demo.people import WANG
from sidecar.demo.story import VETTING
from sidecar.demo.world import World, ready, wait_for
from sidecar.serve import preflight
from sidecar.serve.gateway import DRAIN_SECONDS
from sidecar.settings import load
from tests.support.deployment import Books, letter, post, question, scalar
from tests.support.strace import Call, traced

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def world(postgresql_world: World) -> World:
    return postgresql_world


@contextmanager
def reading(world: World) -> Iterator[Books]:
    """The ledger and the feed, read up to now."""
    books = Books(world)
    books.news()
    yield books
    books.state.dispose()


def ask(world: World, token: str = "") -> Answer:
    """A question that is allowed unless something fails."""
    body = question(OPEN.SFZH, VETTING, letter=letter(world, WANG, OPEN.SFZH, VETTING))
    return post(world, token or world.token(WANG), body)


def failed(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert not {"records", "count"} & answer.json().keys()
    for value in (OPEN.XM, OPEN.ZM, OPEN.JTZZ, OPEN.AJBH):
        assert value.encode() not in answer.raw


def works_again(world: World) -> None:
    wait_for("the fault's end", lambda: ready(world))
    answer = ask(world)
    assert (answer.status, answer.json()["count"]) == (200, 1)


def test_opa_down_denies_is_recorded_and_alerted(world: World) -> None:
    with reading(world) as books:
        used = scalar(books.state, "SELECT count(*) FROM letter_uses")
        with faults.opa_killed(world):
            failed(ask(world), 503, "engine-unavailable")
        wait_for("OPA's return", lambda: ready(world))
        news = books.news()
        assert news.outcomes() == [("error", ["engine-unavailable"])]
        assert news.alerts() == ["sealed-records.fault.engine-unavailable.v1"]
        assert scalar(books.state, "SELECT count(*) FROM letter_uses") == used
    works_again(world)


def test_a_foreign_revision_denies_is_recorded_and_alerted(sqlite_world: World) -> None:
    with reading(sqlite_world) as books:
        with faults.revision_swapped(sqlite_world):
            assert sqlite_world.ask("GET", "/readyz").status == 503
            failed(ask(sqlite_world), 503, "revision-unapproved")
        wait_for("the revision's return", lambda: ready(sqlite_world))
        news = books.news()
        assert ("error", ["revision-unapproved"]) in news.outcomes()
        assert "sealed-records.fault.revision-unapproved.v1" in news.alerts()
    works_again(sqlite_world)


@pytest.mark.parametrize("which", ["postgresql_world", "sqlite_world"])
def test_nothing_is_released_while_the_ledger_cannot_commit(which: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(which)
    token = world.token(WANG)
    with reading(world) as books:
        with faults.ledger_unavailable(world):
            answer = ask(world, token)
            failed(answer, 503, "ledger-unavailable")
            assert "receipt" not in answer.json()
            wait_for("unreadiness", lambda: world.ask("GET", "/readyz").status == 503)
        wait_for("the ledger's return", lambda: ready(world))
        assert [o for o, _ in books.news().outcomes() if o == "allow"] == []
    works_again(world)


def serves(world: World) -> bool:
    """Whether it says that it can answer for one database at least."""
    try:
        return world.ask("GET", "/readyz").status == 200
    except OSError:
        return False


def columns_gone(world: World) -> Callable[[], None]:
    owner = world.cluster
    assert owner is not None
    owner.execute('ALTER TABLE "T_AJXX" RENAME TO "T_AWAY"', "county")
    return lambda: owner.execute('ALTER TABLE "T_AWAY" RENAME TO "T_AJXX"', "county")


def connections_refused(world: World) -> Callable[[], None]:
    owner = world.cluster
    assert owner is not None
    owner.execute("ALTER DATABASE county ALLOW_CONNECTIONS false")
    owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'county'")
    return lambda: owner.execute("ALTER DATABASE county ALLOW_CONNECTIONS true")


@pytest.mark.parametrize("fault", [columns_gone, connections_refused])
def test_a_legacy_database_that_fails_is_recorded(world: World, fault: Callable[[World], Callable[[], None]]) -> None:
    with reading(world) as books:
        mend = fault(world)
        try:
            failed(ask(world), 502, "database-unavailable")
        finally:
            mend()
        assert books.news().outcomes() == [("error", ["database-unavailable"])]
    works_again(world)


def test_a_start_without_a_legacy_database_serves_the_others_and_opens_it_when_it_answers(world: World) -> None:
    mend = connections_refused(world)
    try:
        preflight.require(load(world.config), SystemClock())
        gone = {None, world.running().get("gateway")}
        world.reload()
        wait_for("other workers", lambda: world.running().get("gateway") not in gone)
        wait_for("readiness for the other database", lambda: serves(world))
        failed(ask(world), 502, "database-unavailable")
    finally:
        mend()
    wait_for("the database's opening", lambda: ask(world).status == 200)
    works_again(world)


def test_a_legacy_database_that_is_slow_is_timed_out_and_recorded(world: World) -> None:
    with reading(world) as books:
        engine = world.legacy_engine()
        with engine.connect() as connection:
            connection.exec_driver_sql('LOCK TABLE "T_AJXX" IN ACCESS EXCLUSIVE MODE')
            failed(ask(world), 504, "database-timeout")
            connection.rollback()
        engine.dispose()
        assert books.news().outcomes() == [("error", ["database-timeout"])]
    works_again(world)


def test_a_worker_that_is_told_to_end_while_it_starts_ends_at_once(sqlite_world: World) -> None:
    """Two hangups in a row: the second finds workers that do not serve yet, and need not be killed after their time."""
    for _ in range(2):
        before = sqlite_world.running().get("gateway")
        sqlite_world.reload()
        gone = {None, before}
        wait_for("the reload", lambda gone=gone: sqlite_world.running().get("gateway") not in gone, DRAIN_SECONDS / 2)  # type: ignore[misc]
    works_again(sqlite_world)


READS, SENDS = {"read", "recvfrom", "recvmsg"}, {"sendto", "sendmsg"}
WRITES = SENDS | {"write", "writev"}


def answered(world: World) -> tuple[list[Call], str]:
    """All that the gateway and its database do during an inquiry that is answered, and the inquiry's id."""
    works_again(world)
    gateway = world.running()["gateway"]
    processes = [gateway, *(child.pid for child in psutil.Process(gateway).children(recursive=True))]
    if world.cluster is not None:
        processes.append(int((world.cluster.data / "postmaster.pid").read_text(encoding="ascii").split()[0]))
        backends = psutil.Process(processes[-1]).children()
        processes += [each.pid for each in backends if "autovacuum worker" not in " ".join(each.cmdline())]
    token, body = world.token(WANG), question(OPEN.SFZH, VETTING, letter=letter(world, WANG, OPEN.SFZH, VETTING))
    with traced(filter(None, processes)) as calls:
        answer = post(world, token, body)
    assert (answer.status, answer.json()["count"]) == (200, 1)
    return calls, answer.json()["inquiry_id"]


def first_byte(calls: list[Call], inquiry: str) -> Call:
    """Where the answer begins: the first that is written to the connection on which its receipt is written."""
    receipt = next(c for c in calls if c.name in WRITES and inquiry in c.text and "receipt" in c.text)
    asked = next(c for c in calls if c.name in READS and "POST /v1/inquiries" in c.text)
    return next(c for c in calls if c.name in WRITES and c.file == receipt.file and c.start > asked.start)


def test_postgresql_has_flushed_the_entry_before_the_first_byte_of_the_answer(world: World) -> None:
    """P2: the server answers the commit after its log is on the disk, and the gateway answers after that."""
    calls, inquiry = answered(world)
    statement = next(c for c in calls if c.name in READS and f'\\"id\\":\\"{inquiry}' in c.text)
    told = next(c for c in calls if c.thread == statement.thread and c.name in SENDS and c.start > statement.end)
    flushes = [c for c in calls if c.flushed("pg_wal") and c.start >= statement.end and c.end <= told.start]
    seen = [
        (c.name, c.thread == statement.thread, c.text[:60]) for c in calls if statement.start <= c.start <= told.end
    ]
    assert flushes, f"the server answered before it had flushed: {seen}"
    assert told.start < first_byte(calls, inquiry).start


def test_sqlite_has_flushed_the_entry_before_the_first_byte_of_the_answer(sqlite_world: World) -> None:
    """P2: the thread that wrote the entry flushes it before the answer is begun."""
    calls, inquiry = answered(sqlite_world)
    written = next(c for c in calls if c.name == "pwrite64" and inquiry in c.text)
    flushes = [c for c in calls if c.flushed("-wal") and c.thread == written.thread and c.start >= written.end]
    assert flushes, "nothing was flushed"
    assert flushes[0].end <= first_byte(calls, inquiry).start
