"""The SQL connector on SQLite: what is found, paged, counted, and what faults do."""

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.clock import FixedClock
from sidecar.codes import FieldClass, View
from sidecar.errors import ConfigurationError, DatabaseClosed, DatabaseTimeout, DatabaseUnavailable, RequestInvalid
from sidecar.policy.types import NO_VIEWS, Views
from sidecar.records.attributes import SEALED_KEYS, UNSEALED_KEYS
from sidecar.records.catalog import LoadedCatalog, parse
from sidecar.records.connectors import open_connector, sqlite
from sidecar.records.driver import Limits, Pool
from sidecar.records.parity import compare
from sidecar.records.types import Condition, PageRequest, RegisterMarks, Search, SortKey, Subject
from tests.support import records as r

NONE = RegisterMarks()
EVERYONE = Search(())


FIRST = PageRequest(100)


def keys(connector, target=EVERYONE, views=r.EVERYTHING, page=FIRST, marks=NONE):
    return [row.key for row in connector.fetch(target, views, page, marks, "inquiry-1").rows]


@pytest.fixture
def database(tmp_path):
    opened = []

    def make(*changes, **parts):
        connector = r.sqlite(tmp_path, r.rows(*changes), **parts)
        opened.append(connector)
        return connector

    yield make
    for connector in opened:
        connector.close()


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    content = r.rows({}, {"ZM": "抢劫罪", "XQ_SM": "6", "JARQ": "20220101"}, {"XB": "2"}, {"XQ_SM": None, "JARQ": None})
    connector = r.sqlite(tmp_path_factory.mktemp("searched"), content)
    yield connector
    connector.close()


@pytest.mark.parametrize(
    "stored", [r.PERSON, r.PERSON.lower(), "330106850711001", r.PERSON.ljust(20), "330106850711001".ljust(20)]
)
def test_a_person_is_found_under_every_form_of_the_number(database, stored):
    connector = database({"SFZH": stored}, {"SFZH": "330106198507110028"}, {"SFZH": None})
    assert keys(connector, Subject(person_id=r.PERSON)) == ["AJ1|1"]


def test_the_persons_index_serves_the_look_up(database, tmp_path):
    connector = database({})
    with sqlite3.connect(tmp_path / "county.db") as direct:
        direct.execute("CREATE INDEX ix ON T_AJXX (SFZH)")
    direct.close()
    assert keys(connector, Subject(person_id=r.PERSON)) == ["AJ1|1"]
    plan = next(iter(connector._ready.plans.values())).statement
    with sqlite3.connect(tmp_path / "county.db") as direct:
        steps = direct.execute("EXPLAIN QUERY PLAN " + plan.sql, [None] * len(plan.binds)).fetchall()
    direct.close()
    assert any("USING INDEX ix" in step[3] for step in steps)


def test_name_and_birth_date_find_a_person(database):
    connector = database({}, {"XM": "何大伟 "}, {"CSRQ": "19850712"}, {"XM": "何大"}, {"CSRQ": "junk"})
    assert keys(connector, Subject(name="何大伟", birth_date="1985-07-11")) == ["AJ1|1"]
    assert keys(connector, Subject(name="何大伟", birth_date="1985-02-30")) == []


def test_only_what_the_views_show_is_read(database):
    connector = database({}, {"FCBJ": "1"}, {"AJLB": "05"}, {"AJLB": "05", "FCBJ": "1"}, {"AJLB": "99"})
    assert keys(connector, views=r.OPEN_ONLY) == ["AJ1|1", "AJ3|1"]
    assert keys(connector, views=r.SEALED_ONLY) == ["AJ2|1", "AJ4|1", "AJ5|1"]
    some = Views({"judgment": View.FULL}, {"non_prosecution": View.LIMITED}, {}, frozenset(), cover_mark=False)
    assert keys(connector, views=some) == ["AJ1|1", "AJ4|1"]
    assert connector.fetch(EVERYONE, NO_VIEWS, PageRequest(9), NONE, "i").total == 0


