"""Two served deployments and clients with raw sockets: connections stay open, and what comes back is not touched."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sidecar.demo.world import wait_for
from tests.worlds.calls import CLIENTS, Ask, Call, Raw, Visit, Wait
from tests.worlds.county import Pair
from tests.worlds.served import FILE, write_settings
from tests.worlds.sides import Pairing, Session, Side, apart

SECONDS = 30.0
"""Longest wait for an answer."""

TRIES = 8
"""A call is made again where the server's ``Date`` was another second's in the other world."""

_DATE = re.compile(rb"\r\ndate: [^\r]*", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)", re.IGNORECASE)


class Connection:
    """One client's connection, kept open as long as the server does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._wire: socket.socket | None = None

    def send(self, request: bytes, *, head_only: bool) -> bytes:
        """Send and read one answer; the answer ends with a word where the server closes the connection."""
        try:
            answer = self._exchange(request, head_only=head_only)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        if not answer:  # it had been closed meanwhile
            self.close()
            answer = b"(a new connection) " + self._exchange(request, head_only=head_only)
        return answer

    def _exchange(self, request: bytes, *, head_only: bool) -> bytes:
        if self._wire is None:
            self._wire = socket.create_connection(("127.0.0.1", self._port), SECONDS)
        self._wire.sendall(request)
        received = b""
        while not self._whole(received, head_only=head_only):
            part = self._wire.recv(65536)
            if not part:
                self.close()
                return received + b" (closed)" if received else b""
            received += part
        return received

    @staticmethod
    def _whole(received: bytes, *, head_only: bool) -> bool:
        head, end, body = received.partition(b"\r\n\r\n")
        if not end:
            return False
        if head.startswith(b"HTTP/1.1 100"):
            return Connection._whole(body, head_only=head_only)
        length = _LENGTH.search(head)
        assert length is not None, head
        return head_only or len(body) >= int(length[1])

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
        self._wire = None


class WireSession(Session):
    """Makes calls over sockets, a connection a client."""

    def __init__(self, side: Side, port: int) -> None:
        super().__init__(side)
        self._connections = {name: Connection(port) for name in CLIENTS}

    def send(  # noqa: PLR0917  # as in Session
        self, method: str, path: str, client: str, headers: Mapping[str, str], body: bytes, door: str
    ) -> bytes:
        """The same request as in process; ``door`` is the served application's own."""
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers(client, headers, body).items())
        request = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body
        return self._connections[client].send(request, head_only=method == "HEAD")

    def ask(self, client: str, stated: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
        """An inquiry, its raw answer and its document."""
        raw = self.make(Ask(client, stated))
        return raw, self.asked.pop().answer

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


class Served:
    """Two served deployments."""

    def __init__(self, pairing: Pairing, ports: Sequence[int], logs: Sequence[Path]) -> None:
        self._sides, self.ports, self._logs = pairing.sides, ports, logs
        self.repeated = 0

    def compare(self, pair: Pair, calls: Sequence[Call]) -> tuple[str, tuple[bytes, ...]]:
        """What differs, and what the first world answered."""
        for side, rows in zip(self._sides, (pair.first, pair.second), strict=True):
            side.plant(rows)
        sessions = [WireSession(side, port) for side, port in zip(self._sides, self.ports, strict=True)]
        answers = []
        try:
            for call in (*calls, Visit("GET", "/metrics")):
                one, two = (b"", b"") if unsent(call) else self._both(sessions, call)
                if one != two:
                    return f"{call}: {apart(repr(one), repr(two))}", tuple(answers)
                answers.append(one)
        finally:
            for session in sessions:
                session.close()
        return "", tuple(answers[:-1])

    def _both(self, sessions: Sequence[WireSession], call: Call) -> tuple[bytes, bytes]:
        for _ in range(TRIES):
            one, two = (session.make(call) for session in sessions)
            if _DATE.findall(one) == _DATE.findall(two):
                return one, two
            self.repeated += 1
        raise AssertionError("the two servers' clocks never agree")

    def books(self) -> list[tuple[object, ...]]:
        """Of each world: positions with their entries, events, log."""
        return [(*side.settle(), log.read_bytes()) for side, log in zip(self._sides, self._logs, strict=True)]


def unsent(call: Call) -> bool:
    """Time stands still here; and whether a server that refuses a body ends the connection depends on how much had come."""
    return isinstance(call, Wait) or (isinstance(call, Raw) and len(call.body) * call.times > 65_536)


@contextlib.contextmanager
def served(pairing: Pairing, folder: Path) -> Iterator[Served]:
    """Serve both sides of a pairing."""
    ports, logs = [], []
    with contextlib.ExitStack() as running:
        for i, side in enumerate(pairing.sides):
            file, log = folder / f"served{i}.json", folder / f"served{i}.log"
            port = free_port()
            write_settings(side.settings, port, file)
            running.enter_context(process(file, log))
            ports.append(port)
            logs.append(log)
        for port in ports:
            wait_for("a served world", lambda port=port: listens(port))  # type: ignore[misc]
        yield Served(pairing, ports, logs)


@contextlib.contextmanager
def process(settings: Path, log: Path, module: str = "tests.worlds.served") -> Iterator[None]:
    """One server with its worker; ends in order."""
    with log.open("wb") as written:
        running = subprocess.Popen(
            [sys.executable, "-m", module],
            env={**os.environ, FILE: str(settings), "PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=written,
            stdout=written,
        )
        try:
            yield
        finally:
            running.terminate()
            running.wait(SECONDS)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as wire:
        wire.settimeout(5)
        wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return wire.recv(64).startswith(b"HTTP/1.1 200")
    return False
