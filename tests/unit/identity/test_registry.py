"""The registry's snapshot: what it answers, how soon a change takes effect, what a failing database means."""

from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete

from sidecar.clock import FixedClock
from sidecar.errors import LedgerUnavailable
from sidecar.identity.registry import Registry, read_unit_key
from sidecar.identity.tables import OFFICERS, REGISTRY_REVISIONS, REVOKED_TOKENS, UNIT_KEYS, UNITS
from sidecar.identity.types import Unit
from sidecar.keys.jwk import public_jwk
from sidecar.storage.metadata import METADATA
from tests.support.state import new_state, settings_for

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
CODE = "91350100M000100Y43"
KEY = Ed25519PrivateKey.generate().public_key()
IDP = "https://idp.example"


@pytest.fixture
def engine(tmp_path):
    made = new_state(settings_for(tmp_path))
    yield made
    made.dispose()


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def registry(engine, clock):
    return Registry(engine, clock, 1.0)


def later(clock, seconds):
    clock.set(clock.now() + timedelta(seconds=seconds))


def put(engine, number, *, unit_state="active", officer="suspended", jwk=None):
    """A whole revision of the registry, as an import leaves it."""
    batch = f"b{number}"
    jwk = jwk or orjson.dumps(public_jwk(KEY, "k")).decode()
    with engine.begin() as connection:
        unit = {"code": CODE, "name": "单位", "organ": "court", "region": "350100", "state": unit_state}
        connection.execute(UNITS.insert().values(batch=batch, **unit))
        days = {"valid_from": 20261122, "valid_to": 20261123}
        connection.execute(UNIT_KEYS.insert().values(batch=batch, unit=CODE, kid="k", jwk=jwk, **days))
        connection.execute(OFFICERS.insert().values(batch=batch, issuer=IDP, subject="1", state=officer))
        head = {"number": number, "batch": batch, "digest": "0" * 64, "imported": 0}
        connection.execute(REGISTRY_REVISIONS.insert().values(**head))


def test_an_empty_registry_knows_nobody(registry):
    assert registry.unit(CODE) is None
    assert registry.unit_key(CODE, "k") is None
    assert registry.officer_state(IDP, "1") == "active"
    assert not registry.token_revoked(IDP, "t")
    assert registry.snapshot().revision == 0


def test_what_was_imported_is_answered(engine, registry):
    put(engine, 1)
    assert registry.unit(CODE) == Unit(CODE, "单位", "court", "350100", "active")
    assert registry.unit_key(CODE, "k").key == KEY
    assert registry.unit_key(CODE, "other") is None
    assert registry.officer_state(IDP, "1") == "suspended"
    assert registry.officer_state("https://other.example", "1") == "active"


def test_r17_a_key_is_valid_on_both_its_end_days_in_beijing(engine, clock, registry):
    put(engine, 1)
    for instant, valid in (
        (datetime(2026, 11, 21, 15, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 21, 16, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 23, 16, 0, tzinfo=UTC), False),
    ):
        clock.set(instant)
        assert (registry.unit_key(CODE, "k") is not None) is valid, instant


def test_a_change_takes_effect_after_the_refresh_time_and_the_newest_revision_counts(engine, clock, registry):
    put(engine, 1)
    assert registry.unit(CODE).state == "active"
    put(engine, 2, unit_state="suspended", officer="revoked")
    later(clock, 0.9)
    assert registry.unit(CODE).state == "active"
    later(clock, 0.1)
    assert registry.unit(CODE).state == "suspended"
    assert registry.officer_state(IDP, "1") == "revoked"


def test_rows_without_a_revision_are_not_seen(engine, registry):
    put(engine, 1)
    with engine.begin() as connection:
        connection.execute(delete(REGISTRY_REVISIONS))
    assert registry.unit(CODE) is None


def test_an_unchanged_revision_is_not_read_again(engine, clock, registry):
    put(engine, 1)
    units = registry.snapshot().units
    later(clock, 1)
    assert registry.snapshot().units is units


def test_revoked_tokens_are_seen_without_a_new_revision_and_forgotten_when_over(engine, clock, registry):
    registry.snapshot()
    rows = [
        {"issuer": IDP, "token_id": "live", "expires": int(NOW.timestamp()) + 600},
        {"issuer": IDP, "token_id": "leeway", "expires": int(NOW.timestamp()) - 60},
        {"issuer": IDP, "token_id": "over", "expires": int(NOW.timestamp()) - 600},
    ]
    with engine.begin() as connection:
        connection.execute(REVOKED_TOKENS.insert(), rows)
    later(clock, 1)
    assert registry.token_revoked(IDP, "live")
    assert registry.token_revoked(IDP, "leeway")
    assert not registry.token_revoked(IDP, "over")
    assert not registry.token_revoked("https://other.example", "live")


@pytest.mark.parametrize("jwk", ["", "{}", "[]", '{"kty":"oct","k":"AAAA","kid":"k"}'])
def test_a_damaged_key_verifies_nothing(engine, registry, jwk):
    put(engine, 1, jwk=jwk or "no json")
    assert registry.unit(CODE) is not None
    assert registry.unit_key(CODE, "k") is None
    assert read_unit_key(jwk) is None


def test_p1_without_the_state_database_nothing_is_answered(engine, clock, registry):
    registry.snapshot()
    METADATA.drop_all(engine)
    later(clock, 0.5)
    assert registry.officer_state(IDP, "1") == "active"
    later(clock, 0.5)
    for ask in (lambda: registry.token_revoked(IDP, "t"), lambda: registry.unit(CODE)):
        with pytest.raises(LedgerUnavailable, match="registry cannot be read"):
            ask()


def test_while_one_thread_refreshes_the_others_use_the_old_snapshot(engine, clock, registry):
    old = registry.snapshot()
    put(engine, 1)
    later(clock, 1)
    with registry._lock:
        assert registry.snapshot() is old


def test_a_snapshot_that_is_too_old_is_waited_for(engine, clock, registry):
    registry.snapshot()
    put(engine, 1)
    later(clock, 2)
    found, started = [], Event()

    def ask():
        started.set()
        found.append(registry.unit(CODE))

    with registry._lock:
        thread = Thread(target=ask)
        thread.start()
        assert started.wait(10)
        registry._reload()
    thread.join(10)
    assert found == [Unit(CODE, "单位", "court", "350100", "active")]
