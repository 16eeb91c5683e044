"""HTTP/1.1 as it goes over the wire (RFC 9112), so that two answers can be compared byte for byte."""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30.0
"""Longer than every time-out of the sidecar: what we wait for is its answer."""

_OWN = (
    re.compile(rb"^date: .*$", re.IGNORECASE | re.MULTILINE),
    re.compile(rb'"(?:inquiry_id|receipt)":"[^"]*"'),
)
"""What may differ between two equal answers: their ids, the receipt and the Date header."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its bytes, and what they say."""

    raw: bytes
    status: int
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def anonymous(self) -> bytes:
        """The bytes with ids, receipt and Date put out, each by as many dots."""
        raw = self.raw
        for pattern in _OWN:
            raw = pattern.sub(lambda match: b"." * len(match[0]), raw)
        return raw


class _Wire:
    """A socket's bytes for ``http.client`` to read."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, mode: str) -> io.BytesIO:
        """The bytes as a file."""
        del mode
        return io.BytesIO(self._raw)


def exchange(base: str, method: str, path: str, token: str | None = None, body: Any = None) -> Answer:
    """One request on a connection of its own.

    Raises:
        OSError: there is no connection, or it broke before the answer was whole.
    """
    payload = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json"} if payload else {}
    return send(base, method, path, headers | ({"Authorization": f"Bearer {token}"} if token else {}), payload)


def send(base: str, method: str, path: str, headers: Mapping[str, str], payload: bytes = b"") -> Answer:
    """One request with these headers and bytes, on a connection of its own.

    Raises:
        OSError: as ``exchange``.
    """
    url = urlsplit(base)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {url.netloc}", "Connection: close", f"Content-Length: {len(payload)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((url.hostname or "127.0.0.1", url.port or 80), TIMEOUT_SECONDS) as wire:
        wire.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        raw = b"".join(iter(lambda: wire.recv(65536), b""))
    return parse(raw)


def parse(raw: bytes) -> Answer:
    """The answer that these bytes are.

    Raises:
        OSError: they are no whole HTTP answer.
    """
    response = http.client.HTTPResponse(_Wire(raw))  # type: ignore[arg-type]  # all that it needs of a socket
    try:
        response.begin()
        body = response.read()
    except http.client.HTTPException as exc:
        raise ConnectionError("the answer was not whole") from exc
    return Answer(raw, response.status, {k.lower(): v for k, v in response.getheaders()}, body)
