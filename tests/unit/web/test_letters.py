"""``POST /v1/letters``: the archive clerk registers a paper letter once; who else tries is refused and recorded."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import delete, select
from werkzeug.test import Client

from sidecar.demo import legacy
from sidecar.demo.people import COURT, POLICE
from sidecar.errors import RevisionUnapproved
from sidecar.papers.tables import LETTERS
from sidecar.web.models import LetterRegistered

NUMBER = "示公函字〔2026〕31号"
LETTER = {
    "unit": POLICE.code,
    "number": "示公函字[2026]31号",
    "officer": "p1",
    "subjects": [legacy.SEALED.SFZH],
    "databases": ["county"],
    "scope": "open",
    "basis": {"instrument": "刑事诉讼法", "article": "286"},
    "purpose": "case_handling",
    "valid_from": "2026-11-23",
    "valid_to": "2026-11-30",
    "uses": 2,
}
ASK = {
    "database": "county",
    "subject": {"person_id": legacy.SEALED.SFZH},
    "reason": "侦查案件",
    "basis": {"instrument": "刑事诉讼法", "article": "286"},
    "purpose": "case_handling",
    "case_number": "A3301",
}


@pytest.fixture
def client(world):
    with world.state.begin() as connection:
        connection.execute(delete(LETTERS))
    return Client(world.app)


def register(world, client, body=None, *, roles=("archive_clerk",), who="a1", unit=POLICE, **headers):
    token = world.token(who, unit, roles=roles)
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
    data = body if isinstance(body, bytes) else json.dumps(LETTER if body is None else body).encode()
    return client.post("/v1/letters", data=data, headers=sent)


def registered(world):
    with world.state.connect() as connection:
        return connection.execute(select(LETTERS)).all()


def test_a_registered_letter_is_answered_with_its_counted_number(world, client):
    response = register(world, client)
    assert (response.status_code, response.json) == (201, {"unit": POLICE.code, "number": NUMBER})
    LetterRegistered.model_validate(response.json)
    assert response.headers["Cache-Control"] == "no-store"
    (row,) = registered(world)
    assert (row.number, row.uses, row.registered_by) == (NUMBER, 2, "https://idp.example|a1")
    assert legacy.SEALED.SFZH not in repr(row)
    (entry,) = world.entries("dossier")
    assert (entry["outcome"], entry["extra"]["transition"]) == ("allow", "register_letter")


def test_a_registered_letter_is_good_for_so_many_inquiries(world, client):
    register(world, client)
    codes = [json.loads(world.ask(ASK | {"letter": number}).body).get("code") for number in (NUMBER, LETTER["number"])]
    assert codes == [None, None]
    used = world.ask(ASK | {"letter": NUMBER})
    assert (used.status, json.loads(used.body)["code"]) == (403, "letter-used")


def test_a_letter_is_good_for_its_own_unit_only(world, client):
    register(world, client)
    ask = ASK | {"letter": NUMBER, "case_number": "（2026）浙0101刑初1号"}
    other = world.ask(ask, world.token("p1", COURT))
    assert json.loads(other.body)["code"] == "letter-unknown"


def test_a_letter_that_is_registered_is_refused_and_recorded(world, client):
    assert register(world, client).status_code == 201
    again = register(world, client, LETTER | {"uses": 9})
    assert (again.status_code, again.json["code"]) == (409, "state-conflict")
    assert [entry["codes"] for entry in world.entries("dossier")] == [[], ["state-conflict"]]
    assert [row.uses for row in registered(world)] == [2]


@pytest.mark.parametrize("role", ["officer", "approver", "security_officer", "operator"])
def test_another_role_is_refused_and_recorded(world, client, role):
    response = register(world, client, roles=[role])
    assert (response.status_code, response.json["code"]) == (403, "role-missing")
    assert [entry["codes"] for entry in world.entries("system")] == [["role-missing"]]
    assert registered(world) == []


def test_a_clerk_registers_no_letter_that_names_the_clerk(world, client):
    response = register(world, client, who="p1")
    assert (response.status_code, response.json["code"]) == (403, "self-approval")
    assert [entry["codes"] for entry in world.entries("dossier")] == [["self-approval"]]
    assert registered(world) == []


def test_a_clerk_of_another_unit_with_the_same_number_is_another_person(world, client):
    assert register(world, client, who="p1", unit=COURT).status_code == 201


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"unit": "91350100M000100Y44"}, 422, "identifier-invalid"),
        ({"number": "31"}, 422, "identifier-invalid"),
        ({"officer": ""}, 422, "body-invalid"),
        ({"officer": " "}, 422, "letter-malformed"),
        ({"subjects": []}, 422, "body-invalid"),
        ({"subjects": ["330102200506010018"]}, 422, "identifier-invalid"),
        ({"subjects": ["张三/2026-11-24"]}, 422, "identifier-invalid"),
        ({"subjects": ["110101202611240015"]}, 422, "identifier-invalid"),
        ({"subjects": [1]}, 422, "body-invalid"),
        ({"databases": ["elsewhere"]}, 422, "letter-malformed"),
        ({"scope": "all"}, 422, "body-invalid"),
        ({"scope": ["open"]}, 422, "body-invalid"),
        ({"basis": {"instrument": "x", "article": "1"}}, 422, "letter-malformed"),
        ({"basis": "刑事诉讼法/286"}, 422, "body-invalid"),
        ({"purpose": "nothing"}, 422, "letter-malformed"),
        ({"valid_from": "2026-12-01"}, 422, "letter-malformed"),
        ({"valid_to": "2026-02-30"}, 422, "body-invalid"),
        ({"valid_to": 20261130}, 422, "body-invalid"),
        ({"uses": 0}, 422, "body-invalid"),
        ({"uses": 10001}, 422, "body-invalid"),
        ({"uses": True}, 422, "body-invalid"),
        ({"uses": "1"}, 422, "body-invalid"),
        ({"registered_by": "me"}, 422, "field-unknown"),
    ],
    ids=str,
)
def test_a_letter_that_is_not_whole_is_not_registered(world, client, change, status, code):
    response = register(world, client, LETTER | change)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert "330102" not in response.text
    assert registered(world) == []


@pytest.mark.parametrize("name", sorted(set(LETTER) - {"uses"}))
def test_a_letter_without_a_part_is_not_registered(world, client, name):
    response = register(world, client, {k: v for k, v in LETTER.items() if k != name})
    assert (response.status_code, response.json["code"]) == (422, "body-invalid")
    assert name in response.json["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"unit": "a", "unit": "b"}', b"\xff", b"[" * 2000])
def test_an_unreadable_body_is_400(world, client, body):
    response = register(world, client, body)
    assert (response.status_code, response.json["code"]) == (400, "body-invalid")


def test_another_content_type_is_415_and_a_long_body_413(world, client):
    assert register(world, client, **{"Content-Type": "text/plain"}).status_code == 415
    long = register(world, client, json.dumps(LETTER).encode() + b" " * 70000)
    assert (long.status_code, long.json["code"]) == (413, "body-too-large")


def test_query_parameters_and_other_methods_are_refused(world, client):
    token = {"Authorization": f"Bearer {world.token('a1', POLICE, roles=['archive_clerk'])}"}
    assert client.post("/v1/letters?a=1", json=LETTER, headers=token).json["code"] == "field-unknown"
    assert client.get("/v1/letters", headers=token).json["code"] == "method-not-allowed"
    assert client.post("/v1/letters", json=LETTER).json["code"] == "token-missing"
    assert registered(world) == []


def test_without_an_approved_revision_nothing_is_registered(world, client):
    world.gateway.runtime = RevisionUnapproved("swapped")
    response = register(world, client)
    assert (response.status_code, response.json["code"]) == (503, "revision-unapproved")
    assert registered(world) == []


def test_without_a_ledger_nothing_is_registered(own_world):
    token = own_world.token("a1", POLICE, roles=["archive_clerk"])
    own_world.gateway.ports.ledger.close()
    response = Client(own_world.app).post("/v1/letters", json=LETTER, headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json["code"]) == (503, "ledger-unavailable")
    assert registered(own_world) == []
