"""A service that fails, lies or attacks: one answer for each kind of fault, nothing of it told, no page stopped by a record."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from sidecar.demo import legacy
from sidecar.demo.archive_catalog import archive_catalog
from sidecar.errors import DatabaseClosed
from tests.support.archive import ArchiveWorld, record
from tests.support.world import make_keys

pytestmark = pytest.mark.functional

SECRET = "凡可告人者皆不在此"
"""Stands in every fault of the service; it must stand nowhere else."""

PERSON = f"/persons/{legacy.OPEN.SFZH}/records"


@dataclass
class Script:
    """What the service answers, and what it was asked."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: threading.Event | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


class Scripted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    script: Script

    def _answer(self) -> None:
        script = self.server.script  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        script.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        self.send_response(script.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(script.body)), **script.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if script.hang is not None:
            self.wfile.write(script.body[:-1])
            self.wfile.flush()
            script.hang.wait(20)
            self.close_connection = True
            return
        self.wfile.write(script.body)

    do_GET = do_POST = _answer  # noqa: N815  # http.server's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as found:
        found.daemon_threads = True
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def kept(server, tmp_path_factory) -> Iterator[ArchiveWorld]:
    folder = tmp_path_factory.mktemp("faults")
    make_keys(folder / "keys")
    url = f"http://127.0.0.1:{server.server_address[1]}/da"
    limits = {"timeout_ms": 300, "deadline_ms": 1000, "max_bytes": 20_000, "max_rows": 5, "max_depth": 8}
    found = ArchiveWorld(folder / "world", url, catalog=archive_catalog(url, **limits), keys=folder / "keys")
    yield found
    found.close()


@pytest.fixture
def script(server) -> Iterator[Script]:
    server.script = Script()
    yield server.script
    if server.script.hang is not None:
        server.script.hang.set()


@pytest.fixture
def world(kept) -> ArchiveWorld:
    kept.reset()
    return kept


def listed(*records: Any, total: int | None = None, **more: Any) -> bytes:
    data = {"total": len(records) if total is None else total, "pages": 1, "page": 1, "size": 20, "list": list(records)}
    return json.dumps({"code": 0, "msg": SECRET, "data": data} | more, ensure_ascii=False).encode()


OPEN = record(legacy.OPEN)
SEEN = {name: value for name, value in OPEN.items() if name not in {"FMBJ", "GTFZ"}}
"""The same as it is shown (R16b)."""
BAD_XML = "<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><r>&e;</r>"

