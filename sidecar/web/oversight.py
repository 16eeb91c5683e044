"""Views for prosecutors: the feed of events."""

from __future__ import annotations

from flask import Blueprint
from flask import Response as FlaskResponse

from sidecar.codes import Role
from sidecar.oversight.events import MAX_PAGE, read
from sidecar.web.views import json_response, officer, query, services, typed_request

blueprint = Blueprint("oversight", __name__, url_prefix="/oversight/v1")

DEFAULT_PAGE = 100
"""Events a page unless asked otherwise."""

MAX_SEQUENCE = 2**53 - 1
"""Largest cursor: the largest exact integer of JSON."""


@blueprint.get("/events")
def events() -> FlaskResponse:
    """Events after a cursor, oldest first, without gaps."""
    request = typed_request()
    officer(request, Role.PROSECUTOR)
    asked = query({"after": (0, 0, MAX_SEQUENCE), "limit": (DEFAULT_PAGE, 1, MAX_PAGE)})
    page = read(services().state, asked["after"], asked["limit"])
    return json_response({"events": list(page.events), "next": page.next, "last": page.last})