def test_columns_of_field_classes_that_no_view_shows_are_not_read(database):
    connector = database({})
    narrow = Views({"judgment": View.LIMITED}, {}, r.OPEN_ONLY.fields, frozenset(), cover_mark=False)
    fetched = connector.fetch(EVERYONE, narrow, PageRequest(9), NONE, "i")
    assert fetched.classes == {"crime": FieldClass.CRIME, "term": FieldClass.TERM}
    assert fetched.rows[0].fields == {"crime": "盗窃罪", "term": 18}
    plan = next(iter(connector._ready.plans.values())).statement
    assert '"BZ"' not in plan.sql
    assert '"XM"' not in plan.sql


def test_released_values_are_canonical(database):
    connector = database({"XM": "何大伟  ", "XB": "2", "XQ_SM": None, "JARQ": " "})
    assert connector.fetch(EVERYONE, r.OPEN_ONLY, PageRequest(9), NONE, "i").rows[0].fields == {
        "case": "AJ1", "name": "何大伟", "sex": "女", "crime": "盗窃罪", "term": None, "concluded": None, "story": "供述。",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"BZ": b"\xff\xff"}, {"XB": "7"}, {"XQ_SM": "3x"}, {"JARQ": "20219999"}, {"XM": b"\xd6\xd0"}]
)
def test_a_row_that_cannot_be_decoded_is_withheld_and_the_others_stay(database, change):
    connector = database({}, change, {})
    fetched = connector.fetch(EVERYONE, r.OPEN_ONLY, PageRequest(9), NONE, "i")
    assert [row.key for row in fetched.rows] == ["AJ1|1", "AJ3|1"]
    assert (fetched.total, fetched.unreadable, fetched.end) == (2, 1, ("AJ3", "1".rjust(20, "0")))


def test_a_sealed_rows_fault_shows_nowhere(database):
    connector = database({}, {"BZ": b"\xff\xff", "FCBJ": "1"})
    fetched = connector.fetch(EVERYONE, r.OPEN_ONLY, PageRequest(9), NONE, "i")
    assert (len(fetched.rows), fetched.total, fetched.unreadable) == (1, 1, 0)


@pytest.mark.parametrize("change", [{"GTFZ": "1"}, {"FMBJ": "1"}])
def test_a_fault_in_what_a_joint_case_drops_shows_nowhere(database, change):
    """R16b: a story that nobody gets to see must not decide whether there is a record."""
    connector = database({**change, "BZ": b"\xff\xff"}, {"BZ": b"\xff\xff"}, {})
    views = replace(r.OPEN_ONLY, joint_dropped=frozenset({FieldClass.NARRATIVE}))
    fetched = connector.fetch(EVERYONE, views, PageRequest(9), NONE, "i")
    assert [(row.key, row.fields["story"]) for row in fetched.rows] == [("AJ1|1", None), ("AJ3|1", "供述。")]
    assert (fetched.total, fetched.unreadable) == (2, 1)


def test_the_registers_keys_seal_and_unseal_with_one_statement_whatever_their_number(database):
    connector = database({}, {}, {"FCBJ": "1"}, {"CSRQ": "20100101", "SFZH": None})
    many = frozenset(f"other-{n}|1" for n in range(500))
    assert keys(connector, views=r.OPEN_ONLY) == ["AJ1|1", "AJ2|1"]
    marks = RegisterMarks(sealed=many | {"AJ2|1"}, unsealed=frozenset({"AJ3|1", "AJ4|1"}))
    # R9: unsealed but still marked (AJ3) stays withheld.
    assert keys(connector, views=r.OPEN_ONLY, marks=marks) == ["AJ1|1", "AJ4|1"]
    assert len(connector._ready.plans) == 1


