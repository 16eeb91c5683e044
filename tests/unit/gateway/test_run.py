"""The handler with the real parts: what each kind of request gets, and that every one of them is recorded first."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Thread

import jwt
import orjson
import pytest
import rfc8785
from sqlalchemy import select

from sidecar.demo import legacy
from sidecar.demo.people import COURT, EMPLOYER, POLICE, SCHOOL
from sidecar.errors import DatabaseTimeout, DatabaseUnavailable, EngineUnavailable
from sidecar.gateway.types import Request
from sidecar.ledger.tables import ENTRIES
from sidecar.papers.register import import_register
from sidecar.records.connectors.sql import SqlConnector
from tests.support.world import DEPLOYMENT, IDP, PROCURACY, World

CASE = "某公刑立字2026第1号"
OPEN = legacy.OPEN.SFZH
SEALED = legacy.SEALED.SFZH


def court(person=OPEN, **more):
    """A judicial organ's inquiry about open records: it needs no letter."""
    return {
        "database": "county",
        "subject": {"person_id": person},
        "reason": "审理案件",
        "basis": {"instrument": "刑事诉讼法", "article": "第二百八十六条"},
        "purpose": "case_handling",
        "case_number": "（2026）浙0101刑初1号",
    } | more


def school(world, person, **letter):
    """A school's vetting under a law; it needs a letter."""
    text = world.letter(
        [person],
        officer="t1",
        unit=SCHOOL,
        **{"basis": {"instrument": "未成年人保护法", "article": "62"}, "purpose": "staff_vetting"} | letter,
    )
    return {
        "database": "county",
        "subject": {"person_id": person},
        "reason": "招聘教师",
        "basis": {"instrument": "未成年人保护法", "article": "第六十二条"},
        "purpose": "staff_vetting",
        "letter": text,
    }


def judge(world, **claims):
    return world.token("j1", COURT, **claims)


def teacher(world, **claims):
    return world.token("t1", SCHOOL, **claims)


def read(response):
    return json.loads(response.body)


def headers(response):
    return {name.lower(): value for name, value in response.headers}


# --- what is answered ------------------------------------------------------------------------------------------------


def test_an_open_record_is_released_and_recorded(world):
    response = world.ask(court(), judge(world))
    answer = read(response)
    assert response.status == 200
    assert [record["crime"] for record in answer["records"]] == ["盗窃罪"]
    assert (answer["count"], answer["next_cursor"]) == (1, None)
    (entry,) = world.entries()
    assert entry["id"] == answer["inquiry_id"]
    assert (entry["outcome"], entry["codes"], entry["scope"]) == ("allow", [], "open")
    assert (entry["basis"], entry["purpose"], entry["database"]) == ("CPL/286", "case_handling", "county")
    assert (entry["officer"], entry["unit"]) == (f"{IDP}|j1", COURT.code)


def test_the_headers_are_fixed(world):
    response = world.ask(court(), judge(world))
    assert [name for name, _ in response.headers] == ["Content-Type", "Content-Length", "Cache-Control"]
    assert headers(response)["cache-control"] == "no-store"
    assert int(headers(response)["content-length"]) == len(response.body)


def test_the_entry_holds_no_text_of_the_request(world):
    world.ask(court(reason="密密密", case_number="（2026）浙0101刑初77号"), judge(world))
    (entry,) = world.entries()
    text = json.dumps(entry, ensure_ascii=False)
    assert not any(secret in text for secret in (OPEN, "密密密", "刑初77号", "何大伟"))


def test_the_receipt_proves_answer_and_entry(world):
    response = world.ask(court(), judge(world))
    answer = read(response)
    claims = world.services.ring.verify_receipt(answer.pop("receipt"))
    nonce = base64.urlsafe_b64decode(claims["nonce"] + "=")
    mac = hmac.new(nonce, rfc8785.dumps(answer), hashlib.sha256).digest()
    (entry,) = world.entries()
    assert base64.urlsafe_b64encode(mac).decode().rstrip("=") == claims["answer"] == entry["answer"]
    assert (claims["iss"], claims["inquiry"], claims["page"]) == (DEPLOYMENT, entry["id"], 1)
    assert claims["revision"] == entry["revision"] == world.gateway.runtime.revision


