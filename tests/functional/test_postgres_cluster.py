"""A private PostgreSQL cluster survives what tests and demo do to it."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

from sidecar.demo.postgres import MAX_SOCKET_PATH, PostgresCluster, available, find_binaries
from tests.support.postgres import short_directory

pytestmark = pytest.mark.functional


def rows(cluster: PostgresCluster, sql: bytes, dbname: str = "postgres") -> list[tuple]:
    with psycopg.connect(cluster.dsn(dbname)) as connection:
        return connection.execute(sql).fetchall()


def test_here_is_a_postgresql():
    assert available()
    assert (find_binaries() / "initdb").exists()


def test_committed_rows_survive_kill_and_a_second_start():
    folder = short_directory()
    try:
        with PostgresCluster(folder / "c") as cluster:
            cluster.createdb("one")
            cluster.execute("CREATE TABLE t AS SELECT 7 AS n", "one")
            cluster.kill()
            assert not cluster.running()
            cluster.start()
            assert rows(cluster, b"SELECT n FROM t", "one") == [(7,)]
            assert cluster.log.stat().st_size > 0
            cluster.stop()
            assert not cluster.running()
            cluster.stop()
    finally:
        shutil.rmtree(folder)


def test_commits_are_durable_by_default(postgres_cluster):
    names = b"'fsync', 'synchronous_commit', 'full_page_writes'"
    assert rows(
        postgres_cluster, b"SELECT name, setting FROM pg_settings WHERE name IN (" + names + b") ORDER BY 1"
    ) == [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
    ]


def test_tcp_is_closed_unless_asked_for(postgres_cluster):
    assert rows(postgres_cluster, b"SHOW listen_addresses") == [("",)]


def test_each_test_has_an_empty_database(postgres_dsn):
    with psycopg.connect(postgres_dsn) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchone() == (0,)


@pytest.mark.parametrize("depth", [1, 12])
def test_socket_path_always_fits(tmp_path: Path, depth: int):
    cluster = PostgresCluster(tmp_path.joinpath(*["a-long-folder-name"] * depth))
    assert len(str(cluster.directory / ".s.PGSQL.65535.lock").encode()) <= MAX_SOCKET_PATH
