"""``/v1/applications`` over the application: every action in every state, by everybody, with every body."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import pytest
from werkzeug.test import Client

from sidecar.demo import legacy
from sidecar.demo.people import COURT, POLICE
from sidecar.errors import RevisionUnapproved
from sidecar.papers import undertaking
from sidecar.web.models import Application
from tests.support.world import NOW

BY_ID = {"person_id": legacy.SEALED.SFZH}
NAMED = {"name": "张三", "birth_date": "2005-06-01"}
STATED = {
    "database": "county",
    "subject": BY_ID,
    "scope": "sealed",
    "reason": "侦查案件",
    "basis": {"instrument": "刑事诉讼法", "article": "第二百八十六条"},
    "purpose": "case_handling",
    "case_number": "A3301",
}
OWNER, APPROVER = ("p1", "officer"), ("q1", "approver")
ACTIONS = {
    "submit": ({}, OWNER),
    "withdraw": ({}, OWNER),
    "approve": ({"valid_days": 1}, APPROVER),
    "refuse": ({"codes": ["purpose-not-allowed"], "text": "不予许可"}, APPROVER),
    "undertaking": ({}, OWNER),
}
STATES = {
    "draft": (),
    "submitted": ("submit",),
    "approved": ("submit", "approve"),
    "signed": ("submit", "approve", "undertaking"),
    "refused": ("submit", "refuse"),
    "withdrawn": ("submit", "withdraw"),
    "expired": ("submit", "approve"),
}
POSSIBLE = {
    ("draft", "submit"): "submitted",
    ("draft", "withdraw"): "withdrawn",
    ("submitted", "withdraw"): "withdrawn",
    ("submitted", "approve"): "approved",
    ("submitted", "refuse"): "refused",
    ("approved", "undertaking"): "approved",
    ("approved", "withdraw"): "withdrawn",
    ("signed", "withdraw"): "withdrawn",
}
LATER = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


@pytest.fixture
def client(world):
    return Client(world.app)


def headers(world, who, unit=POLICE):
    return {"Authorization": f"Bearer {world.token(who[0], unit, roles=who[1:])}"}


def create(world, client, who=OWNER, **change):
    return client.post("/v1/applications", json=STATED | change, headers=headers(world, who))


def act(world, client, number, action, body=None, *, who=None, unit=POLICE):
    stated, actor = ACTIONS[action]
    sent = stated if body is None else body
    path = f"/v1/applications/{number}/{action}"
    return client.post(path, json=sent, headers=headers(world, who or actor, unit))


def show(world, client, number, who=OWNER, unit=POLICE):
    return client.get(f"/v1/applications/{number}", headers=headers(world, who, unit))


def reach(world, client, state):
    """An application in a state."""
    number = create(world, client).json["id"]
    for action in STATES[state]:
        done = act(world, client, number, action)
        assert done.status_code == 200, done.text
    if state == "expired":
        world.clock.set(LATER)
    return number


def recorded(world):
    """Outcome and codes of the last entry."""
    last = world.entries("dossier")[-1]
    return last["outcome"], last["codes"], last["extra"]["transition"]


# --- transitions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", STATES)
def test_each_action_is_possible_in_its_states_only(world, client, state, action):
    number = reach(world, client, state)
    before = show(world, client, number).json
    response = act(world, client, number, action)
    after = show(world, client, number).json
    if (state, action) in POSSIBLE:
        assert (response.status_code, response.json["state"]) == (200, POSSIBLE[state, action])
        assert after == response.json
        assert (after["version"], after["history"][-1]["action"]) == (before["version"] + 1, action)
        assert recorded(world)[::2] == ("allow", action)
    else:
        assert (response.status_code, response.json["code"]) == (409, "state-conflict")
        assert after == before
        assert recorded(world) == ("refuse", ["state-conflict"], action)


@pytest.mark.parametrize(
    ("action", "who", "code"),
    [
        *((action, ("q1", "approver"), "role-missing") for action in ("submit", "withdraw", "undertaking")),
        *((action, ("q1", "officer"), "role-missing") for action in ("approve", "refuse")),
        *((action, ("p2", "officer"), "application-mismatch") for action in ("submit", "withdraw", "undertaking")),
        *((action, ("p1", "officer", "approver"), "self-approval") for action in ("approve", "refuse")),
    ],
)
def test_who_may_not_act_is_refused_and_recorded(world, client, action, who, code):
    state = {"submit": "draft", "undertaking": "approved"}.get(action, "submitted")
    number = reach(world, client, state)
    before = show(world, client, number).json
    response = act(world, client, number, action, who=who)
    assert (response.status_code, response.json["code"]) == (403, code)
    assert recorded(world) == ("refuse", [code], action)
    assert show(world, client, number).json == before


@pytest.mark.parametrize("role", ["archive_clerk", "security_officer", "operator"])
@pytest.mark.parametrize("action", [*ACTIONS, "create", "show"])
def test_other_roles_do_not_pass_the_door(world, client, action, role):
    number = reach(world, client, "submitted")
    if action == "create":
        response = create(world, client, who=("x1", role))
    elif action == "show":
        response = show(world, client, number, who=("x1", role))
    else:
        response = act(world, client, number, action, who=("x1", role))
    assert (response.status_code, response.json["code"]) == (403, "role-missing")
    assert world.entries("system")[-1]["codes"] == ["role-missing"]


def test_an_approver_alone_makes_no_application(world, client):
    response = create(world, client, who=APPROVER)
    assert (response.status_code, response.json["code"]) == (403, "role-missing")
    assert recorded(world) == ("refuse", ["role-missing"], "create")


def test_an_officer_of_another_unit_with_the_same_number_is_the_same_person(world, client):
    """A person is issuer and number; the unit that the application was made for stays."""
    number = reach(world, client, "submitted")
    assert act(world, client, number, "approve", who=("p1", "approver"), unit=COURT).json["code"] == "self-approval"


def test_an_approver_of_another_unit_decides(world, client):
    number = reach(world, client, "submitted")
    assert act(world, client, number, "approve", unit=COURT).json["approver"] == "https://idp.example|q1"


def test_a_repeated_action_is_done_once(world, client):
    number = reach(world, client, "draft")
    answers = [act(world, client, number, "submit") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 409, 409]
    assert [event["action"] for event in show(world, client, number).json["history"]] == ["create", "submit"]


def test_a_repeated_creation_is_another_application(world, client):
    first, second = (create(world, client).json["id"] for _ in range(2))
    assert first != second


# --- seeing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_an_application_is_as_described(world, client, state):
    response = show(world, client, reach(world, client, state))
    assert response.headers["Cache-Control"] == "no-store"
    Application.model_validate_json(response.data)
    ended = state in {"refused", "withdrawn"}
    assert response.json["subject"] == (None if ended else BY_ID)
    assert response.json["reason"] == ("" if ended else STATED["reason"])
    assert response.json["case_number"] == ("" if ended else STATED["case_number"])
    assert (response.json["refusal"] is not None) == (state == "refused")
    assert bool(response.json["to_sign"]) == (state == "approved")


def test_who_may_not_see_it_gets_what_there_is_for_none(world, client):
    number = reach(world, client, "draft")
    hidden = show(world, client, number, who=("p2", "officer"))
    draft = show(world, client, number, who=APPROVER)
    none = show(world, client, uuid.UUID(int=7), who=("p2", "officer"))
    assert hidden.status_code == draft.status_code == none.status_code == 404
    assert hidden.data == draft.data == none.data


def test_an_approver_sees_it_once_it_is_handed_in(world, client):
    assert show(world, client, reach(world, client, "submitted"), who=APPROVER).json["subject"] == BY_ID


@pytest.mark.parametrize("action", ACTIONS)
def test_what_there_is_not_is_404(world, client, action):
    unknown = act(world, client, uuid.UUID(int=7), action)
    assert (unknown.status_code, unknown.json["code"]) == (404, "not-found")
    for number in ("x", "1", "%00", f"{uuid.UUID(int=7)}/x"):
        assert act(world, client, number, action).status_code == 404


def test_a_person_may_be_named(world, client):
    number = create(world, client, subject=NAMED).json["id"]
    assert show(world, client, number).json["subject"] == NAMED
    assert "张三" not in json.dumps(world.entries("dossier"), ensure_ascii=False)


# --- bodies ----------------------------------------------------------------------------------------------------------

BODIES = [
    ("submit", "draft", {"x": 1}, "field-unknown"),
    ("submit", "draft", [], "field-unknown"),
    ("withdraw", "draft", {"x": 1}, "field-unknown"),
    ("approve", "submitted", {"valid_days": -1}, "body-invalid"),
    ("approve", "submitted", {"valid_days": 3661}, "body-invalid"),
    ("approve", "submitted", {"valid_days": "1"}, "body-invalid"),
    ("approve", "submitted", {"copies_approved": 1}, "body-invalid"),
    ("approve", "submitted", {"valid_to": "2026-12-01"}, "field-unknown"),
    ("refuse", "submitted", {}, "body-invalid"),
    ("refuse", "submitted", {"codes": []}, "body-invalid"),
    ("refuse", "submitted", {"codes": ["no-such-code"]}, "body-invalid"),
    ("refuse", "submitted", {"codes": "purpose-not-allowed"}, "body-invalid"),
    ("refuse", "submitted", {"codes": ["purpose-not-allowed"], "text": "\u0000"}, "body-invalid"),
    ("refuse", "submitted", {"codes": ["purpose-not-allowed"], "text": "x" * 100000}, "body-too-large"),
    ("undertaking", "approved", {"language": "fr"}, "body-invalid"),
    ("undertaking", "approved", {"wording": "0" * 64}, "body-invalid"),
    ("undertaking", "approved", {"wording": "0"}, "body-invalid"),
    ("undertaking", "approved", {"x": 1}, "field-unknown"),
]


@pytest.mark.parametrize("wrong", BODIES, ids=[f"{b[0]}-{n}" for n, b in enumerate(BODIES)])
def test_a_body_of_another_form_changes_nothing(world, client, wrong):
    action, state, body, code = wrong
    number = reach(world, client, state)
    response = act(world, client, number, action, body)
    assert (response.status_code, response.json["code"]) == (413 if code == "body-too-large" else 422, code)
    assert show(world, client, number).json["state"] == state


@pytest.mark.parametrize("action", ["approve", "refuse", "undertaking"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"codes": [], "codes": []}', b"\xff"])
def test_an_unreadable_body_changes_nothing(world, client, action, body):
    number = reach(world, client, "approved" if action == "undertaking" else "submitted")
    sent = headers(world, ACTIONS[action][1]) | {"Content-Type": "application/json"}
    response = client.post(f"/v1/applications/{number}/{action}", data=body, headers=sent)
    assert (response.status_code, response.json["code"]) == (400, "body-invalid")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"subject": {"name": "张三", "birth_date": "2026-11-24"}}, "identifier-invalid"),
        ({"subject": {"name": "张三", "birth_date": "2005-02-30"}}, "body-invalid"),
        ({"subject": {"name": "张三"}}, "body-invalid"),
        ({"subject": BY_ID | NAMED}, "field-unknown"),
        ({"subject": {"person_id": "110101202611240015"}}, "identifier-invalid"),
        ({"scope": ["sealed"]}, "body-invalid"),
        ({"case_number": "\u202e1"}, "case-number-invalid"),
    ],
)
def test_an_application_about_nobody_is_not_made(world, client, change, code):
    response = create(world, client, **change)
    assert (response.status_code, response.json["code"]) == (422, code)
    assert world.entries("dossier") == []


# --- undertaking -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("by_digest", [True, False])
def test_a_wording_is_signed_by_language_or_by_its_digest(world, client, language, by_digest):
    digest = undertaking.current(language).digest
    number = reach(world, client, "approved")
    signed = act(world, client, number, "undertaking", {"wording": digest} if by_digest else {"language": language})
    assert (signed.status_code, signed.json["undertaking_by"]) == (200, "https://idp.example|p1")
    assert world.entries("dossier")[-1]["extra"]["wording"] == digest


def test_an_approval_is_good_for_the_deployments_days_where_none_are_stated(world, client):
    number = reach(world, client, "submitted")
    approved = act(world, client, number, "approve", {}).json
    days = world.settings.gateway.approval_days
    last = datetime.fromisoformat(approved["valid_to"])
    assert (last.date() - NOW.date()).days == days


def test_an_expired_approval_opens_nothing_and_is_erased(world, client, monkeypatch):
    number = reach(world, client, "expired")
    assert show(world, client, number).json["state"] == "expired"
    monkeypatch.setattr("sidecar.web.watch.PURGE_ROUNDS", 1)
    world.services.watch.look()
    assert show(world, client, number).json["subject"] is None


# --- faults ----------------------------------------------------------------------------------------------------------


def test_without_an_approved_revision_none_is_made(world, client):
    world.gateway.runtime = RevisionUnapproved("swapped")
    response = create(world, client)
    assert (response.status_code, response.json["code"]) == (503, "revision-unapproved")


def test_without_a_ledger_nothing_changes(own_world):
    client = Client(own_world.app)
    number = reach(own_world, client, "submitted")
    own_world.gateway.ports.ledger.close()
    for action in ("withdraw", "approve", "refuse"):
        response = act(own_world, client, number, action)
        assert (response.status_code, response.json["code"]) == (503, "ledger-unavailable")
    assert show(own_world, client, number).json["state"] == "submitted"
