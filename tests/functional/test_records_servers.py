"""What real databases do to a reader, on each server alike: locks, changed schemas, tables without a key, joins, views."""

from collections.abc import Iterator

import pytest

from sidecar.errors import DatabaseClosed, DatabaseTimeout, DatabaseUnavailable
from sidecar.records.catalog import parse
from sidecar.records.types import Condition, PageRequest, RegisterMarks, Search, Subject
from tests.support import records as r
from tests.support import servers as s

pytestmark = pytest.mark.functional

EVERYONE = Search(())
NAMES = {"sqlite": "{}", "postgresql": '"{}"', "mariadb": "{}"}


@pytest.fixture(params=s.KINDS)
def server(request, tmp_path) -> Iterator[s.Server]:
    return s.open_server(request.param, request, tmp_path)


@pytest.fixture
def opened(server, tmp_path):
    connectors = []

    def connect(text=r.TEXT):
        connectors.append(r.connect(tmp_path, server.url, catalog=parse(text)))
        return connectors[-1]

    yield connect
    for connector in connectors:
        connector.close()


def keys(connector, target=EVERYONE, *, views=r.EVERYTHING, size=100):
    found, after = [], None
    while True:
        page = connector.fetch(target, views, PageRequest(size, (), after), RegisterMarks(), "inquiry-1")
        found += [row.key for row in page.rows]
        assert page.total >= len(page.rows)
        if not page.more:
            return found
        after = page.end


def named(server: s.Server, text: str) -> str:
    """A statement in which ``<NAME>`` are names as the server takes them."""
    return text.replace("<", NAMES[server.kind][0] if server.kind == "postgresql" else "").replace(
        ">", '"' if server.kind == "postgresql" else ""
    )


PERSON = Subject(person_id=r.PERSON)
QUICK = r.TEXT.replace("statement_timeout_ms: 10000, pool_size: 2", "statement_timeout_ms: 300, pool_size: 1")


def test_a_locked_table_is_a_time_out_and_free_again_it_is_read(server, opened):
    r.fill(server.url, r.rows({}))
    connector = opened(QUICK)
    assert keys(connector) == ["AJ1|1"]
    with server.locked("T_AJXX"), pytest.raises(DatabaseTimeout):
        keys(connector)
    assert keys(connector) == ["AJ1|1"]


def test_a_table_without_a_primary_key_is_read_page_by_page(server, opened):
    r.fill(server.url, r.rows(*({"XH": n % 3, "AJBH": f"K{n // 3}"} for n in range(10))))
    server.run(
        named(server, "CREATE TABLE <COPY> AS SELECT * FROM <T_AJXX>"),
        named(server, "DROP TABLE <T_AJXX>"),
        named(server, "ALTER TABLE <COPY> RENAME TO <T_AJXX>"),
    )
    connector = opened()
    whole = keys(connector)
    assert len(set(whole)) == 10
    assert keys(connector, size=3) == whole
    connector.canary()


def test_a_view_over_two_tables_is_read_like_a_table(server, opened):
    r.fill(server.url, r.rows({}, {"FCBJ": "1"}, {"CSRQ": "20100101"}))
    names = ", ".join(f"A.<{column.name}>" for column in r.TABLE.columns if column.name != "ZM")
    server.run(
        named(server, "CREATE TABLE <T_ZM> AS SELECT <AJBH>, <ZM> FROM <T_AJXX>"),
        named(server, "ALTER TABLE <T_AJXX> RENAME TO <T_JBXX>"),
        named(
            server,
            f"CREATE VIEW <T_AJXX> AS SELECT {names}, B.<ZM> FROM <T_JBXX> A JOIN <T_ZM> B ON B.<AJBH> = A.<AJBH>",
        ),
    )
    connector = opened()
    connector.canary()
    assert keys(connector, views=r.OPEN_ONLY) == ["AJ1|1"]
    assert keys(connector, views=r.SEALED_ONLY) == ["AJ2|1", "AJ3|1"]
    assert len(keys(connector, Search((Condition("ZM", "eq", "盗窃罪"),)))) == 3


def test_a_declared_join_gives_columns_and_a_row_without_partner_is_withheld(server, opened):
    r.fill(server.url, r.rows({}, {"SFZH": "330106198507110028"}))
    server.run(
        named(server, "CREATE TABLE <T_RY> (<SFZH> CHAR(20), <CSRQ> CHAR(12))"),
        named(server, f"INSERT INTO <T_RY> VALUES ('{r.PERSON}', '19850711')"),
    )
    joined = r.TEXT.replace("key: [AJBH, XH]}", "key: [AJBH, XH], joins: [{table: T_RY, alias: p, on: {SFZH: SFZH}}]}")
    connector = opened(joined.replace("birth: {column: CSRQ", "birth: {column: p.CSRQ"))
    connector.canary()
    assert keys(connector, views=r.OPEN_ONLY) == ["AJ1|1"]
    assert keys(connector, views=r.SEALED_ONLY) == ["AJ2|1"]


