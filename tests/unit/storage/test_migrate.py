"""Migrations make exactly the tables that the packages declare, on SQLite here and on PostgreSQL below functional."""

from __future__ import annotations

import pytest

from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError
from sidecar.ledger.open import create_ledger
from sidecar.storage import migrate
from sidecar.storage.engine import open_state
from tests.support.schema import differences, import_tables
from tests.support.state import NOW, ORIGIN, settings_for


@pytest.fixture
def engine(tmp_path):
    made = open_state(settings_for(tmp_path), create=True)
    yield made
    made.dispose()


def test_there_are_tables_to_compare():
    assert {"ledger_entries", "oversight_events"} <= set(import_tables())


def test_migrated_schema_is_the_declared_one(engine):
    migrate.upgrade(engine)
    assert differences(engine) == []


def test_a_missing_column_is_a_difference(engine):
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE oversight_events DROP COLUMN body")
    assert len(differences(engine)) == 1


def test_an_upgrade_is_done_once(engine):
    assert migrate.current(engine) is None
    waiting = migrate.pending(engine)
    assert waiting[0] == "0001"
    assert migrate.upgrade(engine) == waiting
    assert migrate.upgrade(engine) == ()
    assert migrate.pending(engine) == ()
    assert migrate.current(engine) == migrate.head()
    assert create_ledger(engine, ORIGIN, FixedClock(NOW))


def test_a_database_of_a_later_release_is_refused(engine):
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="schema 9999, of a later release"):
        migrate.upgrade(engine)
