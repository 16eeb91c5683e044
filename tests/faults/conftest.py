"""The two deployments that all tests of faults share; each test leaves them whole.

One has real servers and logs all it can, and its county has the planted rows; the other has neither server.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sidecar.demo.world import World
from tests.support.deployment import deployment
from tests.support.planted import PLANTED

TALKATIVE = ("log_statement = 'all'", "log_parameter_max_length = 0", "log_min_messages = 'info'")
"""What PostgreSQL logs: every statement, no bound value; where an error is told it must not tell values either."""


@pytest.fixture(scope="session")
def postgresql_world() -> Iterator[World]:
    """PostgreSQL and an OPA server."""
    with deployment("postgresql", "opa", more=PLANTED, SIDECAR_LOGGING__LEVEL="debug") as world:
        assert world.cluster is not None
        for setting in TALKATIVE:
            world.cluster.execute(f"ALTER SYSTEM SET {setting}")
        world.cluster.execute("SELECT pg_reload_conf()")
        yield world


@pytest.fixture(scope="session")
def sqlite_world() -> Iterator[World]:
    """SQLite and WebAssembly."""
    with deployment("sqlite", "wasm") as world:
        yield world
