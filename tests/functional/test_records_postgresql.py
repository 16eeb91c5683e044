"""Records on a real PostgreSQL: parity with Python, types, paging, faults of the server."""

import os
import signal
import socket
import time

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.clock import SystemClock
from sidecar.demo.postgres import PostgresCluster
from sidecar.errors import DatabaseClosed, DatabaseTimeout, DatabaseUnavailable
from sidecar.policy.types import Comparison, Conjunction, Negation
from sidecar.records.catalog import parse
from sidecar.records.connectors.postgresql import PostgresDriver
from sidecar.records.driver import Limits
from sidecar.records.parity import compare
from sidecar.records.types import Condition, PageRequest, RegisterMarks, Search, SortKey, Subject
from tests.support import records as r
from tests.support.postgres import short_directory

pytestmark = pytest.mark.functional

NONE = RegisterMarks()
EVERYONE = Search(())
ALL = PageRequest(100)


def keys(connector, target=EVERYONE, views=r.EVERYTHING, page=ALL, marks=NONE):
    return [row.key for row in connector.fetch(target, views, page, marks, "inquiry-1").rows]


@pytest.fixture
def database(tmp_path, postgres_url):
    opened = []

    def make(*changes, **parts):
        r.fill(postgres_url, r.rows(*changes))
        opened.append(r.connect(tmp_path, postgres_url, **parts))
        return opened[-1]

    yield make
    for connector in opened:
        connector.close()


def direct(dsn):
    return psycopg.connect(dsn, autocommit=True)


@settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(content=st.lists(r.any_row(), min_size=40, max_size=80))
def test_python_and_postgresql_and_sqlite_read_any_row_alike(tmp_path_factory, postgres_dsn, postgres_url, content):
    folder = tmp_path_factory.mktemp("p")
    with direct(postgres_dsn) as connection:
        connection.execute('DROP TABLE IF EXISTS "T_AJXX"')
    r.fill(postgres_url, r.rows(*content))
    on_postgresql = r.connect(folder, postgres_url)
    on_sqlite = r.sqlite(folder, r.rows(*content))
    marks = RegisterMarks(frozenset({"AJ2|1"}), frozenset({"AJ3|1"}))
    for connector in (on_postgresql, on_sqlite):
        assert compare(connector, 100, marks, "i").holds
    one, other = (
        {row.key: row.attributes for row in c.fetch(EVERYONE, r.SEALED_ONLY, ALL, marks, "i").rows}
        for c in (on_postgresql, on_sqlite)
    )
    on_postgresql.close()
    on_sqlite.close()
    assert one == other


@pytest.mark.parametrize("stored", [r.PERSON, r.PERSON.lower(), "330106850711001", r.PERSON.ljust(20)])
@pytest.mark.parametrize("type_", ["varchar(20)", "char(20)", "text"])
def test_a_person_is_found_under_every_form_and_by_the_index(database, postgres_dsn, stored, type_):
    if type_ == "text":
        stored = stored.strip()
    connector = database({"SFZH": stored}, {"SFZH": "330106198507110028"})
    with direct(postgres_dsn) as connection:
        connection.execute(f'ALTER TABLE "T_AJXX" ALTER "SFZH" TYPE {type_}')
        connection.execute('CREATE INDEX ix ON "T_AJXX" ("SFZH")')
    assert keys(connector, Subject(person_id=r.PERSON)) == ["AJ1|1"]
    statement = next(iter(connector._ready.plans.values())).statement
    with direct(postgres_dsn) as connection:
        connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
        connection.execute("PREPARE q AS " + statement.sql)
        arguments = ", ".join("NULL" for _ in statement.binds)
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN EXECUTE q({arguments})"))
    assert "Index Cond" in plan
    assert " ix" in plan


def test_columns_of_other_types_are_read_by_their_text(database, postgres_dsn):
    connector = database({"FARQ2": None}, {"CSRQ": "20100101", "SFZH": None})
    with direct(postgres_dsn) as connection:
        connection.execute('ALTER TABLE "T_AJXX" ALTER "XQ_YUE" TYPE integer USING "XQ_YUE"::integer')
        connection.execute('ALTER TABLE "T_AJXX" ALTER "CSRQ" TYPE integer USING "CSRQ"::integer')
        connection.execute('ALTER TABLE "T_AJXX" ALTER "FARQ2" TYPE date USING NULL')
        connection.execute('ALTER TABLE "T_AJXX" ALTER "SFZH" TYPE bytea USING "SFZH"::bytea')
        connection.execute("""UPDATE "T_AJXX" SET "FARQ2" = '2021-01-02' WHERE "AJBH" = 'AJ1'""")
    connector.canary()
    assert compare(connector, 9, NONE, "i").holds
    assert keys(connector, Subject(name="何大伟", birth_date="1985-07-11")) == ["AJ1|1"]


