"""A legacy HTTP service that finds a person's records by an index: ``python -m tests.probes.upstream FILE PORT``.

It answers ``GET /persons/{number}/records`` in the archive's form. As quick as can be, so that what it takes is little
beside what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from pathlib import Path

from sidecar.serve.process import die_with_parent


def answers(records: list[dict[str, object]]) -> dict[str, bytes]:
    """Person's number → the whole answer."""
    found = defaultdict(list)
    for record in records:
        found[str(record["SFZH"])].append(record)
    return {number: answer(its) for number, its in found.items()}


def answer(records: list[dict[str, object]]) -> bytes:
    data = {"total": len(records), "pages": 1, "page": 1, "size": 100, "list": records}
    body = json.dumps({"code": 0, "msg": "ok", "data": data}, ensure_ascii=False).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Service(asyncio.Protocol):
    """One connection, one request after the other."""

    found: dict[str, bytes]
    nothing = answer([])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire, self._head = transport, b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            number = self._head.split(b"/", 3)[2].decode()
            self._head = b""
            self._wire.write(self.found.get(number, self.nothing))


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Service, "127.0.0.1", port)
    await server.serve_forever()


def main(file: str, port: str) -> None:
    die_with_parent()
    Service.found = answers(json.loads(Path(file).read_bytes()))
    asyncio.run(serve(int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
