"""Views of applications: made by an officer, decided by an approver, answered by the officer's undertaking (Q5–Q8)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint
from flask import Response as FlaskResponse

from sidecar.codes import Role
from sidecar.gateway.ports import Runtime
from sidecar.identity.types import Officer
from sidecar.papers import undertaking
from sidecar.papers.applications import ApplicationView
from sidecar.papers.content import Content
from sidecar.papers.drafts import Draft
from sidecar.papers.types import ApplicationState
from sidecar.records.types import Subject
from sidecar.web import models
from sidecar.web.views import body, json_response, no_body, no_query, officer, services, typed_request

blueprint = Blueprint("applications", __name__, url_prefix="/v1/applications")

PEOPLE = (Role.OFFICER, Role.APPROVER)


def _actor() -> Officer:
    request = typed_request()
    found = officer(request, *PEOPLE)
    no_query(request)
    return found


@blueprint.post("")
def create() -> FlaskResponse:
    """A new draft."""
    actor = _actor()
    stated = body(typed_request(), models.NewApplication)
    runtime = services().gateway.runtime
    if not isinstance(runtime, Runtime):
        raise runtime
    draft = Draft(
        subject=_subject(stated.subject),
        database=stated.database,
        scope=stated.scope,
        reason=stated.reason,
        basis=(stated.basis.instrument, stated.basis.article),
        purpose=stated.purpose,
        case_number=stated.case_number,
    )
    made = services().applications.create(actor, draft, runtime.params, runtime.databases.keys())
    return _answer(made, 201)


def _subject(stated: models.PersonById | models.PersonByName) -> Subject:
    if isinstance(stated, models.PersonById):
        return Subject(person_id=stated.person_id)
    return Subject(name=stated.name, birth_date=stated.birth_date)


@blueprint.get("/<uuid:identifier>")
def show(identifier: object) -> FlaskResponse:
    """An application, for its officer or an approver."""
    return _answer(services().applications.view(_actor(), str(identifier)))


@blueprint.post("/<uuid:identifier>/submit")
def submit(identifier: object) -> FlaskResponse:
    """Hand a draft in."""
    actor = _actor()
    no_body(typed_request())
    return _answer(services().applications.submit(actor, str(identifier)))


@blueprint.post("/<uuid:identifier>/withdraw")
def withdraw(identifier: object) -> FlaskResponse:
    """Take an application back."""
    actor = _actor()
    no_body(typed_request())
    return _answer(services().applications.withdraw(actor, str(identifier)))


@blueprint.post("/<uuid:identifier>/approve")
def approve(identifier: object) -> FlaskResponse:
    """Approve a submitted application of another person."""
    actor = _actor()
    stated = body(typed_request(), models.Approval)
    days = stated.valid_days or services().settings.gateway.approval_days
    done = services().applications.approve(
        actor, str(identifier), copies_approved=stated.copies_approved, valid_days=days
    )
    return _answer(done)


@blueprint.post("/<uuid:identifier>/refuse")
def refuse(identifier: object) -> FlaskResponse:
    """Refuse a submitted application of another person."""
    actor = _actor()
    stated = body(typed_request(), models.ApplicationRefusal)
    done = services().applications.refuse(actor, str(identifier), codes=stated.codes, text=stated.text)
    return _answer(done)


@blueprint.post("/<uuid:identifier>/undertaking")
def sign(identifier: object) -> FlaskResponse:
    """Sign the confidentiality undertaking of one's own approved application."""
    actor = _actor()
    stated = body(typed_request(), models.Signature)
    wording = stated.wording or undertaking.current(stated.language).digest
    return _answer(services().applications.sign(actor, str(identifier), wording))


def _answer(view: ApplicationView, status: int = 200) -> FlaskResponse:
    return json_response(described(view), status)


def described(view: ApplicationView) -> dict[str, Any]:
    """An application as the people who may see it see it."""
    application, content = view.application, view.content
    return {
        "id": application.id,
        "state": application.state,
        "version": view.version,
        "received": _instant(view.received),
        "database": application.database,
        "scope": application.scope,
        "subject": _person(content),
        "reason": content.reason,
        "basis": application.basis,
        "purpose": application.purpose,
        "case_number": content.case_number,
        "officer": f"{application.officer_issuer}|{application.officer}",
        "approver": application.approver,
        "valid_to": _instant(application.valid_to * 1000) if application.valid_to is not None else None,
        "copies_approved": application.copies_approved,
        "undertaking_by": application.undertaking_by,
        "refusal": {"codes": list(content.refusal_codes), "text": content.refusal} if content.refusal_codes else None,
        "to_sign": _to_sign(view),
        "history": [
            {"action": h.action, "state": h.state, "actor": h.actor, "time": _instant(h.time), "entry": h.entry_id}
            for h in view.history
        ],
    }


def _person(content: Content) -> dict[str, str] | None:
    """Whom it is about; None once the content is erased."""
    if content.person_id:
        return {"person_id": content.person_id}
    return {"name": content.name, "birth_date": content.birth_date} if content.name else None


def _to_sign(view: ApplicationView) -> list[dict[str, Any]]:
    """The wordings of which one must be signed now; none where nothing is to be signed."""
    application = view.application
    if application.state is not ApplicationState.APPROVED or application.undertaking_by is not None:
        return []
    return [
        {"language": w.language, "version": w.version, "text": w.text, "wording": w.digest}
        for w in map(undertaking.current, ("zh", "en"))
    ]


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
