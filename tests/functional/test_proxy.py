"""The proxy in front of a real old HTTP service: what a legacy client may see is byte for byte what the service would say.

The oracle is the service itself over the records that may be seen: whatever the sidecar leaves out, counts or pages otherwise
than the service shows as a difference.
"""

from __future__ import annotations

import gzip
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import orjson
import pytest

from sidecar.demo import legacy
from sidecar.demo.archive_catalog import ARCHIVE, archive_catalog
from sidecar.demo.people import SCHOOL
from sidecar.errors import LedgerUnavailable
from sidecar.gateway.types import Request, Response
from tests.support.archive import FACTS, ArchiveWorld, bare, record, service, write
from tests.support.world import NOW, make_keys

pytestmark = pytest.mark.functional

MANY = [replace(legacy.OPEN, AJBH=f"AJ2019{n:06d}", XH=n) for n in range(5)]
"""Open records of one person."""
SEALED = [replace(legacy.SEALED, AJBH=f"AJ2018{n:06d}") for n in range(7)]
"""Sealed ones of another, who has an open one too."""
HIDDEN = [*SEALED, legacy.UNMARKED, legacy.SIXTY, legacy.ON_BIRTHDAY]
SEEN = [*MANY, legacy.OPEN, legacy.SEALED_LATER_ADULT, legacy.SIXTY_ONE, legacy.AFTER_BIRTHDAY]
ALL = [SEALED[0], *MANY[:2], *SEALED[1:4], *MANY[2:], *HIDDEN[4:], *SEEN[5:]]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
XML = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '"urn:archive#getRecords"'}


def soap(number: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><x:Envelope xmlns:x="http://schemas.xmlsoap.org/soap/envelope/"><x:Body>'
        f'<getRecords xmlns="urn:archive"><sfzh>{number}</sfzh></getRecords></x:Body></x:Envelope>'
    ).encode()


def form(case: legacy.Case, **more: int) -> bytes:
    text = f"xm={quote(case.XM, encoding='gb18030')}&csrq={case.CSRQ}"
    return (text + "".join(f"&{name}={value}" for name, value in more.items())).encode()


Exchange = tuple[str, str, bytes, dict[str, str]]
RECORDED: dict[str, Exchange] = {
    **{
        f"json {who.AJBH} {query}": ("GET", f"/persons/{who.SFZH}/records{query}", b"", {})
        for who in (legacy.OPEN, legacy.SEALED, legacy.UNMARKED, legacy.SIXTY_ONE)
        for query in ("", "?page=1&size=2", "?page=2&size=2", "?page=4&size=2")
    },
    "json nobody": ("GET", f"/persons/{legacy.NOBODY}/records", b"", {}),
    "json packed": ("GET", f"/persons/{legacy.OPEN.SFZH}/records", b"", {"Accept-Encoding": "gzip"}),
    "gbk": ("GET", f"/crimes?zm={quote('抢劫罪', encoding='gbk')}", b"", {}),
    "gbk nothing": ("GET", f"/crimes?zm={quote('诈骗罪', encoding='gbk')}", b"", {}),
    **{
        f"form {who.AJBH} {more}": ("POST", "/query", form(who, **more), FORM)
        for who in (legacy.OPEN, legacy.SEALED, legacy.SIXTY)
        for more in ({}, {"start": 1, "limit": 2})
    },
    **{
        f"soap {who.AJBH}": ("POST", "/soap", soap(who.SFZH), XML)
        for who in (legacy.OPEN, legacy.SEALED, legacy.UNMARKED, legacy.ON_BIRTHDAY)
    },
    "list": ("GET", f"/feed?id={legacy.SIXTY_ONE.SFZH}", b"", {}),
    "list nothing": ("GET", f"/feed?id={legacy.UNMARKED.SFZH}", b"", {}),
}


