"""Bad input through HTTP: each gets its status and code, its ledger entry, its alert where one is due, and no record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.demo.exchange import Answer
from sidecar.demo.legacy import OPEN, SEALED
from sidecar.demo.people import LI, SCHOOL, WANG, Person
from sidecar.demo.story import CASE, POLICE_CASE, VETTING
from sidecar.demo.world import World, ready, wait_for
from tests.support.deployment import Books, letter, post, question, send

pytestmark = pytest.mark.functional

Body = dict[str, Any]

NEVER_REGISTERED = "91350100M000100Y43"
"""The well-formed code of GB 32100's own example."""


@pytest.fixture(scope="module")
def world(postgresql_world: World) -> World:
    return postgresql_world


@pytest.fixture(scope="module")
def ledger(world: World) -> Iterator[Books]:
    found = Books(world)
    yield found
    found.state.dispose()


@pytest.fixture
def books(ledger: Books) -> Books:
    """The ledger and the feed, read up to now."""
    ledger.news()
    return ledger


def nothing_released(answer: Answer) -> None:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert not {"records", "count", "next_cursor"} & body.keys()
    for case in (OPEN, SEALED):
        for value in (case.XM, case.ZM, case.JTZZ, case.AJBH, case.SFZH):
            assert value.encode() not in answer.raw


def attempt(code: str) -> str:
    return f"sealed-records.attempt.{code}.v1"


# --- papers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Papers:
    """A question with faulty papers.

    Attributes:
        change: what is stated otherwise than in a good question.
        codes: of the answer and the entry.
        alerts: types of the events.
    """

    change: Callable[[World], Body]
    codes: tuple[str, ...]
    alerts: tuple[str, ...] = ()
    person: Person = WANG
    status: int = 403


def with_letter(subject: str = OPEN.SFZH, **claims: Any) -> Callable[[World], Body]:
    return lambda world: {"letter": letter(world, WANG, subject, VETTING, **claims)}


def good(**more: Any) -> Callable[[World], Body]:
    """A good letter, with other faults beside it."""
    return lambda world: {"letter": letter(world, WANG, OPEN.SFZH, VETTING), **more}


def torn(world: World) -> Body:
    whole = letter(world, WANG, OPEN.SFZH, VETTING)
    head, claims, signature = whole.split(".")
    return {"letter": f"{head}.{claims}.{signature[:-8]}AAAAAAAA"}


PAPERS = {
    "no letter": Papers(lambda _: {}, ("letter-missing",)),
    "blank letter": Papers(lambda _: {"letter": "   "}, ("letter-missing",)),
    "no reason": Papers(good(reason=None), ("reason-missing",)),
    "blank reason": Papers(good(reason=" \n "), ("reason-missing",)),
    "no basis": Papers(
        good(basis=None), ("basis-missing", "letter-basis-mismatch"), (attempt("letter-basis-mismatch"),)
    ),
    "no purpose": Papers(
        good(purpose=None), ("letter-purpose-mismatch", "purpose-missing"), (attempt("letter-purpose-mismatch"),)
    ),
    "no papers at all": Papers(
        lambda _: {"reason": None, "basis": None, "purpose": None},
        ("basis-missing", "purpose-missing", "reason-missing"),
    ),
    "letter of an unknown key": Papers(
        with_letter(key=Ed25519PrivateKey.generate(), kid="nobody"), ("letter-forged",), (attempt("letter-forged"),)
    ),
    "letter signed by another": Papers(
        with_letter(key=Ed25519PrivateKey.generate()), ("letter-forged",), (attempt("letter-forged"),)
    ),
    "letter with a torn signature": Papers(torn, ("letter-forged",), (attempt("letter-forged"),)),
    "letter that is none": Papers(lambda _: {"letter": "a.b.c"}, ("letter-malformed",)),
    "letter of another unit": Papers(
        lambda world: {"letter": letter(world, LI, OPEN.SFZH, VETTING, officer=WANG.number)},
        ("letter-unit-mismatch",),
        (attempt("letter-unit-mismatch"),),
    ),
    "letter for another deployment": Papers(
        with_letter(aud="elsewhere"), ("letter-audience-mismatch",), (attempt("letter-audience-mismatch"),)
    ),
    "letter for another officer": Papers(
        with_letter(officer=LI.number), ("letter-officer-mismatch",), (attempt("letter-officer-mismatch"),)
    ),
    "letter for another person": Papers(
        with_letter(SEALED.SFZH), ("letter-subject-mismatch",), (attempt("letter-subject-mismatch"),)
    ),
    "letter for another database": Papers(
        with_letter(databases=["elsewhere"]), ("letter-database-mismatch",), (attempt("letter-database-mismatch"),)
    ),
    "letter for another scope": Papers(
        lambda world: {
            "scope": "sealed",
            "case_number": POLICE_CASE,
            "letter": letter(world, LI, OPEN.SFZH, CASE, scope="open"),
        },
        ("application-missing", "letter-scope-mismatch", "undertaking-missing"),
        (attempt("letter-scope-mismatch"),),
        person=LI,
    ),
    "expired letter": Papers(with_letter(nbf=1_700_000_000, exp=1_700_003_600), ("letter-expired",)),
    "letter of tomorrow": Papers(with_letter(nbf=4_000_000_000, exp=4_000_003_600), ("letter-not-yet-valid",)),
    "unknown database": Papers(
        lambda world: {
            "database": "nowhere",
            "letter": letter(world, WANG, OPEN.SFZH, VETTING, databases=["nowhere"]),
        },
        ("database-unknown",),
    ),
    "no case number": Papers(lambda _: {}, ("case-number-missing",), person=LI),
    "no application": Papers(
        lambda world: {
            "scope": "sealed",
            "case_number": POLICE_CASE,
            "letter": letter(world, LI, OPEN.SFZH, CASE, scope="sealed"),
        },
        ("application-missing", "undertaking-missing"),
        person=LI,
    ),
}


