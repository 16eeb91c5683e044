"""The gateway's PostgreSQL role: a whole deployment works with it, and what it does not need it cannot do."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy import text as sql_text
from sqlalchemy.exc import ProgrammingError
from werkzeug.test import Client

from sidecar.cli import main
from sidecar.demo import legacy
from sidecar.demo.people import POLICE
from sidecar.demo.postgres import PostgresCluster
from sidecar.ledger.build import EntryBuilder
from sidecar.ledger.open import open_ledger
from sidecar.ledger.types import EffectRefused
from sidecar.oversight.bypass.entries import Entries
from sidecar.oversight.bypass.position import Position, Positions
from sidecar.papers.roles import grants
from sidecar.papers.tables import INQUIRIES
from sidecar.policy.revisions import load_active
from sidecar.storage.engine import open_state
from sidecar.storage.metadata import METADATA
from sidecar.web.app import create_app
from sidecar.web.wire import build_services
from tests.support.postgres import short_directory
from tests.support.world import NOW, World

pytestmark = pytest.mark.functional

ROLE = "gateway"
SUBJECT = {"person_id": legacy.SEALED.SFZH}
STATED = {
    "database": "county",
    "subject": SUBJECT,
    "scope": "sealed",
    "reason": "侦查案件",
    "basis": {"instrument": "刑事诉讼法", "article": "第二百八十六条"},
    "purpose": "case_handling",
    "case_number": "A3301",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresCluster]:
    """A cluster of its own: roles are a cluster's."""
    folder = short_directory()
    with PostgresCluster(folder / "c") as made:
        made.createdb("state")
        yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def world(cluster, tmp_path_factory, world_keys) -> Iterator[World]:
    """A deployment whose tables belong to another role than the one that serves."""
    made = World(tmp_path_factory.mktemp("world"), keys=world_keys, storage={"url": cluster.url("state")})
    cluster.execute(f"CREATE ROLE {ROLE} LOGIN", "state")
    cluster.execute("CREATE TABLE alembic_version (version_num text)", "state")
    for statement in grants("gateway", ROLE):
        cluster.execute(statement, "state")
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(cluster, world):
    """The services of a worker that connects as the gateway's role."""
    url = cluster.url("state").replace("postgres@", f"{ROLE}@")
    assert ROLE in url
    settings = world.settings.model_copy(update={"storage": world.settings.storage.model_copy(update={"url": url})})
    services = build_services(settings, clock=world.clock, watch=False)
    yield services, Client(create_app(settings, services))
    services.close()


def post(world, client, path, body, *, who=("p1", "officer"), **headers):
    headers |= {"Authorization": f"Bearer {world.token(who[0], POLICE, roles=[who[1]])}"}
    return client.post(path, json=body, headers=headers)


def approved(world, client):
    number = post(world, client, "/v1/applications", STATED).json["id"]
    for action, body, who in [
        ("submit", {}, ("p1", "officer")),
        ("approve", {"valid_days": 1}, ("q1", "approver")),
        ("undertaking", {}, ("p1", "officer")),
    ]:
        done = post(world, client, f"/v1/applications/{number}/{action}", body, who=who)
        assert done.status_code == 200, done.text
    return number


def test_the_gateways_role_does_what_it_must(world, served, monkeypatch):
    services, client = served
    number = approved(world, client)
    for action, body, who in [
        ("refuse", {"codes": ["reason-missing"]}, ("q1", "approver")),
        ("withdraw", {}, ("p1", "officer")),
    ]:
        other = post(world, client, "/v1/applications", STATED).json["id"]
        post(world, client, f"/v1/applications/{other}/submit", {})
        assert post(world, client, f"/v1/applications/{other}/{action}", body, who=who).status_code == 200
    paper = {name: STATED[name] for name in ("scope", "basis", "purpose")} | {
        "unit": POLICE.code, "number": "示公函字〔2026〕7号", "officer": "p1", "subjects": [legacy.SEALED.SFZH],
        "databases": ["county"], "valid_from": "2026-11-23", "valid_to": "2026-11-23", "uses": 2,
    }  # fmt: skip
    assert post(world, client, "/v1/letters", paper, who=("a1", "archive_clerk")).status_code == 201
    ask = STATED | {"application_id": number, "letter": "示公函字〔2026〕7号", "page_size": 1}
    first = post(world, client, "/v1/inquiries", ask, **{"Idempotency-Key": "k"})
    assert (first.status_code, first.json["count"]) == (200, 2), first.text
    assert post(world, client, "/v1/inquiries", ask, **{"Idempotency-Key": "k"}).status_code == 200
    assert post(world, client, "/v1/inquiries", ask | {"cursor": first.json["next_cursor"]}).status_code == 200
    assert post(world, client, "/v1/inquiries", ask).status_code == 200
    assert post(world, client, "/v1/inquiries", ask).json["code"] == "letter-used"
    world.clock.set(NOW + timedelta(days=3))
    monkeypatch.setattr("sidecar.web.watch.PURGE_ROUNDS", 1)
    services.watch.look()
    with world.state.connect() as connection:
        assert connection.execute(select(func.count()).select_from(INQUIRIES)).scalar() == 0
    assert (
        client.get(f"/v1/applications/{number}", headers={"Authorization": f"Bearer {world.token('p1', POLICE)}"}).json[
            "subject"
        ]
        is None
    )


