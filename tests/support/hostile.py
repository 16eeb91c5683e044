"""Hostile requests from the corpus in tests/hostile/corpus, sent over a raw socket before a good request on the same connection."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from sidecar.demo.exchange import Answer, parse
from sidecar.demo.legacy import OPEN
from sidecar.demo.people import SUN
from sidecar.demo.story import CASE
from sidecar.demo.world import World
from tests.support.deployment import ANSWER_SECONDS, question

CORPUS = Path(__file__).resolve().parents[1] / "hostile" / "corpus"
PLANTED = b"zq7planted"
"""Stands in hostile requests; in no answer and in no log."""

GOOD = question(OPEN.SFZH, CASE, case_number="（2026）浙0101刑初1号")
_LENGTH = re.compile(rb"^content-length: *([0-9]+)\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of a corpus file: what is sent and what must come back."""

    name: str
    told: Mapping[str, Any]

    @property
    def expected(self) -> tuple[int, str | None]:
        """Status, and code of the problem where it has one."""
        return self.told["status"], self.told.get("code")


@dataclass(frozen=True, slots=True)
class Heard:
    """The answers on one connection, in order; the last one is the good request's own unless the connection had ended."""

    answers: tuple[Answer, ...]

    @property
    def first(self) -> Answer:
        """The hostile request's answer."""
        return self.answers[0]

    @property
    def raw(self) -> bytes:
        """All bytes."""
        return b"".join(answer.raw for answer in self.answers)


def corpus(name: str) -> list[Case]:
    """The cases of a file."""
    listed = yaml.safe_load((CORPUS / f"{name}.yaml").read_text(encoding="utf-8"))
    cases = {told["name"]: Case(told["name"], told) for told in listed}
    assert len(cases) == len(listed), "expected every name once"
    return list(cases.values())


def credentials(token: str) -> bytes:
    """Header lines of an officer's request."""
    return f"Authorization: Bearer {token}\r\nContent-Type: application/json".encode()


def following(token: str) -> bytes:
    """A good request that ends the connection; it makes no ledger entry."""
    return b"GET /v1/databases HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + credentials(token) + b"\r\n\r\n"


def wire_request(case: Case, token: str) -> bytes:
    """The bytes of a case of ``wire.yaml``."""
    head = case.told["head"]
    text = head if case.told.get("raw") else "\r\n".join(head) + "\r\n\r\n"
    raw = (text + case.told["body"]).encode("latin-1")
    for name, value in _words(token):
        raw = raw.replace(name, value)
    return raw


def _words(token: str) -> list[tuple[bytes, bytes]]:
    body = orjson.dumps(GOOD)
    smuggled = b"GET /v1/databases HTTP/1.1\r\nHost: x\r\n" + credentials(token) + b"\r\n\r\n"
    bomb = gzip.compress(b" " * 16_000_000)
    words = {
        b"$AUTH": credentials(token),
        b"$BOMB_LENGTH": b"%d" % len(bomb),
        b"$HEX": b"%x" % len(body),
        b"$LENGTH": b"%d" % len(body),
        b"$LONG": b" " * 99_990 + PLANTED,
        b"$MANY": b"\r\n".join(b"X-%d: y" % number for number in range(200)),
        b"$SMUGGLED_HEX": b"%x" % len(smuggled),
        b"$SMUGGLED_LENGTH": b"%d" % len(smuggled),
        b"$SMUGGLED": smuggled,
        b"$BODY": body,
    }
    return [*words.items(), (b"$BOMB", bomb)]  # the bomb's bytes may hold a word: they come last


def body_bytes(case: Case) -> bytes:
    """The bytes of a case of ``bodies.yaml``."""
    told, person = case.told, OPEN.SFZH
    if told.get("deep"):
        return b"[" * 20_000 + b"]" * 20_000
    if told.get("digits"):
        return orjson.dumps(GOOD)[:-1] + b',"page_size":' + b"9" * 50_000 + b"}"
    if "raw" in told:
        return str(told["raw"]).replace("$PERSON", person).encode()
    change = told.get("set", {})
    if told.get("full_width"):
        change = {"subject": {"person_id": person.translate({48 + n: 0xFF10 + n for n in range(10)})}}
    if told.get("arabic"):
        change = {"subject": {"person_id": person.translate({48 + n: 0x0660 + n for n in range(10)})}}
    stated = {name: value for name, value in (GOOD | change).items() if value is not None}
    text = orjson.dumps(stated).decode().replace("$PERSON", person)
    text = text[:-1] + told.get("splice", "") + "}"
    return (b"\xef\xbb\xbf" if told.get("bom") else b"") + text.encode(told.get("coding", "utf-8"))


def post_request(token: str, body: bytes) -> bytes:
    """An inquiry with exactly this body."""
    head = b"POST /v1/inquiries HTTP/1.1\r\nHost: x\r\n" + credentials(token)
    return head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def exchange(world: World, raw: bytes) -> Heard:
    """Send ``raw`` and the good request behind it; read until the connection ends."""
    with socket.create_connection(("127.0.0.1", world.port), ANSWER_SECONDS) as wire:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may refuse before it has read all
            wire.sendall(raw + following(world.token(SUN)))
        return Heard(tuple(map(parse, _answers(_read(wire)))))


def _read(wire: socket.socket) -> bytes:
    data = bytearray()
    with contextlib.suppress(ConnectionResetError):  # what it sent before is read
        while part := wire.recv(65536):
            data += part
    return bytes(data)


def _answers(data: bytes) -> list[bytes]:
    """Answers by their lengths; what no length accounts for is one more, and fails the test."""
    found = []
    while data:
        head, _, _ = data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        end = len(head) + 4 + (int(length[1]) if length else 0)
        found.append(data[:end])
        data = data[end:]
    return found
