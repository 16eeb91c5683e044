"""Views for officers' clients: inquiries and the databases there are."""

from __future__ import annotations

from flask import Blueprint, request
from flask import Response as FlaskResponse

from sidecar.codes import Channel, Role
from sidecar.gateway.ports import Runtime
from sidecar.gateway.types import Response
from sidecar.web.http import STEP
from sidecar.web.problem import flask_response
from sidecar.web.views import arriving_request, json_response, no_query, officer, services, typed_request

blueprint = Blueprint("api", __name__)

INQUIRERS = (Role.OFFICER, Role.WINDOW, Role.APPROVER, Role.ARCHIVE_CLERK)
"""Who may know which databases there are."""


@blueprint.post("/v1/inquiries")
def inquire() -> FlaskResponse:
    """Flask's door to the one handler; the thin lane is the other."""
    return _at_its_step(services().gateway.handle(arriving_request()))


@blueprint.post("/v1/sessions")
def open_session() -> FlaskResponse:
    """Open an inquiry session; its calls come through the proxy, and so does its entry."""
    return _at_its_step(services().proxy.open_session(arriving_request(Channel.PROXY)))


def _at_its_step(answer: Response) -> FlaskResponse:
    request.environ[STEP] = answer.step
    return flask_response(answer)


@blueprint.get("/v1/databases")
def databases() -> FlaskResponse:
    """Names and declared fields of the databases."""
    asked = typed_request()
    officer(asked, *INQUIRERS)
    no_query(asked)
    runtime = services().gateway.runtime
    if not isinstance(runtime, Runtime):
        raise runtime
    listed = [
        {"name": name, "filterable": sorted(database.filterable), "sortable": sorted(database.sortable)}
        for name, database in sorted(runtime.databases.items())
    ]
    return json_response({"databases": listed})


@blueprint.get("/v1/keys")
def keys() -> FlaskResponse:
    """Public keys of receipts as a JWK set (RFC 7517), for anybody who holds a receipt."""
    return flask_response(services().public_keys())
