"""Key sets: what is usable, when it is fetched, what a failing issuer does."""

from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import orjson
import pytest
import requests
import responses
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError
from sidecar.identity import keysets
from sidecar.identity.keysets import KeySet, KeySetUnusable, open_key_set, parse_key_set, url_source
from sidecar.keys.jwk import key_set, public_jwk
from sidecar.settings import Issuer, Settings

URL = "https://idp.example/jwks"
ED = Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED_SET = key_set(public_jwk(ED.public_key(), "a"))


def bare(jwk, **more):
    return {**{name: value for name, value in jwk.items() if name not in {"alg", "key_ops"}}, **more}


@pytest.fixture
def clock():
    return FixedClock(datetime(2026, 11, 23, tzinfo=UTC))


def move(clock, seconds):
    clock.set(clock.now() + timedelta(seconds=seconds))


class Source:
    """A source that is told what to give and counts how often it was asked."""

    def __init__(self, data=ED_SET):
        self.data, self.asked = data, 0

    def __call__(self):
        self.asked += 1
        if self.data is None:
            raise KeySetUnusable("down")
        return self.data


# --- reading


def test_keys_of_each_type_are_bound_to_their_algorithms():
    listed = [
        bare(public_jwk(ED.public_key(), "ed")),
        bare(public_jwk(EC.public_key(), "ec")),
        bare(public_jwk(RSA.public_key(), "rsa")),
        bare(public_jwk(RSA.public_key(), "rs"), alg="RS256"),
    ]
    found = parse_key_set(orjson.dumps({"keys": listed}))
    assert {kid: set(key.algorithms) for kid, key in found.items()} == {
        "ed": {"EdDSA"},
        "ec": {"ES256"},
        "rsa": {"PS256", "RS256"},
        "rs": {"RS256"},
    }
    assert found["ec"].key == EC.public_key()


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x"},
        {**ECAlgorithm.to_jwk(EC, as_dict=True), "kid": "x"},
        {**OKPAlgorithm.to_jwk(ED, as_dict=True), "kid": "x"},
        {**RSAAlgorithm.to_jwk(RSA, as_dict=True), "kid": "x"},
        bare(public_jwk(ED.public_key(), "x"), use="enc"),
        bare(public_jwk(ED.public_key(), "x"), alg="HS256"),
        bare(public_jwk(ED.public_key(), "x"), alg=["EdDSA"]),
        bare(public_jwk(ED.public_key(), "x"), kid=""),
        bare(public_jwk(ED.public_key(), "x"), kid=7),
        bare(public_jwk(ED.public_key(), "x"), x=7),
        bare(public_jwk(ED.public_key(), "x"), x="AAAA"),
        bare(public_jwk(EC.public_key(), "x"), y="AAAA"),
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43, "kid": "x"},
        {**ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True), "kid": "x"},
        {**RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True), "kid": "x"},
        {"kty": ["EC"], "kid": "x"},
        "no object",
    ],
)
def test_keys_that_cannot_be_trusted_are_left_out(jwk):
    good = public_jwk(ED.public_key(), "good")
    assert set(parse_key_set(orjson.dumps({"keys": [jwk, good]}))) == {"good"}
    with pytest.raises(KeySetUnusable, match="got none among 1"):
        parse_key_set(orjson.dumps({"keys": [jwk]}))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "JSON object"),
        (b"[]", "JSON object"),
        (b"{}", "JSON object"),
        (b'{"keys":{}}', "a list of at most 100"),
        (orjson.dumps({"keys": [{}] * 101}), "a list of at most 100"),
        (b'{"keys":[]}', "got none among 0"),
        (key_set(public_jwk(ED.public_key(), "a"), public_jwk(EC.public_key(), "a")), "got 'a' twice"),
    ],
)
def test_a_set_that_is_none_is_refused(data, text):
    with pytest.raises(KeySetUnusable, match=text):
        parse_key_set(data)


# --- keeping


def test_a_set_is_fetched_once_and_kept(clock):
    source = Source()
    keys = KeySet(source, clock, max_age=3600, refresh=30)
    assert keys.key("a") is keys.key("a")
    move(clock, 1799)
    assert keys.key("a")
    assert source.asked == 1


def test_unknown_names_fetch_at_most_once_in_the_refresh_time(clock):
    source = Source()
    keys = KeySet(source, clock, max_age=3600, refresh=30)
    for kid in ("x", "y", "z", "a"):
        keys.key(kid)
    assert source.asked == 1
    source.data = key_set(public_jwk(ED.public_key(), "b"))
    move(clock, 29)
    assert keys.key("b") is None
    move(clock, 1)
    assert keys.key("b") is not None
    assert keys.key("a") is None
    assert source.asked == 2


def test_an_old_set_stays_in_use_while_the_issuer_is_down_and_not_beyond_its_age(clock):
    source = Source()
    keys = KeySet(source, clock, max_age=3600, refresh=30)
    assert keys.key("a")
    source.data = None
    move(clock, 3599)
    assert keys.key("a")
    move(clock, 1)
    assert keys.key("a") is None
    source.data = ED_SET
    move(clock, 30)
    assert keys.key("a")


def test_a_bad_set_does_not_replace_a_good_one(clock):
    source = Source()
    keys = KeySet(source, clock, max_age=3600, refresh=30)
    good = keys.key("a")
    source.data = b"{}"
    move(clock, 1800)
    assert keys.key("a") is good
    assert source.asked == 2


