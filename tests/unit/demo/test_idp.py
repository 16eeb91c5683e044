"""The development identity provider signs what its published keys verify."""

from __future__ import annotations

import http.client
import json
import stat
import threading
from datetime import UTC, datetime

import jwt
import pytest

from sidecar.clock import FixedClock
from sidecar.demo.idp import Provider, serve
from sidecar.demo.people import ISSUERS, LI, ZHOU

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.fixture
def provider(tmp_path) -> Provider:
    return Provider(tmp_path / "idp", FixedClock(NOW))


def _verified(provider: Provider, token: str, issuer: str) -> dict[str, object]:
    key = jwt.PyJWK(provider.jwks(issuer)["keys"][0])
    options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    return jwt.decode(token, key, ["ES256"], audience="county-demo", issuer=ISSUERS[issuer], options=options)


def test_a_token_is_verified_by_the_published_key(provider: Provider) -> None:
    claims = _verified(provider, provider.token(LI), "organs")
    assert claims["sub"] == LI.number
    assert claims["unit"] == LI.unit.code
    assert claims["exp"] - claims["iat"] == 600


def test_a_prosecutors_token_is_signed_by_the_procuratorates_issuer_alone(provider: Provider) -> None:
    assert _verified(provider, provider.token(ZHOU), "procuratorate")["roles"] == ["prosecutor"]
    with pytest.raises(jwt.InvalidSignatureError):
        _verified(provider, provider.token(ZHOU), "organs")


def test_the_key_set_holds_no_private_part(provider: Provider) -> None:
    assert "d" not in provider.jwks("organs")["keys"][0]


def test_keys_are_private_files_and_outlive_a_restart(provider: Provider, tmp_path) -> None:
    files = list((tmp_path / "idp").glob("*.pem"))
    assert len(files) == len(ISSUERS)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert Provider(tmp_path / "idp", FixedClock(NOW)).jwks("organs") == provider.jwks("organs")


@pytest.fixture
def address(tmp_path, socket_enabled):
    server = serve(tmp_path, FixedClock(NOW))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address
    server.shutdown()
    thread.join()
    server.server_close()


def _ask(address, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection(*address, timeout=5)
    connection.request(method, path, None if body is None else json.dumps(body))
    answer = connection.getresponse()
    result = answer.status, json.loads(answer.read())
    connection.close()
    return result


def test_it_serves_keys_and_tokens(address) -> None:
    status, keys = _ask(address, "GET", "/procuratorate/jwks.json")
    assert (status, len(keys["keys"])) == (200, 1)
    status, answer = _ask(address, "POST", "/token", {"person": "li"})
    assert status == 200
    assert jwt.get_unverified_header(str(answer["access_token"]))["kid"] == "organs-1"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/", None),
        ("GET", "/nobody/jwks.json", None),
        ("POST", "/token", {"person": "nobody"}),
        ("POST", "/token", ["li"]),
        ("POST", "/elsewhere", {"person": "li"}),
    ],
)
def test_anything_else_is_not_found(address, method: str, path: str, body: object) -> None:
    assert _ask(address, method, path, body)[0] == 404


def test_the_address_is_written_where_the_demo_reads_it(address, tmp_path) -> None:
    assert (tmp_path / "idp.url").read_text() == f"http://127.0.0.1:{address[1]}"
