"""A whole deployment as processes, and what its ledger and feed say after each request.

It is the demo's world with the told persons only: real PostgreSQL or SQLite, identity provider, OPA, sequencer and
gateway workers. Papers are signed here, in process, because a test signs hundreds.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Engine, text

from sidecar.demo import legacy
from sidecar.demo import world as demo
from sidecar.demo.archive_catalog import archive_catalog
from sidecar.demo.exchange import Answer, parse
from sidecar.demo.people import DATABASE, DEPLOYMENT, ZHOU, Person
from sidecar.demo.postgres import PostgresCluster, available
from sidecar.demo.story import Purpose
from sidecar.demo.world import Choice, World, build, wait_for
from sidecar.keys.jwk import public_jwk
from tests.support.opa import opa_path

ANSWER_SECONDS = 30.0
"""Longest wait for an answer: longer than every time-out of the sidecar."""

_numbers = itertools.count(1)


@contextlib.contextmanager
def deployment(
    database: str = "postgresql",
    engine: str = "opa",
    *,
    more: Sequence[legacy.Case] = (),
    usual_steps: bool = False,
    **environment: str,
) -> Iterator[World]:
    """A running deployment with a small county; nothing of it is left afterwards.

    Args:
        database: postgresql | sqlite.
        engine: opa | wasm.
        more: rows beside those of the story.
        usual_steps: whether answers for the archive, and errors, leave after 50 ms as they usually do; else after 5.
        environment: further settings.
    """
    folder = Path(tempfile.mkdtemp(prefix="world-", dir="/tmp"))
    folder.chmod(0o755)  # PostgreSQL's user passes through it
    choice = Choice(database, engine, str(opa_path()) if engine == "opa" else "")
    told = (*legacy.TOLD, *more)
    try:
        with contextlib.ExitStack() as running:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(legacy, "TOLD", told)
                if not usual_steps:
                    patch.setattr(demo, "archive_catalog", lambda url: archive_catalog(url, answer_step_ms=5))
                patch.setattr(legacy, "PERSONS", len({case.SFZH for case in told}))
                patch.setenv("SIDECAR_POLICY__TIMEOUT_MS", "10000")  # a busy machine is no fault
                for name, value in environment.items():
                    patch.setenv(name, value)
                world = running.enter_context(build(folder / "w", choice, lambda _: None))
            yield world
    finally:
        if available():
            PostgresCluster(folder / "w" / "postgres").stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class News:
    """Entries in the order of their positions, and events, that were not there before."""

    entries: tuple[Mapping[str, Any], ...]
    events: tuple[Mapping[str, Any], ...]

    def outcomes(self, kind: str = "inquiry") -> list[tuple[str, list[str]]]:
        """Outcome and codes of the entries of a kind."""
        return [(entry["outcome"], list(entry["codes"])) for entry in self.entries if entry["kind"] == kind]

    def alerts(self) -> list[str]:
        """Types of the events."""
        return [str(event["type"]) for event in self.events]


class Books:
    """Reads the ledger from the state database and the feed as the prosecutor reads it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._position = self._sequence = 0
        self.state = world.state_engine()

    def news(self) -> News:
        """Wait until every entry has its position, and read what is new."""
        wait_for("the sequencer", lambda: self.pending() == 0, ANSWER_SECONDS)
        statement = text(
            "SELECT e.body FROM ledger_positions p JOIN ledger_entries e"
            " ON e.writer = p.writer AND e.writer_seq = p.writer_seq WHERE p.position >= :first ORDER BY p.position"
        )
        with self.state.connect() as connection:
            rows = connection.execute(statement, {"first": self._position}).all()
        self._position += len(rows)
        entries = tuple(orjson.loads(bytes(row.body)) for row in rows)
        return News(entries, tuple(self._events()))

    def pending(self) -> int:
        """Entries without a position."""
        return scalar(
            self.state, "SELECT (SELECT count(*) FROM ledger_entries) - (SELECT count(*) FROM ledger_positions)"
        )

    def _events(self) -> list[Mapping[str, Any]]:
        path = f"/oversight/v1/events?after={self._sequence}&limit=1000"
        answer = self._world.ask("GET", path, self._world.token(ZHOU))
        assert answer.status == 200, answer.body
        events: list[Mapping[str, Any]] = answer.json()["events"]
        assert [int(e["sequence"]) for e in events] == list(
            range(self._sequence + 1, self._sequence + 1 + len(events))
        )  # without gaps
        self._sequence += len(events)
        return events


def scalar(engine: Engine, statement: str) -> int:
    """The one number that a query gives."""
    with engine.connect() as connection:
        return int(connection.execute(text(statement)).scalar_one())


# --- papers and questions --------------------------------------------------------------------------------------------


def signing_key(world: World, name: str) -> Ed25519PrivateKey:
    """A unit's private key."""
    key = load_pem_private_key(world.unit_key(name).read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def letter(
    world: World,
    person: Person,
    subject: str,
    purpose: Purpose,
    *,
    key: Ed25519PrivateKey | None = None,
    kid: str = "",
    **claims: Any,
) -> str:
    """A letter of the person's unit, good unless ``claims``, ``key`` or ``kid`` change it; None takes a claim out."""
    own = signing_key(world, person.unit.name)
    now = int(time.time())
    content = {
        "iss": person.unit.code,
        "aud": DEPLOYMENT,
        "number": f"示例函〔2026〕{next(_numbers)}号",
        "officer": person.number,
        "subjects": [subject],
        "databases": [DATABASE],
        "scope": "open",
        "basis": purpose.basis,
        "purpose": purpose.code,
        "nbf": now - 60,
        "exp": now + 3600,
        "uses": 1,
    } | claims
    content = {name: value for name, value in content.items() if value is not None}
    headers = {"kid": kid or str(public_jwk(own.public_key())["kid"]), "typ": "unit-letter+jws"}
    return jwt.encode(content, key or own, "EdDSA", headers=headers)


def question(subject: str, purpose: Purpose, /, **more: Any) -> dict[str, Any]:
    """The body of an inquiry about one person; None takes a member out."""
    body = {
        "database": DATABASE,
        "subject": {"person_id": subject},
        "reason": purpose.reason,
        "basis": purpose.basis,
        "purpose": purpose.code,
    } | more
    return {name: value for name, value in body.items() if value is not None}


def post(world: World, token: str | None, body: bytes | Mapping[str, Any], **headers: str) -> Answer:
    """``POST /v1/inquiries`` with exactly these bytes."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return send(world, "POST", "/v1/inquiries", token, raw, **headers)


def send(world: World, method: str, path: str, token: str | None, raw: bytes = b"", **headers: str) -> Answer:
    """One request on a connection of its own; ``headers`` replace ours, with ``_`` for ``-``."""
    own = {"content-type": "application/json", "content-length": str(len(raw)), "connection": "close"}
    own |= {"authorization": f"Bearer {token}"} if token is not None else {}
    own |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
    with socket.create_connection(("127.0.0.1", world.port), ANSWER_SECONDS) as wire:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may refuse before it has read all
            wire.sendall(f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{head}\r\n".encode() + raw)
        return parse(b"".join(iter(lambda: wire.recv(65536), b"")))