def test_joint_cases_and_cover_marks_are_told(database):
    connector = database({}, {"GTFZ": "1"}, {"FMBJ": "1"}, {"FMBJ": "x"}, {"FMBJ": None})
    rows = connector.fetch(EVERYONE, r.EVERYTHING, PageRequest(9), NONE, "i").rows
    assert [(row.joint, row.cover_mark) for row in rows] == [
        (False, False), (True, False), (True, True), (True, True), (False, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition("case", "eq", "AJ2"), [2]),
        (Condition("case", "in", ("AJ1", "AJ3", "AJ9")), [1, 3]),
        (Condition("case", "in", ()), []),
        (Condition("case", "prefix", "AJ"), [1, 2, 3, 4]),
        (Condition("case", "prefix", "J"), []),
        (Condition("ZM", "eq", "抢劫罪"), [2]),
        (Condition("ZM", "ne", "抢劫罪"), [1, 3, 4]),
        (Condition("sex", "eq", "女"), [3]),
        (Condition("sex", "eq", "1"), []),
        (Condition("term", "ge", 18), [1, 3]),
        (Condition("term", "lt", 18), [2]),
        (Condition("term", "eq", "18"), [1, 3]),
        (Condition("term", "eq", -1), []),
        (Condition("concluded", "le", "2021-01-01"), [1, 3]),
        (Condition("concluded", "gt", "2021-01-01"), [2]),
        (Condition("concluded", "eq", "2021-13-01"), []),
        (Condition("case", "eq", "a\0b"), []),
        (Condition("case", "eq", "\ud800"), []),
        (Condition("case", "eq", "' OR 1=1 --"), []),
    ],
)
def test_conditions_of_a_search(searched, condition, expected):
    assert keys(searched, Search((condition,))) == [f"AJ{n}|1" for n in expected]


def test_undeclared_fields_and_operators_are_refused(database):
    connector = database({})
    with pytest.raises(ConfigurationError, match="a condition"):
        keys(connector, Search((Condition("name", "eq", "x"),)))
    for condition in (Condition("term", "prefix", "1"), Condition("case", "like", "x")):
        with pytest.raises(RequestInvalid, match="a condition"):  # a fault of who asks: 422
            keys(connector, Search((condition,)))
    with pytest.raises(ConfigurationError, match="sort"):
        keys(connector, page=PageRequest(5, (SortKey("name"),)))


