"""The proxy's way through the ten steps: a legacy client's own call instead of a body of ours (P1–P3, P8).

Steps are those of ``gateway.steps``; other are only what step 2 reads (the call and, beside it, the facts), that steps 6 to 8
keep the records as they came, and that step 10 writes them in the service's own form with the receipt in a header.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sidecar.codes import Channel, Code, Outcome
from sidecar.errors import RequestInvalid
from sidecar.gateway import receipt, sessions, stated, steps
from sidecar.gateway.body import parse_object
from sidecar.gateway.cursor import NONCE_BYTES as CURSOR_NONCE_BYTES
from sidecar.gateway.cursor import Position
from sidecar.gateway.ports import Brought, Database, Runtime
from sidecar.gateway.problem import CONTENT_TYPE, JSON, problem, response
from sidecar.gateway.read import check_coding, idempotency_key, read_inquiry
from sidecar.gateway.run import Conduct, Gateway
from sidecar.gateway.sessions import Session, Sessions
from sidecar.gateway.types import Inquiry, Request, Response
from sidecar.identity.types import Officer
from sidecar.law.days import beijing_day
from sidecar.policy.types import Decision
from sidecar.records import wire_xml
from sidecar.records.calls import Call, Incoming, OpenRoute, match, methods
from sidecar.records.connectors.http import Page
from sidecar.records.types import Subject

PREFIX: Final = "/proxy/"

RECEIPT: Final = "Inquiry-Receipt"

AUTHENTICATE: Final = (
    ("WWW-Authenticate", "Bearer"),
    ("WWW-Authenticate", 'Basic realm="inquiry session", charset="UTF-8"'),
)

_UNKNOWN_PATH: Final = frozenset({Code.NOT_FOUND.value, Code.METHOD_NOT_ALLOWED.value})
"""Answered like any path that is not there: without id and receipt."""

_NOT_IN_SESSION: Final = frozenset({"cursor", "filter", "page_size", "sort"})

Applied = Callable[[Officer, str], stated.Facts | None]
"""The facts of an officer's own application by its id; None where there is none of his."""


class Proxy:
    """Answers legacy clients' calls and opens their sessions. Thread-safe.

    Args:
        gateway: with the ports.
        sessions: opens and finds sessions.
        applied: facts of applications.
        session_minutes: how long a session is good for.
    """

    def __init__(self, gateway: Gateway, sessions: Sessions, applied: Applied, *, session_minutes: int) -> None:
        self.gateway, self.sessions, self.applied = gateway, sessions, applied
        self.lifetime = session_minutes * 60

    def handle(self, request: Request) -> Response:
        """Answer one call below ``/proxy/``; every exception ends in an answer that releases nothing."""
        return self.gateway.conduct(request, self._begin, AUTHENTICATE)

    def _begin(self, request: Request, now: datetime) -> Conduct:
        """Step 1: a bearer token, or a session's name and password."""
        said = request.headers.get("authorization", "")
        if said.partition(" ")[0].lower() == "basic":
            session = self.sessions.find(said, int(now.timestamp()))
            return ProxyConduct(self, request, session.officer, now, session)
        officer = self.gateway.ports.verifier.verify(steps.bearer(request.headers), now)
        return ProxyConduct(self, request, officer, now, None)

    def open_session(self, request: Request) -> Response:
        """Answer one ``POST /v1/sessions``."""
        return self.gateway.conduct(request, self._begin_session)

    def _begin_session(self, request: Request, now: datetime) -> Conduct:
        officer = self.gateway.ports.verifier.verify(steps.bearer(request.headers), now)
        return SessionConduct(self, request, officer, now)


def split(path: str) -> tuple[str, str]:
    """Database and the path below it of ``/proxy/{database}/…``."""
    database, _, rest = path.removeprefix(PREFIX).partition("/")
    return database, rest


