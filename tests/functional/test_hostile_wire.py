"""The corpus of hostile requests against real processes: none gets more than its due, none is echoed, none leaves its connection out of step.

Every case is sent over a raw socket with a good request behind it (RFC 9112 §11.2). The ledger is read once at the end:
it holds each attempt that a token vouched for, and nothing that was smuggled.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from sidecar.demo.legacy import OPEN, SEALED
from sidecar.demo.people import SUN
from sidecar.demo.world import World, ready, wait_for
from tests.support.deployment import ANSWER_SECONDS, Books, deployment
from tests.support.hostile import (
    GOOD,
    PLANTED,
    Case,
    Heard,
    body_bytes,
    corpus,
    exchange,
    post_request,
    wire_request,
)

pytestmark = pytest.mark.functional

WIRE = corpus("wire")
BODIES = corpus("bodies")
Claims = dict[str, Any]
Forge = Callable[["Forger"], str]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with deployment("sqlite", "wasm", SIDECAR_LOGGING__LEVEL="debug") as running:
        yield running


def record_attempts(world: World) -> None:
    """SIGHUP: the workers start anew, and record the attempts that they counted."""
    before = world.running().get("gateway")
    world.reload()
    wait_for("the reload", lambda: world.running().get("gateway") not in {None, before} and ready(world))


@pytest.fixture(scope="module")
def books(world: World) -> Iterator[Books]:
    """The ledger, read up to where the corpus begins."""
    record_attempts(world)
    found = Books(world)
    found.news()
    yield found
    found.state.dispose()


# --- tokens (RFC 8725) -----------------------------------------------------------------------------------------------


def encoded(value: bytes | Mapping[str, Any]) -> str:
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Forger:
    """Makes tokens out of a good one's claims, with the issuer's own key where the attack is not on the signature."""

    def __init__(self, world: World) -> None:
        self.good = world.token(SUN)
        self.claims: Claims = jwt.decode(self.good, options={"verify_signature": False})
        pem = (world.folder / "idp" / "organs.pem").read_bytes()
        key = load_pem_private_key(pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.key = key
        self.public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def signed(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token with the issuer's true signature."""
        content = {name: value for name, value in (self.claims | claims).items() if value is not None}
        return jwt.encode(content, self.key, "ES256", headers={"kid": "organs-1", **(header or {})})

    def by_hmac(self, secret: bytes, **header: Any) -> str:
        """A token whose signature is an HMAC over a secret that everybody knows."""
        text = encoded({"alg": "HS256", "kid": "organs-1", **header}) + "." + encoded(self.claims)
        return text + "." + encoded(hmac.new(secret, text.encode(), hashlib.sha256).digest())

    def unsigned(self, algorithm: str) -> str:
        """A token without signature."""
        return encoded({"alg": algorithm, "kid": "organs-1"}) + "." + encoded(self.claims) + "."

    def with_signature(self, signature: bytes) -> str:
        """The good token with another signature."""
        return self.good.rpartition(".")[0] + "." + encoded(signature)

    def own_key(self) -> dict[str, str]:
        """The attacker's public key, as he would like it to be used."""
        numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
        x, y = (encoded(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "organs-1"}

    def later(self, seconds: int) -> Claims:
        """Times moved."""
        return {name: self.claims[name] + seconds for name in ("iat", "nbf", "exp")}


def header(**members: Any) -> Forge:
    return lambda forger: forger.signed(members)


def claim(**members: Any) -> Forge:
    return lambda forger: forger.signed(**members)


TOKENS: dict[str, tuple[Forge, str]] = {
    "alg none": (lambda f: f.unsigned("none"), "token-algorithm"),
    "alg nOnE": (lambda f: f.unsigned("nOnE"), "token-algorithm"),
    "alg empty": (lambda f: f.unsigned(""), "token-algorithm"),
    "HS256 with the public key": (lambda f: f.by_hmac(f.public), "token-algorithm"),
    "HS256 with an empty key": (lambda f: f.by_hmac(b""), "token-algorithm"),
    "HS256 and kid /dev/null": (lambda f: f.by_hmac(b"", kid="../../../../dev/null"), "token-algorithm"),
    "no signature": (lambda f: f.with_signature(b""), "token-signature"),
    "signature of zeros (CVE-2022-21449)": (lambda f: f.with_signature(bytes(64)), "token-signature"),
    "signature of another form": (lambda f: f.with_signature(b"\x30\x06\x02\x01\x01\x02\x01\x01"), "token-signature"),
    "kid as a path": (header(kid="../../idp/organs.pem"), "token-key-unknown"),
    "kid as SQL": (header(kid="organs-1' UNION SELECT 'zq7planted"), "token-key-unknown"),
    "kid as an address": (header(kid="http://169.254.169.254/zq7planted"), "token-key-unknown"),
    "jku": (header(jku="http://127.0.0.1:1/zq7planted"), "token-malformed"),
    "x5u": (header(x5u="file:///etc/passwd"), "token-malformed"),
    "x5c": (header(x5c=["zq7planted"]), "token-malformed"),
    "jwk": (lambda f: f.signed({"jwk": f.own_key()}), "token-malformed"),
    "crit": (header(crit=["zq7planted"], zq7planted=True), "token-malformed"),
    "b64": (lambda f: encoded({"alg": "ES256", "kid": "organs-1", "b64": True}) + f.good[f.good.index(".") :], "token-malformed"),
    "zip": (header(zip="DEF"), "token-malformed"),
    "a letter's typ": (header(typ="unit-letter+jws"), "token-malformed"),
    "a receipt's typ": (header(typ="receipt+jwt"), "token-malformed"),
    "a logout token's typ": (header(typ="logout+jwt"), "token-malformed"),
    "nested": (lambda f: f.signed({"cty": "JWT"}, iss=f.good), "token-issuer"),
    "encrypted form": (lambda f: ".".join([encoded({"alg": "dir", "enc": "A256GCM"}), "", "AA", "AA", "AA"]), "token-malformed"),
    "JSON form": (lambda f: orjson.dumps({"payload": "zq7planted", "signatures": []}).decode(), "token-malformed"),
    "of another issuer": (claim(iss="https://zq7planted.example"), "token-issuer"),
    "issuer with a slash more": (lambda f: f.signed(iss=f.claims["iss"] + "/"), "token-issuer"),
    "issuer in a list": (lambda f: _raw_claims(f, iss=[f.claims["iss"]]), "token-issuer"),
    "for another audience": (claim(aud="zq7planted"), "token-audience"),
    "audience in other letters": (lambda f: f.signed(aud=str(f.claims["aud"]).upper()), "token-audience"),
    "expired": (lambda f: f.signed(**f.later(-3600)), "token-expired"),
    "not begun": (lambda f: f.signed(**f.later(3600)), "token-not-yet-valid"),
    "too long a life": (lambda f: f.signed(exp=f.claims["iat"] + 86_400), "token-lifetime"),
    "no expiry": (claim(exp=None), "token-claims"),
    "expiry as text": (lambda f: _raw_claims(f, exp="9999999999"), "token-claims"),
    "expiry beyond numbers": (lambda f: _raw_claims(f, exp=1e300), "token-claims"),
    "subject as an object": (lambda f: _raw_claims(f, sub={"zq7planted": 1}), "token-claims"),
    "subject with a right-to-left mark": (claim(sub="\u202e103033"), "token-claims"),
    "subject with the separator": (claim(sub="a|zq7planted"), "token-claims"),
    "role of the prosecutor": (claim(roles=["prosecutor"]), "token-role-issuer"),
    "role in full-width letters": (claim(roles=["ｏｆｆｉｃｅｒ"]), "token-role-issuer"),
    "huge": (claim(zq7planted="x" * 9000), "token-malformed"),
    "deep": (lambda f: encoded(b"[" * 3000) + "." + encoded(f.claims) + ".AA", "token-malformed"),
    "padding": (lambda f: f.good + "==", "token-malformed"),
    "other base64": (lambda f: "+/" + f.good[2:], "token-malformed"),
}  # fmt: skip


def _raw_claims(forger: Forger, **claims: Any) -> str:
    """Signed truly, with claims that a library for JWTs would not write."""
    return jwt.PyJWS().encode(
        orjson.dumps(forger.claims | claims), forger.key, "ES256", headers={"kid": "organs-1", "typ": "JWT"}
    )


# --- all are sent once, then looked at -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heard(world: World, books: Books) -> dict[str, Heard]:
    """Every answer of the corpus, by kind and name."""
    assert books.pending() == 0
    forger = Forger(world)
    token = forger.good
    found = {f"wire: {case.name}": exchange(world, wire_request(case, token)) for case in WIRE}
    found |= {f"body: {case.name}": exchange(world, post_request(token, body_bytes(case))) for case in BODIES}
    good = orjson.dumps(GOOD)
    for name, (forge, _) in TOKENS.items():
        found[f"token: {name}"] = exchange(world, post_request(forge(forger), good))
    return found


@pytest.fixture(scope="module")
def entries(world: World, books: Books, heard: dict[str, Heard]) -> list[Mapping[str, Any]]:
    """What the ledger holds of all that."""
    assert heard
    record_attempts(world)
    return list(books.news().entries)


def nothing_planted(answer: bytes) -> None:
    assert PLANTED not in answer.lower()
    for case in (OPEN, SEALED):
        for value in (case.XM, case.ZM, case.JTZZ, case.AJBH, case.SFZH):
            assert value.encode() not in answer


def as_told(found: Heard, status: int, code: str | None, *, closes: bool = False) -> None:
    first = found.first
    assert (first.status, first.json().get("code") if status >= 400 else None) == (status, code)
    if closes:
        assert len(found.answers) == 1, "more than one answer on a connection that had to end"
    else:
        assert len(found.answers) == 2
        assert (found.answers[1].status, "databases" in found.answers[1].json()) == (200, True)
    if status >= 400:
        assert not {"records", "count"} & first.json().keys()
        nothing_planted(found.raw)
    assert PLANTED not in found.raw.lower()


@pytest.mark.parametrize("case", WIRE, ids=lambda case: case.name)
def test_a_hostile_request_gets_its_answer_and_the_connection_stays_in_step(
    heard: dict[str, Heard], case: Case
) -> None:
    found = heard[f"wire: {case.name}"]
    as_told(found, *case.expected, closes=case.told.get("closes", False))
    assert ("inquiry_id" in found.first.json()) == case.told.get("recorded", False)


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.name)
def test_a_hostile_body_gets_its_answer_and_no_echo(heard: dict[str, Heard], case: Case) -> None:
    found = heard[f"body: {case.name}"]
    as_told(found, *case.expected)
    assert found.first.json().get("count") == case.told.get("count")
    assert "inquiry_id" in found.first.json()


