"""One deployment for each engine on each kind of database, shared by all cases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sidecar.demo.postgres import PostgresCluster
from tests.support.golden import GoldenWorld
from tests.support.mariadb import MariaDbServer


@pytest.fixture(scope="session", params=["wasm", "opa"])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine that decides."""
    return str(request.param)


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "mariadb"])
def golden(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, engine: str
) -> Iterator[GoldenWorld]:
    """A deployment over the rows of all golden cases; state and legacy database are of one kind, but beside MariaDB."""
    folder = tmp_path_factory.mktemp(f"{engine}-{request.param}")
    urls = None
    if request.param == "postgresql":
        cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
        names = [f"golden_{part}_{engine}" for part in ("state", "legacy")]
        for name in names:
            cluster.createdb(name)
        urls = (cluster.url(names[0]), cluster.url(names[1]))
    if request.param == "mariadb":
        server: MariaDbServer = request.getfixturevalue("mariadb_server")
        server.run(f"CREATE DATABASE golden_{engine} CHARACTER SET utf8mb4")
        urls = ("sqlite:///state.db", server.url(f"golden_{engine}"))
    with GoldenWorld(folder, engine=engine, urls=urls) as world:
        yield world
