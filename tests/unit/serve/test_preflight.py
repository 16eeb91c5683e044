"""The check before serving: what is missing from the key ring is told in one line, with the command that mends it."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from sidecar.cli import main
from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError
from sidecar.keys.generate import create_ring
from sidecar.keys.ring import FileKeyRing
from sidecar.ledger.open import create_ledger
from sidecar.papers.tables import SEAL_REGISTER
from sidecar.serve.preflight import Finding, Preflight, require
from sidecar.storage import migrate
from sidecar.storage.engine import open_state
from tests.support.state import NOW, ORIGIN, settings_for

CLOCK = FixedClock(NOW)


@pytest.fixture
def settings(tmp_path):
    create_ring(tmp_path / "keys", 2026)
    return settings_for(tmp_path)


@pytest.fixture
def state(settings):
    engine = open_state(settings, create=True)
    migrate.upgrade(engine)
    create_ledger(engine, ORIGIN, CLOCK)
    yield engine
    engine.dispose()


def keys_finding(settings):
    (found,) = (finding for finding in Preflight(settings, CLOCK).findings() if finding.name == "keys")
    return found


def decision(state, key_id):
    row = dict.fromkeys((column.name for column in SEAL_REGISTER.c), "x") | {"id": key_id, "subject_key": key_id}
    row |= {"effect": "seal", "date": 20240506, "created": 0, "confirmed_by": "y"}
    with state.begin() as connection:
        connection.execute(insert(SEAL_REGISTER).values(row))


def test_a_whole_ring_is_found_well(settings, state):
    decision(state, FileKeyRing.load(settings.path(settings.keys.directory), CLOCK).pseudonym("person_id", "", 2026)[0])
    found = keys_finding(settings)
    assert found.ok
    assert found.text.startswith("receipts are signed by ")
    assert "seal register" not in found.text


def test_a_ring_older_than_applications_is_told_with_the_command_that_mends_it(settings, state, tmp_path, capsys):
    del state
    file = tmp_path / "keys" / "application.key"
    others = {path: path.read_bytes() for path in file.parent.iterdir() if path != file}
    file.unlink()
    found = keys_finding(settings)
    assert (found.ok, found.text) == (False, f"{file}: there is none yet; run: sidecar keys generate application")
    config = tmp_path / "sidecar.yaml"
    config.write_text(f"deployment: {{id: {ORIGIN}}}\n", encoding="utf-8")
    command = ["--config", str(config), "keys", "generate", "application"]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == str(file)
    assert keys_finding(settings).ok
    assert main(command) == 1
    assert "exists already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in file.parent.iterdir() if path != file} == others


def test_the_check_names_keys_of_the_register_that_are_lost(settings, state):
    decision(state, "2019-00000000")
    decision(state, "2026-00000000")  # this year's, but swapped
    found = keys_finding(settings)
    assert found.ok  # the marks hold all the same
    assert "seal register: 2019-00000000, 2026-00000000: put them back" in found.text


WELL = Finding("database a", ok=True, text="the canary passes")
AWAY = Finding("database b", ok=False, text="it does not answer", passing=True)
WRONG = Finding("database c", ok=False, text="the canary fails")
KEYLESS = Finding("keys", ok=False, text="there are none")


@pytest.mark.parametrize("findings", [[WELL, WRONG], [AWAY], [AWAY, WRONG], [WELL, AWAY, WRONG]])
def test_a_start_goes_on_while_a_database_can_be_opened_now_or_later(settings, monkeypatch, findings):
    monkeypatch.setattr(Preflight, "findings", lambda _: iter(findings))
    require(settings, CLOCK)


@pytest.mark.parametrize("findings", [[WRONG], [WRONG, WRONG], [KEYLESS], [WELL, KEYLESS]])
def test_a_start_stops_where_nothing_could_be_served(settings, monkeypatch, findings):
    monkeypatch.setattr(Preflight, "findings", lambda _: iter(findings))
    with pytest.raises(ConfigurationError, match=findings[-1].text):
        require(settings, CLOCK)
