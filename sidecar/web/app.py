"""The application: views by audience, every error a problem, and two doors to the one inquiry handler."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, request
from flask import Response as FlaskResponse

from sidecar.codes import Channel, Code
from sidecar.errors import RequestInvalid
from sidecar.gateway.proxy import PREFIX, Proxy
from sidecar.gateway.run import Gateway
from sidecar.settings import Settings
from sidecar.web import api, applications, letters, log, operator, oversight, policy, problem
from sidecar.web.answer_time import AnswerTime
from sidecar.web.http import Environ, StartResponse, head_fault, read_request, send
from sidecar.web.services import Services
from sidecar.web.wire import build_services

INQUIRIES = "/v1/inquiries"
"""Path of the thin lane."""


class ProxyLane:
    """Everything below ``/proxy/``, whatever its method: the one door to ``Proxy.handle``."""

    def __init__(self, inner: Any, proxy: Proxy, max_body: int) -> None:
        self._inner = inner
        self._handle = proxy.handle
        self._max_body = max_body

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """A WSGI application (PEP 3333)."""
        if environ.get("PATH_INFO", "").startswith(PREFIX):
            return send(
                self._handle(read_request(environ, Channel.PROXY.value, self._max_body)), environ, start_response
            )
        answer: Iterable[bytes] = self._inner(environ, start_response)
        return answer


class ThinLane:
    """Dispatches ``POST /v1/inquiries`` in front of Flask's routing: the same handler, the same bytes, less time."""

    def __init__(self, inner: Any, gateway: Gateway, max_body: int) -> None:
        self._inner = inner
        self._handle = gateway.handle
        self._max_body = max_body

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """A WSGI application (PEP 3333)."""
        if environ["REQUEST_METHOD"] == "POST" and environ.get("PATH_INFO") == INQUIRIES:
            return send(self._handle(read_request(environ, Channel.API.value, self._max_body)), environ, start_response)
        answer: Iterable[bytes] = self._inner(environ, start_response)
        return answer


def create_app(
    settings: Settings, services: Services | None = None, *, sleep: Callable[[float], None] = time.sleep
) -> Flask:
    """The application of a worker.

    Args:
        settings: the deployment's settings; ``server.roles`` says which audiences are served.
        services: what it stands on; wired from the settings unless given.
        sleep: waits for an answer's step, where the server does not keep answers back itself.

    Raises:
        SidecarError: the settings, keys, ledger or state database cannot be used.
    """
    services = services or build_services(settings)
    app = Flask("sidecar", static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False  # one path a resource, for both doors
    app.extensions["sidecar"] = services
    app.register_blueprint(operator.blueprint)
    if {"gateway", "desk"} & set(settings.server.roles):
        app.register_blueprint(api.blueprint)
        app.register_blueprint(applications.blueprint)
        app.register_blueprint(letters.blueprint)
    if "oversight" in settings.server.roles:
        app.register_blueprint(oversight.blueprint)
        app.register_blueprint(log.blueprint)
    if "workbench" in settings.server.roles:
        app.register_blueprint(policy.blueprint)
    problem.register(app, services)
    app.before_request(_of_one_meaning)
    app.after_request(_never_stored)
    if "gateway" in settings.server.roles:
        app.wsgi_app = ProxyLane(app.wsgi_app, services.proxy, settings.server.max_body_bytes)  # type: ignore[method-assign]
    if settings.server.thin_lane and "gateway" in settings.server.roles:
        app.wsgi_app = ThinLane(app.wsgi_app, services.gateway, settings.server.max_body_bytes)  # type: ignore[method-assign]
    app.wsgi_app = AnswerTime(app.wsgi_app, services.clock, services.gateway.step, sleep)  # type: ignore[method-assign]
    return app


def _of_one_meaning() -> None:
    """Refuse a head that readers on the way may take otherwise; an inquiry's is refused, and recorded, by its handler."""
    fault = head_fault(request.environ)
    if fault and request.endpoint not in {"api.inquire", "api.open_session"}:
        raise RequestInvalid(Code.BODY_INVALID, fault, status=400)


def _never_stored(answer: FlaskResponse) -> FlaskResponse:
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer
