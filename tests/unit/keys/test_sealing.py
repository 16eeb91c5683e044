"""Data keys: who can open, when they change, what is published before use."""

import os
from datetime import UTC, datetime, timedelta

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError
from sidecar.keys.generate import create_age_identity
from sidecar.keys.sealing import DataKeySealer, Sealed, Unsealer, UnsealFailed, WrappedKey, unseal

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def parties(tmp_path_factory):
    folder = tmp_path_factory.mktemp("age")
    return {name: (folder / name, create_age_identity(folder / name)) for name in ("organ", "procuratorate", "other")}


@pytest.fixture
def clock():
    return FixedClock(NOW)


def sealer_of(parties, clock, **more):
    recipients = [parties["organ"][1], parties["procuratorate"][1]]
    return DataKeySealer(recipients, clock, lifetime=timedelta(hours=8), **more)


@given(plain=st.binary(max_size=200), aad=st.binary(max_size=40))
def test_each_recipient_opens_what_was_sealed_and_nobody_else(parties, plain, aad):
    sealer = sealer_of(parties, FixedClock(NOW))
    sealed = sealer.seal(plain, aad)
    for name in ("organ", "procuratorate"):
        assert unseal(sealed, sealer.current(), aad, parties[name][0]) == plain
    with pytest.raises(UnsealFailed, match="not wrapped for this identity"):
        unseal(sealed, sealer.current(), aad, parties["other"][0])
    assert len(plain) < 8 or plain not in sealed.ciphertext


def test_a_change_anywhere_is_found(parties, clock):
    sealer = sealer_of(parties, clock)
    sealed, key = sealer.seal(b"papers", b"inquiry-1"), sealer.current()
    opener = Unsealer(parties["organ"][0])
    flipped = bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:]
    for changed, aad in (
        (sealed, b"inquiry-2"),
        (Sealed(key.id, sealed.nonce, flipped), b"inquiry-1"),
        (Sealed(key.id, b"\0" * 12, sealed.ciphertext), b"inquiry-1"),
        (Sealed(key.id, b"", sealed.ciphertext), b"inquiry-1"),
        (Sealed(key.id, sealed.nonce, b""), b"inquiry-1"),
    ):
        with pytest.raises(UnsealFailed, match="changed"):
            opener.unseal(changed, key, aad)
    assert opener.unseal(sealed, key, b"inquiry-1") == b"papers"


def test_a_key_under_another_name_is_refused(parties, clock):
    sealer = sealer_of(parties, clock)
    sealed, key = sealer.seal(b"papers", b""), sealer.current()
    other = sealer_of(parties, clock).current()
    opener = Unsealer(parties["organ"][0])
    with pytest.raises(UnsealFailed, match="expected the data key"):
        opener.unseal(sealed, other, b"")
    with pytest.raises(UnsealFailed, match="another one"):
        opener.unseal(sealed, WrappedKey(key.id, key.created_ms, other.wrapped), b"")
    with pytest.raises(UnsealFailed, match="not wrapped"):
        opener.unseal(sealed, WrappedKey(key.id, key.created_ms, b"no age file"), b"")


def test_a_key_lives_its_time_and_no_longer(parties, clock):
    published = []
    sealer = sealer_of(parties, clock, publish=published.append)
    first = sealer.current()
    clock.set(NOW + timedelta(hours=8) - timedelta(seconds=1))
    assert sealer.seal(b"", b"").key_id == first.id
    clock.set(NOW + timedelta(hours=8))
    assert sealer.seal(b"", b"").key_id != first.id
    assert [key.id for key in published] == [first.id, sealer.current().id]
    assert published[1].created_ms == int(clock.now().timestamp() * 1000)


def test_a_clock_set_back_does_not_lengthen_a_keys_life(parties, clock):
    sealer = sealer_of(parties, clock)
    first = sealer.current()
    clock.set(NOW + timedelta(hours=7))
    clock.set(NOW)
    clock.set(NOW + timedelta(hours=1))
    assert sealer.current().id != first.id


def test_a_key_that_could_not_be_published_is_never_used(parties, clock):
    fails = [True]

    def publish(_key):
        if fails:
            raise OSError(fails.pop())

    sealer = sealer_of(parties, clock, publish=publish)
    with pytest.raises(OSError, match="True"):
        sealer.seal(b"papers", b"")
    assert sealer._key is None
    assert sealer.seal(b"papers", b"").key_id == sealer.current().id


def test_a_forked_child_makes_its_own_key(parties, clock, monkeypatch):
    sealer = sealer_of(parties, clock)
    first = sealer.current()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert sealer.current().id != first.id


def test_a_worn_out_key_is_changed_early(parties, clock, monkeypatch):
    monkeypatch.setattr("sidecar.keys.sealing.MAX_SEALS", 2)
    sealer = sealer_of(parties, clock)
    assert len({sealer.seal(b"", b"").key_id for _ in range(4)}) == 2


def test_the_wrapped_key_holds_no_clear_key(parties, clock):
    drawn = []

    def random(count):
        drawn.append(os.urandom(count))
        return drawn[-1]

    sealer = sealer_of(parties, clock, random=random)
    wrapped = sealer.current().wrapped
    (secret,) = (value for value in drawn if len(value) == 32)
    assert secret not in wrapped
    assert pyrage.decrypt(wrapped, [_identity(parties["organ"][0])]).endswith(secret)


def _identity(path):
    return pyrage.x25519.Identity.from_str(path.read_text().splitlines()[1])


def test_without_or_with_wrong_recipients_there_is_no_sealer(clock):
    with pytest.raises(ConfigurationError, match="at least one"):
        DataKeySealer([], clock)
    with pytest.raises(ConfigurationError, match="expected an age public key"):
        DataKeySealer(["age1nonsense"], clock)


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"AGE-SECRET-KEY-1WRONG\n", "é\n".encode()])
def test_a_bad_identity_file_is_refused_without_quoting_it(tmp_path, content):
    path = tmp_path / "identity"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="expected an age identity") as caught:
        Unsealer(path)
    assert "WRONG" not in str(caught.value)
    assert (
        caught.value.__suppress_context__
        or caught.value.__cause__ is None
        or "WRONG" not in repr(caught.value.__cause__)
    )
