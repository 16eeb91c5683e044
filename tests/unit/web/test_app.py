"""The application through WSGI: two doors and one answer, every error a problem, each audience its views."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from werkzeug.test import Client

from sidecar.codes import Code
from sidecar.demo import legacy
from sidecar.demo.people import COURT, POLICE
from sidecar.errors import EngineUnavailable, RevisionUnapproved
from sidecar.web import openapi
from sidecar.web.app import ThinLane, create_app
from sidecar.web.operator import PROBE
from sidecar.web.watch import retry_due
from tests.support.world import World

CASE = {
    "database": "county",
    "subject": {"person_id": legacy.OPEN.SFZH},
    "reason": "审理案件",
    "basis": {"instrument": "刑事诉讼法", "article": "第二百八十六条"},
    "purpose": "case_handling",
    "case_number": "（2026）浙0101刑初1号",
}


@pytest.fixture
def client(world):
    return Client(world.app)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def judge(world, **claims):
    return bearer(world.token("j1", COURT, **claims))


# --- two doors -------------------------------------------------------------------------------------------------------

REQUESTS = {
    "released": ({}, json.dumps(CASE).encode()),
    "refused": ({}, json.dumps(CASE | {"case_number": ""}).encode()),
    "unreadable": ({}, b"{"),
    "duplicate": ({}, b'{"a": 1, "a": 2}'),
    "too large": ({}, b" " * 70000),
    "another type": ({"Content-Type": "text/plain"}, b"{}"),
    "bad token": ({"Authorization": "Bearer x.y.z"}, b"{}"),
    "no token": ({"Authorization": ""}, b"{}"),
    "query": ({"query": "a=1"}, b"{}"),
}


def through(world, door, name):
    """Status, headers and bytes of one request through a fresh application of the same deployment."""
    changes, body = REQUESTS[name]
    world.reset()
    settings = world.settings.model_copy(
        update={"server": world.settings.server.model_copy(update={"thin_lane": door == "thin"})}
    )
    app = create_app(settings, world.services, sleep=world.waited.append)
    assert isinstance(app.wsgi_app.inner, ThinLane) == (door == "thin")
    headers = {"Content-Type": "application/json", **judge(world), **changes}
    query = headers.pop("query", "")
    response = Client(app).post(f"/v1/inquiries?{query}", data=body, headers=headers)
    return response.status, list(response.headers), response.data


@pytest.mark.parametrize("name", REQUESTS)
def test_both_doors_give_the_same_status_headers_and_bytes(world, name):
    own = re.compile(rb'"(?:inquiry_id|receipt)":"[^"]*"')  # ids rise with every request
    thin, flask = through(world, "thin", name), through(world, "flask", name)
    assert thin[:2] == flask[:2]
    assert own.sub(b"", thin[2]) == own.sub(b"", flask[2])


def test_a_chunked_body_over_the_limit_is_413(world):
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(b" " * 70000), "CONTENT_LENGTH": ""}
    for thin in (True, False):
        app = world.app if thin else world.app.wsgi_app.inner._inner
        response = Client(app).post(
            "/v1/inquiries",
            headers={"Content-Type": "application/json", **judge(world)},
            environ_overrides=environ | {"wsgi.input": io.BytesIO(b" " * 70000)},
        )
        assert (response.status_code, response.json["code"]) == (413, "body-too-large")


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("POST", "/v1/inquiries/", 404, "not-found"),
        ("POST", "//v1/inquiries", 404, "not-found"),
        ("GET", "/v1/inquiries", 405, "method-not-allowed"),
        ("OPTIONS", "/v1/inquiries", 405, "method-not-allowed"),
        ("OPTIONS", "/healthz", 405, "method-not-allowed"),
        ("DELETE", "/healthz", 405, "method-not-allowed"),
        ("GET", "/v1/applications/x", 404, "not-found"),
        ("GET", "/v1/databases", 401, "token-missing"),
        ("GET", "/oversight/v1/events", 401, "token-missing"),
        ("POST", "/v1/applications", 401, "token-missing"),
    ],
)
def test_every_error_is_a_problem_document(client, method, path, status, code):
    response = client.open(path, method=method)
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert (response.json["code"], response.json["status"]) == (code, status)
    assert response.headers["Cache-Control"] == "no-store"


def test_405_names_what_is_allowed(client):
    assert client.get("/v1/inquiries").headers["Allow"] == "POST"


def test_head_is_a_get_without_body(client):
    response = client.head("/healthz")
    assert (response.status_code, response.data) == (200, b"")


def test_a_fault_says_nothing(world, client, monkeypatch):
    monkeypatch.setattr("sidecar.web.operator.readiness", lambda _: 1 // 0)
    response = client.get("/readyz")
    assert (response.status_code, response.json["code"]) == (500, "internal-error")
    assert "division" not in response.text


# --- officers --------------------------------------------------------------------------------------------------------


def test_databases_are_listed_with_their_declared_fields(world, client):
    response = client.get("/v1/databases", headers=judge(world))
    assert response.json == {
        "databases": [{"filterable": ["AJBH", "ZM"], "name": "county", "sortable": ["AJBH", "JARQ"]}]
    }


def test_anybody_gets_the_keys_of_receipts(world, client):
    (key,) = client.get("/v1/keys").json["keys"]
    assert (key["kty"], key["crv"], "d" in key) == ("OKP", "Ed25519", False)


def application(world, client, **more):
    body = {name: CASE[name] for name in ("database", "subject", "reason", "basis", "purpose", "case_number")} | more
    return client.post("/v1/applications", json=body, headers=bearer(world.token("p1", POLICE)))


def act(world, client, identifier, action, body=None, *, who=("p1", "officer")):
    headers = bearer(world.token(who[0], POLICE, roles=[who[1]]))
    return client.post(f"/v1/applications/{identifier}/{action}", json={} if body is None else body, headers=headers)


APPROVER = ("q1", "approver")


def test_an_application_goes_through_its_states_and_opens_the_sealed_record(world, client):
    subject = {"person_id": legacy.SEALED.SFZH}
    made = application(world, client, subject=subject)
    assert (made.status_code, made.json["state"]) == (201, "draft")
    number = made.json["id"]
    assert act(world, client, number, "submit").json["state"] == "submitted"
    approved = act(world, client, number, "approve", {"valid_days": 3}, who=APPROVER).json
    assert (approved["state"], approved["approver"]) == ("approved", "https://idp.example|q1")
    wording = approved["to_sign"][0]["wording"]
    ask = CASE | {
        "subject": subject,
        "scope": "sealed",
        "application_id": number,
        "letter": world.letter([legacy.SEALED.SFZH], scope="sealed"),
    }
    held = world.ask(ask)
    assert (held.status, json.loads(held.body)["code"]) == (409, "undertaking-missing")
    signed = act(world, client, number, "undertaking", {"wording": wording})
    assert (signed.status_code, signed.json["to_sign"]) == (200, [])
    answer = world.ask(ask)
    assert answer.status == 200, answer.body
    assert json.loads(answer.body)["count"] == 2
    assert [event["action"] for event in signed.json["history"]] == ["create", "submit", "approve", "undertaking"]
    assert len(world.entries("dossier")) == 4


def test_nobody_decides_on_the_own_application(world, client):
    number = application(world, client).json["id"]
    act(world, client, number, "submit")
    refused = act(world, client, number, "approve", {}, who=("p1", "approver"))
    assert (refused.status_code, refused.json["code"]) == (403, "self-approval")


def test_a_refused_application_says_why(world, client):
    number = application(world, client).json["id"]
    act(world, client, number, "submit")
    body = {"codes": ["purpose-not-allowed"], "text": "不予许可"}
    refused = act(world, client, number, "refuse", body, who=APPROVER).json
    assert (refused["state"], refused["refusal"]) == ("refused", body)


def test_a_withdrawn_application_cannot_be_submitted(world, client):
    number = application(world, client).json["id"]
    assert act(world, client, number, "withdraw").json["state"] == "withdrawn"
    again = act(world, client, number, "submit")
    assert (again.status_code, again.json["code"]) == (409, "state-conflict")


def test_an_application_is_shown_to_its_officer_and_hidden_from_others(world, client):
    number = application(world, client).json["id"]
    mine = client.get(f"/v1/applications/{number}", headers=bearer(world.token("p1", POLICE)))
    other = client.get(f"/v1/applications/{number}", headers=bearer(world.token("p2", POLICE)))
    assert (mine.status_code, mine.json["subject"]) == (200, CASE["subject"])
    assert (other.status_code, other.json["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reason": ""}, "body-invalid"),
        ({"extra": 1}, "field-unknown"),
        ({"basis": {"instrument": "x", "article": "1"}}, "basis-not-listed"),
        ({"purpose": "nothing"}, "purpose-unknown"),
        ({"database": "elsewhere"}, "database-unknown"),
        ({"subject": {"person_id": "330102200506010018"}}, "identifier-invalid"),
    ],
)
def test_an_application_that_is_not_complete_is_not_made(world, client, change, code):
    response = application(world, client, **change)
    assert (response.status_code, response.json["code"]) == (422, code)
    assert "330102" not in response.text


@pytest.mark.parametrize("body", [b"{", b'{"valid_days": 1, "valid_days": 2}', b"[]"])
def test_an_unreadable_body_is_400(world, client, body):
    headers = {"Content-Type": "application/json", **bearer(world.token("p1", POLICE))}
    response = client.post("/v1/applications", data=body, headers=headers)
    assert (response.status_code, response.json["code"]) == (400, "body-invalid")


def test_what_takes_no_body_refuses_one(world, client):
    number = application(world, client).json["id"]
    assert act(world, client, number, "submit", {"x": 1}).json["code"] == "field-unknown"


# --- prosecutors, security officers ----------------------------------------------------------------------------------


def prosecutor(world):
    return bearer(world.token("z1", COURT, roles=["prosecutor"]))


def test_the_feed_is_for_prosecutors(world, client):
    response = client.get("/oversight/v1/events?after=0&limit=10", headers=prosecutor(world))
    assert (response.status_code, response.json) == (200, {"events": [], "last": 0, "next": 0})


def test_another_role_is_refused_and_recorded(world, client):
    response = client.get("/oversight/v1/events", headers=judge(world))
    assert (response.status_code, response.json["code"]) == (403, "role-missing")
    (entry,) = world.entries("system")
    assert (entry["codes"], entry["officer"]) == (["role-missing"], "https://idp.example|j1")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("after=-1", "body-invalid"),
        ("limit=0", "body-invalid"),
        ("limit=1001", "body-invalid"),
        ("after=x", "body-invalid"),
        ("after=1&after=2", "field-unknown"),
        ("since=1", "field-unknown"),
        ("after=٣", "body-invalid"),
    ],
)
def test_bad_cursors_of_the_feed_are_422(world, client, query, code):
    response = client.get(f"/oversight/v1/events?{query}", headers=prosecutor(world))
    assert (response.status_code, response.json["code"]) == (422, code)


def test_revisions_are_listed_for_the_security_officer(world, client):
    headers = bearer(world.token("s1", POLICE, roles=["security_officer"]))
    (revision,) = client.get("/policy/v1/revisions", headers=headers).json["revisions"]
    assert (revision["number"], revision["label"]) == (1, world.gateway.runtime.revision)
    assert client.get("/policy/v1/revisions", headers=judge(world)).status_code == 403


# --- operators -------------------------------------------------------------------------------------------------------


def test_a_whole_deployment_is_ready(client):
    assert client.get("/readyz").json == {
        "status": "ready",
        "checks": {"revision": True, "engine": True, "ledger": True, "databases": True},
    }


def test_without_an_approved_revision_it_is_not_ready(world, client):
    world.gateway.runtime = RevisionUnapproved("swapped")
    response = client.get("/readyz")
    assert (response.status_code, response.json["checks"]["revision"]) == (503, False)
    assert client.get("/v1/databases", headers=judge(world)).json["code"] == "revision-unapproved"


def closed(runtime, *names):
    """The runtime as it is when the canaries of these databases did not pass."""
    fault = EngineUnavailable("no answer in time")
    return replace(runtime, databases={n: replace(d, fault=fault if n in names else None) for n, d in runtime.databases.items()})  # fmt: skip


def test_without_an_open_database_it_is_not_ready(world, client):
    world.gateway.runtime = closed(world.gateway.runtime, "county")
    response = client.get("/readyz")
    assert (response.status_code, response.json["checks"]["databases"]) == (503, False)


def test_one_closed_database_of_two_is_told_and_the_other_serves(world, client):
    runtime = world.gateway.runtime
    both = {"county": runtime.databases["county"], "other": runtime.databases["county"]}
    world.gateway.runtime = closed(replace(runtime, databases=both), "other")
    response = client.get("/readyz")
    assert (response.status_code, response.json["checks"]["databases"]) == (200, False)


def test_closed_databases_are_tried_again_soon_and_then_steadily():
    assert [n for n in range(1, 41) if retry_due(n)] == [1, 2, 4, 8, 10, 20, 30, 40]


def test_a_database_that_was_closed_by_a_busy_start_opens_at_the_next_look(world):
    services = world.app.extensions["sidecar"]
    services.gateway.runtime = closed(services.gateway.runtime, "county")
    services.watch.look()
    assert services.gateway.runtime.databases["county"].fault is None


def test_metrics_name_outcomes_and_nobody(world, client):
    world.ask(CASE, world.token("j1", COURT))
    text = client.get("/metrics").text
    assert 'sidecar_inquiries_total{channel="api",database="county",outcome="allow",status="200"}' in text
    assert legacy.OPEN.SFZH not in text
    assert "j1" not in text


def test_the_docs_load_nothing_from_elsewhere(client):
    for path in ("/docs", "/docs/reason-codes"):
        response = client.get(path)
        assert response.status_code == 200
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert not re.search(r"(src|href)=\"(https?:)?//", response.text)


def test_every_problem_type_leads_to_its_code(client):
    page = client.get("/docs/reason-codes").text
    assert all(f'id="{code}"' in page for code in Code)


# --- OpenAPI ---------------------------------------------------------------------------------------------------------


def test_openapi_describes_every_route_and_no_other(world):
    rules = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule).replace("{identifier}", "{id}"))
        for rule in world.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {(method, path) for path, item in openapi.document()["paths"].items() for method in item}
    assert described == rules


def test_openapi_is_served_as_it_is(client):
    assert client.get("/openapi.json").json == json.loads(json.dumps(openapi.document()))


def test_every_reference_in_openapi_leads_somewhere():
    text = json.dumps(openapi.document())
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert named <= set(openapi.document()["components"]["schemas"])


def test_a_closed_audience_is_not_there(world):
    server = world.settings.server.model_copy(update={"roles": ["oversight"]})
    app = create_app(world.settings.model_copy(update={"server": server}), world.services, sleep=world.waited.append)
    client = Client(app)
    assert client.post("/v1/inquiries").status_code == 404
    assert client.get("/oversight/v1/events").status_code == 401


# --- wiring ----------------------------------------------------------------------------------------------------------


def test_a_new_revision_is_taken_up_and_the_old_one_retired(own_world: World):
    first = own_world.gateway.runtime
    own_world.activate(2, own_world.gateway.ports.ledger)
    own_world.services.watch.look()
    assert own_world.gateway.runtime.revision.startswith("2@")
    answer = own_world.ask(CASE, own_world.token("j1", COURT))
    assert answer.status == 200
    assert first.engine.available
    for _ in range(60):
        own_world.services.watch.look()
    with pytest.raises(EngineUnavailable):
        first.engine.decide(PROBE)


def test_a_revision_that_does_not_verify_denies_everything(own_world: World):
    own_world.activate(2, own_world.gateway.ports.ledger)
    (own_world.folder / "revisions" / "2" / "catalog-county.yaml").write_text("catalog: 2", encoding="utf-8")
    own_world.services.watch.look()
    answer = own_world.ask(CASE, own_world.token("j1", COURT))
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "revision-unapproved")
    assert own_world.entries()[-1]["codes"] == ["revision-unapproved"]
