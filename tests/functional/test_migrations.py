"""Migrations on PostgreSQL: the declared schema, and two upgrades at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sidecar.storage import migrate
from sidecar.storage.engine import open_state
from tests.support.schema import differences
from tests.support.state import settings_for

pytestmark = pytest.mark.functional


def test_migrated_schema_is_the_declared_one(tmp_path, postgres_url):
    engine = open_state(settings_for(tmp_path, postgres_url))
    migrate.upgrade(engine)
    assert differences(engine) == []
    engine.dispose()


def test_two_upgrades_at_once_are_one(tmp_path, postgres_url):
    engine = open_state(settings_for(tmp_path, postgres_url))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: migrate.upgrade(engine), range(2)))
    assert migrate.current(engine) == migrate.head()
    assert differences(engine) == []
    engine.dispose()