FAULTS: dict[str, tuple[Script, int]] = {
    "status 500": (Script(500, SECRET.encode()), 502),
    "status 404, not declared as empty": (Script(404, SECRET.encode()), 502),
    "login refused": (Script(401, SECRET.encode(), {"WWW-Authenticate": "Basic"}), 502),
    "redirect": (Script(302, b"", {"Location": "http://127.0.0.1:1/elsewhere"}), 502),
    "not JSON": (Script(200, f"<html>{SECRET}".encode()), 502),
    "XML for JSON": (Script(200, BAD_XML.encode()), 502),
    "no success": (Script(200, listed(OPEN, code=7)), 502),
    "no list": (Script(200, b'{"code":0,"data":{"total":0}}'), 502),
    "no total": (Script(200, b'{"code":0,"data":{"list":[]}}'), 502),
    "fewer than the total": (Script(200, listed(total=1)), 502),
    "the same page for ever": (Script(200, listed(OPEN, total=2)), 502),
    "not in the charset": (Script(200, listed(OPEN).decode().encode("gb18030")), 502),
    "named twice": (Script(200, listed(OPEN).replace(b'"code": 0', b'"code": 0, "code": 0')), 502),
    "too deep": (Script(200, listed({**OPEN, "x": json.loads("[" * 20 + "]" * 20)})), 502),
    "too large": (Script(200, b" " * 30_000 + listed(OPEN)), 502),
    "too large when unpacked": (
        Script(200, gzip.compress(b" " * 5_000_000 + listed(OPEN)), {"Content-Encoding": "gzip"}), 502
    ),
    "a coding nobody asked for": (Script(200, listed(OPEN), {"Content-Encoding": "br"}), 502),
    "packed junk": (Script(200, listed(OPEN), {"Content-Encoding": "gzip"}), 502),
    "beyond the bound": (Script(200, listed(*({**OPEN, "XH": n} for n in range(6)))), 503),
    "a total beyond the bound": (Script(200, listed(OPEN, total=6)), 503),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_service_tells_nothing(world, server, name):
    server.script, status = FAULTS[name]
    answer = world.call("GET", PERSON)
    named = {502: "database-unavailable", 503: "result-unbounded"}[status]
    assert (answer.status, orjson.loads(answer.body)["code"]) == (status, named)
    assert SECRET.encode() not in answer.body
    assert orjson.loads(answer.body).keys() == {
        "code", "inquiry_id", "missing", "reasons", "status", "title", "type",
    }  # fmt: skip
    assert [(entry["outcome"], entry["codes"]) for entry in world.entries()] == [("error", [named])]


def test_beyond_the_bound_sealed_records_count_like_open_ones(world, script):
    sealed = record(legacy.SEALED)
    script.body = listed(*({**sealed, "XH": n} for n in range(6)))
    hidden = world.call("GET", PERSON)
    script.body = listed(*({**OPEN, "XH": n} for n in range(6)))
    assert (hidden.status, hidden.status) == (503, world.call("GET", PERSON).status)


def test_a_service_that_never_ends_is_given_up_in_time(world, script):
    script.body, script.hang = listed(OPEN), threading.Event()
    answer = world.call("GET", PERSON)
    assert (answer.status, orjson.loads(answer.body)["code"]) == (504, "database-timeout")


def test_nobody_there_is_a_fault(tmp_path):
    url = "http://127.0.0.1:1/da"
    world = ArchiveWorld(tmp_path / "world", url)
    answer = world.call("GET", PERSON)
    world.close()
    assert (answer.status, orjson.loads(answer.body)["code"]) == (502, "database-unavailable")


BROKEN: dict[str, dict[str, Any]] = {
    "a column is missing": {k: v for k, v in OPEN.items() if k != "FCBJ"},
    "a structure for a scalar": OPEN | {"ZM": {"code": "01"}},
    "a mark that is a structure": OPEN | {"FCBJ": ["1"]},
    "a text that is none": OPEN | {"BZ": "\ud800"},
    "a number that is none": OPEN | {"XQ_YUE": "十八"},
    "an impossible day": OPEN | {"JARQ": "20210231"},
    "no record": "record",  # type: ignore[dict-item]
    "null": None,  # type: ignore[dict-item]
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_record_without_a_declared_column_is_left_out_and_the_page_goes_on(world, script, name):
    broken = BROKEN[name] | {"XH": 9} if isinstance(BROKEN[name], dict) else BROKEN[name]
    script.body = json.dumps({"code": 0, "data": {"total": 2, "list": [broken, OPEN]}}, separators=(",", ":")).encode()
    answer = world.call("GET", PERSON)
    data = orjson.loads(answer.body)["data"]
    assert (answer.status, data["total"], data["list"]) == (200, 1, [SEEN])


def test_the_envelope_is_the_templates_whatever_the_service_puts_there(world, script):
    script.body, script.headers = listed(OPEN, sealed=True), {"X-Sealed": "1", "ETag": '"1"', "Set-Cookie": "s=1"}
    answer = world.call("GET", PERSON)
    assert orjson.loads(answer.body).keys() == {"code", "msg", "data"}
    assert orjson.loads(answer.body)["msg"] == "ok"
    assert [name for name, _ in answer.headers] == [
        "Content-Type", "Content-Length", "Cache-Control", "Vary", "Inquiry-Receipt",
    ]  # fmt: skip


def test_the_service_gets_our_login_and_the_inquirys_id_and_nothing_of_the_clients(world, script):
    script.body = listed(OPEN)
    headers = {"Cookie": "a=b", "X-Other": "x", "Accept-Language": "zh"}
    assert world.call("GET", PERSON, headers=headers).status == 200
    [(path, asked)] = script.asked
    assert path == f"/da{PERSON}?page=1&size=100"
    assert asked.keys() == {
        "host",
        "user-agent",
        "accept-encoding",
        "accept",
        "connection",
        "authorization",
        "inquiry-id",
    }
    assert asked["authorization"].startswith("Basic ")
    assert asked["inquiry-id"] == world.entries()[0]["id"]


def test_no_cookie_of_the_service_is_kept(world, script):
    script.body, script.headers = listed(OPEN), {"Set-Cookie": "session=1; Path=/"}
    world.call("GET", PERSON)
    world.call("GET", PERSON)
    assert all("cookie" not in asked for _, asked in script.asked)


@pytest.mark.parametrize(
    "link", ["<http://127.0.0.1:1/x?after=2>", "</other?after=2>", "<//evil/da/feed?after=2>", "<?>"]
)
def test_a_link_that_leads_elsewhere_is_not_followed(world, script, link):
    script.body, script.headers = b"[]", {"Link": f'{link}; rel="next"'}
    assert world.call("GET", f"/feed?id={legacy.OPEN.SFZH}").status == 502
    assert len(script.asked) == 1


def test_answers_leave_at_the_step_whatever_was_found(world, script):
    """50 ms unless the catalog says otherwise: for a result, for nothing, for a fault, and for a path that is not there."""
    answers = []
    for body in (listed(OPEN), listed(), b"junk"):
        script.body = body
        answers.append(world.call("GET", PERSON))
    answers += [
        world.call("GET", "/nothing"),
        world.call("GET", PERSON, facts={}),
        world.call("GET", PERSON, token=None),
    ]
    assert [(answer.status, answer.step) for answer in answers] == [
        (200, 0.05), (200, 0.05), (502, 0.05), (404, 0.05), (403, 0.05), (401, 0.05),
    ]  # fmt: skip


def recorded(is_open: list[str], is_sealed: list[str]) -> str:
    text = archive_catalog("http://127.0.0.1:1/da")
    body = json.dumps([OPEN, record(legacy.SEALED)], ensure_ascii=False)
    known = json.dumps([{"body": body, "open": is_open, "sealed": is_sealed}], ensure_ascii=False)
    return text.replace("records: $, ", f"records: $, recorded: {known}, ")


def test_the_canary_compares_recorded_answers_with_the_policy(tmp_path):
    good = recorded(["AJ2023000003|1"], ["AJ2023000001|1"])
    wrong = recorded(["AJ2023000003|1", "AJ2023000001|1"], [])
    for name, text in {"good": good, "wrong": wrong}.items():
        world = ArchiveWorld(tmp_path / name, "", catalog=text)
        fault = world.gateway.runtime.databases["archive"].fault
        world.close()
        assert (fault is None) is (name == "good")
        assert name == "good" or isinstance(fault, DatabaseClosed)
