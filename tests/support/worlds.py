"""Fixtures of whole deployments; named as plugins in tests/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.world import World


@pytest.fixture(scope="session")
def world_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys that all worlds of a run share."""
    from tests.support.world import make_keys  # noqa: PLC0415  # only tests with a world pay for it

    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder)
    return folder


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory, world_keys: Path) -> Iterator[World]:
    """One deployment for all tests that leave it whole."""
    from tests.support.world import World  # noqa: PLC0415

    made = World(tmp_path_factory.mktemp("world"), keys=world_keys)
    yield made
    made.close()


@pytest.fixture
def world(shared_world: World) -> World:
    """The shared deployment, as new."""
    shared_world.reset()
    return shared_world


@pytest.fixture
def own_world(tmp_path: Path, world_keys: Path) -> Iterator[World]:
    """A deployment that the test may break."""
    from tests.support.world import World  # noqa: PLC0415

    made = World(tmp_path, keys=world_keys)
    yield made
    made.close()