def test_a_refusal_has_reasons_and_a_receipt_too(world):
    response = world.ask(court(case_number=""), judge(world))
    document = read(response)
    assert (response.status, headers(response)["content-type"]) == (403, "application/problem+json")
    assert document["code"] == "case-number-missing"
    assert document["missing"] == ["case_number"]
    assert document["type"] == "/docs/reason-codes#case-number-missing"
    claims = world.services.ring.verify_receipt(document["receipt"])
    (entry,) = world.entries()
    assert (claims["outcome"], entry["outcome"], entry["codes"]) == ("refuse", "refuse", ["case-number-missing"])


def test_what_can_still_be_brought_is_a_hold_or_a_refusal_that_says_so(world):
    response = world.ask(court(scope="sealed"), judge(world))
    assert response.status == 403
    assert {"application", "letter", "undertaking"} <= set(read(response)["missing"])


def test_an_employer_without_basis_is_refused_whoever_the_subject_is(world):
    bodies = [court(person, basis={}, purpose="employment") for person in (OPEN, SEALED, legacy.NOBODY)]
    answers = [world.ask(body, world.token("e1", EMPLOYER)) for body in bodies]
    assert [a.status for a in answers] == [403, 403, 403]
    for answer in map(read, answers):
        assert "basis-missing" in [reason["code"] for reason in answer["reasons"]]
    shapes = [{k: v for k, v in read(a).items() if k not in {"inquiry_id", "receipt"}} for a in answers]
    assert shapes[0] == shapes[1] == shapes[2]


# --- whom it concerns ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"exp": 1}, "token-expired"),
        ({"aud": "other"}, "token-audience"),
        ({"iss": "https://evil.example"}, "token-issuer"),
        ({"roles": ["prosecutor"], "iss": IDP}, "token-role-issuer"),
        ({"nbf": 4102444800}, "token-not-yet-valid"),
        ({"jti": None}, "token-claims"),
        ({"exp": 4102444800}, "token-lifetime"),
    ],
)
def test_a_bad_token_is_counted_and_not_answered(world, spoil, code):
    response = world.ask(court(), world.token(**{"roles": ["officer"], **spoil}))
    assert (response.status, read(response)["code"]) == (401, code)
    assert headers(response)["www-authenticate"] == "Bearer"
    assert world.entries() == []
    world.gateway.ports.attempts.tick(final=True)
    (entry,) = world.entries("attempts")
    assert entry["codes"] == [code]
    assert "192.0.2.7" not in json.dumps(entry)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "token-missing"),
        ("Basic abc", "token-missing"),
        ("Bearer ", "token-missing"),
        ("Bearer x", "token-malformed"),
        ("Bearer " + "x" * 9000, "token-malformed"),
    ],
)
def test_what_is_no_bearer_token_is_401(world, header, code):
    sent = {"content-type": "application/json"} | ({"authorization": header} if header else {})
    response = world.gateway.handle(Request("api", "POST", "/v1/inquiries", sent, b"{}", "192.0.2.7"))
    assert (response.status, read(response)["code"]) == (401, code)


def test_a_token_signed_by_another_key_is_refused(world):
    claims = jwt.decode(judge(world), options={"verify_signature": False})
    forged = jwt.encode(claims, world.private_key("police"), "EdDSA", headers={"kid": "idp-1"})
    assert read(world.ask(court(), forged))["code"] == "token-signature"


def test_a_prosecutor_may_not_inquire(world):
    response = world.ask(court(), world.token("z1", COURT, roles=["prosecutor"], iss=PROCURACY))
    assert (response.status, read(response)["code"]) == (403, "role-missing")