@pytest.mark.parametrize("name", PAPERS)
def test_faulty_papers_are_refused_recorded_and_alerted(world: World, books: Books, name: str) -> None:
    told = PAPERS[name]
    purpose = CASE if told.person is LI else VETTING
    answer = post(world, world.token(told.person), question(OPEN.SFZH, purpose, **told.change(world)))
    assert (answer.status, sorted(r["code"] for r in answer.json()["reasons"])) == (told.status, sorted(told.codes))
    nothing_released(answer)
    news = books.news()
    assert [(o, sorted(codes)) for o, codes in news.outcomes()] == [("refuse", sorted(told.codes))]
    assert news.entries[0]["id"] == answer.json()["inquiry_id"]
    assert sorted(news.alerts()) == sorted(told.alerts)


def test_the_answer_names_every_paper_that_is_missing(world: World, books: Books) -> None:
    answer = post(world, world.token(WANG), question(OPEN.SFZH, VETTING, reason="", basis=None, purpose=""))
    assert sorted(answer.json()["missing"]) == ["basis", "purpose", "reason"]


def test_a_replayed_letter_is_refused_recorded_and_alerted(world: World, books: Books) -> None:
    body = question(OPEN.SFZH, VETTING, letter=letter(world, WANG, OPEN.SFZH, VETTING))
    token = world.token(WANG)
    first = post(world, token, body)
    assert (first.status, first.json()["count"]) == (200, 1)
    again = post(world, token, body)
    assert (again.status, again.json()["code"]) == (403, "letter-used")
    nothing_released(again)
    news = books.news()
    assert news.outcomes() == [("allow", []), ("refuse", ["letter-used"])]
    assert news.entries[0]["letter"] == news.entries[1]["letter"] != ""
    assert [event["data"]["codes"] for event in news.events] == [["letter-used"]]


def test_a_letter_signed_anew_under_its_number_is_the_same_letter(world: World, books: Books) -> None:
    token = world.token(WANG)
    number = {"number": "示例函〔2026〕9001号"}
    answers = [
        post(
            world,
            token,
            question(OPEN.SFZH, VETTING, letter=letter(world, WANG, OPEN.SFZH, VETTING, exp=exp, **number)),
        )
        for exp in (4_000_000_000, 4_000_000_001)
    ]
    assert [a.status for a in answers] == [200, 403]
    assert len(books.news().events) == 1


# --- tokens ----------------------------------------------------------------------------------------------------------


def claims_of(token: str) -> Body:
    read: Body = jwt.decode(token, options={"verify_signature": False})
    return read


def signed_by(world: World, claims: Body, issuer: str = "organs") -> str:
    key = (world.folder / "idp" / f"{issuer}.pem").read_bytes()
    return jwt.encode(claims, key, "ES256", headers={"kid": f"{issuer}-1"})


