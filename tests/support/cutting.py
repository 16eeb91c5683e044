"""A TCP relay that breaks connections when it is told to: before a request goes on, or before its answer comes back."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Literal, Self

CHUNK = 65536


class Cutter:
    """Relays to a port of this machine. A context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._cut: Literal["", "request", "answer"] = ""
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for each in self._open:
            each.close()

    def cut(self, what: Literal["request", "answer"]) -> None:
        """Break the next connection on which something is said: the ``request`` is lost, or only its ``answer``."""
        self._cut = what

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                threading.Thread(target=self._relay, args=(near, far, "request"), daemon=True).start()
                threading.Thread(target=self._relay, args=(far, near, "answer"), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, kind: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if self._cut == kind:
                    self._cut = ""
                    break
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