# --- bad bodies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "body-invalid"),
        (b"{", 400, "body-invalid"),
        (b'{"database": "county", "database": "county"}', 400, "body-invalid"),
        (b'{"page_size": NaN}', 400, "body-invalid"),
        (b'{"a":' * 9 + b"1" + b"}" * 9, 400, "body-invalid"),
        (b" " * 70000, 413, "body-too-large"),
        (court(extra=1), 422, "field-unknown"),
        (court(page_size=0), 422, "body-invalid"),
        (court("330102200506010018"), 422, "identifier-invalid"),
        (court(cursor="AAAA"), 422, "cursor-invalid"),
        (court(sort=[{"field": "nothing"}]), 422, "field-not-allowed"),
    ],
)
def test_a_bad_body_is_recorded_without_its_content(world, body, status, code):
    response = world.ask(body, judge(world))
    assert (response.status, read(response)["code"]) == (status, code)
    (entry,) = world.entries()
    assert (entry["outcome"], entry["codes"], entry["officer"]) == ("refuse", [code], f"{IDP}|j1")


def test_another_content_type_is_refused(world):
    response = world.ask(court(), judge(world), content_type="text/plain")
    assert (response.status, read(response)["code"]) == (415, "body-invalid")


def test_query_parameters_are_refused(world):
    sent = {"content-type": "application/json", "authorization": f"Bearer {judge(world)}"}
    response = world.gateway.handle(Request("api", "POST", "/v1/inquiries", sent, b"{}", "", "a=1"))
    assert (response.status, read(response)["code"]) == (422, "field-unknown")


def test_an_unknown_database_is_refused_by_policy_and_not_named_in_the_ledger(world):
    response = world.ask(court(database="elsewhere"), judge(world))
    assert (response.status, read(response)["code"]) == (403, "database-unknown")
    assert world.entries()[0]["database"] == ""


# --- letters and uses ------------------------------------------------------------------------------------------------


def test_a_one_time_letter_is_good_once(world):
    body = school(world, OPEN)
    assert world.ask(body, teacher(world)).status == 200
    again = world.ask(body, teacher(world))
    assert (again.status, read(again)["code"]) == (403, "letter-used")
    assert [entry["outcome"] for entry in world.entries()] == ["allow", "refuse"]
    assert world.entries()[0]["letter"] == world.entries()[1]["letter"] != ""


def test_of_two_at_once_on_a_one_time_letter_one_releases_nothing(world):
    body, token, barrier, found = school(world, OPEN), teacher(world), Barrier(2), []

    def ask():
        barrier.wait()
        found.append(world.ask(body, token))

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(response.status for response in found) == [200, 403]
    refused = next(response for response in found if response.status == 403)
    assert read(refused)["code"] == "letter-used"
    assert "盗窃罪" not in refused.body.decode()
    assert len(world.entries()) == 2


def test_a_letter_for_another_subject_is_refused(world):
    body = school(world, legacy.NOBODY) | {"subject": {"person_id": OPEN}}
    response = world.ask(body, teacher(world))
    assert (response.status, read(response)["code"]) == (403, "letter-subject-mismatch")


def test_a_letter_of_another_officer_or_unit_is_refused(world):
    response = world.ask(school(world, OPEN), world.token("t2", SCHOOL))
    assert read(response)["code"] == "letter-officer-mismatch"
    response = world.ask(school(world, OPEN), world.token("t1", POLICE))
    assert "letter-unit-mismatch" in [reason["code"] for reason in read(response)["reasons"]]


def test_a_repeated_request_with_its_key_is_the_same_use(world):
    body = school(world, OPEN)
    first = world.ask(body, teacher(world), idempotency_key="k1")
    second = world.ask(body, teacher(world), idempotency_key="k1")
    assert (first.status, second.status) == (200, 200)
    assert read(first)["inquiry_id"] == read(second)["inquiry_id"]
    assert read(first)["records"] == read(second)["records"]
    assert len(world.entries()) == 2


