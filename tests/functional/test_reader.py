"""Prepared reads of the state database on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import BigInteger, Column, MetaData, String, Table, bindparam, create_engine, insert, select, text

from sidecar.errors import LedgerUnavailable
from sidecar.storage.reader import Reader

pytestmark = pytest.mark.functional

THINGS = Table("things", MetaData(), Column("name", String(20), primary_key=True), Column("number", BigInteger))
QUERY = select(THINGS.c.name, THINGS.c.number).where(THINGS.c.name == bindparam("name"))


@pytest.fixture
def engine(postgres_url):
    engine = create_engine(postgres_url)
    THINGS.create(engine)
    with engine.begin() as connection:
        connection.execute(insert(THINGS), [{"name": "山", "number": 7}, {"name": "%s'", "number": None}])
    yield engine
    engine.dispose()


def _end_all_others(engine):
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    with engine.begin() as connection:
        connection.execute(text(f"{end} AND pid <> pg_backend_pid()"))


def test_rows_have_the_types_of_their_columns(engine):
    reader = Reader(engine)
    assert reader.rows(QUERY, {"name": "山"}) == [("山", 7)]
    assert reader.rows(QUERY, {"name": "%s'"}) == [("%s'", None)]
    assert reader.rows(QUERY, {"name": "nobody"}) == []


def test_a_commit_of_another_connection_is_seen_by_the_next_read(engine):
    reader = Reader(engine)
    assert reader.rows(QUERY, {"name": "new"}) == []
    with engine.begin() as connection:
        connection.execute(insert(THINGS).values(name="new", number=1))
    assert reader.rows(QUERY, {"name": "new"}) == [("new", 1)]


def test_a_connection_that_the_server_ended_is_replaced_within_the_read(engine):
    reader = Reader(engine)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: reader.rows(QUERY, {"name": "山"}), range(40)))
    _end_all_others(engine)
    assert reader.rows(QUERY, {"name": "山"}) == [("山", 7)]


def test_a_query_that_the_server_refuses_is_unavailable_and_the_connection_goes_on(engine):
    reader = Reader(engine)
    assert reader.rows(QUERY, {"name": "山"}) == [("山", 7)]
    absent = select(Table("absent", MetaData(), Column("name", String)).c.name)
    with pytest.raises(LedgerUnavailable):
        reader.rows(absent, {})
    assert reader.rows(QUERY, {"name": "山"}) == [("山", 7)]


def test_disposing_of_the_engine_ends_the_connections(engine):
    reader = Reader(engine)
    reader.rows(QUERY, {"name": "山"})
    engine.dispose()
    with engine.connect() as connection:
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        for _ in range(1000):  # the server needs a moment to notice
            if connection.execute(text(count)).scalar_one() == 0:
                return
            connection.execute(text("SELECT pg_sleep(0.01)"))
            connection.rollback()
    raise AssertionError("a connection is left")