def plain(case: legacy.Case) -> dict[str, Any]:
    """A record without what tells of cover marks and joint cases, which nobody here may see (R16b)."""
    return {name: value for name, value in record(case).items() if name not in {"FMBJ", "GTFZ"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def seen(folder) -> Iterator[str]:
    """The service over the records that may be seen: the oracle."""
    with service(folder / "seen", map(plain, SEEN)) as url:
        yield url


@pytest.fixture(scope="module")
def whole(folder) -> Iterator[str]:
    with service(folder / "whole", map(record, ALL)) as url:
        yield url


@pytest.fixture(scope="module")
def keys(folder) -> Path:
    make_keys(folder / "keys")
    return folder / "keys"


@pytest.fixture(scope="module")
def kept(folder, whole, keys) -> Iterator[ArchiveWorld]:
    world = ArchiveWorld(folder / "world", whole, keys=keys)
    yield world
    world.close()


@pytest.fixture
def world(kept) -> ArchiveWorld:
    kept.reset()
    return kept


def header(answer: Response, name: str) -> str:
    return next((value for key, value in answer.headers if key.lower() == name.lower()), "")


def code(answer: Response) -> str:
    return str(orjson.loads(answer.body)["code"])


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_session_is_answered_as_the_service_would_without_what_may_not_be_seen(world, seen, name):
    method, path, body, headers = RECORDED[name]
    expected = bare(seen, method, path, body or None, headers)
    answer = world.call(method, path, body=body, headers=headers)
    if (
        expected.status == 404
    ):  # the service says so where it has nothing; ours is the empty list, whoever is asked about
        assert answer.body.endswith(b'<result><list total="0"/></result>')
        assert answer.status == 200
        return
    assert answer.status == expected.status == 200
    assert answer.body == expected.body
    for each in ("Content-Type", "Content-Length", "Content-Encoding", "X-Total-Count"):
        assert header(answer, each) == header(expected, each)


def test_pages_by_cursor_join_to_what_the_service_lists(world, seen):
    path = f"/crimes?zm={quote('盗窃罪', encoding='gbk')}&limit=3"
    expected, rows, following = bare(seen, "GET", path.replace("=3", "=100")).body, [], ""
    for _ in range(10):
        answer = world.call("GET", path + (f"&from={following}" if following else ""))
        page = orjson.loads(answer.body.decode("gbk"))
        rows += page["rows"]
        following = page["next"]
        if not following:
            break
    assert rows == orjson.loads(expected.decode("gbk"))["rows"]
    assert [entry["page"] for entry in world.entries()] == [1, 2, 3]
    assert len({entry["id"] for entry in world.entries()}) == 1


def test_pages_by_link_join_to_what_the_service_lists(world, seen):
    path, rows = f"/feed?id={legacy.OPEN.SFZH}", []
    for _ in range(10):
        answer = world.call("GET", path)
        rows += orjson.loads(answer.body)
        link = re.fullmatch(r'<(/proxy/archive/feed\?[^>]+)>; rel="next"', header(answer, "Link"))
        if link is None:
            break
        path = link[1].removeprefix(f"/proxy/{ARCHIVE}")
        assert parse_qs(urlsplit(path).query).keys() == {"id", "after"}
    assert len(rows) == 6
    assert header(answer, "X-Total-Count") == "6"


def test_a_cursor_is_good_for_its_own_call_only(world):
    first = world.call("GET", f"/crimes?zm={quote('盗窃罪', encoding='gbk')}&limit=3")
    cursor = orjson.loads(first.body.decode("gbk"))["next"]
    other = world.call("GET", f"/crimes?zm={quote('抢劫罪', encoding='gbk')}&limit=3&from={cursor}")
    assert (other.status, code(other)) == (422, "cursor-invalid")


# --- what may not be told ------------------------------------------------------------------------------------------


def test_worlds_that_differ_in_sealed_records_only_give_the_same_bytes(folder, whole, keys):
    """Status, headers, body, receipt and the entry's size: everything an inquirer or the log's reader gets."""
    rewritten = [replace(case, ZM="故意杀人罪", XM="某某", BZ="另一案".encode("gb18030")) for case in HIDDEN[3:]]
    worlds = {
        "none": SEEN,
        "all": ALL,
        "other": [*rewritten, *SEEN],
        "more": [*ALL, *(replace(c, XH=9) for c in SEALED)],
    }
    found = {}
    try:
        for name, cases in worlds.items():
            write(folder / "whole", map(record, cases))
            world = ArchiveWorld(folder / f"world-{name}", whole, keys=keys)
            answers = [world.call(m, p, body=b, headers=h) for m, p, b, h in RECORDED.values()]
            found[name] = (answers, [(len(orjson.dumps(e)), e["outcome"], e["codes"]) for e in world.entries()])
            world.close()
    finally:
        write(folder / "whole", map(record, ALL))
    assert {answer.status for answer in found["none"][0]} == {200}
    for name in worlds:
        assert found[name] == found["none"], name


def test_what_a_joint_case_drops_is_neither_read_nor_shown_by_the_proxy(folder, whole, keys):
    """R16b, S10: not the cover mark, and not even that a dropped field cannot be read as the catalog says."""
    catalog = archive_catalog(whole).replace(
        "{column: JTZZ, class: address}", "{column: JTZZ, class: address, format: YYYYMMDD}"
    )
    joint = replace(legacy.OPEN, GTFZ="1")
    calls = [
        RECORDED[f"{kind} {legacy.OPEN.AJBH}{more}"] for kind, more in (("json", " "), ("form", " {}"), ("soap", ""))
    ]
    found = []
    try:
        for number, told in enumerate(({"JTZZ": "20200101", "FMBJ": "2"}, {"JTZZ": "同案人住址", "FMBJ": "1"})):
            write(folder / "whole", [record(joint) | told])
            world = ArchiveWorld(folder / f"joint-{number}", whole, catalog=catalog, keys=keys)
            found.append(
                [world.call(method, path, body=body, headers=headers) for method, path, body, headers in calls]
            )
            world.close()
    finally:
        write(folder / "whole", map(record, ALL))
    assert found[0] == found[1]
    assert all(joint.AJBH.encode() in answer.body for answer in found[0])


def test_whoever_gets_three_fields_gets_no_others_from_the_service(world):
    facts = {
        "reason": "招聘教职员工", "basis-instrument": "未成年人保护法", "basis-article": "62", "purpose": "staff_vetting",
        "letter": world.letter(
            [legacy.SIXTY_ONE.SFZH], unit=SCHOOL, databases=[ARCHIVE], purpose="staff_vetting",
            basis={"instrument": "未成年人保护法", "article": "62"},
        ),
    }  # fmt: skip
    answer = world.call("GET", f"/persons/{legacy.SIXTY_ONE.SFZH}/records", facts=facts, token=world.token(unit=SCHOOL))
    assert answer.status == 200
    [shown] = orjson.loads(answer.body)["data"]["list"]
    assert shown.keys() == {"FARQ", "XZDM", "XQ_YUE", "MCBZ", "ZM"}


def test_the_inquirys_id_goes_along_and_credentials_of_the_client_do_not(world, folder):
    answer = world.call("GET", f"/persons/{legacy.OPEN.SFZH}/records")
    assert answer.status == 200
    [entry] = world.entries()
    assert entry["database"] == ARCHIVE
    assert entry["channel"] == "proxy"
    assert legacy.OPEN.SFZH not in str(entry)


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "", 404),
        ("GET", f"/persons/{legacy.OPEN.SFZH}", 404),
        ("DELETE", f"/persons/{legacy.OPEN.SFZH}/records", 405),
        ("PUT", "/soap", 405),
        ("GET", "/soap", 405),
        ("HEAD", f"/persons/{legacy.OPEN.SFZH}/records", 405),
        ("POST", "/persons/../query", 404),
    ],
)
def test_what_is_not_declared_is_refused_and_recorded(world, method, path, status):
    answer = world.call(method, path)
    named = {404: "not-found", 405: "method-not-allowed"}[status]
    assert (answer.status, code(answer)) == (status, named)
    assert [(e["outcome"], e["codes"], e["channel"]) for e in world.entries()] == [("refuse", [named], "proxy")]
    assert (
        world.gateway.runtime.engine.alerts(  # type: ignore[union-attr]
            {"channel": "proxy", "codes": [named], "database": "", "kind": "inquiry", "outcome": "refuse", "scope": ""}
        )[0].type
        == "sealed-records.attempt.undeclared-route.v1"
    )


def test_an_undeclared_route_is_answered_like_any_unknown_path(world):
    elsewhere = world.app.test_client().get("/nothing", headers={"Host": "x"})
    answer = world.call("GET", "/nothing")
    assert (answer.status, answer.body) == (elsewhere.status_code, elsewhere.data)
    assert dict(answer.headers) == dict(elsewhere.headers.items())


def test_an_unknown_database_has_no_routes(world):
    request = Request(
        "proxy", "GET", "/proxy/county/persons", {"authorization": f"Bearer {world.token()}"}, b"", "192.0.2.7"
    )
    assert world.services.proxy.handle(request).status == 404


def test_without_token_both_ways_to_log_in_are_named(world):
    answer = world.call("GET", "/nothing", token=None)
    assert (answer.status, code(answer)) == (401, "token-missing")
    assert [v for k, v in answer.headers if k == "WWW-Authenticate"] == [
        "Bearer", 'Basic realm="inquiry session", charset="UTF-8"',
    ]  # fmt: skip
    assert world.entries() == []


def test_a_refusal_is_a_problem_or_a_soap_fault_of_the_same_code(world):
    facts = {name: value for name, value in FACTS.items() if name != "reason"}
    answer = world.call("GET", f"/persons/{legacy.OPEN.SFZH}/records", facts=facts)
    assert (answer.status, code(answer)) == (403, "reason-missing")
    fault = world.call("POST", "/soap", body=soap(legacy.OPEN.SFZH), headers=XML, facts=facts)
    assert fault.status == 403
    assert b"<faultcode>soap:Server</faultcode>" in fault.body
    assert b">reason-missing</reason>" in fault.body
    assert all(header(each, "Inquiry-Receipt") for each in (answer, fault))


@pytest.mark.parametrize(
    "headers",
    [
        {"Inquiry-Secret": "1"},
        {"Inquiry-Scope": "all"},
        {"Inquiry-Reason": "%FF"},
        {"Inquiry-Reason": "%00"},
        {"Inquiry-Purpose": "x" * 65},
    ],
)
def test_facts_that_cannot_be_read_are_refused(world, headers):
    answer = world.call("GET", f"/persons/{legacy.OPEN.SFZH}/records", headers=headers)
    assert answer.status == 422


def test_nothing_is_released_while_the_ledger_cannot_commit(world, monkeypatch):
    class Broken:
        def commit(self, *_):
            raise LedgerUnavailable("no")

    monkeypatch.setattr(world.gateway, "ports", replace(world.gateway.ports, ledger=Broken()))
    answer = world.call("GET", f"/persons/{legacy.OPEN.SFZH}/records")
    assert (answer.status, code(answer)) == (503, "ledger-unavailable")
    assert legacy.OPEN.ZM.encode() not in answer.body


def test_the_api_asks_the_same_service(world):
    body = {
        "database": ARCHIVE, "subject": {"person_id": legacy.SEALED.SFZH}, "reason": "侦办盗窃案",
        "basis": {"instrument": "刑事诉讼法", "article": "286"}, "purpose": "case_handling",
        "case_number": "示公刑立字〔2026〕15号",
    }  # fmt: skip
    answer = orjson.loads(world.ask(body).body)
    assert (answer["count"], [r["case"] for r in answer["records"]]) == (1, ["AJ2024000001"])
    many = orjson.loads(world.ask(body | {"subject": {"person_id": legacy.OPEN.SFZH}, "page_size": 4}).body)
    assert (many["count"], len(many["records"])) == (6, 4)
    rest = body | {"subject": {"person_id": legacy.OPEN.SFZH}, "page_size": 4, "cursor": many["next_cursor"]}
    assert len(orjson.loads(world.ask(rest).body)["records"]) == 2


# --- sessions ------------------------------------------------------------------------------------------------------


def open_session(world: ArchiveWorld, number: str = legacy.OPEN.SFZH, **more) -> Response:
    body = {
        "database": ARCHIVE, "subject": {"person_id": number}, "reason": FACTS["reason"], "purpose": FACTS["purpose"],
        "basis": {"instrument": FACTS["basis-instrument"], "article": FACTS["basis-article"]},
        "case_number": FACTS["case-number"], **more,
    }  # fmt: skip
    headers = {"authorization": f"Bearer {world.token()}", "content-type": "application/json"}
    return world.services.proxy.open_session(
        Request("proxy", "POST", "/v1/sessions", headers, orjson.dumps(body), "192.0.2.7")
    )


def in_session(world: ArchiveWorld, opened: Response, path: str, *, word: str = "", **headers: str) -> Response:
    found = orjson.loads(opened.body)
    login = b64encode(f"{found['username']}:{word or found['password']}".encode()).decode()
    return world.call("GET", path, headers={"Authorization": f"Basic {login}", **headers}, facts={})


PERSON = f"/persons/{legacy.OPEN.SFZH}/records"


def test_a_session_stands_for_token_and_facts(world):
    opened = open_session(world)
    assert opened.status == 201
    assert in_session(world, opened, PERSON).body == world.call("GET", PERSON).body
    entries = world.entries()
    assert [e["outcome"] for e in entries] == ["allow"] * 3
    assert entries[0]["id"] == entries[1]["id"] == orjson.loads(opened.body)["inquiry_id"]
    assert [e["page"] for e in entries[:2]] == [1, 2]


def test_the_use_of_a_letter_belongs_to_the_session(world):
    letter = world.letter([legacy.OPEN.SFZH], databases=[ARCHIVE])
    opened = open_session(world, letter=letter)
    assert opened.status == 201
    for page in (1, 2, 1):
        assert in_session(world, opened, f"{PERSON}?page={page}&size=3").status == 200
    again = open_session(world, letter=letter)
    assert (again.status, code(again)) == (403, "letter-used")


def test_a_session_is_over_after_a_quarter_of_an_hour(world):
    opened = open_session(world)
    world.clock.set(NOW + timedelta(minutes=15))
    answer = in_session(world, opened, PERSON)
    assert (answer.status, code(answer)) == (401, "session-unknown")


def test_a_session_is_about_one_subject(world):
    opened = open_session(world)
    answer = in_session(world, opened, f"/persons/{legacy.SIXTY_ONE.SFZH}/records")
    assert (answer.status, code(answer)) == (403, "session-mismatch")
    assert world.entries()[-1]["codes"] == ["session-mismatch"]


def test_another_password_another_name_and_no_session_are_not_told_apart(world):
    first, second = open_session(world), open_session(world)
    strange = orjson.loads(second.body)["password"]
    answers = [in_session(world, first, PERSON, word=word) for word in (strange, "x", "A" * 43, strange + "=")]
    answers.append(world.call("GET", PERSON, headers={"Authorization": "Basic !!"}, facts={}))
    answers.append(world.call("GET", PERSON, headers={"Authorization": "Basic " + "A" * 500}, facts={}))
    assert {(answer.status, answer.body) for answer in answers} == {(401, answers[0].body)}
    assert code(answers[0]) == "session-unknown"


def test_facts_cannot_be_changed_within_a_session(world):
    answer = in_session(world, open_session(world), PERSON, **{"Inquiry-Scope": "sealed"})
    assert (answer.status, code(answer)) == (422, "field-unknown")


def test_a_session_of_a_revoked_token_is_over(world, monkeypatch):
    opened = open_session(world)
    monkeypatch.setattr(world.services.proxy.sessions, "_revoked", lambda issuer, token: token.startswith("p1"))
    answer = in_session(world, opened, PERSON)
    assert (answer.status, code(answer)) == (401, "token-revoked")


@pytest.mark.parametrize(
    "more", [{"cursor": "x"}, {"page_size": 5}, {"sort": []}, {"database": "county"}, {"reason": ""}]
)
def test_a_session_that_cannot_be_is_refused_and_recorded(world, more):
    answer = open_session(world, **more)
    assert answer.status in {403, 422}
    assert [entry["outcome"] for entry in world.entries()] == ["refuse"]


def test_what_is_stored_of_a_session_tells_nothing(world):
    opened = orjson.loads(open_session(world).body)
    with world.state.connect() as connection:
        [row] = connection.exec_driver_sql("SELECT * FROM inquiry_sessions WHERE id = ?", (opened["username"],)).all()
    stored = b"".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
    for secret in (opened["password"], legacy.OPEN.SFZH, "p1", FACTS["reason"]):
        assert secret.encode() not in stored
    world.services.proxy.sessions.purge(int(NOW.timestamp()) + 10_000)
    assert in_session(world, Response(201, (), orjson.dumps(opened)), PERSON).status == 401


def test_the_packed_answer_has_the_receipt_of_the_unpacked(world):
    packed = world.call("GET", PERSON, headers={"Accept-Encoding": "gzip"})
    assert header(packed, "Vary") == "Accept-Encoding"
    assert gzip.decompress(packed.body) == world.call("GET", PERSON).body