def test_of_two_at_once_with_one_key_both_are_the_same_use(world):
    body, token, barrier, found = school(world, OPEN), teacher(world), Barrier(2), []

    def ask():
        barrier.wait()
        found.append(world.ask(body, token, idempotency_key="k1"))

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [response.status for response in found] == [200, 200]
    assert len({read(response)["inquiry_id"] for response in found}) == 1
    assert len(world.entries()) == 2


def test_a_read_under_an_id_that_was_given_up_for_the_twins_is_named_in_the_entry(world, monkeypatch):
    """The database's own audit has this id: whoever compares finds its entry (docs/design/bypass-watch.md)."""
    body, token, read_as = school(world, OPEN), teacher(world), []
    world.ask(body, token, idempotency_key="k1")
    papers = type(world.gateway.ports.papers)
    twin, fetched = papers.twin, SqlConnector.fetch

    def late(*arguments):
        """The first look comes before the twin's commit."""
        return twin(*arguments) if read_as else None

    def fetch(*arguments):
        read_as.append(arguments[-1])
        return fetched(*arguments)

    monkeypatch.setattr(SqlConnector, "fetch", fetch)
    monkeypatch.setattr(papers, "twin", late)
    answer = world.ask(body, token, idempotency_key="k1")
    [first, second] = world.entries()
    assert (first["extra"], second["extra"]) == ({}, {"read": read_as[0]})
    assert read_as == [second["extra"]["read"], read(answer)["inquiry_id"]]


def test_the_key_of_another_request_is_refused(world):
    world.ask(court(), judge(world), idempotency_key="k1")
    other = world.ask(court(reason="另案"), judge(world), idempotency_key="k1")
    assert (other.status, read(other)["code"]) == (422, "idempotency-mismatch")


def test_a_repeat_after_the_time_is_a_new_use(world):
    body = school(world, OPEN)
    world.ask(body, teacher(world), idempotency_key="k1")
    world.clock.set(world.clock.now() + timedelta(minutes=11))
    late = world.ask(body, teacher(world), idempotency_key="k1")
    assert read(late)["code"] == "letter-used"


def test_a_bad_idempotency_key_is_refused(world):
    assert read(world.ask(court(), judge(world), idempotency_key="k" * 200))["code"] == "body-invalid"


# --- pages -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many_world(tmp_path_factory, world_keys):
    cases = [
        legacy.Case(**{f: getattr(legacy.OPEN, f) for f in legacy.OPEN.__slots__} | {"AJBH": f"AJ{n:06d}", "XH": 1})
        for n in range(5)
    ]
    made = World(tmp_path_factory.mktemp("many"), keys=world_keys, cases=[*cases, *legacy.TOLD[:3]])
    yield made
    made.close()


@pytest.fixture
def many(many_world):
    many_world.reset()
    return many_world


def pages(world, body, token):
    """All pages of an inquiry."""
    found, cursor = [], None
    while True:
        response = world.ask(body | ({"cursor": cursor} if cursor else {}), token)
        assert response.status == 200, response.body
        found.append(read(response))
        cursor = found[-1]["next_cursor"]
        if cursor is None:
            return found


def test_pages_share_one_use_one_id_and_one_count(many):
    found = pages(many, school(many, OPEN) | {"page_size": 2}, teacher(many))
    assert [len(page["records"]) for page in found] == [2, 2, 1]
    assert {page["count"] for page in found} == {5}
    assert len({page["inquiry_id"] for page in found}) == 1
    assert [entry["page"] for entry in many.entries()] == [1, 2, 3]


def test_the_next_pages_cursor_is_of_one_length(many):
    found = pages(many, court(page_size=2), judge(many))
    assert len({len(page["next_cursor"]) for page in found[:-1]}) == 1