FORBIDDEN = [
    "UPDATE letters SET uses = 100",
    "DELETE FROM letters",
    "UPDATE letter_uses SET counter = 'x'",
    "DELETE FROM letter_uses",
    "INSERT INTO revoked_letters VALUES ('x', 0)",
    "DELETE FROM revoked_letters",
    "UPDATE inquiries SET officer = 'x'",
    "UPDATE inquiries SET expires = 0",
    "UPDATE idempotency_keys SET officer = 'x'",
    *(f"UPDATE applications SET {name} = {name}" for name in ("officer", "unit", "subject", "database", "scope", "basis")),
    "DELETE FROM applications",
    "UPDATE application_events SET actor = 'x'",
    "DELETE FROM application_events",
    "UPDATE undertakings SET officer = 'x'",
    "DELETE FROM undertakings",
    "INSERT INTO seal_register SELECT * FROM seal_register",
    "UPDATE seal_register SET effect = 'unseal'",
    "DELETE FROM seal_register",
    *(f"DELETE FROM {name}" for name in ("units", "unit_keys", "officers", "registry_revisions", "revoked_tokens")),
    *(f"UPDATE {name} SET {column} = {column}" for name, column in (("unit_keys", "jwk"), ("officers", "state"))),
    "INSERT INTO revisions SELECT * FROM revisions",
    "DELETE FROM revisions",
    "SELECT * FROM oversight_events",
    "CREATE TABLE public.own (a int)",
]  # fmt: skip


@pytest.mark.parametrize("statement", [*FORBIDDEN, *(f"TRUNCATE {table}" for table in sorted(METADATA.tables))])
def test_the_gateways_role_does_no_more(cluster, world, statement):
    dsn = cluster.dsn("state").replace("user=postgres", f"user={ROLE}")
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_the_sequencers_role_reads_the_revision_and_no_papers():
    text = "\n".join(grants("sequencer", "s"))
    assert 'GRANT SELECT ON revisions TO "s"' in text
    assert not re.search(r"letters|applications|seal_register|undertakings", text)


def test_the_watchs_role_records_findings_and_does_no_more(cluster, world):
    cluster.execute("CREATE ROLE watcher LOGIN", "state")
    for statement in grants("bypass", "watcher"):
        cluster.execute(statement, "state")
    url = cluster.url("state").replace("postgres@", "watcher@")
    settings = world.settings.model_copy(update={"storage": world.settings.storage.model_copy(update={"url": url})})
    engine = open_state(settings)
    assert load_active(engine, settings).number == 1
    positions, start = Positions(engine), Position("county/mariadb", 0, 1)
    assert positions.begin(start)
    with contextlib.closing(open_ledger(settings, world.clock, engine=engine)) as ledger:
        ledger.commit(EntryBuilder(world.clock).build("bypass", "cli"), [start.effect()])
        with pytest.raises(EffectRefused):  # another watch was first
            ledger.commit(EntryBuilder(world.clock).build("bypass", "cli"), [start.effect()])
    assert positions.store(replace(start, version=1))
    assert positions.load("county/mariadb").version == 2
    assert Entries(engine, timedelta()).find({"x"}, world.clock.now(), world.clock.now()) == {}
    for statement in ("SELECT * FROM letters", "DELETE FROM bypass_positions", "UPDATE ledger_entries SET body = ''",
                      "INSERT INTO ledger_positions SELECT * FROM ledger_positions", "SELECT * FROM applications"):  # fmt: skip
        with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(sql_text(statement))
    engine.dispose()


def test_the_rights_are_printed_as_sql(capsys):
    assert main(["db", "grants", 'a"b']) == 0
    assert capsys.readouterr().out.splitlines() == [f"{line};" for line in grants("gateway", 'a"b')]
    assert json.dumps(grants("oversight", "o")).count("SELECT") == len(grants("oversight", "o"))
