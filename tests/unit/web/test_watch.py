"""The worker's thread: it forgets what is over, never the uses of a letter, and holds the clock against the witnesses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from sidecar.demo import legacy
from sidecar.errors import LedgerUnavailable
from sidecar.ledger import note
from sidecar.ledger.signer import store
from sidecar.ledger.stored import StoredLog
from sidecar.papers.tables import IDEMPOTENCY_KEYS, INQUIRIES, LETTER_USES
from sidecar.papers.uses import Uses
from sidecar.web import watch
from tests.support.log import SignedLog
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


WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(bytes([5]) * 32)
WITNESS = note.verifier("procuracy", WITNESS_KEY.public_key(), note.COSIGNATURE)


class Cosigned:
    """A world whose ledger is signed and cosigned when the test says so, by the witness's clock."""

    def __init__(self, world):
        self.world, self.log = world, SignedLog(world)
        self.letters = 0
        self.log._clock.set(NOW - timedelta(minutes=10))
        world.services.watch._witnesses = (WITNESS,)

    def cosign(self, at, key=WITNESS_KEY):
        self.log.sign()
        with self.world.state.connect() as connection:
            made = StoredLog(connection).checkpoint()
            line = note.cosign(made.note.decode().partition("\n\n")[0] + "\n", "procuracy", key, int(at.timestamp()))
            connection.rollback()
            store(connection, replace(made, cosignatures=line.encode()), ["procuracy"])

    def look(self, now):
        """What an inquiry gets by a clock that shows ``now``."""
        self.world.clock.set(now)
        self.world.services.watch.look()
        self.letters += 1
        letter = self.world.letter([legacy.OPEN.SFZH], number=f"示公函字〔2026〕{self.letters}号")
        return json.loads(self.world.ask(ASK | {"letter": letter}).body)

    def faults(self):
        """Clock faults that were recorded."""
        recorded = [each for each in self.world.entries("system") if each["codes"] == ["clock-fault"]]
        return [each["extra"]["fault"] for each in recorded]


@pytest.fixture
def cosigned(own_world):
    made = Cosigned(own_world)
    yield made
    made.log.close()


def test_a_clock_away_from_the_witness_denies_and_is_recorded_once(cosigned):
    cosigned.cosign(NOW)
    assert "inquiry_id" in cosigned.look(NOW)
    cosigned.cosign(NOW + timedelta(seconds=60))
    assert "records" in cosigned.look(NOW + timedelta(seconds=61))
    for _ in range(2):
        assert cosigned.look(NOW - timedelta(seconds=59))["code"] in {"clock-away", "clock-behind"}
    assert len(cosigned.faults()) == 1


def test_a_clock_that_runs_ahead_of_the_witness_denies(cosigned):
    cosigned.cosign(NOW)
    cosigned.look(NOW)
    cosigned.cosign(NOW + timedelta(seconds=60))
    assert cosigned.look(NOW + timedelta(seconds=130))["code"] == "clock-away"
    assert cosigned.faults() == ["clock-away"]


def test_a_cosignature_of_another_key_says_nothing(cosigned):
    cosigned.cosign(NOW)
    cosigned.look(NOW)
    cosigned.cosign(NOW + timedelta(days=9), key=Ed25519PrivateKey.from_private_bytes(bytes([6]) * 32))
    assert "records" in cosigned.look(NOW + timedelta(seconds=1))


def test_a_clock_behind_the_ledger_is_recorded_once_and_again_when_it_is_wrong_anew(own_world):
    watching = Cosigned(own_world)
    own_world.gateway.seen(NOW + timedelta(seconds=100))
    for now in (NOW, NOW, NOW + timedelta(seconds=50), NOW):
        watching.look(now)
    watching.log.close()
    assert watching.faults() == ["clock-behind", "clock-behind"]