def test_bad_tokens_are_turned_away_counted_and_alerted(world: World, books: Books) -> None:
    """One source and minute make one entry and at most one alert, however many tokens are tried (R18)."""
    token = world.token(WANG)
    claims = claims_of(token)
    stranger = ec.generate_private_key(ec.SECP256R1())
    tokens = {
        "token-missing": None,
        "token-malformed": "not.a.token",
        "token-signature": jwt.encode(claims, stranger, "ES256", headers={"kid": "organs-1"}),
        "token-key-unknown": jwt.encode(claims, stranger, "ES256", headers={"kid": "nobody"}),
        "token-algorithm": jwt.encode(claims, "0" * 32, "HS256", headers={"kid": "organs-1"}),
        "token-expired": signed_by(world, claims | {"nbf": claims["nbf"] - 3600, "iat": claims["iat"] - 3600, "exp": claims["exp"] - 3600}),
        "token-not-yet-valid": signed_by(world, claims | {k: claims[k] + 3600 for k in ("nbf", "exp", "iat")}),
        "token-lifetime": signed_by(world, claims | {"exp": claims["iat"] + 601}),
        "token-audience": signed_by(world, claims | {"aud": "elsewhere"}),
        "token-issuer": signed_by(world, claims | {"iss": "https://idp.elsewhere.invalid"}),
        "token-claims": signed_by(world, {k: v for k, v in claims.items() if k != "unit"}),
        "token-role-issuer": signed_by(world, claims | {"roles": ["prosecutor"]}),
    }  # fmt: skip
    body = question(OPEN.SFZH, VETTING, letter=letter(world, WANG, OPEN.SFZH, VETTING))
    for code, bad in tokens.items():
        answer = post(world, bad, body)
        assert (answer.status, answer.json()["code"]) == (401, code)
        assert answer.headers["www-authenticate"] == "Bearer"
        nothing_released(answer)
    finish_minute(world)
    news = books.news()
    assert news.outcomes() == []  # not one inquiry
    attempts = [entry for entry in news.entries if entry["kind"] == "attempts"]
    assert {code for entry in attempts for code in entry["codes"]} == set(tokens)
    assert sum(int(entry["extra"]["count"]) for entry in attempts) == len(tokens)
    assert all("127.0.0.1" not in orjson.dumps(entry).decode() for entry in attempts)
    assert 1 <= len(news.events) <= len(attempts)
    assert post(world, token, body).status == 200  # nothing of all that counted a use


def finish_minute(world: World) -> None:
    """SIGHUP: the workers start anew, and record the attempts that they counted."""
    before = world.running().get("gateway")
    world.reload()
    wait_for("the reload", lambda: world.running().get("gateway") not in {None, before} and ready(world))


def test_a_token_without_the_role_is_refused_recorded_and_alerted(world: World, books: Books) -> None:
    for path in ("/oversight/v1/events", "/policy/v1/revisions"):
        answer = send(world, "GET", path, world.token(WANG))
        assert (answer.status, answer.json()["code"]) == (403, "role-missing")
        news = books.news()
        assert news.outcomes("system") == [("refuse", ["role-missing"])]
        assert news.alerts() == [attempt("role-missing")]


def test_a_unit_that_no_registry_has_is_refused(world: World, books: Books) -> None:
    token = signed_by(world, claims_of(world.token(WANG)) | {"unit": NEVER_REGISTERED})
    answer = post(world, token, question(OPEN.SFZH, VETTING, letter=letter(world, WANG, OPEN.SFZH, VETTING)))
    assert answer.status == 403
    assert "unit-unknown" in {reason["code"] for reason in answer.json()["reasons"]}
    nothing_released(answer)
    assert books.news().outcomes()[0][0] == "refuse"


# --- bodies ----------------------------------------------------------------------------------------------------------

SECRET = "不该留下的话"  # what a broken body says must stay nowhere


def raw(**more: Any) -> bytes:
    return orjson.dumps(question(OPEN.SFZH, VETTING, **more))


BODIES: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, "body-invalid"),
    "no JSON": (b"{" + SECRET.encode(), 400, "body-invalid"),
    "no object": (b"[]", 400, "body-invalid"),
    "not UTF-8": (raw(reason=SECRET).replace(SECRET.encode(), SECRET.encode("gb18030")), 400, "body-invalid"),
    "lone surrogate": (raw(reason="@").replace(b'"@"', b'"\\ud800"'), 400, "body-invalid"),
    "duplicate name": (raw()[:-1] + b',"reason":"x"}', 400, "body-invalid"),
    "duplicate name, escaped": (raw()[:-1] + b',"re\\u0061son":"x"}', 400, "body-invalid"),
    "NaN": (raw()[:-1] + b',"page_size":NaN}', 400, "body-invalid"),
    "Infinity": (raw()[:-1] + b',"page_size":-Infinity}', 400, "body-invalid"),
    "depth": (raw()[:-1] + b',"sort":' + b"[" * 9 + b"]" * 9 + b"}", 400, "body-invalid"),
    "much depth": (b"[" * 30_000 + b"]" * 30_000, 400, "body-invalid"),
    "unknown member": (raw(colour=SECRET), 422, "field-unknown"),
    "unknown member below": (raw(basis={"instrument": "x", "article": "1", "x": SECRET}), 422, "body-invalid"),
    "wrong type": (raw(reason=[SECRET]), 422, "body-invalid"),
    "control character": (raw(purpose=f"{SECRET}\x07"), 422, "body-invalid"),
    "float": (raw(page_size=1.0), 422, "body-invalid"),
    "boolean": (raw(page_size=True), 422, "body-invalid"),
    "huge integer": (raw()[:-1] + b',"page_size":' + b"9" * 400 + b"}", 400, "body-invalid"),
    "no subject": (raw(subject=None), 422, "body-invalid"),
    "subject and filter": (raw(filter=[{"field": "crime", "operator": "eq", "value": "x"}]), 422, "body-invalid"),
    "number with a wrong check": (raw(subject={"person_id": OPEN.SFZH[:-1] + "0"}), 422, "identifier-invalid"),
    "no day": (raw(subject={"name": "何大伟", "birth_date": "1985-02-30"}), 422, "body-invalid"),
    "forged cursor": (raw(cursor="A" * 200), 422, "cursor-invalid"),
    "too long a text": (raw(reason="长" * 2001), 422, "body-invalid"),
    "too large": (raw(reason="x" * 70_000), 413, "body-too-large"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_bad_body_is_refused_before_any_decision_and_recorded_without_its_content(
    world: World, books: Books, name: str
) -> None:
    body, status, code = BODIES[name]
    answer = post(world, world.token(WANG), body)
    assert (answer.status, answer.json()["code"]) == (status, code)
    nothing_released(answer)
    assert SECRET.encode() not in answer.raw
    news = books.news()
    assert news.outcomes() == [("refuse", [code])]
    assert news.events == ()
    assert SECRET not in orjson.dumps(news.entries[0]).decode()
    assert not news.entries[0]["basis"], "a policy was asked"


def test_the_body_is_json_by_its_content_type_and_the_query_is_empty(world: World, books: Books) -> None:
    token = world.token(WANG)
    answer = post(world, token, raw(), content_type="text/plain")
    assert (answer.status, answer.json()["code"]) == (415, "body-invalid")
    answer = send(world, "POST", "/v1/inquiries?scope=sealed", token, raw())
    assert (answer.status, answer.json()["code"]) == (422, "field-unknown")
    assert books.news().outcomes() == [("refuse", ["body-invalid"]), ("refuse", ["field-unknown"])]


def test_a_bad_idempotency_key_is_refused(world: World, books: Books) -> None:
    answer = post(world, world.token(WANG), raw(), idempotency_key="k" * 129)
    assert (answer.status, answer.json()["code"]) == (422, "body-invalid")
    assert books.news().outcomes() == [("refuse", ["body-invalid"])]


def test_an_idempotency_key_for_another_question_is_refused(world: World, books: Books) -> None:
    token = world.token(WANG)
    first = raw(letter=letter(world, WANG, OPEN.SFZH, VETTING))
    assert post(world, token, first, idempotency_key="one").status == 200
    assert post(world, token, first, idempotency_key="one").status == 200  # the same use
    other = post(world, token, raw(letter=letter(world, WANG, OPEN.SFZH, VETTING)), idempotency_key="one")
    assert (other.status, other.json()["code"]) == (422, "idempotency-mismatch")
    nothing_released(other)
    assert [outcome for outcome, _ in books.news().outcomes()] == ["allow", "allow", "refuse"]


def test_unknown_routes_and_methods_are_problems(world: World, books: Books) -> None:
    for method, path, status, code in (
        ("GET", "/v1/records", 404, "not-found"),
        ("GET", "/v1/inquiries/../keys", 404, "not-found"),
        ("POST", "/v1//inquiries", 404, "not-found"),
        ("GET", "/v1/inquiries", 405, "method-not-allowed"),
        ("TRACE", "/v1/inquiries", 405, "method-not-allowed"),
    ):
        answer = send(world, method, path, world.token(WANG))
        assert (answer.status, answer.json()["code"]) == (status, code), path
        nothing_released(answer)
    assert books.news().outcomes() == []


def test_a_search_by_a_school_is_refused_and_alerted(world: World, books: Books) -> None:
    body = question(OPEN.SFZH, VETTING, subject=None, filter=[{"field": "crime", "operator": "eq", "value": OPEN.ZM}])
    answer = post(world, world.token(WANG), body)
    assert answer.status == 403
    assert "search-not-allowed" in {reason["code"] for reason in answer.json()["reasons"]}
    news = books.news()
    assert news.entries[0]["unit"] == SCHOOL.code
    assert attempt("bulk-inquiry") in news.alerts()
