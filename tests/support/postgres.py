"""A real PostgreSQL for tests: one cluster a test session, one fresh database a test that asks for it.

``postgres_cluster`` is made on first use and stopped at the end; a test that kills the server makes its own
``PostgresCluster`` in its own folder.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.demo.postgres import PostgresCluster

_numbers = itertools.count(1)


def short_directory() -> Path:
    """A new folder with a path short enough for sockets, reachable by the server's user. The caller removes it."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """A running cluster for the whole session; create databases of your own in it."""
    folder = short_directory()
    try:
        with PostgresCluster(folder / "c") as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """Name of a fresh, empty database in the session's cluster."""
    name = f"t{os.getpid()}_{next(_numbers)}"
    postgres_cluster.createdb(name)
    yield name
    postgres_cluster.dropdb(name)


@pytest.fixture
def postgres_dsn(postgres_cluster: PostgresCluster, postgres_database: str) -> str:
    """libpq connection string of a fresh, empty database."""
    return postgres_cluster.dsn(postgres_database)


@pytest.fixture
def postgres_url(postgres_cluster: PostgresCluster, postgres_database: str) -> str:
    """SQLAlchemy URL of a fresh, empty database."""
    return postgres_cluster.url(postgres_database)