class ProxyConduct(Conduct):
    """One legacy client's call. Used by one thread, once."""

    __slots__ = ("call", "further", "opened", "packed", "proxy", "session")

    def __init__(
        self, proxy: Proxy, request: Request, officer: Officer, now: datetime, session: Session | None
    ) -> None:
        super().__init__(proxy.gateway, request, officer, now)
        self.proxy, self.session = proxy, session
        self.opened: OpenRoute | None = None
        self.call: Call | None = None
        self.further: Sequence[tuple[str, str]] = ()
        self.packed = False
        if session is not None:
            self.inquiry_id, self.expires, self.shared = session.id, session.expires, True
            self.page = session.pages + 1

    @property
    def database(self) -> str:
        """Name of the database in the path; it may be unknown."""
        return split(self.request.path)[0]

    # --- step 2 --------------------------------------------------------------------------------------------------

    def state(self) -> Inquiry:
        """The inquiry that a declared call makes with the facts stated beside it."""
        request, limit = self.request, self.gateway.limits.body_bytes
        if request.fault:
            raise RequestInvalid(Code.BODY_INVALID, request.fault, status=400)
        if not isinstance(self.runtime, Runtime):
            raise self.runtime
        database, rest = split(request.path)
        opened, in_path = self._route(self.runtime.databases.get(database), rest)
        self.opened = opened
        if len(request.body) > limit:
            raise RequestInvalid(Code.BODY_TOO_LARGE, f"the body is larger than {limit} bytes", status=413)
        check_coding(request.headers)
        self.call = opened.read(_incoming(request, rest), in_path, beijing_day(self.now))
        facts, key = self._facts(), idempotency_key(request.headers)
        inquiry = inquiry_of(self, database, self.call.target, facts)
        return replace(inquiry, cursor=self.call.cursor, idempotency_key="" if self.session else key)

    def _route(self, database: Database | None, rest: str) -> tuple[OpenRoute, Mapping[str, str]]:
        routes = database.service.routes if database is not None and database.service is not None else ()
        found = match(routes, _incoming(self.request, rest))
        if found is not None:
            return found
        if allowed := methods(routes, rest):
            self.further = (("Allow", ", ".join(allowed)),)
            raise RequestInvalid(Code.METHOD_NOT_ALLOWED, "", status=405)
        raise RequestInvalid(Code.NOT_FOUND, "", status=404)

    def _facts(self) -> stated.Facts:
        """The session's, the application's, or the headers'."""
        facts = stated.read(self.request.headers)
        if self.session is not None:
            if any(name.startswith(stated.PREFIX) for name in self.request.headers):
                raise RequestInvalid(Code.FIELD_UNKNOWN, "a session has its facts already: no Inquiry headers")
            return self.session.facts
        if facts.by_application:
            own = self.proxy.applied(self.officer, facts.application)
            return facts if own is None else replace(own, letter=facts.letter)
        return facts

    # --- steps 6 to 8 --------------------------------------------------------------------------------------------

    def release(
        self, inquiry: Inquiry, runtime: Runtime, decision: Decision, brought: Brought, after: tuple[Any, ...] | None
    ) -> Response:
        """Steps 6 to 10: the whole result, of it what may be seen, of that the client's page."""
        database, call, session = runtime.databases[inquiry.database], self.call, self.session
        service = database.service
        if service is None or call is None:
            raise RequestInvalid(Code.NOT_FOUND, "", status=404)
        if session is not None and (session.database, session.subject) != (inquiry.database, inquiry.target):
            raise RequestInvalid(Code.SESSION_MISMATCH, "the session is for another subject or database", status=403)
        marks = self.checked(inquiry, decision, database)
        walked = service.walk(call, marks, self.inquiry_id, decision.views.joint_dropped)
        classified = runtime.engine.classify([row.attributes for row in walked.rows])
        steps.check_classified(len(walked.rows), classified)
        kept = service.released(walked, classified, decision.views)
        start = int(after[0]) if after else call.start
        following = self._following(runtime, call, start, len(kept))
        page = service.page(call, kept, start, following, walked.headers)
        use = self.count(inquiry, brought, further=bool(following))
        self._note_page(call, page, following)
        return self.record(
            200, page.content_type, page.body, Outcome.ALLOW, (), effects=(*self.conditions, *use)
        )  # 9, 10

    def _following(self, runtime: Runtime, call: Call, start: int, total: int) -> str:
        """The cursor of the next page, where the service pages by cursors or links and there is one."""
        if call.opened.route.paging.kind not in {"cursor", "link"} or start + call.size >= total:
            return ""
        position = Position(self.inquiry_id, self.page + 1, self.expires, (start + call.size,))
        return self.gateway.cursors.seal(position, self.binding(runtime), self.ports.random(CURSOR_NONCE_BYTES))

    def _note_page(self, call: Call, page: Page, following: str) -> None:
        """What is sent beside the body."""
        answer = call.opened.route.answer
        further = list(page.headers)
        if following and call.opened.route.paging.kind == "link":
            further.append(("Link", f'<{call.opened.link(call, self.request.path, following)}>; rel="next"'))
        if answer.gzip:
            further.append(("Vary", "Accept-Encoding"))
        if call.packed:
            self.packed = True
            further.append(("Content-Encoding", "gzip"))
        self.further = further

    # --- step 10 -------------------------------------------------------------------------------------------------

    def refused_bytes(self, document: Mapping[str, Any]) -> tuple[str, bytes]:
        """A problem document, or a SOAP fault of the same code for a route that speaks SOAP."""
        code, form = str(document["code"]), self.opened.route.answer.format if self.opened else ""
        if code in _UNKNOWN_PATH:
            return CONTENT_TYPE, receipt.released_bytes(problem(int(document["status"]), (code,)))
        if form in wire_xml.SOAP:
            text = wire_xml.fault(form, code, str(document["title"]))
            return f"{wire_xml.SOAP_TYPES[form]}; charset=utf-8", text.encode()
        return CONTENT_TYPE, receipt.released_bytes(document)

    def sent(self, status: int, content_type: str, released: bytes, signed: str) -> Response:
        """The answer with its receipt in a header; what is packed is committed to as it was before."""
        body = gzip.compress(released, mtime=0) if self.packed and status == 200 else released
        own = () if status in {404, 405} else ((RECEIPT, signed),)
        further = self.further if status in {200, 405} else ()
        return response(status, content_type, body, *further, *own)


