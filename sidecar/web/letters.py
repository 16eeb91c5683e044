"""View by which the archive clerk registers a paper letter (Q5, R17)."""

from __future__ import annotations

from flask import Blueprint
from flask import Response as FlaskResponse

from sidecar.codes import Role
from sidecar.gateway.ports import Runtime
from sidecar.law.days import parse_day
from sidecar.papers.paper_letters import PaperLetter, PaperLetters
from sidecar.web import models
from sidecar.web.views import body, json_response, no_query, officer, services, typed_request

blueprint = Blueprint("letters", __name__)


@blueprint.post("/v1/letters")
def register() -> FlaskResponse:
    """Register a paper letter, so that its uses are counted."""
    request = typed_request()
    clerk = officer(request, Role.ARCHIVE_CLERK)
    no_query(request)
    letter = _letter(body(request, models.NewLetter))
    runtime = services().gateway.runtime
    if not isinstance(runtime, Runtime):
        raise runtime
    ports = services().gateway.ports
    letters = PaperLetters(ports.ledger, ports.keys, ports.clock, ports.random)
    number = letters.register(clerk, letter, runtime.params, runtime.databases.keys())
    return json_response({"unit": letter.unit, "number": number}, 201)


def _letter(stated: models.NewLetter) -> PaperLetter:
    return PaperLetter(
        unit=stated.unit,
        number=stated.number,
        officer=stated.officer,
        subjects=tuple(stated.subjects),
        databases=tuple(stated.databases),
        scope=stated.scope,
        basis=(stated.basis.instrument, stated.basis.article),
        purpose=stated.purpose,
        first_day=parse_day(stated.valid_from) or 0,
        last_day=parse_day(stated.valid_to) or 0,
        uses=stated.uses,
    )
