"""One call to a legacy HTTP service, which says what it likes."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from sidecar.clock import SystemClock
from sidecar.records.calls import Outgoing
from sidecar.records.connectors.upstream import Upstream
from sidecar.records.routes import HttpSource

CHALLENGE = b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256\r\n'
REFUSED = b"HTTP/1.1 401 Unauthorized\r\n" + CHALLENGE
ENDLESS = REFUSED + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
MOST_CHUNKS = 1000
LET_IN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Service:
    """Asks for a log-in, with a body that ends only when the client hangs up."""

    def __init__(self):
        self.logins, self.sent = 0, 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    self._answer(connection)

    def _answer(self, connection):
        with contextlib.suppress(OSError):  # the client hung up
            while head := self._head(connection):
                if b"authorization: digest" not in head.lower():
                    connection.sendall(ENDLESS)
                    for _ in range(MOST_CHUNKS):
                        connection.sendall(CHUNK)
                        self.sent += 1
                    return
                self.logins += 1
                connection.sendall(LET_IN)

    @staticmethod
    def _head(connection):
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(4096)
            if not part:
                return b""
            head += part
        return head

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def service(tmp_path):
    (tmp_path / "password").write_text("geheim", encoding="utf-8")
    served = Service()
    yield served
    served.close()


def test_what_a_request_for_a_login_says_is_not_read(service, tmp_path):
    login = {"kind": "digest", "username": "u", "password_file": "password"}
    source = HttpSource.model_validate({"kind": "http", "base_url": service.url, "login": login})
    clock = SystemClock()
    upstream = Upstream(source, tmp_path, clock)
    for _ in range(2):
        reply = upstream.call(Outgoing("GET", "x", "", {}, None), "id", clock.monotonic() + 30)
        assert (reply.status, reply.body) == (200, b"{}")
    upstream.close()
    assert service.logins == 2
    assert service.sent < MOST_CHUNKS
