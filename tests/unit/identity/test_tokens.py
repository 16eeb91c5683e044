"""Officers' tokens: what passes, every way in which one does not (RFC 8725), and what the cache may not hide."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sidecar.clock import FixedClock
from sidecar.codes import Code
from sidecar.errors import ConfigurationError, LedgerUnavailable, TokenRejected
from sidecar.identity.keysets import KeySet
from sidecar.identity.tokens import MAX_TOKEN_BYTES, TokenVerifier, TrustedIssuer, token_verifier
from sidecar.identity.types import Officer, WorkCertificate
from sidecar.keys.jwk import key_set, public_jwk
from sidecar.settings import Identity, Settings

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ISSUER = "https://idp.example"
OTHER = "https://procuratorate.example"
UNIT = "91350100M000100Y43"
KEYS = {
    "ed": Ed25519PrivateKey.generate(),
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
}
FOREIGN = Ed25519PrivateKey.generate()
ALGORITHMS = {"ed": "EdDSA", "ec": "ES256", "rsa": "PS256"}


def jwk_without_alg(kid, key):
    return {name: value for name, value in public_jwk(key.public_key(), kid).items() if name != "alg"}


SET = key_set(*(jwk_without_alg(kid, key) for kid, key in KEYS.items()))


def claims(**changes):
    now = int(NOW.timestamp())
    full = {
        "iss": ISSUER,
        "sub": "330101",
        "aud": "county",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "jti": "t-1",
        "unit": UNIT,
        "work_certificate": {"number": "GZ-1", "status": "valid", "expires": "2026-12-31"},
        "roles": ["officer"],
    } | changes
    return {name: value for name, value in full.items() if value is not ...}


def token(kid="ed", key=None, algorithm=None, headers=None, **changes):
    header = {"kid": kid, **(headers or {})}
    return jwt.encode(claims(**changes), key or KEYS[kid], algorithm or ALGORITHMS[kid], headers=header)


class World:
    """A verifier of two issuers with everything that a test may want to turn."""

    def __init__(self, **more):
        self.clock = FixedClock(NOW)
        self.sets = {ISSUER: SET, OTHER: SET}
        self.revoked = set()
        options = {"algorithms": ["ES256", "EdDSA", "PS256", "RS256"], "cache_size": 10} | more
        claims_of = options.pop("claims", {})
        self.verifier = TokenVerifier(
            issuers=[
                TrustedIssuer(ISSUER, self.keys(ISSUER), frozenset({"officer", "approver"}), claims_of),
                TrustedIssuer(OTHER, self.keys(OTHER), frozenset({"prosecutor"}), {}),
            ],
            audience="county",
            max_lifetime=600,
            leeway=5,
            revoked=lambda issuer, jti: (issuer, jti) in self.revoked,
            **options,
        )

    def keys(self, name):
        return KeySet(lambda: self.sets[name], self.clock, max_age=3600, refresh=30)

    def verify(self, text, seconds=0):
        return self.verifier.verify(text, NOW + timedelta(seconds=seconds))


@pytest.fixture(scope="module")
def world():
    return World()


def refused(world, text, code, seconds=0):
    with pytest.raises(TokenRejected) as caught:
        world.verify(text, seconds)
    assert caught.value.code == code, caught.value
    assert caught.value.status == 401
    for part in (*text.split("."), "330101", "t-1", "GZ-1"):
        assert len(part) < 3 or part not in f"{caught.value} {caught.value.__cause__!r}"


@pytest.mark.parametrize("kid", KEYS)
def test_a_good_token_gives_the_officer(world, kid):
    assert world.verify(token(kid)) == Officer(
        issuer=ISSUER,
        subject="330101",
        unit=UNIT,
        certificate=WorkCertificate("GZ-1", "valid"),
        roles=frozenset({"officer"}),
        token_id="t-1",
        expires=int(NOW.timestamp()) + 600,
    )


def test_rs256_is_accepted_where_the_key_leaves_it_open(world):
    assert world.verify(token("rsa", algorithm="RS256"))


# --- 1 form


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "é.é.é",
        "\ud800",
        "e30.e30.",
        "W10.W10.AA",
        "bnVsbA.e30.AA",
        "e30=.e30=.AA",
    ],
)
def test_step_1_what_is_no_jws_is_malformed_or_without_algorithm(world, text):
    with pytest.raises(TokenRejected) as caught:
        world.verify(text)
    assert caught.value.code in {Code.TOKEN_MALFORMED, Code.TOKEN_ALGORITHM}


def test_step_1_a_token_has_one_spelling(world):
    good = token()
    assert world.verify(good)
    head, body, signature = good.split(".")
    for text in (good + "==", f"{head}=.{body}.{signature}", f"{head}.{body}.{signature}\n", f"{head}.{body}.+/"):
        refused(world, text, Code.TOKEN_MALFORMED)


def test_step_1_a_huge_token_is_not_parsed(world):
    refused(world, "a" * (MAX_TOKEN_BYTES + 1), Code.TOKEN_MALFORMED)
    refused(world, token(sub="x" * MAX_TOKEN_BYTES), Code.TOKEN_MALFORMED)


@pytest.mark.parametrize("kind", ["unit-letter+jws", "receipt+jwt", "application/receipt+jwt", "JOSE", "x", 7, None])
def test_step_1_a_letter_or_receipt_is_no_token(world, kind):
    refused(world, raw({"alg": "EdDSA", "kid": "ed", "typ": kind}, claims()), Code.TOKEN_MALFORMED)


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_step_1_the_types_of_tokens_are_accepted(world, kind):
    assert world.verify(token(headers={"typ": kind}))


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MII"]},
        {"jwk": public_jwk(FOREIGN.public_key())},
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
    ],
)
def test_step_1_headers_that_bring_keys_or_extensions_are_refused(world, header):
    for key in (KEYS["ed"], FOREIGN):
        text = raw({"alg": "EdDSA", "kid": "ed", **header}, claims(), key)
        refused(world, text, Code.TOKEN_MALFORMED)


def raw(header, payload, key=None):
    """A token signed over any header, as an attacker with a key would make it."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload)]
    signed = b".".join(parts)
    signature = (key or KEYS["ed"]).sign(signed)
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


