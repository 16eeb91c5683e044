"""Pairs of deployments for all tests of worlds: on SQLite, and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.demo.postgres import PostgresCluster
from tests.worlds.sides import Pairing, PostgresPlaces, SqlitePlaces


@pytest.fixture(scope="session")
def sqlite_pairing(tmp_path_factory: pytest.TempPathFactory, world_keys: Path) -> Iterator[Pairing]:
    """State and legacy databases are files."""
    folder = tmp_path_factory.mktemp("worlds")
    made = Pairing(folder, world_keys, SqlitePlaces(folder))
    yield made
    made.close()


@pytest.fixture(scope="session")
def postgres_pairing(
    tmp_path_factory: pytest.TempPathFactory, world_keys: Path, postgres_cluster: PostgresCluster
) -> Iterator[Pairing]:
    """State and legacy databases are PostgreSQL's."""
    made = Pairing(tmp_path_factory.mktemp("worlds"), world_keys, PostgresPlaces(postgres_cluster))
    yield made
    made.close()
