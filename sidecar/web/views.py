"""What all views share: the typed request, strict query parameters and bodies, JSON answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from flask import Response as FlaskResponse
from flask import current_app, g
from flask import request as flask_request
from pydantic import BaseModel, ValidationError

from sidecar.codes import Channel, Code
from sidecar.errors import RequestInvalid
from sidecar.gateway.body import parse_object
from sidecar.gateway.problem import JSON, response
from sidecar.gateway.read import check_coding
from sidecar.gateway.types import Request
from sidecar.identity.types import Officer
from sidecar.web.http import read_request
from sidecar.web.problem import flask_response
from sidecar.web.services import Services

M = TypeVar("M", bound=BaseModel)


def services() -> Services:
    """The worker's services."""
    found: Services = current_app.extensions["sidecar"]
    return found


def arriving_request(channel: Channel = Channel.API) -> Request:
    """The head of the request, for a handler that authenticates before it reads on."""
    return read_request(flask_request.environ, channel.value, services().settings.server.max_body_bytes)


def typed_request() -> Request:
    """The request with its body, which is read from the wire once, and of those with a valid token only.

    Raises:
        TokenRejected: no good token.
    """
    found: Request | None = g.get("typed_request")
    if found is None:
        head = arriving_request()
        services().authenticate(head)
        found = g.typed_request = head.whole()
    return found


def officer(request: Request, *roles: str) -> Officer:
    """Who asks, with one of the roles; see ``Services.officer``."""
    return services().officer(request, frozenset(roles))


def json_response(value: Any, status: int = 200) -> FlaskResponse:
    """Canonical JSON, never stored by anybody between (P8)."""
    return flask_response(response(status, JSON, orjson.dumps(value, option=orjson.OPT_SORT_KEYS)))


def query(known: Mapping[str, tuple[int, int, int]]) -> dict[str, int]:
    """Integer query parameters: name → (default, least, most). Unknown and repeated ones are errors.

    Raises:
        RequestInvalid: ``field-unknown`` or ``body-invalid``.
    """
    given = flask_request.args.to_dict(flat=False)
    if not given.keys() <= known.keys() or any(len(values) > 1 for values in given.values()):
        raise RequestInvalid(Code.FIELD_UNKNOWN, f"expected each of {', '.join(sorted(known))} once at most")
    read = {}
    for name, (default, least, most) in known.items():
        text = given.get(name, [str(default)])[0]
        if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
            raise RequestInvalid(Code.BODY_INVALID, f"{name}: expected an integer from {least} to {most}")
        read[name] = int(text)
    return read


def no_query(request: Request) -> None:
    """Refuse query parameters where none are known.

    Raises:
        RequestInvalid: ``field-unknown``.
    """
    if request.query:
        raise RequestInvalid(Code.FIELD_UNKNOWN, "query parameters are not accepted")


def no_body(request: Request) -> None:
    """Refuse a body that says something where nothing is to be said; ``{}`` says nothing.

    Raises:
        RequestInvalid: ``field-unknown``.
    """
    if request.body.strip() not in {b"", b"{}"}:
        raise RequestInvalid(Code.FIELD_UNKNOWN, "a body is not accepted")


def body(request: Request, model: type[M]) -> M:
    """A strictly parsed body.

    Raises:
        RequestInvalid: ``body-too-large`` (413), ``body-invalid`` (400, 415 or 422) or ``field-unknown`` (422).
    """
    limit = services().settings.server.max_body_bytes
    if len(request.body) > limit:
        raise RequestInvalid(Code.BODY_TOO_LARGE, f"the body is larger than {limit} bytes", status=413)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise RequestInvalid(Code.BODY_INVALID, "content type: expected application/json", status=415)
    check_coding(request.headers)
    parse_object(request.body)
    try:
        return model.model_validate_json(request.body)
    except ValidationError as exc:
        faults = exc.errors(include_input=False, include_url=False, include_context=False)
        # where a member may have one of several forms, what one form knows is unknown to the others
        unknown = all(fault["type"] == "extra_forbidden" for fault in faults)
        # The name of a member that is not ours was sent by the client: it is not repeated.
        places = sorted({str(f["loc"][0]) for f in faults if f["loc"] and f["type"] != "extra_forbidden"})
        text = f"invalid: {', '.join(places)}" if places else "the body has an unknown member"
        raise RequestInvalid(Code.FIELD_UNKNOWN if unknown else Code.BODY_INVALID, text) from exc