# --- 2 to 5 algorithm, issuer, key, signature


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "ES384", "RS1", "", None, 7, ["EdDSA"]])
def test_step_2_other_algorithms_are_refused(world, algorithm):
    refused(world, raw({"alg": algorithm, "kid": "ed"}, claims()), Code.TOKEN_ALGORITHM)
    unsigned = raw({"alg": algorithm, "kid": "ed"}, claims()).rpartition(".")[0] + "."
    refused(world, unsigned, Code.TOKEN_ALGORITHM)


@pytest.mark.parametrize("kid", KEYS)
def test_step_2_a_public_key_is_no_hmac_secret(world, kid):
    public = KEYS[kid].public_key()
    for secret in (
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        orjson.dumps(public_jwk(public, kid)),
    ):
        parts = [
            base64.urlsafe_b64encode(orjson.dumps(p)).rstrip(b"=") for p in ({"alg": "HS256", "kid": kid}, claims())
        ]
        mac = hmac.digest(secret, b".".join(parts), hashlib.sha256)
        text = b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()
        refused(world, text, Code.TOKEN_ALGORITHM)


def test_step_2_the_list_can_be_shorter():
    world = World(algorithms=["ES256"])
    assert world.verify(token("ec"))
    refused(world, token("ed"), Code.TOKEN_ALGORITHM)


@pytest.mark.parametrize("issuer", ["https://evil.example", ISSUER + "/", ISSUER.upper(), "", 7, [ISSUER], ...])
def test_step_3_only_the_exact_issuer_is_trusted(world, issuer):
    header = {"alg": "EdDSA", "kid": "ed"}
    refused(world, raw(header, claims(iss=issuer)), Code.TOKEN_ISSUER)