def test_a_cursor_of_another_officer_request_or_time_is_refused(many):
    cursor = read(many.ask(court(page_size=2), judge(many)))["next_cursor"]
    body = court(page_size=2, cursor=cursor)
    for refused in (
        many.ask(body, many.token("j2", COURT)),
        many.ask(body | {"reason": "另案"}, judge(many)),
        many.ask(body | {"page_size": 3}, judge(many)),
    ):
        assert (refused.status, read(refused)["code"]) == (422, "cursor-invalid")
    many.clock.set(many.clock.now() + timedelta(minutes=16))
    assert read(many.ask(body, judge(many)))["code"] == "cursor-invalid"


def test_a_page_may_be_asked_for_again(many):
    first = read(many.ask(court(page_size=2), judge(many)))
    body = court(page_size=2, cursor=first["next_cursor"])
    again = [read(many.ask(body, judge(many)))["records"] for _ in range(2)]
    assert again[0] == again[1]


# --- faults ----------------------------------------------------------------------------------------------------------


def test_without_ledger_nothing_is_released(own_world):
    own_world.gateway.ports.ledger.close()
    response = own_world.ask(court(), judge(own_world))
    assert (response.status, read(response)["code"]) == (503, "ledger-unavailable")
    assert "盗窃罪" not in response.body.decode()


class _Broken:
    """A part that fails as it is told; everything else is the real part's."""

    def __init__(self, real, failure, *names):
        self._real, self._failure, self._names = real, failure, names

    def __getattr__(self, name):
        if name not in self._names:
            return getattr(self._real, name)

        def fail(*_, **__):
            raise self._failure

        return fail


def break_engine(world, failure, *names):
    world.gateway.runtime = replace(
        world.gateway.runtime, engine=_Broken(world.gateway.runtime.engine, failure, *names)
    )


def break_database(world, failure):
    runtime = world.gateway.runtime
    database = runtime.databases["county"]
    broken = replace(database, connector=_Broken(database.connector, failure, "fetch"))
    world.gateway.runtime = replace(runtime, databases={"county": broken})


@pytest.mark.parametrize("name", ["decide", "classify"])
def test_an_engine_that_fails_denies_and_is_recorded(world, name):
    break_engine(world, EngineUnavailable("down"), name)
    response = world.ask(court(), judge(world))
    assert (response.status, read(response)["code"]) == (503, "engine-unavailable")
    (entry,) = world.entries()
    assert (entry["outcome"], entry["codes"]) == ("error", ["engine-unavailable"])


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (DatabaseUnavailable("down"), 502, "database-unavailable"),
        (DatabaseTimeout("slow"), 504, "database-timeout"),
        (RuntimeError("a fault of ours"), 500, "internal-error"),
    ],
)
def test_a_database_that_fails_is_recorded_and_burns_no_use(world, failure, status, code):
    whole = world.gateway.runtime
    break_database(world, failure)
    body = school(world, OPEN)
    response = world.ask(body, teacher(world))
    assert (response.status, read(response)["code"]) == (status, code)
    assert world.entries()[0]["codes"] == [code]
    world.gateway.runtime = whole
    assert world.ask(body, teacher(world)).status == 200


def test_an_answer_of_another_revision_denies(world):
    world.gateway.runtime = replace(world.gateway.runtime, revision="2@sha256:000000000000")
    response = world.ask(court(), judge(world))
    assert (response.status, read(response)["code"]) == (503, "revision-unapproved")


def test_a_swapped_file_of_the_revision_denies(own_world):
    (own_world.folder / "revisions" / "1" / "params.json").write_bytes(b"{}")
    own_world.clock.set(own_world.clock.now() + timedelta(seconds=2))
    response = own_world.ask(court(), judge(own_world))
    assert (response.status, read(response)["code"]) == (503, "revision-unapproved")
    assert own_world.entries()[0]["outcome"] == "error"


def test_a_clock_that_is_behind_the_ledger_denies(world):
    world.ask(court(), judge(world))
    world.clock.set(world.clock.now() - timedelta(seconds=61))
    response = world.ask(court(), judge(world))
    assert (response.status, read(response)["code"]) == (503, "clock-behind")


# --- P3 --------------------------------------------------------------------------------------------------------------


