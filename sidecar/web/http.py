"""Between WSGI (PEP 3333) and the typed requests and responses that both doors use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from sidecar.gateway.types import Request, Response

Environ = MutableMapping[str, Any]
StartResponse = Callable[..., Any]

STEP: Final = "sidecar.answer_step"
"""Environment variable in which an inquiry's door says the step of its answer, in seconds."""

_HOST: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+;=%-]+(?::[0-9]{0,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{0,5})?")
"""``uri-host [":" port]`` without the comma, by which the server joins two headers of one name."""

REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
"""Status lines, the same through both doors."""


def read_request(environ: Environ, channel: str, max_body: int) -> Request:
    """The head as it came; the body is cut at one byte over the limit, so that the handler sees that it is too large."""
    return Request(
        channel=channel,
        method=environ["REQUEST_METHOD"],
        path=environ.get("PATH_INFO", ""),
        headers=_headers(environ),
        body=b"",
        source=environ.get("REMOTE_ADDR") or "",
        query=environ.get("QUERY_STRING") or "",
        fault=head_fault(environ),
        arriving=partial(_body, environ, max_body + 1),
    )


def head_fault(environ: Environ) -> str:
    """What makes the head of a request mean different things to different readers, or nothing.

    1. Methods are case-sensitive (RFC 9110 §9.1); a reader that folds them lets one past a rule for the other.
    2. A path begins with one slash; routing would drop the others, a rule by prefix would not.
    3. HTTP/1.1 has exactly one well-formed ``Host`` (RFC 9112 §3.2); the server joins two by a comma.
    4. The only transfer coding is ``chunked``, once, and not beside a length (RFC 9112 §6.1, §6.3).
    5. ``Content_Type`` is not ``Content-Type``: CGI names cannot tell the two apart, except these.

    Returns:
        A text for the client that quotes nothing, empty where all is well.
    """
    if environ["REQUEST_METHOD"] != environ["REQUEST_METHOD"].upper():
        return "the method is written in capitals"
    if environ.get("PATH_INFO", "").startswith("//"):
        return "the path begins with one slash"
    host = environ.get("HTTP_HOST") or ""
    if not _HOST.fullmatch(host) and (host or environ.get("SERVER_PROTOCOL") == "HTTP/1.1"):
        return "Host: expected exactly one"
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    if coding is not None and (coding.strip().lower() != "chunked" or environ.get("CONTENT_LENGTH")):
        return "Transfer-Encoding: expected chunked, once, without Content-Length"
    if "HTTP_CONTENT_TYPE" in environ or "HTTP_CONTENT_LENGTH" in environ:
        return "Content-Type and Content-Length are written with hyphens"
    return ""


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
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


def send(response: Response, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Send a response through WSGI, byte for byte; its step goes with it."""
    environ[STEP] = response.step
    start_response(REASONS[response.status], list(response.headers))
    return (response.body,)
