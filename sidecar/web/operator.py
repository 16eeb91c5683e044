"""Views for operators: is it alive, may it answer, what was counted, what is the interface. Nothing depends on records (P3)."""

from __future__ import annotations

import os
from html import escape

import prometheus_client
from flask import Blueprint
from flask import Response as FlaskResponse
from prometheus_client import CollectorRegistry, multiprocess

from sidecar.codes import Code
from sidecar.errors import SidecarError
from sidecar.gateway import metrics as counters
from sidecar.gateway.ports import Runtime
from sidecar.gateway.problem import JSON, response, title
from sidecar.gateway.receipt import released_bytes
from sidecar.policy.types import ApplicationFacts, Facts, LetterFacts, UndertakingFacts
from sidecar.web import openapi
from sidecar.web.problem import flask_response
from sidecar.web.services import Services
from sidecar.web.views import json_response, services

blueprint = Blueprint("operator", __name__)

HTML = "text/html; charset=utf-8"
PAGE_POLICY = ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
"""Pages load nothing from anywhere (police networks are closed)."""

PROBE = Facts(
    channel="api",
    today=20260101,
    roles=(),
    certificate="missing",
    officer="active",
    organ="",
    unit="unknown",
    database="unknown",
    target="subject",
    scope="open",
    reason="missing",
    basis="",
    basis_state="missing",
    purpose="",
    purpose_state="missing",
    case_number="missing",
    letter=LetterFacts(),
    application=ApplicationFacts(),
    undertaking=UndertakingFacts(),
)
"""A question that every policy refuses: readiness asks whether it is answered."""


@blueprint.get("/healthz")
def health() -> FlaskResponse:
    """The process answers."""
    return json_response({"status": "ok"})


@blueprint.get("/readyz")
def ready() -> FlaskResponse:
    """Whether inquiries can be answered: an approved revision, an engine that decides, a ledger that commits, a database.

    One closed database does not make the others unready: which ones are closed is in the operator's log. Where none
    has passed its canary, nothing could be answered.
    """
    checks = readiness(services())
    good = checks["revision"] and checks["engine"] and checks["ledger"] and _reads(services().gateway.runtime)
    return json_response({"status": "ready" if good else "unready", "checks": checks}, 200 if good else 503)


def readiness(found: Services) -> dict[str, bool]:
    """The single checks; ``databases``: all of them passed their canaries."""
    runtime = found.gateway.runtime
    active = isinstance(runtime, Runtime)
    return {
        "revision": active,
        "engine": isinstance(runtime, Runtime) and _decides(runtime),
        "ledger": found.gateway.ports.ledger.ready(),
        "databases": isinstance(runtime, Runtime) and all(d.fault is None for d in runtime.databases.values()),
    }


def _reads(runtime: Runtime | SidecarError) -> bool:
    """Whether a database is open, unless the revision has none."""
    faults = [d.fault for d in runtime.databases.values()] if isinstance(runtime, Runtime) else []
    return not faults or None in faults


def _decides(runtime: Runtime) -> bool:
    try:
        return runtime.engine.decide(PROBE).revision == runtime.revision
    except SidecarError:
        return False


@blueprint.get("/metrics")
def metrics() -> FlaskResponse:
    """Counters of all workers in the text format of Prometheus."""
    registry = counters.REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    text = prometheus_client.generate_latest(registry)
    return flask_response(response(200, prometheus_client.CONTENT_TYPE_LATEST, text))


@blueprint.get("/openapi.json")
def description() -> FlaskResponse:
    """The interface as OpenAPI 3.1."""
    return flask_response(response(200, JSON, released_bytes(openapi.document())))


@blueprint.get("/docs")
def docs() -> FlaskResponse:
    """The interface for people."""
    return _page("Interface", "".join(map(_operation, openapi.OPERATIONS)))


@blueprint.get("/docs/reason-codes")
def reason_codes() -> FlaskResponse:
    """What problem types point to."""
    rows = "".join(f'<dt id="{code}"><code>{code}</code></dt><dd>{escape(title(code))}.</dd>' for code in Code)
    return _page("Reason codes", f"<dl>{rows}</dl>")


def _operation(operation: openapi.Operation) -> str:
    who = ", ".join(operation.roles) or "anybody"
    statuses = ", ".join(str(status) for status in sorted(operation.statuses))
    return (
        f"<section><h2><code>{operation.method.upper()} {escape(operation.path)}</code></h2>"
        f"<p>{escape(operation.summary)}</p><p>For: {escape(who)}. Answers: {statuses}.</p></section>"
    )


def _page(heading: str, content: str) -> FlaskResponse:
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{heading}</title>'
        "<style>body{font:1rem/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}</style>"
        f'<body><h1>{heading}</h1><p><a href="/openapi.json">openapi.json</a></p>{content}</body></html>'
    )
    return flask_response(response(200, HTML, page.encode(), PAGE_POLICY))