def test_while_one_thread_fetches_the_others_use_what_is_there(clock):
    keys = KeySet(Source(), clock, max_age=3600, refresh=30)
    good = keys.key("a")
    move(clock, 1800)
    with keys._lock:
        assert keys.key("a") is good


def test_a_thread_that_needs_the_set_waits_for_the_one_that_fetches(clock):
    fetching, go, found = Event(), Event(), []

    def slow():
        asked.append(1)
        fetching.set()
        assert go.wait(10)
        return ED_SET

    asked = []
    keys = KeySet(slow, clock, max_age=3600, refresh=30)
    threads = [Thread(target=lambda: found.append(keys.key("a"))) for _ in range(2)]
    threads[0].start()
    assert fetching.wait(10)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(asked) == 1
    assert len(found) == 2
    assert None not in found


def test_a_set_that_was_fetched_while_waiting_is_not_fetched_again(clock):
    source = Source()
    keys = KeySet(source, clock, max_age=3600, refresh=30)
    keys.key("a")

    class Held:
        """A lock that looks held and is free when asked for."""

        def locked(self):
            return True

        def acquire(self, *, blocking):
            return blocking

        def release(self):
            pass

    keys._lock = Held()
    assert keys.key("unknown") is None
    assert source.asked == 1


# --- places


@responses.activate
def test_a_set_comes_from_its_url(clock):
    responses.get(URL, body=ED_SET)
    assert url_source(URL, clock)() == ED_SET


@responses.activate
def test_a_redirect_is_not_followed(clock):
    responses.get(URL, status=302, headers={"Location": "https://evil.example/jwks"})
    evil = responses.get("https://evil.example/jwks", body=ED_SET)
    with pytest.raises(KeySetUnusable, match="expected status 200, got 302"):
        url_source(URL, clock)()
    assert evil.call_count == 0


@responses.activate
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"status": 500}, "expected status 200, got 500"),
        ({"body": b"x" * (keysets.MAX_SET_BYTES + 1)}, "at most 262144 bytes"),
        ({"body": requests.ConnectionError("secret detail")}, "cannot be fetched .ConnectionError.$"),
        ({"body": requests.Timeout()}, "cannot be fetched .Timeout."),
    ],
)
def test_a_failing_issuer_is_unusable(clock, answer, text):
    responses.get(URL, **answer)
    with pytest.raises(KeySetUnusable, match=text):
        url_source(URL, clock)()


@responses.activate
def test_an_answer_that_drips_is_cut_off(clock, monkeypatch):
    responses.get(URL, body=ED_SET)
    times = iter([0.0, keysets.FETCH_TOTAL_SECONDS + 1])
    monkeypatch.setattr(clock, "monotonic", lambda: next(times))
    with pytest.raises(KeySetUnusable, match="within 6"):
        url_source(URL, clock)()


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/jwks",
        "http://127.0.0.1.evil.example/jwks",
        "https://user@idp.example/jwks",
        "file:///etc/passwd",
        "ftp://idp.example",
        "https:///jwks",
        "jwks",
    ],
)
def test_other_places_are_refused(clock, url):
    with pytest.raises(ConfigurationError, match="expected https://"):
        url_source(url, clock)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8/j", "http://[::1]:8/j", "http://localhost/j", URL])
def test_this_machine_may_be_asked_in_clear(clock, url):
    assert url_source(url, clock)


def test_clear_text_to_others_needs_the_setting(clock):
    assert url_source("http://idp.example/jwks", clock, insecure=True)


def test_a_set_comes_from_its_file(clock, tmp_path):
    (tmp_path / "issuer.jwks").write_bytes(ED_SET)
    settings = Settings(base=tmp_path)
    keys = open_key_set(Issuer(issuer="i", jwks_file="issuer.jwks", roles=[]), settings, clock)
    assert keys.key("a").key == ED.public_key()


def test_a_missing_or_large_file_gives_no_key(clock, tmp_path):
    settings = Settings(base=tmp_path)
    keys = open_key_set(Issuer(issuer="i", jwks_file="issuer.jwks", roles=[], refresh_seconds=1), settings, clock)
    assert keys.key("a") is None
    (tmp_path / "issuer.jwks").write_bytes(ED_SET + b" " * keysets.MAX_SET_BYTES)
    move(clock, 1)
    assert keys.key("a") is None
    (tmp_path / "issuer.jwks").write_bytes(ED_SET)
    move(clock, 1)
    assert keys.key("a") is not None


@responses.activate
def test_a_configured_authority_vouches_for_the_server(clock, tmp_path):
    answer = responses.get(
        URL,
        body=ED_SET,
        match=[
            responses.matchers.request_kwargs_matcher(
                {"verify": str(tmp_path / "ca.pem"), "stream": True, "timeout": 3.0}
            )
        ],
    )
    issuer = Issuer(issuer="i", jwks_url=URL, ca_file="ca.pem", roles=[])
    assert open_key_set(issuer, Settings(base=tmp_path), clock).key("a")
    assert answer.call_count == 1


@pytest.mark.parametrize("places", [{}, {"jwks_file": "a", "jwks_url": URL}])
def test_an_issuer_has_exactly_one_place(clock, places):
    with pytest.raises(ConfigurationError, match="exactly one"):
        open_key_set(Issuer(issuer="i", roles=[], **places), Settings(), clock)
