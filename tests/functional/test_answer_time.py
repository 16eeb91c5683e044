"""Waiting for the step holds no worker thread: behind the real server, with a clock that is set."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from sidecar.demo.world import wait_for
from tests.support import held
from tests.worlds.wire import Connection, free_port

pytestmark = pytest.mark.functional

SECONDS = 30.0
AT_ONCE = 64


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Server:
    """One worker of two threads."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self._port, self.process = port, process
        self._asking = Connection(port)

    def ask(self, path: str) -> bytes:
        """The body of an answer that does not wait."""
        return self._asking.send(_get(path), head_only=False).rpartition(b"\r\n")[2]

    def held(self) -> socket.socket:
        """A connection whose request waits for its step."""
        wire = socket.create_connection(("127.0.0.1", self._port), SECONDS)
        wire.sendall(_get("/held"))
        return wire

    def waiting(self, number: int) -> None:
        """Block until so many wait."""
        wait_for(f"{number} answers that wait", lambda: self.ask("/waiting") == str(number).encode(), SECONDS)

    def close(self) -> None:
        self._asking.close()


@pytest.fixture
def serve() -> Iterator[Callable[[str], Server]]:
    with contextlib.ExitStack() as running:

        def started(clock: str) -> Server:
            port = free_port()
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.held"], env=held.environment(port, clock), stderr=subprocess.PIPE
            )
            running.callback(_ended, process)
            wait_for("the server", lambda: _listens(port), SECONDS)
            server = Server(port, process)
            running.callback(server.close)
            return server

        yield started


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.communicate(timeout=SECONDS)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), SECONDS) as wire:
        wire.sendall(b"GET /waiting HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return wire.recv(64).startswith(b"HTTP/1.1 200")
    return False


def test_two_threads_keep_64_answers_waiting_and_all_leave_at_one_step(serve: Callable[[str], Server]) -> None:
    server = serve("set")
    wires = [server.held() for _ in range(AT_ONCE)]
    try:
        server.waiting(AT_ONCE)  # each was made by one of the two threads, and these answer this question too
        assert select.select(wires, [], [], 0)[0] == []  # none has left
        server.ask("/go")
        for wire in wires:
            assert wire.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        assert server.ask("/waiting") == b"0"
    finally:
        for wire in wires:
            wire.close()


def test_an_answer_whose_client_left_keeps_back_no_other(serve: Callable[[str], Server]) -> None:
    server = serve("set")
    gone, stays = server.held(), server.held()
    server.waiting(2)
    gone.close()
    server.ask("/go")
    with stays:
        assert stays.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_answers_that_wait_leave_before_the_server_ends(serve: Callable[[str], Server]) -> None:
    server = serve("system")
    with server.held() as wire:
        server.waiting(1)
        server.process.terminate()
        assert wire.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
