"""The two doors behind the real server: the same bytes, and the same bounds for bodies that come in chunks."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import orjson
import pytest

from sidecar.demo.exchange import Answer, parse
from sidecar.demo.legacy import NOBODY, OPEN, SEALED
from sidecar.demo.people import LI, SUN
from sidecar.demo.story import CASE
from sidecar.demo.world import World
from tests.support.deployment import ANSWER_SECONDS, deployment, post, question, send

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def thin() -> Iterator[World]:
    with deployment("sqlite", "wasm", usual_steps=True) as world:
        yield world


@pytest.fixture(scope="module")
def flask() -> Iterator[World]:
    with deployment("sqlite", "wasm", usual_steps=True, SIDECAR_SERVER__THIN_LANE="false") as world:
        yield world


GOOD = question(OPEN.SFZH, CASE, case_number="（2026）浙0101刑初1号")
BODIES = {
    "released": GOOD,
    "two records, one sealed": question(SEALED.SFZH, CASE, case_number="（2026）浙0101刑初1号"),
    "nobody": question(NOBODY, CASE, case_number="（2026）浙0101刑初1号"),
    "refused": question(OPEN.SFZH, CASE),
    "unreadable": b"{",
    "duplicate": b'{"database": "a", "database": "b"}',
    "too large": b" " * 70_000,
    "unknown member": GOOD | {"x": 1},
}


def comparable(answer: Answer) -> bytes:
    """The raw bytes without ids, receipt, date, and without the revision, which each deployment signs for itself."""
    head, _, body = answer.anonymous().partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body.replace(b".", b"")


@pytest.mark.parametrize("name", BODIES)
def test_both_doors_send_the_same_bytes(thin: World, flask: World, name: str) -> None:
    answers = [post(world, world.token(SUN), BODIES[name]) for world in (thin, flask)]
    assert comparable(answers[0]) == comparable(answers[1])
    assert len(answers[0].raw) == len(answers[1].raw)


@pytest.mark.parametrize("token", [None, "", "x.y.z"])
def test_both_doors_turn_the_same_tokens_away(thin: World, flask: World, token: str | None) -> None:
    answers = [post(world, token, GOOD) for world in (thin, flask)]
    assert [answer.status for answer in answers] == [401, 401]
    assert comparable(answers[0]) == comparable(answers[1])


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks (RFC 9112 §7.1)."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def post_chunked(world: World, body: bytes, size: int = 100) -> Answer:
    head = (
        f"POST /v1/inquiries HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {world.token(SUN)}\r\n"
        "content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", world.port), ANSWER_SECONDS) as wire:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may refuse before it has read all
            wire.sendall(head.encode() + chunked(body, size))
        return parse(b"".join(iter(lambda: wire.recv(65536), b"")))


@pytest.mark.parametrize("door", ["thin", "flask"])
def test_a_body_in_chunks_is_read_whole_and_bounded(door: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(door)
    answer = post_chunked(world, orjson.dumps(GOOD))
    assert (answer.status, answer.json().get("count")) == (200, 1)
    refused = post_chunked(world, b" " * 200_000, 4096)
    assert (refused.status, refused.json()["code"]) == (413, "body-too-large")


@pytest.mark.parametrize("door", ["thin", "flask"])
def test_other_methods_are_answered_alike(door: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(door)
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = send(world, method, "/v1/inquiries", None)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
        assert answer.json()["code"] == "method-not-allowed"


def test_an_inquirer_cannot_read_the_feed(thin: World) -> None:
    assert thin.ask("GET", "/oversight/v1/events", thin.token(LI)).status == 403


@pytest.mark.parametrize("door", ["thin", "flask"])
def test_a_deployment_that_says_nothing_of_time_keeps_its_steps(request: pytest.FixtureRequest, door: str) -> None:
    """Least times: 5 ms for a database over SQL, 50 ms where no database was reached and there is one over HTTP."""
    world: World = request.getfixturevalue(door)
    for name, status, least in (
        ("released", 200, 0.005),
        ("nobody", 200, 0.005),
        ("refused", 403, 0.005),
        ("unreadable", 400, 0.05),
    ):
        token, began = world.token(SUN), time.monotonic()
        assert post(world, token, BODIES[name]).status == status
        assert time.monotonic() - began >= least
    began = time.monotonic()
    assert post(world, "x.y.z", b"{}").status == 401
    assert time.monotonic() - began >= 0.05