class SessionConduct(Conduct):
    """The opening of a session: an inquiry of its own that reads nothing, and counts the use. Used by one thread, once."""

    __slots__ = ("proxy",)

    def __init__(self, proxy: Proxy, request: Request, officer: Officer, now: datetime) -> None:
        super().__init__(proxy.gateway, request, officer, now)
        self.proxy = proxy
        self.expires = self.seconds + proxy.lifetime

    def state(self) -> Inquiry:
        """The inquiry that the session's calls will make."""
        inquiry = read_inquiry(self.request, self.inquiry_id, self.now, self.gateway.limits)
        if _NOT_IN_SESSION & parse_object(self.request.body).keys() or not isinstance(inquiry.target, Subject):
            raise RequestInvalid(Code.FIELD_UNKNOWN, "a session is about one subject: no filter, sort or pages")
        return inquiry_of(self, inquiry.database, inquiry.target, _facts_of(inquiry))

    def release(
        self, inquiry: Inquiry, runtime: Runtime, decision: Decision, brought: Brought, after: tuple[Any, ...] | None
    ) -> Response:
        """Steps 9 and 10: the session is stored with the entry; nothing of a database is read."""
        del after
        if runtime.databases[inquiry.database].service is None or not isinstance(inquiry.target, Subject):
            raise RequestInvalid(Code.BODY_INVALID, "database: expected one with declared routes")
        secret = self.ports.random(sessions.SECRET_BYTES)
        session = Session(
            self.inquiry_id, self.officer, inquiry.database, inquiry.target, _facts_of(inquiry), self.expires, 1
        )
        document = {
            "inquiry_id": self.inquiry_id,
            "username": self.inquiry_id,
            "password": sessions.password(secret),
            "expires": self.expires,
            "obligations": list(decision.obligations),
        }
        effects = (*self.count(inquiry, brought, further=True), self.proxy.sessions.opening(session, secret))
        return self.record(201, JSON, receipt.released_bytes(document), Outcome.ALLOW, (), effects=effects)


def inquiry_of(conduct: Conduct, database: str, target: Any, facts: stated.Facts) -> Inquiry:
    """The inquiry of a call or of the session that it belongs to: equal facts have equal digests."""
    return Inquiry(
        id=conduct.inquiry_id,
        received=conduct.now,
        channel=Channel.PROXY.value,
        database=database,
        target=target,
        scope=facts.scope,
        reason=facts.reason,
        basis=(facts.instrument, facts.article),
        purpose=facts.purpose,
        case_number=facts.case_number,
        letter=facts.letter,
        application=facts.application,
        page_size=0,
        cursor="",
        sort=(),
        idempotency_key="",
    )


def _facts_of(inquiry: Inquiry) -> stated.Facts:
    instrument, article = inquiry.basis
    return stated.Facts(
        scope=inquiry.scope,
        reason=inquiry.reason,
        instrument=instrument,
        article=article,
        purpose=inquiry.purpose,
        case_number=inquiry.case_number,
        letter=inquiry.letter,
        application=inquiry.application,
    )


def _incoming(request: Request, rest: str) -> Incoming:
    return Incoming(request.method, rest, request.query, request.headers, request.body)
