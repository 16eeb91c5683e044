"""The proxy in front of a service of SOAP 1.2, chunked GB18030, digest log-in and client certificates; joint cases (R16b)."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import HTTPDigestAuth

from sidecar.clock import SystemClock
from sidecar.demo import legacy
from sidecar.demo.archive_catalog import archive_catalog
from sidecar.errors import DatabaseUnavailable
from sidecar.gateway.types import Response
from sidecar.records.calls import Outgoing
from sidecar.records.connectors.upstream import Reply, Upstream
from sidecar.records.routes import HttpSource
from tests.support.archive import ArchiveWorld, record
from tests.support.services import PASSWORD, SOAP12, SPACE, TYPE, USER, XSI, Court, court, make_certificates, query
from tests.support.world import make_keys

pytestmark = pytest.mark.functional

MANY = [replace(legacy.OPEN, AJBH=f"AJ2019{n:06d}", XH=n) for n in range(3)]
JOINT = replace(legacy.OPEN, AJBH="AJ2019000009", GTFZ="1", BZ="同案犯何某某未满十八周岁。".encode("gb18030"))
COVERED = replace(JOINT, AJBH="AJ2019000010", GTFZ="0", FMBJ="1")
SEEN = [*MANY, legacy.SIXTY_ONE]
ALL = [legacy.SEALED, MANY[0], legacy.UNMARKED, *MANY[1:], legacy.SIXTY, legacy.SIXTY_ONE]
TELLING = {"FMBJ", "GTFZ"}
SECRET = "库表T_AJXX无法读取"

ROUTES = f"""\
routes:
- name: find
  method: POST
  path: /v2
  parameters:
  - {{in: xml, name: "/e:Envelope/e:Body/c:find/c:who", is: person_id}}
  request:
    content_type: '{TYPE}'
    namespaces: {{e: "{SOAP12}", c: "{SPACE}"}}
    template: '<e:Envelope xmlns:e="{SOAP12}"><e:Header/><e:Body><c:find xmlns:c="{SPACE}"><c:who/></c:find></e:Body></e:Envelope>'
  answer:
    format: soap12
    content_type: application/soap+xml; charset=utf-8
    namespaces: {{e: "{SOAP12}", c: "{SPACE}"}}
    template: '<e:Envelope xmlns:e="{SOAP12}" xmlns:xsi="{XSI}"><e:Body><c:found xmlns:c="{SPACE}" total="0"><c:cases/></c:found></e:Body></e:Envelope>'
    records: /e:Envelope/e:Body/c:found/c:cases
    record: c:case
    total: /e:Envelope/e:Body/c:found/@total
    hidden: HIDDEN
- name: list
  method: GET
  path: /list
  charset: gb18030
  parameters: [{{in: query, name: who, is: person_id}}]
  answer:
    format: json
    content_type: application/json; charset=GB18030
    template: '{{"n":0,"rows":[]}}'
    records: $.rows
    total: $.n
    gzip: true
    hidden: HIDDEN
