"""Sealed inputs: stored with the entry, opened by a recipient only, never without their key."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from sidecar.clock import FixedClock
from sidecar.keys.generate import create_age_identity
from sidecar.keys.sealing import DataKeySealer, Sealed, UnsealFailed, WrappedKey, unseal
from sidecar.ledger.tables import DATA_KEYS, SEALED_INPUTS
from sidecar.ledger.types import Effect, EffectRefused
from sidecar.papers.inputs import SealedInputs
from tests.support.papers import NOW
from tests.support.state import entry, open_both, settings_for, use


@pytest.fixture
def state(tmp_path):
    yield from open_both(settings_for(tmp_path))


@pytest.fixture
def identity(tmp_path):
    return tmp_path / "organ", create_age_identity(tmp_path / "organ")


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def inputs(identity, clock):
    return SealedInputs(DataKeySealer([identity[1]], clock, lifetime=timedelta(hours=8)))


def stored(state):
    with state[0].connect() as connection:
        keys = {row.id: WrappedKey(row.id, row.created, row.wrapped) for row in connection.execute(select(DATA_KEYS))}
        return keys, connection.execute(select(SEALED_INPUTS)).all()


def test_recipient_opens_every_input_with_the_key_stored_beside_it(state, identity, inputs, clock):
    for number in range(4):
        if number == 2:
            clock.set(NOW + timedelta(hours=9))
        state[1].commit(entry(), inputs.effects(f"e{number}", b"plain %d" % number))
    keys, rows = stored(state)
    assert len(keys) == 2
    opened = {
        row.entry_id: unseal(
            Sealed(row.key_id, row.nonce, row.ciphertext), keys[row.key_id], row.entry_id.encode(), identity[0]
        )
        for row in rows
    }
    assert opened == {f"e{number}": b"plain %d" % number for number in range(4)}


def test_input_is_bound_to_its_entry(identity, inputs):
    key, sealed = (effect.params for effect in inputs.effects("e1", b"plain"))
    value = Sealed(sealed["key_id"], sealed["nonce"], sealed["ciphertext"])
    with pytest.raises(UnsealFailed):
        unseal(value, WrappedKey(key["id"], key["created"], key["wrapped"]), b"e2", identity[0])


def test_a_stored_key_comes_along_now_and_then_only(state, inputs, monkeypatch):
    monkeypatch.setattr("sidecar.papers.inputs.KEY_EVERY", 3)
    along = []
    for number in range(9):
        effects = inputs.effects(f"e{number}", b"plain")
        along.append(len(effects) == 2)
        state[1].commit(entry(), effects)
        inputs.committed(effects, "w1")
    assert along == [True, False, False, False] * 2 + [True]
    assert len(stored(state)[1]) == 9


def test_a_key_comes_along_until_it_is_known_to_be_stored(state, inputs):
    for _ in range(2):
        assert len(inputs.effects("e1", b"plain")) == 2


def test_a_new_key_comes_along_at_once(state, inputs, clock):
    inputs.committed(inputs.effects("e1", b"plain"), "w1")
    clock.set(NOW + timedelta(hours=9))
    assert len(inputs.effects("e2", b"plain")) == 2


def test_a_new_writer_gets_the_key_once_more(inputs):
    """Its connection may be to a database that was set back behind the key."""
    inputs.committed(inputs.effects("e1", b"plain"), "w1")
    inputs.committed(inputs.effects("e2", b"plain"), "w2")
    assert len(inputs.effects("e3", b"plain")) == 2


def test_nothing_is_stored_without_the_entry(state, inputs):
    with pytest.raises(EffectRefused):
        state[1].commit(entry(), [use("none"), *inputs.effects("e1", b"plain")])
    assert stored(state) == ({}, [])


def test_key_that_changes_meanwhile_is_never_parted_from_its_input(identity, clock):
    class Ageing(FixedClock):
        """Each question ages the key by three hours."""

        def monotonic(self):
            self.set(self.now() + timedelta(hours=3))
            return super().monotonic()

    inputs = SealedInputs(DataKeySealer([identity[1]], Ageing(NOW), lifetime=timedelta(hours=8)))
    for _ in range(10):
        key, sealed = inputs.effects("e", b"plain")
        assert isinstance(key, Effect)
        assert sealed.params["key_id"] == key.params["id"]