@pytest.mark.parametrize("name", TOKENS)
def test_a_forged_token_is_turned_away(heard: dict[str, Heard], name: str) -> None:
    found = heard[f"token: {name}"]
    as_told(found, 401, TOKENS[name][1])
    assert found.first.headers["www-authenticate"] == "Bearer"


def test_the_ledger_has_every_attempt_and_nothing_that_was_smuggled(
    heard: dict[str, Heard], entries: list[Mapping[str, Any]]
) -> None:
    answered = {a.json()["inquiry_id"]: a for f in heard.values() for a in f.answers if "inquiry_id" in a.json()}
    inquiries = {entry["id"]: entry for entry in entries if entry["kind"] == "inquiry"}
    assert inquiries.keys() == answered.keys()
    for identifier, answer in answered.items():
        entry = inquiries[identifier]
        told = [] if answer.status == 200 else [reason["code"] for reason in answer.json()["reasons"]]
        assert (entry["outcome"], sorted(entry["codes"])) == ("allow" if answer.status == 200 else "refuse", told)


def test_every_request_without_a_good_token_is_counted(
    heard: dict[str, Heard], entries: list[Mapping[str, Any]]
) -> None:
    turned_away = [a.json()["code"] for found in heard.values() for a in found.answers if a.status == 401]
    attempts = [entry for entry in entries if entry["kind"] == "attempts"]
    assert sum(int(entry["extra"]["count"]) for entry in attempts) == len(turned_away)
    assert {code for entry in attempts for code in entry["codes"]} == set(turned_away)


def test_nothing_that_was_sent_is_in_a_log_or_an_entry(world: World, entries: list[Mapping[str, Any]]) -> None:
    assert entries
    log = world.log.read_bytes()
    assert log
    for value in (PLANTED, OPEN.SFZH.encode(), b"169.254", b"internal-error", b"Traceback"):
        assert value not in log.lower()
        assert value not in orjson.dumps(entries).lower()


# --- bodies that never come ------------------------------------------------------------------------------------------

STALLED = ("/v1/inquiries", "/v1/sessions", "/v1/applications", "/v1/letters", "/proxy/county/persons")


@pytest.mark.parametrize("path", STALLED)
def test_whoever_has_no_token_holds_no_thread_by_a_body_that_never_comes(world, path):
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    with contextlib.ExitStack() as open_wires:
        wires = [
            open_wires.enter_context(socket.create_connection(("127.0.0.1", world.port), ANSWER_SECONDS))
            for _ in range(16)
        ]
        for wire in wires:
            wire.sendall(head.encode())
        assert all(wire.recv(65536).startswith(b"HTTP/1.1 401 ") for wire in wires)
        assert exchange(world, post_request(world.token(SUN), orjson.dumps(GOOD))).first.status == 200
