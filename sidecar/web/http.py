"""Between WSGI (PEP 3333) and the typed requests and responses that both doors use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from sidecar.gateway.types import Request, Response

Environ = Mapping[str, Any]
StartResponse = Callable[..., Any]

REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
"""Status lines, the same through both doors."""


def read_request(environ: Environ, channel: str, max_body: int) -> Request:
    """The request as it came, its body cut at one byte over the limit, so that the handler sees that it is too large."""
    return Request(
        channel=channel,
        method=environ["REQUEST_METHOD"],
        path=environ.get("PATH_INFO", ""),
        headers=_headers(environ),
        body=_body(environ, max_body + 1),
        source=environ.get("REMOTE_ADDR") or "",
        query=environ.get("QUERY_STRING") or "",
    )


def _headers(environ: Environ) -> dict[str, str]:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    if content_type := environ.get("CONTENT_TYPE"):
        headers["content-type"] = content_type
    return headers


def _body(environ: Environ, most: int) -> bytes:
    """At most ``most`` bytes, whether the length was announced or the body comes in chunks (RFC 9112 §7.1)."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if announced.isascii() and announced.isdigit():
        most = min(most, int(announced))
    elif "HTTP_TRANSFER_ENCODING" not in environ:
        return b""
    stream, parts, missing = environ["wsgi.input"], [], most
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def send(response: Response, start_response: StartResponse) -> Iterable[bytes]:
    """Send a response through WSGI, byte for byte."""
    start_response(REASONS[response.status], list(response.headers))
    return (response.body,)