@settings(
    max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(
    days=st.lists(st.sampled_from(["20210101", "20210102", "2021", "", None, "20200101"]), min_size=1, max_size=12),
    sort=st.lists(st.tuples(st.sampled_from(["concluded", "term", "case", "sex"]), st.booleans()), max_size=2),
    size=st.integers(1, 5),
)
def test_pages_give_every_row_once_in_order_with_one_total(tmp_path_factory, days, sort, size):
    changes = [{"JARQ": None, "XQ_SM": None if day is None else str(len(day)), "FCBJ": "1"} for day in days]
    changes = [
        {**change, "JARQ": day if day and len(day) == 8 else None} for change, day in zip(changes, days, strict=True)
    ]
    connector = r.sqlite(tmp_path_factory.mktemp("p"), r.rows(*changes))
    order = tuple(SortKey(name, descending) for name, descending in dict(sort).items())
    whole = keys(connector, page=PageRequest(100, order))
    found, after = [], None
    while True:
        page = connector.fetch(EVERYONE, r.EVERYTHING, PageRequest(size, order, after), NONE, "i")
        found += [row.key for row in page.rows]
        assert page.total == len(days)
        assert page.more is (len(found) < len(days))
        if not page.more:
            break
        assert len(page.rows) == size
        after = page.end
    beyond = connector.fetch(EVERYONE, r.EVERYTHING, PageRequest(size, order, page.end), NONE, "i")
    connector.close()
    assert (beyond.rows, beyond.total, beyond.more) == ((), len(days), False)
    assert found == whole
    assert len(set(found)) == len(days)


def test_sorting_follows_the_field_and_then_the_key(database):
    connector = database({"XQ_SM": "9"}, {"XQ_SM": "10"}, {"XQ_SM": None}, {"XQ_SM": "9"})
    assert keys(connector, page=PageRequest(9, (SortKey("term", descending=True),))) == [
        "AJ2|1", "AJ1|1", "AJ4|1", "AJ3|1",
    ]  # fmt: skip


@settings(
    max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(st.lists(r.any_row(), min_size=40, max_size=80))
def test_python_and_sqlite_read_any_row_alike(tmp_path_factory, changes):
    connector = r.sqlite(tmp_path_factory.mktemp("d"), r.rows(*changes))
    marks = RegisterMarks(frozenset({"AJ2|1"}), frozenset({"AJ3|1"}))
    parity = compare(connector, 100, marks, "i")
    connector.close()
    assert parity.holds
    assert parity.open + parity.sealed == len(changes)


BYTES = [b"1\x0002", b"\xd6\xd0", b"20050601\x00", b"2005060\xb1", b"\x00", b"\xe4\xa1", b"  2 ", b"\xff" * 8]


BYTE_COLUMNS = ["CSRQ", "FARQ", "FARQ2", "SFZH", "XQ_YUE", "FCBJ", "GTFZ", "AJLB", "MCBZ", "JARQ"]


def test_bytes_that_are_no_text_are_read_alike(database):
    changes = [{column: value} for column in BYTE_COLUMNS for value in (*BYTES, 20050601, 1, 1.5)]
    connector = database(*changes)
    parity = compare(connector, 1000, NONE, "i")
    assert parity.holds
    assert parity.open + parity.sealed == len(changes)


def test_case_blind_columns_are_compared_exactly(tmp_path):
    r.fill(f"sqlite:///{tmp_path / 'county.db'}", [])
    with sqlite3.connect(tmp_path / "county.db") as direct:
        direct.execute("DROP TABLE T_AJXX")
        columns = ", ".join(f'"{column.name}" TEXT COLLATE NOCASE' for column in r.TABLE.columns)
        direct.execute(f"CREATE TABLE T_AJXX ({columns})")
        row = {**r.ROW, **r.DECISION, "JFXL": "j1"}
        direct.execute(f"INSERT INTO T_AJXX VALUES ({', '.join(':' + c.name for c in r.TABLE.columns)})", row)
    direct.close()
    connector = r.connect(tmp_path, f"sqlite:///{tmp_path / 'county.db'}")
    [found] = connector.fetch(EVERYONE, r.EVERYTHING, PageRequest(9), NONE, "i").rows
    assert found.attributes.unsealed is False
    assert compare(connector, 9, NONE, "i").holds
    connector.close()


def test_parity_tells_a_difference(database):
    def lenient(records):
        return [replace(word, is_open=True) for word in r.classify(records)]

    connector = database({}, {"FCBJ": "1"}, word=lenient)
    parity = compare(connector, 9, NONE, "i")
    assert (parity.open, parity.sealed, parity.different, parity.holds) == (1, 1, 1, False)


def test_a_joined_table_gives_columns_and_a_row_without_partner_is_withheld(tmp_path):
    text = r.TEXT.replace("key: [AJBH, XH]}", "key: [AJBH, XH], joins: [{table: T_RY, alias: p, on: {SFZH: SFZH}}]}")
    catalog = parse(text.replace("birth: {column: CSRQ", "birth: {column: p.CSRQ"))
    r.fill(f"sqlite:///{tmp_path / 'county.db'}", r.rows({}, {"SFZH": "330106198507110028"}))
    with sqlite3.connect(tmp_path / "county.db") as direct:
        direct.execute("CREATE TABLE T_RY (SFZH TEXT, CSRQ TEXT)")
        direct.execute("INSERT INTO T_RY VALUES (?, '19850711')", (r.PERSON,))
    direct.close()
    connector = r.connect(tmp_path, f"sqlite:///{tmp_path / 'county.db'}", catalog=catalog)
    assert keys(connector, views=r.OPEN_ONLY) == ["AJ1|1"]
    assert keys(connector, views=r.SEALED_ONLY) == ["AJ2|1"]
    assert compare(connector, 9, NONE, "i").holds
    connector.canary()
    connector.close()


@pytest.mark.parametrize("attempt", ["DELETE FROM T_AJXX", "CREATE TABLE x (y)", "UPDATE T_AJXX SET FCBJ = NULL"])
@pytest.mark.parametrize("before", ["SELECT 1", "PRAGMA query_only = OFF"])
def test_the_database_cannot_be_written_to(database, before, attempt):
    connector = database({})
    connector.driver._run(before, ())
    with pytest.raises(DatabaseUnavailable, match="SQLITE_READONLY"):
        connector.driver._run(attempt, ())
    assert keys(connector) == ["AJ1|1"]


def test_a_statement_is_interrupted_at_its_deadline(tmp_path):
    r.fill(f"sqlite:///{tmp_path / 'county.db'}", [])

    class Running(FixedClock):
        def monotonic(self):
            self._monotonic += 1.0
            return self._monotonic

    clock = Running.__new__(Running)
    clock._monotonic = 0.0
    driver = sqlite.SqliteDriver(tmp_path / "county.db", Limits(3000, 1), clock)
    with pytest.raises(DatabaseTimeout, match="SQLITE_INTERRUPT"):
        driver._run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", ())
    assert driver._run("SELECT 1", ()) == [(1,)]
    driver.close()


def test_a_missing_file_is_unavailable_and_a_missing_column_closes_the_database(tmp_path):
    connector = r.connect(tmp_path, f"sqlite:///{tmp_path / 'absent.db'}")
    with pytest.raises(DatabaseUnavailable, match="SQLITE_CANTOPEN"):
        keys(connector)
    connector = r.sqlite(tmp_path, [], catalog=parse(r.TEXT.replace("column: ZM,", "column: ZUIM,").replace("ZM,", "")))
    with pytest.raises(DatabaseClosed, match="no column 'ZUIM'"):
        connector.canary()
    connector.close()


@pytest.mark.parametrize(("url", "message"), [("oracle://x", "got 'oracle'"), ("nonsense", "holds no URL")])
def test_a_url_of_another_kind_is_refused(tmp_path, url, message):
    (tmp_path / "county.dsn").write_text(url)
    with pytest.raises(ConfigurationError, match=message):
        open_connector(LoadedCatalog(r.CATALOG, "x", tmp_path), r.OPEN_RECORD, r.PARAMETERS, r.classify)


class Counted:
    closed = False

    def close(self):
        self.closed = True


def test_the_pool_is_bounded_and_a_broken_connection_takes_the_idle_ones_along():
    pool = Pool(Counted, 2, 0.0)
    first, _ = pool.take()
    second, _ = pool.take()
    with pytest.raises(DatabaseTimeout, match="no connection"):
        pool.take()
    pool.give(second)
    pool.drop(first)
    assert first.closed
    assert second.closed
    third, used = pool.take()
    assert used is False
    pool.close()
    pool.give(third)
    assert third.closed
    with pytest.raises(DatabaseUnavailable, match="closed"):
        pool.take()


def test_a_pool_whose_connections_fail_does_not_run_dry():
    def refuse():
        raise DatabaseUnavailable("down")

    pool = Pool(refuse, 1, 0.0)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable, match="down"):
            pool.take()


def test_the_inquirys_id_is_bound_in_the_statement(database):
    connector = database({})
    keys(connector)
    statement = next(iter(connector._ready.plans.values())).statement
    assert statement.binds.count("inquiry") == 1
    assert "inquiry-1" not in statement.sql
    assert {SEALED_KEYS, UNSEALED_KEYS} <= {*statement.binds}


def test_keys_that_are_whole_numbers_are_ordered_as_numbers_page_by_page(database):
    numbers = [*range(1, 13), 100, 2**40]
    connector = database(*({"AJBH": "A", "XH": number} for number in numbers))
    seen, after = [], None
    while True:
        fetched = connector.fetch(EVERYONE, r.EVERYTHING, PageRequest(5, (), after), NONE, "i")
        seen += [int(row.key_columns[1]) for row in fetched.rows]
        after = fetched.end
        if not fetched.more:
            break
    assert seen == numbers