def normal(case, **changes):
    return legacy.Case(**{f: getattr(case, f) for f in case.__slots__} | changes)


def test_two_worlds_that_differ_in_sealed_records_give_the_school_the_same_bytes(tmp_path, world_keys):
    """P3: fixed clock, ids and randomness; nothing but sealed rows differs."""
    sealed = [normal(legacy.SEALED, AJBH=f"AJ2022{n:06d}", SFZH=OPEN) for n in range(3)]
    unsealed = [case for case in legacy.TOLD if case not in {legacy.SEALED, legacy.UNMARKED, legacy.SIXTY}]
    told = []
    for name, cases in (("a", legacy.TOLD), ("b", [*sealed, *unsealed])):
        (tmp_path / name).mkdir()
        world = World(tmp_path / name, keys=world_keys, cases=cases)
        people = (OPEN, SEALED, legacy.UNMARKED.SFZH, legacy.NOBODY)
        bodies = [school(world, person, number=f"示公函字〔2026〕{n}号") for n, person in enumerate(people, 1)]
        answers = [world.ask(body, teacher(world)) for body in bodies]
        told.append((answers, world.entries()))
        world.close()
    assert [answer.status for answer in told[0][0]] == [200] * 4
    assert [read(answer)["count"] for answer in told[0][0]] == [1, 1, 0, 0]
    assert told[0] == told[1]


def test_a_person_with_sealed_records_looks_like_one_without(world):
    first = read(world.ask(school(world, legacy.UNMARKED.SFZH), teacher(world)))
    second = read(world.ask(school(world, legacy.NOBODY, number="示公函字〔2026〕2号"), teacher(world)))
    assert (first["records"], first["count"], first["next_cursor"]) == ([], 0, None)
    assert {k: v for k, v in first.items() if k not in {"inquiry_id", "receipt"}} == {
        k: v for k, v in second.items() if k not in {"inquiry_id", "receipt"}
    }


def test_every_entry_is_of_one_size(world):
    world.ask(school(world, OPEN), teacher(world))
    world.ask(court(case_number=""), judge(world))
    world.ask(b"{", judge(world))
    with world.state.connect() as connection:
        bodies = [bytes(row.body) for row in connection.execute(select(ENTRIES.c.body))]
    assert all(len(body) < 2048 for body in bodies)


# --- the seal register -----------------------------------------------------------------------------------------------


def seal(world, row):
    """Two people import a decision to seal one record."""
    subject = {"person_id": row.SFZH, "name": row.XM}
    decision = {
        "effect": "seal",
        "database": "county",
        "record_key": f"{row.AJBH}|{row.XH}",
        "number": "（2026）浙0101刑封1号",
        "authority": "示例县人民法院",
        "date": "2026-11-20",
        "ground": "s1",
        "subject": subject,
    }
    file = world.folder / "register.yaml"
    file.write_bytes(orjson.dumps({"register": 1, "decisions": [decision]}))
    import_register(
        file,
        engine=world.state,
        ledger=world.services.gateway.ports.ledger,
        clock=world.clock,
        keys=world.services.ring,
        registrar="甲",
        confirmed_by="乙",
    )


def test_a_decision_to_seal_holds_from_the_next_inquiry_on(own_world):
    world = own_world
    assert read(world.ask(court(), judge(world)))["count"] == 1
    seal(world, legacy.OPEN)
    for _ in range(2):  # the first finds that what it had in memory is old
        answer = read(world.ask(court(), judge(world)))
        assert (answer["records"], answer["count"]) == ([], 0)
    assert [entry["outcome"] for entry in world.entries()] == ["allow"] * 3


def test_an_inquiry_made_again_counts_its_letter_once(own_world):
    world = own_world
    world.ask(court(), judge(world))
    seal(world, legacy.OPEN)
    body = school(world, SEALED, uses=1)
    assert world.ask(body, teacher(world)).status == 200
    assert read(world.ask(body, teacher(world)))["code"] == "letter-used"