def test_a_column_that_goes_closes_the_database_until_it_is_back(server, opened):
    r.fill(server.url, r.rows({}))
    connector = opened()
    assert keys(connector) == ["AJ1|1"]
    server.run(named(server, "ALTER TABLE <T_AJXX> RENAME COLUMN <FCBJ> TO <FCBJ2>"))
    with pytest.raises(DatabaseUnavailable):
        keys(connector)
    with pytest.raises(DatabaseClosed, match="no column 'FCBJ'"):
        keys(connector)
    server.run(named(server, "ALTER TABLE <T_AJXX> RENAME COLUMN <FCBJ2> TO <FCBJ>"))
    assert keys(connector) == ["AJ1|1"]


def test_a_table_that_goes_and_comes_back_with_other_types_is_read_again(server, opened):
    """A restored dump: the citizen number is a number now, and every column wider."""
    number = "330106198507110028"
    r.fill(server.url, r.rows({"SFZH": number}))
    connector = opened()
    assert keys(connector, Subject(person_id=number)) == ["AJ1|1"]
    kept = [c.name for c in r.TABLE.columns if c.name != "SFZH"]
    columns = ", ".join(f"<{name}>" for name in kept)
    server.run(named(server, "ALTER TABLE <T_AJXX> RENAME TO <OLD>"))
    with pytest.raises(DatabaseUnavailable):
        keys(connector, Subject(person_id=number))
    server.run(
        named(server, f"CREATE TABLE <T_AJXX> AS SELECT {columns}, {number} AS <SFZH> FROM <OLD>"),
        named(server, "DROP TABLE <OLD>"),
    )
    assert keys(connector, Subject(person_id=number)) == ["AJ1|1"]
    assert connector.driver.columns(None, "T_AJXX")["SFZH"].is_text is False


def test_after_a_changed_schema_the_canary_runs_before_anything_is_released(server, opened, monkeypatch):
    r.fill(server.url, r.rows({}))
    connector = opened()
    assert keys(connector) == ["AJ1|1"]
    server.run(named(server, "ALTER TABLE <T_AJXX> RENAME TO <OLD>"))
    with pytest.raises(DatabaseUnavailable):
        keys(connector)
    columns = ", ".join(f"<{c.name}>" for c in r.TABLE.columns if c.name != "XQ_YUE")
    server.run(named(server, f"CREATE TABLE <T_AJXX> AS SELECT {columns}, 18 AS <XQ_YUE> FROM <OLD>"))
    monkeypatch.setattr(connector, "classify", lambda records: r.classify(records)[::-1])
    with pytest.raises(DatabaseClosed, match="filter and policy differ"):
        keys(connector)
    monkeypatch.setattr(connector, "classify", r.classify)
    assert keys(connector) == ["AJ1|1"]


@pytest.mark.parametrize("asked", ["何大伟", "ＪＯＳＥ"])
def test_a_name_in_a_padded_column_is_found_and_no_other(server, opened, asked):
    r.fill(server.url, r.rows({"XM": asked}, {"XM": asked.lower() + "x"}))
    if server.kind == "postgresql":
        server.run('ALTER TABLE "T_AJXX" ALTER "XM" TYPE char(60)')
    if server.kind == "mariadb":
        server.run("ALTER TABLE T_AJXX MODIFY XM char(60)")
    if server.kind == "sqlite":
        server.run("UPDATE T_AJXX SET XM = substr(XM || printf('%60s', ''), 1, 60)")
    assert keys(opened(), Subject(name=asked, birth_date="1985-07-11")) == ["AJ1|1"]


def test_the_limit_of_rows_is_the_servers(server, opened):
    """The driver gets a page and one row, however many there are."""
    r.fill(server.url, r.rows(*({} for _ in range(30))))
    connector = opened()
    got = []
    execute = connector.driver.execute
    connector.driver.execute = lambda statement, values: got.append(execute(statement, values)) or got[-1]
    connector.fetch(EVERYONE, r.EVERYTHING, PageRequest(5), RegisterMarks(), "i")
    assert [len(rows) for rows in got] == [6]
