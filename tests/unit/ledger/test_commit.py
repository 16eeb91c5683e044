"""The ledger on SQLite keeps the rules; groups of commits fail together and never in part."""

from __future__ import annotations

import threading

import pytest

from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.ledger.open import create_ledger, open_ledger
from sidecar.ledger.tables import ENTRIES
from sidecar.storage.engine import open_state
from tests.support.ledger_rules import LedgerRules, count
from tests.support.state import NOW, entry, new_state, settings_for


class TestSqlite(LedgerRules):
    pass


def test_opening_never_creates(tmp_path):
    settings = settings_for(tmp_path)
    with pytest.raises(ConfigurationError, match="sidecar db upgrade"):
        open_ledger(settings, FixedClock(NOW))
    assert list(tmp_path.iterdir()) == []


def test_an_upgraded_database_without_ledger_is_not_opened(tmp_path, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM ledger_state")
    with pytest.raises(ConfigurationError, match="there is no ledger"):
        open_ledger(settings_for(tmp_path), FixedClock(NOW))


def test_the_ledger_of_another_deployment_is_not_opened(tmp_path, engine):
    assert not create_ledger(engine, "county", FixedClock(NOW))
    with pytest.raises(ConfigurationError, match="expected the ledger's origin 'county', got 'city'"):
        create_ledger(engine, "city", FixedClock(NOW))


def test_a_locked_database_is_unavailable_and_then_works(tmp_path):
    settings = settings_for(tmp_path, statement_timeout_ms=100)
    engine = new_state(settings)
    ledger = open_ledger(settings, FixedClock(NOW), engine=engine)
    ledger.commit(entry())
    with engine.begin():  # holds the write lock
        with pytest.raises(LedgerUnavailable):
            ledger.commit(entry())
        assert not ledger.ready()
    ledger.commit(entry())
    assert ledger.ready()
    assert count(engine, ENTRIES) == 2
    ledger.close()
    engine.dispose()


def test_what_waits_while_one_group_commits_is_one_group(tmp_path, engine, ledger):
    begun = []
    real = ledger._transaction
    first, go = threading.Event(), threading.Event()

    def slow(group):
        begun.append(len(group))
        first.set()
        go.wait(10)
        real(group)

    ledger._transaction = slow
    threads = [threading.Thread(target=ledger.commit, args=(entry(),))]
    threads[0].start()
    first.wait(10)
    threads += [threading.Thread(target=ledger.commit, args=(entry(),)) for _ in range(5)]
    for thread in threads[1:]:
        thread.start()
    while ledger._jobs.qsize() < 5:
        pass
    go.set()
    for thread in threads:
        thread.join()
    assert begun == [1, 5]
    assert count(open_state(settings_for(tmp_path)), ENTRIES) == 6
