"""Views for security officers: the revisions that were activated. Reading only; the command line changes them."""

from __future__ import annotations

from flask import Blueprint
from flask import Response as FlaskResponse
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.codes import Role
from sidecar.errors import LedgerUnavailable
from sidecar.policy.tables import REVISIONS
from sidecar.storage.engine import reading
from sidecar.web.views import json_response, no_query, officer, services, typed_request

blueprint = Blueprint("policy", __name__, url_prefix="/policy/v1")

NAMES = ("number", "label", "digest", "activated")
"""What is listed of a revision."""

LISTED = 100
"""Latest revisions that are listed; the ledger has all."""


@blueprint.get("/revisions")
def revisions() -> FlaskResponse:
    """The latest revisions, the active one first."""
    request = typed_request()
    officer(request, Role.SECURITY_OFFICER)
    no_query(request)
    columns = [REVISIONS.c[name] for name in NAMES]
    try:
        with reading(services().state).connect() as connection:
            rows = connection.execute(select(*columns).order_by(REVISIONS.c.number.desc()).limit(LISTED)).all()
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer") from exc
    return json_response({"revisions": [dict(zip(NAMES, row, strict=True)) for row in rows]})
