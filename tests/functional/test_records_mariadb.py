"""Records on a real MariaDB: parity with Python and SQLite, collations, character sets, faults of the server."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.errors import DatabaseClosed, DatabaseTimeout, DatabaseUnavailable
from sidecar.records.catalog import parse
from sidecar.records.parity import compare
from sidecar.records.types import Condition, PageRequest, RegisterMarks, Search, SortKey, Subject
from tests.support import records as r
from tests.support.mariadb import MariaDbServer

pytestmark = pytest.mark.functional

NONE = RegisterMarks()
EVERYONE = Search(())
ALL = PageRequest(100)


def keys(connector, target=EVERYONE, views=r.EVERYTHING, page=ALL, marks=NONE):
    return [row.key for row in connector.fetch(target, views, page, marks, "inquiry-1").rows]


@pytest.fixture
def database(tmp_path, mariadb_url):
    opened = []

    def make(*changes, **parts):
        r.fill(mariadb_url, r.rows(*changes))
        opened.append(r.connect(tmp_path, mariadb_url, **parts))
        return opened[-1]

    yield make
    for connector in opened:
        connector.close()


@pytest.fixture
def sql(mariadb_server, mariadb_database):
    return lambda *statements: mariadb_server.run(*statements, database=mariadb_database)


@settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(content=st.lists(r.any_row(), min_size=40, max_size=80))
def test_python_and_mariadb_and_sqlite_read_any_row_alike(tmp_path_factory, sql, mariadb_url, content):
    folder = tmp_path_factory.mktemp("p")
    sql("DROP TABLE IF EXISTS T_AJXX")
    r.fill(mariadb_url, r.rows(*content))
    on_mariadb = r.connect(folder, mariadb_url)
    on_sqlite = r.sqlite(folder, r.rows(*content))
    marks = RegisterMarks(frozenset({"AJ2|1"}), frozenset({"AJ3|1"}))
    for connector in (on_mariadb, on_sqlite):
        assert compare(connector, 100, marks, "i").holds
    one, other = (
        {row.key: row.attributes for row in c.fetch(EVERYONE, r.SEALED_ONLY, ALL, marks, "i").rows}
        for c in (on_mariadb, on_sqlite)
    )
    on_mariadb.close()
    on_sqlite.close()
    assert one == other


@pytest.mark.parametrize("stored", [r.PERSON, r.PERSON.lower(), "330106850711001", r.PERSON.ljust(20)])
@pytest.mark.parametrize("type_", ["varchar(20)", "char(20)", "varchar(20) CHARACTER SET gbk"])
def test_a_person_is_found_under_every_form(database, sql, stored, type_):
    connector = database({"SFZH": stored}, {"SFZH": "330106198507110028"})
    sql(f"ALTER TABLE T_AJXX MODIFY SFZH {type_}", "CREATE INDEX ix ON T_AJXX (SFZH)")
    assert keys(connector, Subject(person_id=r.PERSON)) == ["AJ1|1"]
    connector.canary()


@pytest.mark.parametrize(("asked", "other"), [("何𠮷", "何𡘙"), ("jose", "JOSÉ")])
def test_a_name_that_the_collation_calls_equal_is_another(database, sql, asked, other):
    connector = database({"XM": asked}, {"XM": other})
    sql("ALTER TABLE T_AJXX MODIFY XM varchar(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    assert len(sql("SELECT 1 FROM T_AJXX WHERE XM = (SELECT XM FROM T_AJXX WHERE AJBH = 'AJ1')")) == 2
    assert keys(connector, Subject(name=asked, birth_date="1985-07-11")) == ["AJ1|1"]


def test_a_case_blind_collation_is_compared_exactly(database):
    connector = database({**r.DECISION, "JFXL": "j1"})
    [row] = connector.fetch(EVERYONE, r.EVERYTHING, ALL, NONE, "i").rows
    assert row.attributes.unsealed is False
    assert compare(connector, 9, NONE, "i").holds


def test_columns_of_other_types_are_read_by_their_text(database, sql):
    connector = database({"FARQ2": None}, {"CSRQ": "20100101", "SFZH": None})
    sql(
        "ALTER TABLE T_AJXX MODIFY XQ_YUE int, MODIFY CSRQ int, MODIFY FARQ2 date, MODIFY SFZH varbinary(20)",
        "UPDATE T_AJXX SET FARQ2 = '2021-01-02' WHERE AJBH = 'AJ1'",
    )
    connector.canary()
    assert compare(connector, 9, NONE, "i").holds
    assert keys(connector, Subject(name="何大伟", birth_date="1985-07-11")) == ["AJ1|1"]


def test_bytes_of_gbk_in_a_latin_column_are_decoded_as_they_are_stored(database, sql):
    connector = database({"BZ": "供述".encode("gb18030")}, {"BZ": b"\xff\xff"})
    sql("ALTER TABLE T_AJXX MODIFY BZ varchar(60) CHARACTER SET latin1")
    fetched = connector.fetch(EVERYONE, r.OPEN_ONLY, ALL, NONE, "i")
    assert [row.fields["story"] for row in fetched.rows] == ["供述"]
    assert fetched.unreadable == 1


def test_pages_totals_and_conditions(database):
    connector = database(*({"XQ_SM": str(n % 3), "FCBJ": "1"} for n in range(7)), {"XB": "2"}, {"AJBH": "%\\'_?"})
    order = (SortKey("term", descending=True),)
    whole = keys(connector, page=PageRequest(100, order))
    found, after = [], None
    for size in (3, 3, 3):
        page = connector.fetch(EVERYONE, r.EVERYTHING, PageRequest(size, order, after), NONE, "i")
        assert page.total == 9
        found += [row.key for row in page.rows]
        after = page.end
    assert found == whole
    beyond = connector.fetch(EVERYONE, r.EVERYTHING, PageRequest(3, order, after), NONE, "i")
    assert (beyond.rows, beyond.total, beyond.more) == ((), 9, False)
    assert keys(connector, Search((Condition("sex", "eq", "女"),))) == ["AJ8|1"]
    assert keys(connector, Search((Condition("case", "in", ("AJ1", "aj7")), Condition("term", "lt", 1)))) == ["AJ1|1"]
    for odd in ("%\\'_?", "%\\'"):
        assert keys(connector, Search((Condition("case", "prefix", odd),))) == ["%\\\\'_?|1"]
    assert keys(connector, Search((Condition("case", "prefix", "%"),))) == ["%\\\\'_?|1"]
    assert keys(connector, Search((Condition("case", "eq", "a\0"),))) == []


def test_the_registers_keys_are_excluded_in_the_database(database):
    connector = database({"AJBH": "A\"{,}\\|'"}, {}, {"FCBJ": "1"})
    key = "A\"{,}\\\\\\|'|1"
    assert keys(connector, views=r.OPEN_ONLY) == [key, "AJ2|1"]
    assert keys(connector, views=r.OPEN_ONLY, marks=RegisterMarks(sealed=frozenset({key, "x|1"}))) == ["AJ2|1"]
    assert len(connector._ready.plans) == 1


@pytest.mark.parametrize("statement", ["DELETE FROM T_AJXX", "CREATE TABLE x (i int)", "UPDATE T_AJXX SET XM = 'a'"])
def test_the_session_is_read_only(database, statement):
    connector = database({})
    with pytest.raises(DatabaseUnavailable, match="1792"):
        connector.driver._run(statement, ())
    assert keys(connector) == ["AJ1|1"]


def test_the_canary_passes_and_a_mutant_fails_it(database, tmp_path, mariadb_url):
    database({}).canary()
    connector = r.connect(tmp_path, mariadb_url, open_record=r.OPEN_RECORD.parts[0])
    with pytest.raises(DatabaseClosed, match="filter and policy differ"):
        connector.canary()
    connector.close()


def quick():
    return parse(r.TEXT.replace("statement_timeout_ms: 10000, pool_size: 2", "statement_timeout_ms: 300, pool_size: 1"))


def test_a_slow_statement_is_ended_by_the_server_and_the_connection_stays(database):
    connector = database({}, catalog=quick())
    before = connector.driver._run("SELECT CONNECTION_ID()", ())
    with pytest.raises(DatabaseTimeout, match="1969"):
        connector.driver._run("SELECT COUNT(*) FROM seq_1_to_1000000000 WHERE seq %% 2 = SLEEP(0)", ())
    assert connector.driver._run("SELECT CONNECTION_ID()", ()) == before


def test_a_locked_table_is_a_time_out(database, mariadb_server, mariadb_database):
    connector = database({}, catalog=quick())
    assert keys(connector) == ["AJ1|1"]
    locker = mariadb_server.connect(mariadb_database)
    locker.cursor().execute("LOCK TABLES T_AJXX WRITE")
    with pytest.raises(DatabaseTimeout):
        keys(connector)
    locker.close()
    assert keys(connector) == ["AJ1|1"]


def test_a_stale_connection_is_replaced_once_without_an_error(database, sql):
    connector = database({})
    [(number,)] = connector.driver._run("SELECT CONNECTION_ID()", ())
    sql(f"KILL {int(number)}")
    assert keys(connector) == ["AJ1|1"]


def test_a_foreign_errors_text_never_comes_along(database):
    connector = database({})
    with pytest.raises(DatabaseUnavailable) as caught:
        connector.driver._run("SELECT planted_4711 FROM T_AJXX", ())
    assert "4711" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_server_that_hangs_or_is_down_is_told_apart(tmp_path):
    with MariaDbServer() as server:
        server.run("CREATE DATABASE legacy CHARACTER SET utf8mb4")
        r.fill(server.url("legacy"), r.rows({}))
        connector = r.connect(tmp_path, server.url("legacy"), catalog=quick())
        assert keys(connector) == ["AJ1|1"]
        server.pause()
        started = time.monotonic()
        with pytest.raises(DatabaseTimeout, match="no answer in time"):
            keys(connector)
        assert time.monotonic() - started < 10
        server.resume()
        assert keys(connector) == ["AJ1|1"]
    with pytest.raises(DatabaseUnavailable):
        keys(connector)
    connector.close()
