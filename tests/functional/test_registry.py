"""The registry's import and revocations on PostgreSQL: one statement with the entry, of two imports one wins."""

import threading

import pytest
from sqlalchemy import func, select

from sidecar.clock import FixedClock
from sidecar.errors import CodedError
from sidecar.identity.imports import import_units, revoke_token
from sidecar.identity.registry import Registry
from sidecar.identity.tables import UNITS
from sidecar.keys.generate import create_signing_key
from sidecar.ledger.tables import ENTRIES
from tests.support.state import NOW, open_both, settings_for

pytestmark = pytest.mark.functional

UNIT = "113399010000010114"
ISSUER = "https://idp.example"


@pytest.fixture
def state(tmp_path, postgres_url):
    yield from open_both(settings_for(tmp_path, postgres_url))


def write(folder, name, region):
    (folder / name).write_text(
        f"""
registry: 1
units:
  - code: {UNIT}
    name: 示例县公安局
    organ: public_security
    region: "{region}"
    keys: [{{file: police.pub.pem, valid_from: 2026-01-01, valid_to: 2028-12-31}}]
officers: [{{issuer: {ISSUER}, subject: "330101", state: suspended}}]
""",
        encoding="utf-8",
    )
    return folder / name


def run(state, path):
    engine, ledger = state
    people = {"registrar": "张三", "confirmed_by": "李四"}
    organs = {"public_security"}
    return import_units(path, engine=engine, ledger=ledger, clock=FixedClock(NOW), organs=organs, **people)


def entries(engine):
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(ENTRIES)).scalar_one()


def test_an_import_is_one_entry_and_one_revision(state, tmp_path):
    engine, _ = state
    made = create_signing_key(tmp_path, "police")
    path = write(tmp_path, "units.yaml", "339901")
    assert run(state, path).changed
    assert not run(state, path).changed
    registry = Registry(engine, FixedClock(NOW), 1.0)
    assert registry.unit(UNIT).region == "339901"
    assert registry.unit_key(UNIT, made.kid) is not None
    assert registry.officer_state(ISSUER, "330101") == "suspended"
    assert entries(engine) == 1


def test_of_imports_at_once_each_wins_alone_and_losers_leave_nothing(state, tmp_path):
    engine, _ = state
    create_signing_key(tmp_path, "police")
    results = []

    def attempt(number):
        path = write(tmp_path, f"units-{number}.yaml", f"{339901 + number}")
        barrier.wait(10)
        try:
            results.append(run(state, path).revision)
        except CodedError as exc:
            results.append(exc.code)

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    won = [result for result in results if isinstance(result, int)]
    assert len(results) == 4
    assert sorted(won) == list(range(1, len(won) + 1))
    assert {result for result in results if isinstance(result, str)} <= {"state-conflict"}
    assert entries(engine) == len(won)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(UNITS)).scalar_one() == len(won)


def test_a_token_is_taken_back_once_and_each_time_recorded(state):
    engine, ledger = state
    until = int(NOW.timestamp()) + 600
    people = {"registrar": "张三", "confirmed_by": "李四"}
    for _ in range(2):
        revoke_token(ledger=ledger, clock=FixedClock(NOW), issuer=ISSUER, token_id="t", expires=until, **people)
    assert Registry(engine, FixedClock(NOW), 1.0).token_revoked(ISSUER, "t")
    assert entries(engine) == 2