@pytest.mark.parametrize("kid", ["other", "", None, 7, ["ed"], "../ed"])
def test_step_4_a_key_must_be_in_the_issuers_set(world, kid):
    refused(world, raw({"alg": "EdDSA", "kid": kid}, claims()), Code.TOKEN_KEY_UNKNOWN)


def test_step_4_a_key_of_another_issuer_is_unknown():
    world = World()
    world.sets[OTHER] = key_set(public_jwk(FOREIGN.public_key(), "foreign"))
    header = {"alg": "EdDSA", "kid": "foreign"}
    refused(world, raw(header, claims(), FOREIGN), Code.TOKEN_KEY_UNKNOWN)


@pytest.mark.parametrize(("kid", "algorithm"), [("ec", "EdDSA"), ("ed", "ES256"), ("rsa", "ES256"), ("ec", "RS256")])
def test_step_4_an_algorithm_is_bound_to_its_kind_of_key(world, kid, algorithm):
    refused(world, raw({"alg": algorithm, "kid": kid}, claims()), Code.TOKEN_ALGORITHM)


def test_step_5_a_signature_of_another_key_is_refused(world):
    refused(world, token(key=FOREIGN), Code.TOKEN_SIGNATURE)


@given(data=st.data())
def test_step_5_a_changed_token_is_refused(world, data):
    good = token()
    place = data.draw(st.integers(0, len(good) - 2))  # the last character has unused bits
    changed = good[:place] + data.draw(st.sampled_from("AZaz09-_.")) + good[place + 1 :]
    if changed == good:
        return
    with pytest.raises(TokenRejected):
        world.verify(changed)


def test_step_5_a_missing_signature_is_refused(world):
    refused(world, token().rpartition(".")[0] + ".", Code.TOKEN_SIGNATURE)


def test_step_5_a_signature_that_is_no_base64_is_refused(world):
    refused(world, token().rpartition(".")[0] + ".!", Code.TOKEN_MALFORMED)


# --- 6 to 8 claims


@pytest.mark.parametrize("audience", ["city", "", ["city"], [], {"county": 1}, 7])
def test_step_6_a_token_for_another_deployment_is_refused(world, audience):
    refused(world, raw({"alg": "EdDSA", "kid": "ed"}, claims(aud=audience)), Code.TOKEN_AUDIENCE)


def test_step_6_one_of_several_audiences_suffices(world):
    assert world.verify(token(aud=["city", "county"]))


@pytest.mark.parametrize("name", ["sub", "aud", "exp", "iat", "nbf", "jti"])
@pytest.mark.parametrize("value", [..., None])
def test_required_claims_are_required(world, name, value):
    refused(world, raw({"alg": "EdDSA", "kid": "ed"}, claims(**{name: value})), Code.TOKEN_CLAIMS)


def test_step_7_times_have_their_leeway_and_no_more(world):
    text = token()
    assert world.verify(text, 604)
    assert world.verify(text, -5)
    refused(world, text, Code.TOKEN_EXPIRED, 605)
    refused(world, text, Code.TOKEN_NOT_YET_VALID, -6)
    now = int(NOW.timestamp())
    refused(world, token(nbf=now + 6), Code.TOKEN_NOT_YET_VALID)
    refused(world, token(iat=now + 6), Code.TOKEN_NOT_YET_VALID)


@pytest.mark.parametrize("lifetime", [601, 3600, 10**9])
def test_step_7_a_long_life_is_refused(world, lifetime):
    refused(world, token(exp=int(NOW.timestamp()) + lifetime), Code.TOKEN_LIFETIME)


