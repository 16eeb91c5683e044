"""Every error as a problem document (RFC 9457), with the gateway's own bytes and headers."""

from __future__ import annotations

import structlog
from flask import Flask
from flask import Response as FlaskResponse
from flask import request as flask_request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from sidecar.codes import Code
from sidecar.errors import LedgerUnavailable, RequestInvalid, SidecarError, TokenRejected
from sidecar.gateway import metrics
from sidecar.gateway.problem import CONTENT_TYPE, problem, response
from sidecar.gateway.receipt import released_bytes
from sidecar.gateway.types import Response
from sidecar.web.http import REASONS
from sidecar.web.services import Services

log = structlog.get_logger(__name__)

_CODES = {400: Code.BODY_INVALID, 404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.BODY_TOO_LARGE}


def flask_response(answer: Response) -> FlaskResponse:
    """A typed response as Flask sends it: the same bytes, the same headers in the same order."""
    sent = FlaskResponse(answer.body, status=REASONS[answer.status])
    sent.headers.clear()
    sent.headers.extend(answer.headers)
    return sent


def problem_response(status: int, code: str, detail: str = "", *further: tuple[str, str]) -> FlaskResponse:
    """A problem document of one code."""
    body = released_bytes(problem(status, (code,), detail=detail))
    return flask_response(response(status, CONTENT_TYPE, body, *further))


def register(app: Flask, services: Services) -> None:
    """Answer every error of the views with a problem document."""

    @app.errorhandler(TokenRejected)
    def turned_away(exc: TokenRejected) -> FlaskResponse:
        metrics.count_unauthenticated(exc.code)
        try:
            services.gateway.ports.attempts.count(flask_request.remote_addr or "", exc.code)
        except LedgerUnavailable as unavailable:
            return problem_response(unavailable.status, unavailable.code)
        return problem_response(exc.status, exc.code, "", ("WWW-Authenticate", "Bearer"))

    @app.errorhandler(SidecarError)
    def refused(exc: SidecarError) -> FlaskResponse:
        # The texts of RequestInvalid are written for whoever asked; others are for operators.
        return problem_response(exc.status, exc.code, str(exc) if isinstance(exc, RequestInvalid) else "")

    @app.errorhandler(HTTPException)
    def http(exc: HTTPException) -> FlaskResponse:
        status = exc.code or 500
        code = _CODES.get(status, Code.INTERNAL_ERROR if status >= 500 else Code.BODY_INVALID)
        allow = sorted(exc.valid_methods or ()) if isinstance(exc, MethodNotAllowed) else []
        return problem_response(status, code, "", *([("Allow", ", ".join(allow))] if allow else []))

    @app.errorhandler(Exception)
    def fault(exc: Exception) -> FlaskResponse:
        log.error("internal-error", exc_info=exc)
        return problem_response(500, Code.INTERNAL_ERROR)
