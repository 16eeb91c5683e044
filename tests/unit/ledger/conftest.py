"""A ledger on SQLite in the test's own folder."""

from __future__ import annotations

import pytest

from tests.support.state import open_both, settings_for


@pytest.fixture
def settings(tmp_path):
    return settings_for(tmp_path)


@pytest.fixture
def state(settings):
    yield from open_both(settings)


@pytest.fixture
def engine(state):
    return state[0]


@pytest.fixture
def ledger(state):
    return state[1]
