"""The gateway: the ten steps with their ports wired; one typed handler behind every door (P1–P3, P8).

Each request makes one ledger entry of one shape, durable before its answer leaves (P2). What goes wrong on the way is
an answer too: it is recorded, says nothing about records, and releases nothing. Only a request without a valid token
is counted by source and minute instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import orjson
import structlog

from sidecar.codes import Code, Outcome
from sidecar.errors import (
    ClockAway,
    ClockBehind,
    LedgerUnavailable,
    RequestInvalid,
    RevisionUnapproved,
    SidecarError,
    TokenRejected,
)
from sidecar.gateway import metrics, receipt, steps
from sidecar.gateway.cursor import NONCE_BYTES as CURSOR_NONCE_BYTES
from sidecar.gateway.cursor import Binding, CursorBox, Position
from sidecar.gateway.ports import Brought, Database, Ports, Runtime, Use
from sidecar.gateway.problem import CONTENT_TYPE, JSON, problem, response
from sidecar.gateway.read import Limits, read_inquiry, request_digest
from sidecar.gateway.types import Inquiry, Request, Response
from sidecar.identity.types import Officer
from sidecar.law.days import beijing_day
from sidecar.ledger.build import salt, timestamp
from sidecar.ledger.types import Effect, EffectRefused
from sidecar.ledger.witnessed import WitnessedTime
from sidecar.papers.kept_register import REGISTER_UNCHANGED
from sidecar.papers.uses import OPEN_INQUIRY, SHARE_INQUIRY
from sidecar.policy.types import Decision, Facts, LegalParameters
from sidecar.records.redaction import redact
from sidecar.records.routes import ANSWER_STEP_MS
from sidecar.records.types import RegisterMarks, Release, Subject

log = structlog.get_logger(__name__)

CLOCK_TOLERANCE: Final = timedelta(minutes=1)
"""How far our clock may be behind the last entry: more, and validities cannot be judged."""

_AGAIN: Final = (OPEN_INQUIRY, REGISTER_UNCHANGED)
"""Effects whose refusal is no answer: each is refused once at most, then the inquiry is made again."""

_AUTHENTICATE: Final = ("WWW-Authenticate", "Bearer")


@lru_cache(maxsize=4096)
def _facts_json(facts: Facts) -> bytes:
    return orjson.dumps(facts.as_input(), option=orjson.OPT_SORT_KEYS)


class Gateway:
    """Answers inquiries. Thread-safe.

    Attributes:
        runtime: what the active revision brings; None, or a fault in its place, denies everything. Assigning another
            one is how revisions change: each request looks at it once.
        latest: the latest instant that the ledger is known to have seen.
        witnessed: what the witnesses' clocks show.
    """

    def __init__(self, ports: Ports, limits: Limits, *, inquiry_minutes: int) -> None:
        self.ports = ports
        self.limits = limits
        self.lifetime = inquiry_minutes * 60
        self.runtime: Runtime | SidecarError = RevisionUnapproved("no revision was loaded yet")
        self.latest = datetime.fromtimestamp(0, UTC)
        self.witnessed = WitnessedTime()
        self.cursors = CursorBox(ports.keys.cursor_key)

    def seen(self, instant: datetime) -> None:
        """The ledger has an entry of this instant. A race between threads loses a moment, never more."""
        self.latest = max(self.latest, instant)

    def check_clock(self, now: datetime) -> None:
        """Hold a clock that shows ``now`` against the last entry and the witnesses.

        Raises:
            ClockBehind: it is more than a minute behind the last entry.
            ClockAway: it is more than a minute away from the witnesses'.
        """
        if now + CLOCK_TOLERANCE < self.latest:
            raise ClockBehind("the clock is behind the last entry")
        if not self.witnessed.agrees(now, self.ports.clock.monotonic()):
            raise ClockAway("the clock is away from the witnesses'")

    def handle(self, request: Request) -> Response:
        """Answer one ``POST /v1/inquiries``; every exception ends in an answer that releases nothing."""
        return self.conduct(request, self.by_token)

    def by_token(self, request: Request, now: datetime) -> Conduct:
        """Step 1 with a bearer token."""
        return Conduct(self, request, self.ports.verifier.verify(steps.bearer(request.headers), now), now)

    def conduct(
        self,
        request: Request,
        begin: Callable[[Request, datetime], Conduct],
        authenticate: Sequence[tuple[str, str]] = (_AUTHENTICATE,),
    ) -> Response:
        """Answer one request; ``begin`` is step 1, and says which way it goes from there."""
        now, conduct = self.ports.clock.now(), None
        try:
            conduct = begin(request, now)
            answer = conduct.run()
        except TokenRejected as exc:
            answer = self._turn_away(request, exc, authenticate)
        except LedgerUnavailable as exc:
            answer = _unrecorded(exc)
        return replace(answer, step=self.step(conduct.database if conduct is not None else ""))

    def step(self, database: str = "") -> float:
        """At multiples of how many seconds answers leave that were made for a database, or for none that is known.

        The latter is the longest of all, so that an error is not told by its time from what it stands for.
        """
        runtime = self.runtime
        if not isinstance(runtime, Runtime):
            return ANSWER_STEP_MS / 1000
        found = runtime.databases.get(database)
        return found.step if found is not None else max((d.step for d in runtime.databases.values()), default=0.0)

    def _turn_away(self, request: Request, exc: TokenRejected, authenticate: Sequence[tuple[str, str]]) -> Response:
        """No valid token: counted by source and minute, not one entry each, so that a flood buries nothing."""
        metrics.count_unauthenticated(exc.code)
        try:
            self.ports.attempts.count(request.source, exc.code)
        except LedgerUnavailable as unavailable:
            return _unrecorded(unavailable)
        body = receipt.released_bytes(problem(exc.status, (exc.code,)))
        return response(exc.status, CONTENT_TYPE, body, *authenticate)


def _unrecorded(exc: LedgerUnavailable) -> Response:
    """P2: what cannot be recorded is not answered. The same bytes whatever was asked."""
    log.error("ledger-unavailable", code=exc.code)
    body = receipt.released_bytes(problem(exc.status, (exc.code,)))
    return response(exc.status, CONTENT_TYPE, body)


class Conduct:
    """One request on its way through the steps, with what is known of it so far. Used by one thread, once.

    Other doors have subclasses, which say what step 2 reads (``state``), what follows an allow (``release``) and how an
    answer is written (``refused_bytes``, ``sent``).
    """

    __slots__ = (
        "application",
        "conditions",
        "decision",
        "digest",
        "expires",
        "facts",
        "filter",
        "gateway",
        "inquiry",
        "inquiry_id",
        "letter",
        "now",
        "officer",
        "officer_id",
        "page",
        "ports",
        "pseudonym_key",
        "read_as",
        "refused",
        "request",
        "runtime",
        "said",
        "seconds",
        "shared",
        "subject",
    )

    def __init__(self, gateway: Gateway, request: Request, officer: Officer, now: datetime) -> None:
        self.gateway, self.ports, self.runtime = gateway, gateway.ports, gateway.runtime
        self.request, self.officer, self.now = request.whole(), officer, now
        self.officer_id = f"{officer.issuer}|{officer.subject}"
        self.seconds = int(now.timestamp())
        self.inquiry_id, self.page, self.shared = self.ports.ids(), 1, False
        self.expires = self.seconds + gateway.lifetime
        self.inquiry: Inquiry | None = None
        self.said: steps.Stated | None = None
        self.facts: Facts | None = None
        self.decision: Decision | None = None
        self.digest = b""
        self.conditions: Sequence[Effect] = ()
        self.refused: Sequence[Effect] = ()
        self.subject = self.filter = self.pseudonym_key = self.letter = self.application = self.read_as = ""

    def run(self) -> Response:
        """The answer, recorded.

        Raises:
            LedgerUnavailable: it could not be recorded: nothing may be released.
        """
        try:
            return self._inquire_until_it_holds()
        except EffectRefused as exc:  # nothing was committed: what was fetched is dropped, the refusal is recorded
            status, code = (422, Code.CURSOR_INVALID) if exc.name == SHARE_INQUIRY else (exc.status, exc.code)
            return self._problem(status, code, Outcome.REFUSE)
        except RequestInvalid as exc:
            return self._problem(exc.status, exc.code, Outcome.REFUSE, str(exc))
        except LedgerUnavailable:
            raise
        except SidecarError as exc:
            log.warning("inquiry-failed", code=exc.code)
            return self._problem(exc.status, exc.code, steps.ERROR)
        except Exception:  # a fault of ours denies and is recorded like any other (P1); its text is not logged
            log.exception("internal-error")
            return self._problem(500, Code.INTERNAL_ERROR, steps.ERROR)

    def _inquire_until_it_holds(self) -> Response:
        for _ in _AGAIN:
            try:
                return self._inquire()
            except EffectRefused as exc:
                # A twin with the same Idempotency-Key was first: now its row is there to be shared. Or the seal
                # register was changed since it was read: now it is asked for.
                if exc.name not in _AGAIN:
                    raise
                self.refused = self.conditions if exc.name == REGISTER_UNCHANGED else self.refused
                self.read_as = self.inquiry_id
        return self._inquire()

    @property
    def database(self) -> str:
        """Name of the database that is asked about, as far as it was said; it may be unknown."""
        return self.inquiry.database if self.inquiry is not None else ""

    def state(self) -> Inquiry:
        """Step 2: what the request asks."""
        return read_inquiry(self.request, self.inquiry_id, self.now, self.gateway.limits)

    def _inquire(self) -> Response:
        inquiry = self.inquiry = self.state()  # 2
        self.digest = request_digest(inquiry)
        self._note(inquiry)
        runtime = self._check_standing()
        after = self._resume(inquiry, runtime)
        said = self.said = steps.stated(inquiry, runtime.params)
        brought = self._bring(inquiry, said, runtime.params)  # 3
        decision = self.decision = self._decide(inquiry, runtime, said, brought)  # 4
        if decision.outcome is not Outcome.ALLOW:
            document = steps.refusal(self.inquiry_id, decision)
            return self._refuse(steps.STATUS[decision.outcome], document, decision.outcome, decision.codes)
        return self.release(inquiry, runtime, decision, brought, after)

    def release(
        self, inquiry: Inquiry, runtime: Runtime, decision: Decision, brought: Brought, after: tuple[Any, ...] | None
    ) -> Response:
        """Steps 6 to 10 after an allow."""
        release = self._read(inquiry, runtime, decision, after)  # 6, 7, 8
        cursor = self._next(runtime, release)
        use = self.count(inquiry, brought, further=cursor is not None)  # 5, in 9
        document = steps.answer(self.inquiry_id, decision, release.records, release.count, cursor)
        released = receipt.released_bytes(document)
        return self.record(200, JSON, released, Outcome.ALLOW, (), effects=(*self.conditions, *use))  # 9, 10

    def _check_standing(self) -> Runtime:
        """Nothing is decided by a clock that runs behind, or by what was not approved."""
        self.gateway.check_clock(self.now)
        if isinstance(self.runtime, Runtime):
            return self.runtime
        raise self.runtime

    def _note(self, inquiry: Inquiry) -> None:
        """Who or what is asked about, as the ledger may know it (P6)."""
        keys, year, target = self.ports.keys, beijing_day(self.now) // 10000, inquiry.target
        if not isinstance(target, Subject):
            conditions = [[c.field, c.operator, c.value] for c in target.conditions]
            self.filter = keys.keyed_hash("search", orjson.dumps(conditions).decode(), year)
        elif target.person_id is not None:
            self.pseudonym_key, self.subject = keys.pseudonym("person_id", target.person_id, year)
        else:
            named = f"{target.name}/{target.birth_date}"
            self.pseudonym_key, self.subject = keys.pseudonym("name_birth", named, year)
        if inquiry.application:
            self.application = keys.keyed_hash("application", inquiry.application, year)
        if inquiry.letter:
            self.letter = keys.keyed_hash("letter", inquiry.letter, year)

    def _resume(self, inquiry: Inquiry, runtime: Runtime) -> tuple[Any, ...] | None:
        """Where a following page goes on; it shares id and use of its inquiry, and so does a repeated request."""
        if inquiry.cursor:
            position = self.gateway.cursors.open(inquiry.cursor, self.binding(runtime), self.seconds)
            self.inquiry_id, self.page, self.expires = position.inquiry, position.page, position.expires
            self.shared = True
            return position.after
        if inquiry.idempotency_key:
            twin = self.ports.papers.twin(self.officer_id, inquiry.idempotency_key, self.digest, self.seconds)
            if twin is not None:
                self.inquiry_id, self.expires, self.shared = twin.inquiry, twin.expires, True
        return None

    def binding(self, runtime: Runtime) -> Binding:
        """What the cursors of this request belong to."""
        return Binding(self.officer_id, self.digest, runtime.revision)

    def _bring(self, inquiry: Inquiry, said: steps.Stated, params: LegalParameters) -> Brought:
        brought = self.ports.papers.bring(inquiry, self.officer, said.basis, said.purpose, params)
        if (letter := brought.valid_letter) is not None:
            # One letter has one hash in the ledger, however often it is signed anew (R17).
            self.letter = self.ports.keys.keyed_hash("letter", letter.counter, beijing_day(self.now) // 10000)
        return brought

    def count(self, inquiry: Inquiry, brought: Brought, *, further: bool) -> Sequence[Effect]:
        """Step 5: the use is counted in step 9's statement, on condition that it is still there."""
        return self.ports.papers.count(
            Use(
                inquiry=self.inquiry_id,
                shared=self.shared,
                page=self.page,
                officer=self.officer_id,
                digest=self.digest,
                letter=brought.valid_letter,
                idempotency_key=inquiry.idempotency_key,
                further=further,
                expires=self.expires,
                now=self.seconds,
            )
        )

    def _decide(self, inquiry: Inquiry, runtime: Runtime, said: steps.Stated, brought: Brought) -> Decision:
        registry, officer = self.ports.registry, self.officer
        unit = registry.unit(officer.unit)
        standing = steps.Standing(
            officer=registry.officer_state(officer.issuer, officer.subject),
            organ=unit.organ if unit is not None else "",
            unit=unit.state if unit is not None else "unknown",
        )
        facts = self.facts = steps.facts(
            officer=officer,
            standing=standing,
            inquiry=inquiry,
            said=said,
            letter=brought.letter,
            application=brought.application,
            undertaking=brought.undertaking,
            database_known=inquiry.database in runtime.databases,
        )
        decision = runtime.engine.decide(facts)
        if decision.revision != runtime.revision:
            raise RevisionUnapproved("the decision is of another revision than the active one")
        return decision

    def _read(self, inquiry: Inquiry, runtime: Runtime, decision: Decision, after: tuple[Any, ...] | None) -> Release:
        """Steps 6 to 8. Whatever fails here says nothing about rows."""
        database = runtime.databases[inquiry.database]
        marks = self.checked(inquiry, decision, database)
        page = steps.page_request(inquiry, after)
        fetched = database.connector.fetch(inquiry.target, decision.views, page, marks, self.inquiry_id)
        classified = runtime.engine.classify([row.attributes for row in fetched.rows])
        steps.check_classified(len(fetched.rows), classified)
        return redact(fetched, classified, decision.views)

    def checked(self, inquiry: Inquiry, decision: Decision, database: Database) -> RegisterMarks:
        """Step 6a: the database is open, the fields may be asked for; what the seal register says."""
        if database.fault is not None:
            raise database.fault
        steps.check_fields(inquiry, decision.views, database.filterable, database.sortable)
        register = self.ports.register.marks(inquiry, self.refused)
        self.conditions = register.conditions
        return register.marks

    def _next(self, runtime: Runtime, release: Release) -> str | None:
        if release.next is None:
            return None
        position = Position(self.inquiry_id, self.page + 1, self.expires, release.next)
        return self.gateway.cursors.seal(position, self.binding(runtime), self.ports.random(CURSOR_NONCE_BYTES))

    # --- recording -----------------------------------------------------------------------------------------------

    def _problem(self, status: int, code: str, outcome: str, detail: str = "") -> Response:
        document = problem(status, (code,), inquiry_id=self.inquiry_id, detail=detail)
        return self._refuse(status, document, outcome, (code,))

    def _refuse(self, status: int, document: Mapping[str, Any], outcome: str, codes: Sequence[str]) -> Response:
        content_type, released = self.refused_bytes(document)
        return self.record(status, content_type, released, outcome, codes)

    def refused_bytes(self, document: Mapping[str, Any]) -> tuple[str, bytes]:
        """Type and bytes of an answer that releases nothing."""
        return CONTENT_TYPE, receipt.released_bytes(document)

    def sent(self, status: int, content_type: str, released: bytes, signed: str) -> Response:
        """Step 10: the answer as it leaves."""
        return response(status, content_type, receipt.with_receipt(released, signed))

    def record(
        self,
        status: int,
        content_type: str,
        released: bytes,
        outcome: str,
        codes: Sequence[str],
        *,
        effects: Sequence[Effect] = (),
    ) -> Response:
        """Steps 9 and 10: one entry, durable, then the answer with its receipt, signed while the database flushes."""
        ports = self.ports
        commitment = receipt.commit_to(released, ports.random(receipt.NONCE_BYTES))
        known = self._known()
        entry = steps.entry(known, outcome, codes, commitment.answer, salt(ports.random))
        claims = receipt.Claims(
            deployment=ports.deployment,
            inquiry=known.id,
            page=known.page,
            issued=self.seconds,
            revision=known.revision,
            letter=known.letter,
            outcome=outcome,
        )
        inputs = ports.inputs.effects(known.id, self._inputs(self.facts, commitment.nonce)) if self.facts else ()
        committed, signed = ports.ledger.commit(
            entry,
            (*effects, *inputs),
            lambda leaf: ports.keys.sign_receipt(claims.signed_over(commitment, leaf.hash)),
        )
        ports.inputs.committed(inputs, committed.writer)
        self.gateway.seen(self.now)
        metrics.count_inquiry(outcome, known.channel, known.database, status)
        return self.sent(status, content_type, released, signed or "")

    def _inputs(self, facts: Facts, nonce: str) -> bytes:
        """What is sealed beside the entry: all that the decision was made from, for replay and dossier."""
        inquiry, decision = self.inquiry, self.decision
        stated: dict[str, Any] = {
            "nonce": nonce,
            "codes": decision.codes if decision else (),
            "outcome": decision.outcome if decision else steps.ERROR,
            "rules": decision.rules if decision else (),
            "engine": decision.engine if decision else "",
        }
        if inquiry is not None:
            stated |= {
                "application": inquiry.application,
                "basis": inquiry.basis,
                "case_number": inquiry.case_number,
                "letter": inquiry.letter,
                "purpose": inquiry.purpose,
                "reason": inquiry.reason,
                "target": inquiry.target,
            }
        return b'{"facts":' + _facts_json(facts) + b',"inquiry":' + orjson.dumps(stated) + b"}"

    def _known(self) -> steps.Known:
        runtime, inquiry, said = self.runtime, self.inquiry, self.said
        databases: Mapping[str, Any] = runtime.databases if isinstance(runtime, Runtime) else {}
        return steps.Known(
            id=self.inquiry_id,
            time=timestamp(self.now),
            channel=self.request.channel,
            officer=self.officer_id,
            unit=self.officer.unit,
            revision=runtime.revision if isinstance(runtime, Runtime) else "",
            subject=self.subject,
            filter=self.filter,
            pseudonym_key=self.pseudonym_key,
            database=inquiry.database if inquiry and inquiry.database in databases else "",
            scope=inquiry.scope if inquiry else "",
            basis=said.basis if said else "",
            purpose=said.purpose if said else "",
            letter=self.letter,
            application=self.application,
            page=self.page,
            read_as=self.read_as if self.read_as != self.inquiry_id else "",
        )