def test_step_7_a_life_that_ends_before_it_begins_is_refused(world):
    now = int(NOW.timestamp())
    refused(world, token(exp=now, iat=now + 2), Code.TOKEN_LIFETIME)


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["1", True, -1, 1e300, [], {}])
def test_step_7_times_are_numbers(world, name, value):
    refused(world, raw({"alg": "EdDSA", "kid": "ed"}, claims(**{name: value})), Code.TOKEN_CLAIMS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sub", ""),
        ("sub", " x"),
        ("sub", 7),
        ("sub", "a|b"),
        ("sub", "a\nb"),
        ("sub", "a\u202eb"),
        ("sub", "x" * 129),
        ("jti", ""),
        ("jti", "x" * 256),
        ("jti", []),
        ("unit", "91350100M000100Y44"),
        ("unit", ""),
        ("unit", None),
        ("unit", 7),
        ("unit", ...),
        ("roles", "officer"),
        ("roles", [7]),
        ("roles", None),
        ("roles", ...),
        ("work_certificate", {"number": 7, "status": "valid", "expires": "2026-12-31"}),
        ("work_certificate", {"number": "GZ-1", "status": "fine", "expires": "2026-12-31"}),
        ("work_certificate", {"number": "GZ-1", "status": "valid", "expires": "2026-02-30"}),
        ("work_certificate", {"number": "GZ-1", "status": "valid"}),
    ],
)
def test_step_8_malformed_claims_are_refused(world, name, value):
    refused(world, token(**{name: value}), Code.TOKEN_CLAIMS)


def test_step_8_the_unit_is_normalised(world):
    assert world.verify(token(unit=UNIT.lower())).unit == UNIT


# --- 9 roles


@pytest.mark.parametrize("roles", [["prosecutor"], ["officer", "prosecutor"], ["root"], ["Officer"]])
def test_step_9_a_role_that_the_issuer_may_not_grant_is_refused(world, roles):
    refused(world, token(roles=roles), Code.TOKEN_ROLE_ISSUER)


def test_step_9_each_issuer_grants_its_own_roles(world):
    assert world.verify(token(iss=OTHER, roles=["prosecutor"])).roles == {"prosecutor"}
    refused(world, token(iss=OTHER, roles=["officer"]), Code.TOKEN_ROLE_ISSUER)
    assert world.verify(token(roles=[])).roles == frozenset()


# --- 10 work certificate


@pytest.mark.parametrize(
    ("certificate", "state"),
    [
        ({"number": "GZ-1", "status": "valid", "expires": "2026-11-23"}, "valid"),
        ({"number": "GZ-1", "status": "valid", "expires": "20261123"}, "valid"),
        ({"number": "GZ-1", "status": "valid", "expires": "2026-11-22"}, "expired"),
        ({"number": "GZ-1", "status": "expired", "expires": "2026-12-31"}, "expired"),
        ({"number": "GZ-1", "status": "suspended", "expires": "2026-11-22"}, "suspended"),
        ({"number": "GZ-1", "status": "revoked", "expires": "2026-12-31"}, "revoked"),
        ({"number": " ", "status": "valid", "expires": "2026-12-31"}, "missing"),
        ({"number": "GZ-1", "status": "", "expires": "2026-12-31"}, "missing"),
        ({}, "missing"),
        (None, "missing"),
        ("GZ-1", "missing"),
        (..., "missing"),
    ],
)
def test_step_10_the_certificates_state_is_told(world, certificate, state):
    assert world.verify(token(work_certificate=certificate)).certificate.state == state


def test_step_10_r3_a_certificate_ends_at_midnight_in_beijing():
    world = World()
    midnight = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
    start = int(midnight.timestamp()) - 100
    text = token(
        iat=start,
        nbf=start,
        exp=start + 600,
        work_certificate={"number": "1", "status": "valid", "expires": "2026-11-23"},
    )
    assert world.verifier.verify(text, midnight - timedelta(seconds=1)).certificate.state == "valid"
    assert world.verifier.verify(text, midnight).certificate.state == "expired"


# --- mapping