def test_a_case_blind_collation_is_compared_exactly(database, postgres_dsn):
    connector = database({**r.DECISION, "JFXL": "j1"})
    with direct(postgres_dsn) as connection:
        connection.execute("CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        for column in ("JFXL", "AJBH", "AJLB", "SFZH"):
            connection.execute(f'ALTER TABLE "T_AJXX" ALTER "{column}" TYPE varchar(24) COLLATE blind')
    [row] = connector.fetch(EVERYONE, r.EVERYTHING, ALL, NONE, "i").rows
    assert row.attributes.unsealed is False
    assert compare(connector, 9, NONE, "i").holds
    connector.canary()


def test_pages_totals_and_conditions(database):
    connector = database(*({"XQ_SM": str(n % 3), "FCBJ": "1"} for n in range(7)), {"XB": "2"})
    order = (SortKey("term", descending=True),)
    whole = keys(connector, page=PageRequest(100, order))
    found, after = [], None
    for size in (3, 3, 3):
        page = connector.fetch(EVERYONE, r.EVERYTHING, PageRequest(size, order, after), NONE, "i")
        assert page.total == 8
        found += [row.key for row in page.rows]
        after = page.end
    assert found == whole
    beyond = connector.fetch(EVERYONE, r.EVERYTHING, PageRequest(3, order, after), NONE, "i")
    assert (beyond.rows, beyond.total, beyond.more) == ((), 8, False)
    assert keys(connector, Search((Condition("sex", "eq", "女"),))) == ["AJ8|1"]
    assert keys(connector, Search((Condition("case", "in", ("AJ1", "AJ7")), Condition("term", "lt", 1)))) == [
        "AJ1|1", "AJ7|1",
    ]  # fmt: skip
    assert keys(connector, Search((Condition("case", "prefix", "AJ8"),))) == ["AJ8|1"]
    assert keys(connector, Search((Condition("case", "eq", "a\0"),))) == []


def test_the_registers_keys_are_excluded_in_the_database(database):
    connector = database({"AJBH": 'A"{,}\\|'}, {}, {"FCBJ": "1"})
    key = 'A"{,}\\\\\\||1'
    assert keys(connector, views=r.OPEN_ONLY) == [key, "AJ2|1"]
    assert keys(connector, views=r.OPEN_ONLY, marks=RegisterMarks(sealed=frozenset({key, "x|1"}))) == ["AJ2|1"]
    assert len(connector._ready.plans) == 1


def test_undecodable_rows_are_withheld(database):
    connector = database({}, {"BZ": b"\xff\xff"}, {"XB": "9"})
    fetched = connector.fetch(EVERYONE, r.OPEN_ONLY, ALL, NONE, "i")
    assert ([row.key for row in fetched.rows], fetched.total, fetched.unreadable) == (["AJ1|1"], 1, 2)
    assert fetched.rows[0].fields["story"] == "供述。"


@pytest.mark.parametrize(("encoding", "codec"), [("SQL_ASCII", "gb18030"), ("EUC_CN", "gb2312"), ("LATIN1", "gb18030")])
def test_databases_of_other_encodings(tmp_path, postgres_cluster, encoding, codec):
    name = f"enc_{encoding.lower()}"
    with direct(postgres_cluster.dsn("postgres")) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    columns = ", ".join(f'"{column.name}" varchar(60)' for column in r.TABLE.columns)
    values = {**r.ROW, "BZ": None, "XM": "name", "ZM": "crime", "XH": "1"}
    with direct(postgres_cluster.dsn(name)) as connection:
        connection.execute(f"SET client_encoding = '{encoding}'")
        connection.pgconn.exec_(f'CREATE TABLE "T_AJXX" ({columns})'.encode())
        stored = ", ".join("NULL" if value is None else f"'{value}'" for value in values.values())
        connection.pgconn.exec_(f'INSERT INTO "T_AJXX" VALUES ({stored})'.encode())
        bad = b'UPDATE "T_AJXX" SET "BZ" = \'' + "供述".encode(codec) + b"'"
        assert connection.pgconn.exec_(bad).error_message == b""
    text = r.TEXT.replace("男", "m").replace("女", "f")
    connector = r.connect(tmp_path, postgres_cluster.url(name), catalog=parse(text))
    [row] = connector.fetch(EVERYONE, r.OPEN_ONLY, ALL, NONE, "i").rows
    connector.canary()
    connector.close()
    assert row.fields["story"] == "供述"
    postgres_cluster.dropdb(name)


@pytest.mark.parametrize(
    "statement", ['DELETE FROM "T_AJXX" RETURNING 1', "CREATE TABLE x ()", 'SELECT 1 FROM "T_AJXX" FOR UPDATE']
)
def test_the_session_is_read_only(database, statement):
    connector = database({})
    with pytest.raises(DatabaseUnavailable, match="25006"):
        connector.driver._run(statement, ())
    assert keys(connector) == ["AJ1|1"]


def test_the_canary_passes_and_a_mutant_fails_it(database, tmp_path, postgres_url):
    database({}).canary()
    first = r.OPEN_RECORD.parts[0].parts[0]
    mutated = Conjunction((Negation(Comparison("seal_mark", "eq", value=True)), *r.OPEN_RECORD.parts[1].parts[1:]))
    for node in (r.OPEN_RECORD.parts[0], mutated, first):
        connector = r.connect(tmp_path, postgres_url, open_record=node)
        with pytest.raises(DatabaseClosed, match="filter and policy differ"):
            connector.canary()
        connector.close()


def test_a_slow_statement_is_cancelled_by_the_server_and_the_connection_stays(postgres_dsn):
    driver = PostgresDriver(postgres_dsn, Limits(100, 1), SystemClock())
    with pytest.raises(DatabaseTimeout, match="57014"):
        driver._run("SELECT pg_sleep(30)", ())
    pid = driver._run("SELECT pg_backend_pid()", ())
    assert driver._run("SELECT pg_backend_pid()", ()) == pid
    driver.close()


def test_a_stale_connection_is_replaced_once_without_an_error(database, postgres_dsn):
    connector = database({})
    assert keys(connector) == ["AJ1|1"]
    with direct(postgres_dsn) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert keys(connector) == ["AJ1|1"]


def test_a_foreign_errors_text_never_comes_along(database, postgres_dsn):
    connector = database({"XQ_YUE": "planted-4711"})
    with pytest.raises(DatabaseUnavailable) as caught:
        connector.driver._run('SELECT CAST("XQ_YUE" AS integer) FROM "T_AJXX"', ())
    assert "4711" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_server_that_is_down_or_hangs_is_told_apart(tmp_path):
    folder = short_directory()
    with PostgresCluster(folder / "c") as cluster:
        cluster.createdb("legacy")
        r.fill(cluster.url("legacy"), r.rows({}))
        catalog = parse(
            r.TEXT.replace("statement_timeout_ms: 10000, pool_size: 2", "statement_timeout_ms: 300, pool_size: 1")
        )
        connector = r.connect(tmp_path, cluster.url("legacy"), catalog=catalog)
        assert keys(connector) == ["AJ1|1"]
        session, _ = connector.driver._pool.take()
        backend = session._connection.info.backend_pid
        connector.driver._pool.give(session)
        os.kill(backend, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(DatabaseTimeout, match="no answer in time"):
            keys(connector)
        os.kill(backend, signal.SIGCONT)
        assert time.monotonic() - started < 10
        assert keys(connector) == ["AJ1|1"]
    with pytest.raises(DatabaseUnavailable):
        keys(connector)
    connector.close()


def test_a_port_that_accepts_and_says_nothing_does_not_hold_a_worker(tmp_path, monkeypatch):
    monkeypatch.setattr("sidecar.records.connectors.postgresql.CONNECT_TIMEOUT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connector = r.connect(tmp_path, f"postgresql://u@127.0.0.1:{port}/d")
        with pytest.raises(DatabaseUnavailable, match="cannot connect"):
            keys(connector)
    connector.close()
