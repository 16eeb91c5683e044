"""The archive's old HTTP service with a shelf a world: who logs in with one password is given other records than with another.

Both worlds have the same catalog, address and routes; only what the service holds for them differs. It runs in a thread.
"""

from __future__ import annotations

import re
import threading
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from sidecar.demo.archive import USER, Handler, Record
from tests.worlds.county import TABLE, Values

_UNTOLD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What XML cannot hold; a service that writes it gives a document that nobody can read, whoever asks."""

_COLUMNS = tuple(column.name for column in TABLE.columns)


@dataclass
class Shelf:
    """What one world's archive holds; what ``archive.Handler`` asks its server for."""

    secret: str
    url: str
    held: Sequence[Record] = ()
    log: list[str] = field(default_factory=list)

    def records(self) -> Sequence[Record]:
        """All records."""
        return self.held

    def password(self) -> str:
        """What this world's sidecar logs in with."""
        return self.secret

    def place(self, rows: Sequence[Values]) -> None:
        """Hold these rows and no others."""
        self.held = [{name: told(row.get(name)) for name in _COLUMNS} for row in rows]


def told(value: Any) -> Any:
    """A column's value as the archive writes it: in GBK, without control characters."""
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value).decode("gb18030", "replace")
    return _UNTOLD.sub("?", value.encode("gbk", "replace").decode("gbk")) if isinstance(value, str) else value


class _Handler(Handler):
    """Looks at the password first."""

    def setup(self) -> None:
        super().setup()
        self._shelves = self.server.shelves  # type: ignore[attr-defined]

    def _guarded(self, answer: Any) -> None:
        self.server = self._shelves[self.headers.get("Authorization", "")]
        super()._guarded(answer)


class Shelves(ThreadingHTTPServer):
    """The running service. ``close`` it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/da"
        self.of = tuple(Shelf(secret, self.url) for secret in secrets)
        self.shelves = {_login(shelf.secret): shelf for shelf in self.of}
        self.log: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def password(self) -> str:
        """Nobody's."""
        return ""

    def close(self) -> None:
        """End the service."""
        self.shutdown()
        self._thread.join()
        self.server_close()


def _login(secret: str) -> str:
    return f"Basic {b64encode(f'{USER}:{secret}'.encode()).decode()}"