@pytest.mark.parametrize(
    ("mapping", "changes"),
    [
        ({"unit": "org.uscc"}, {"unit": ..., "org": {"uscc": UNIT}}),
        ({"unit": "https://x.example/unit"}, {"unit": ..., "https://x.example/unit": UNIT}),
        ({"roles": "realm.roles"}, {"roles": ..., "realm": {"roles": ["officer"]}}),
        (
            {"work_certificate": "card"},
            {"work_certificate": ..., "card": {"number": "GZ-1", "status": "valid", "expires": "2026-12-31"}},
        ),
        (
            {"work_certificate.number": "card_no", "work_certificate.status": "c.s", "work_certificate.expires": "c.e"},
            {"work_certificate": ..., "card_no": "GZ-1", "c": {"s": "valid", "e": "2026-12-31"}},
        ),
    ],
)
def test_claims_are_found_where_the_issuer_has_them(mapping, changes):
    assert World(claims=mapping).verify(token(**changes)) == World().verify(token())


# --- 11 revocation, cache


def test_step_11_a_token_taken_back_is_refused_at_once_also_from_the_cache():
    world = World()
    text = token()
    assert world.verify(text)
    world.revoked.add((ISSUER, "t-1"))
    refused(world, text, Code.TOKEN_REVOKED)
    assert world.verify(token(iss=OTHER, roles=["prosecutor"]))


def test_step_11_without_the_registry_nothing_passes():
    def down(_issuer, _jti):
        raise LedgerUnavailable("down")

    world = World()
    world.verifier._revoked = down
    with pytest.raises(LedgerUnavailable):
        world.verify(token())


def test_a_token_is_verified_once_and_its_end_is_kept(monkeypatch):
    world, calls = World(), []
    inner = world.verifier._verify
    monkeypatch.setattr(world.verifier, "_verify", lambda *args: (calls.append(1), inner(*args))[1])
    text = token()
    assert world.verify(text) is world.verify(text, 604)
    assert len(calls) == 1
    refused(world, text, Code.TOKEN_EXPIRED, 605)
    assert world.verifier._cache == {}


def test_a_rejected_token_is_not_kept(world):
    before = len(world.verifier._cache)
    refused(world, token(aud="city"), Code.TOKEN_AUDIENCE)
    assert len(world.verifier._cache) == before


def test_a_key_that_left_the_set_ends_cached_tokens():
    world = World()
    text = token()
    assert world.verify(text)
    world.sets[ISSUER] = key_set(public_jwk(KEYS["ec"].public_key(), "ec"))
    world.clock.set(NOW + timedelta(seconds=1800))
    refused(world, text, Code.TOKEN_KEY_UNKNOWN)


def test_a_refreshed_set_with_the_same_key_verifies_anew():
    world = World()
    text = token()
    assert world.verify(text)
    world.clock.set(NOW + timedelta(seconds=1800))
    assert world.verify(text)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_the_cache_is_bounded_and_can_be_off(size):
    world = World(cache_size=size)
    for number in range(5):
        assert world.verify(token(jti=str(number))).token_id == str(number)
    assert len(world.verifier._cache) == size
    assert world.verifier.verify(token(jti="0"), NOW).token_id == "0"


# --- settings


def test_the_verifier_is_made_from_settings(tmp_path):
    (tmp_path / "a.jwks").write_bytes(SET)
    issuer = {"issuer": ISSUER, "jwks_file": "a.jwks", "roles": ["officer"]}
    settings = Settings(base=tmp_path, deployment={"id": "county"}, identity=Identity(issuers=[issuer]))
    verifier = token_verifier(settings, FixedClock(NOW), lambda *_: False)
    assert verifier.verify(token(), NOW).subject == "330101"
    doubled = Settings(base=tmp_path, identity=Identity(issuers=[issuer, issuer]))
    with pytest.raises(ConfigurationError, match="every issuer once"):
        token_verifier(doubled, FixedClock(NOW), lambda *_: False)