"""


def plain(case: legacy.Case) -> dict[str, Any]:
    """A record without what tells of cover marks and joint cases."""
    return {name: value for name, value in record(case).items() if name not in TELLING}


def catalog(url: str, login: str = "", *, hidden: str = "omit") -> str:
    head, _, _ = archive_catalog(url).partition("routes:")
    lines = [line if not line.startswith("connector:") else _connector(url, login) for line in head.splitlines()]
    return "\n".join(lines).replace("filterable: [crime]", "") + "\n" + ROUTES.replace("HIDDEN", hidden)


def _connector(url: str, login: str) -> str:
    return f"connector: {{kind: http, base_url: '{url}'{', ' + login if login else ''}}}"


DIGEST = f"login: {{kind: digest, username: {USER}, password_file: archive.pw}}"


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("services") / "keys"
    make_keys(folder)
    return folder


def address(service: Court, scheme: str = "http") -> str:
    return f"{scheme}://localhost:{service.server_address[1]}/court"


@pytest.fixture(scope="module")
def oracle() -> Iterator[Court]:
    """The service over what may be seen."""
    with court([plain(case) for case in SEEN]) as found:
        yield found


@pytest.fixture(scope="module")
def service() -> Iterator[Court]:
    with court([]) as found:
        yield found


@pytest.fixture
def whole(service) -> Iterator[Court]:
    service.records = [record(case) for case in ALL]
    yield service
    service.broken = ""


@pytest.fixture(scope="module")
def kept(service, tmp_path_factory, keys) -> Iterator[ArchiveWorld]:
    world = opened(tmp_path_factory.mktemp("world"), catalog(address(service), DIGEST), keys)
    yield world
    world.close()


@pytest.fixture
def world(kept, whole) -> ArchiveWorld:
    kept.reset()
    return kept


def opened(folder: Path, text: str, keys: Path) -> ArchiveWorld:
    world = ArchiveWorld(folder, "", catalog=text, keys=keys, password=PASSWORD)
    assert world.gateway.runtime.databases["archive"].fault is None  # type: ignore[union-attr]
    return world


PEOPLE = [legacy.OPEN, legacy.SEALED, legacy.UNMARKED, legacy.SIXTY, legacy.SIXTY_ONE]
RECORDED: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
    **{f"soap 1.2 {who.AJBH}": ("POST", "/v2", query(who.SFZH), {"Content-Type": TYPE}) for who in PEOPLE},
    **{f"chunked {who.AJBH}": ("GET", f"/list?who={who.SFZH}", b"", {}) for who in PEOPLE},
    "packed": ("GET", f"/list?who={legacy.OPEN.SFZH}", b"", {"Accept-Encoding": "gzip"}),
}


def bare(service: Court, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(
            method, address(service) + path, data=body, headers={"Accept-Encoding": "identity", **headers},
            auth=HTTPDigestAuth(USER, PASSWORD), timeout=20,
        )  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_session_is_answered_as_the_service_would_without_what_may_not_be_seen(world, oracle, name):
    method, path, body, headers = RECORDED[name]
    expected = bare(oracle, method, path, body, headers)
    answer = world.call(method, path, body=body, headers=headers)
    found = dict(answer.headers)
    assert (answer.status, found["Content-Type"]) == (expected.status_code, expected.headers["Content-Type"])
    assert found.get("Content-Encoding") == expected.headers.get("Content-Encoding")
    assert unpacked(answer) == expected.content


def unpacked(answer: Response) -> bytes:
    if dict(answer.headers).get("Content-Encoding") == "gzip":
        return gzip.decompress(answer.body)
    return answer.body


def test_a_fault_is_rewritten_and_tells_nothing(world, whole):
    whole.broken = SECRET
    answer = world.call("POST", "/v2", body=query(legacy.OPEN.SFZH), headers={"Content-Type": TYPE})
    assert answer.status == 502
    assert SECRET.encode() not in answer.body
    assert b"<soap:Value>soap:Receiver</soap:Value>" in answer.body
    assert dict(answer.headers)["Content-Type"] == "application/soap+xml; charset=utf-8"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_what_writes_does_not_reach_the_service(world, method):
    assert world.call(method, "/v2", body=query(legacy.OPEN.SFZH), headers={"Content-Type": TYPE}).status == 405


# --- log-in ----------------------------------------------------------------------------------------------------------


def asked(service: Court, folder: Path, scheme: str = "http", **more: Any) -> Reply:
    """One call of the connector's, with these keys of the catalog's ``connector``."""
    source = HttpSource.model_validate({"kind": "http", "base_url": address(service, scheme), **more})
    upstream = Upstream(source, folder, SystemClock())
    try:
        return upstream.call(Outgoing("GET", "list", "who=1", {}, None), "id", time.monotonic() + 20)
    finally:
        upstream.close()


@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 200), ("other", 401)])
def test_a_service_gets_our_digest(service, tmp_path, password, status):
    (tmp_path / "pw").write_text(password, encoding="utf-8")
    login = {"kind": "digest", "username": USER, "password_file": "pw"}
    assert asked(service, tmp_path, login=login).status == status


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> tuple[Path, ssl.SSLContext]:
    folder = tmp_path_factory.mktemp("tls")
    return folder, make_certificates(folder, dt.datetime.now(dt.UTC))


def test_a_service_gets_our_certificate(certificates):
    folder, context = certificates
    tls = {"ca_file": "ca.pem", "certificate_file": "client.pem", "key_file": "client.key"}
    with court([], digest=False, tls=context) as service:
        assert asked(service, folder, "https", tls=tls).status == 200
    assert service.certificates == ["client"]


@pytest.mark.parametrize(
    "tls",
    [
        {"ca_file": "ca.pem", "certificate_file": "stranger.pem", "key_file": "stranger.key"},
        {"ca_file": "ca.pem"},
        {"certificate_file": "client.pem", "key_file": "client.key"},
    ],
)
def test_a_strange_certificate_on_either_side_ends_the_call(certificates, tls):
    folder, context = certificates
    with (
        court([], digest=False, tls=context) as service,
        pytest.raises(DatabaseUnavailable, match="cannot be asked"),
    ):
        asked(service, folder, "https", tls=tls)
    assert service.certificates == []


# --- joint cases and cover marks (R16b) ------------------------------------------------------------------------------


def shown(world: ArchiveWorld, who: str = JOINT.SFZH) -> list[dict[str, Any]]:
    answer = world.call("GET", f"/list?who={who}")
    assert answer.status == 200
    found = json.loads(answer.body.decode("gb18030"))
    assert found["n"] == len(found["rows"])
    return list(found["rows"])


@pytest.mark.parametrize("hidden", ["omit", "blank"])
def test_a_cover_mark_shows_nowhere_in_an_answer(tmp_path, keys, whole, hidden):
    """A record with the mark, a separated and a joint case: their answers differ in nothing, in both forms."""
    world = opened(tmp_path, catalog(address(whole), DIGEST, hidden=hidden), keys)
    answers = []
    for case in (JOINT, replace(COVERED, AJBH=JOINT.AJBH), replace(JOINT, FMBJ="1"), replace(JOINT, BZ=None)):
        whole.records = [record(case)]
        soap = world.call("POST", "/v2", body=query(case.SFZH), headers={"Content-Type": TYPE})
        answers.append((world.call("GET", f"/list?who={case.SFZH}").body, soap.status, soap.body))
    world.close()
    assert len(set(answers)) == 1
    assert answers[0][1] == 200
    assert (b"<c:BZ/>" in answers[0][2]) is (hidden == "blank")


def test_the_marks_are_not_shown_of_any_record(world, whole):
    whole.records = [record(case) for case in (*MANY, JOINT, COVERED)]
    rows = shown(world)
    assert len(rows) == 5
    assert all(not TELLING & row.keys() for row in rows)
    assert ["BZ" in row for row in rows] == [True, True, True, False, False]


@pytest.mark.parametrize("change", [{"BZ": {"x": 1}}, {"BZ": ["a"]}, {"BZ": None}, None])
def test_a_fault_in_what_a_joint_case_drops_shows_nowhere(world, whole, change):
    """A story that nobody gets to see must not decide whether there is a record."""
    broken = {k: v for k, v in record(JOINT).items() if k != "BZ"} | (change or {})
    other = {k: v for k, v in record(MANY[1]).items() if k != "BZ"} | (change or {})
    whole.records = [record(MANY[0]), broken, other]
    rows = shown(world)
    kept = [MANY[0].AJBH, JOINT.AJBH, *([MANY[1].AJBH] if change == {"BZ": None} else [])]
    assert [row["AJBH"] for row in rows] == kept
    assert "BZ" not in rows[1]
