"""What the worker's thread forgets: inquiries that are over and contents of approvals, never the uses of a letter."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import func, select

from sidecar.demo import legacy
from sidecar.errors import LedgerUnavailable
from sidecar.papers.tables import IDEMPOTENCY_KEYS, INQUIRIES, LETTER_USES
from sidecar.papers.uses import Uses
from sidecar.web import watch
from tests.support.world import NOW

ASK = {
    "database": "county",
    "subject": {"person_id": legacy.OPEN.SFZH},
    "reason": "侦查案件",
    "basis": {"instrument": "刑事诉讼法", "article": "286"},
    "purpose": "case_handling",
    "case_number": "A3301",
}


@pytest.fixture
def asked(world):
    """A world in which an inquiry was answered, with a letter and a key."""
    answer = world.ask(ASK | {"letter": world.letter([legacy.OPEN.SFZH])}, idempotency_key="k")
    assert answer.status == 200, json.loads(answer.body)
    assert kept(world) == [1, 1, 1]
    return world


def kept(world):
    with world.state.connect() as connection:
        tables = (INQUIRIES, IDEMPOTENCY_KEYS, LETTER_USES)
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]


def look(world, monkeypatch, seconds):
    world.clock.set(NOW.fromtimestamp(NOW.timestamp() + seconds, NOW.tzinfo))
    monkeypatch.setattr(watch, "PURGE_ROUNDS", 1)
    world.services.watch.look()


def test_inquiries_are_forgotten_when_they_are_over_and_uses_stay(asked, monkeypatch):
    minutes = asked.settings.gateway.inquiry_minutes
    look(asked, monkeypatch, minutes * 60 - 1)
    assert kept(asked)[0] == 1
    look(asked, monkeypatch, minutes * 60)
    assert kept(asked) == [0, 0, 1]


def test_between_its_rounds_nothing_is_looked_for(asked, monkeypatch):
    asked.clock.set(NOW.replace(year=2027))
    monkeypatch.setattr(watch, "PURGE_ROUNDS", 10**9)
    asked.services.watch.look()
    assert kept(asked) == [1, 1, 1]


def test_a_database_that_does_not_answer_ends_no_look(asked, monkeypatch):
    def fail(*_):
        raise LedgerUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Uses, "purge", fail)
        look(asked, patch, 86400)
    assert kept(asked) == [1, 1, 1]
    look(asked, monkeypatch, 86400)
    assert kept(asked) == [0, 0, 1]
