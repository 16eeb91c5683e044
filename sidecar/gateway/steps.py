"""One inquiry, step by step: the numbered steps as functions on frozen values (P1–P3, P8).

1. Authenticate the officer.      ``bearer``; the verifier is a port
2. Read the inquiry.              ``read.read_inquiry``
3. Verify the papers.             ``papers.letters``, ``papers.applications``: ports
4. Decide the request.            ``facts``; the engine is a port. No record is looked at, nobody's number is input
5. Check the uses.                ``papers.uses``: counted in step 9's statement, on condition that they are there
6. Fetch.                         ``check_fields``, ``page_request``; the connector is a port
7. Classify each record.          the engine's classification of each row's attributes
8. Redact.                        ``release``
9. Record.                        ``entry``; the ledger is a port
10. Answer.                       ``answer`` for a release, ``refusal`` for all else

There is no Flask, SQL, clock or randomness here: ``run.Gateway`` brings them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sidecar.codes import Code, EntryKind, FieldClass, Outcome, View
from sidecar.errors import EngineUnavailable, RequestInvalid, TokenRejected
from sidecar.gateway.problem import problem
from sidecar.gateway.read import case_number_state
from sidecar.gateway.types import Inquiry
from sidecar.identity.types import Officer
from sidecar.law.days import beijing_day
from sidecar.ledger.types import Entry
from sidecar.policy.bases import basis_key
from sidecar.policy.types import (
    ApplicationFacts,
    Classification,
    Decision,
    Facts,
    LegalParameters,
    LetterFacts,
    UndertakingFacts,
    Views,
)
from sidecar.records.types import PageRequest, Search, Subject

STATUS: Final[Mapping[Outcome, int]] = {Outcome.ALLOW: 200, Outcome.REVIEW: 202, Outcome.REFUSE: 403, Outcome.HOLD: 409}
"""HTTP status of each outcome."""

ERROR = "error"
"""Outcome in the ledger where no decision could be made or carried out."""

MAX_TOKEN = 8192
"""Characters of a bearer token; more is no token of ours."""


def bearer(headers: Mapping[str, str]) -> str:
    """Step 1: the token of the ``Authorization`` header (RFC 6750 §2.1).

    Raises:
        TokenRejected: ``token-missing`` where there is none, ``token-malformed`` where it is too long.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise TokenRejected(Code.TOKEN_MISSING, "expected Authorization: Bearer")
    if len(token) > MAX_TOKEN:
        raise TokenRejected(Code.TOKEN_MALFORMED, f"expected at most {MAX_TOKEN} characters")
    return token


@dataclass(frozen=True, slots=True)
class Standing:
    """What the registry says of the officer and the unit (states and kinds only)."""

    officer: str
    organ: str
    unit: str


@dataclass(frozen=True, slots=True)
class Stated:
    """Basis and purpose in the revision's terms.

    Attributes:
        basis: key of the allow-list, or "".
        basis_state: listed | unlisted | missing.
        purpose: purpose code, or "".
        purpose_state: known | unknown | missing.
    """

    basis: str
    basis_state: str
    purpose: str
    purpose_state: str


def stated(inquiry: Inquiry, params: LegalParameters) -> Stated:
    """Step 4a: basis and purpose, normalised by the revision's parameters; the level is the list's affair (R14)."""
    instrument, article = inquiry.basis
    basis = basis_key(instrument, article, params) if instrument and article else ""
    known = inquiry.purpose in params.purposes
    return Stated(
        basis=basis,
        basis_state="listed" if basis else "unlisted" if instrument and article else "missing",
        purpose=inquiry.purpose if known else "",
        purpose_state="known" if known else "unknown" if inquiry.purpose else "missing",
    )


def facts(
    *,
    officer: Officer,
    standing: Standing,
    inquiry: Inquiry,
    said: Stated,
    letter: LetterFacts,
    application: ApplicationFacts,
    undertaking: UndertakingFacts,
    database_known: bool,
) -> Facts:
    """Step 4b: the policy's input; states, kinds and codes only."""
    return Facts(
        channel=inquiry.channel,
        today=beijing_day(inquiry.received),
        roles=tuple(sorted(officer.roles)),
        certificate=officer.certificate.state,
        officer=standing.officer,
        organ=standing.organ,
        unit=standing.unit,
        database="known" if database_known else "unknown",
        target="subject" if isinstance(inquiry.target, Subject) else "search",
        scope=inquiry.scope,
        reason="stated" if inquiry.reason else "missing",
        basis=said.basis,
        basis_state=said.basis_state,
        purpose=said.purpose,
        purpose_state=said.purpose_state,
        case_number=case_number_state(inquiry.case_number),
        letter=letter,
        application=application,
        undertaking=undertaking,
    )


def shown_to_all(views: Views) -> frozenset[FieldClass]:
    """Step 6a: field classes that every view granted to this request shows, of joint cases too (R16b).

    Whoever filters or sorts on a field learns of it: it must be one that each record that may come back shows.
    """
    granted = {view for table in (views.open, views.sealed) for view in table.values()} - {View.OMITTED}
    if not granted:
        return frozenset()
    shared = frozenset.intersection(*(views.fields.get(view, frozenset()) for view in granted))
    return shared - views.joint_dropped


def check_fields(
    inquiry: Inquiry, views: Views, filterable: Mapping[str, FieldClass], sortable: Mapping[str, FieldClass]
) -> None:
    """Step 6a: filter and sort only on declared fields that every granted view shows. A function of the request alone.

    Raises:
        RequestInvalid: ``field-not-allowed``.
    """
    shown = shown_to_all(views)
    conditions = inquiry.target.conditions if isinstance(inquiry.target, Search) else ()
    wanted = [*((c.field, filterable) for c in conditions), *((key.field, sortable) for key in inquiry.sort)]
    if any(declared.get(field) not in shown for field, declared in wanted):
        raise RequestInvalid(Code.FIELD_NOT_ALLOWED, "a field cannot be filtered or sorted on in this inquiry")


def page_request(inquiry: Inquiry, after: tuple[Any, ...] | None) -> PageRequest:
    """Step 6b: which page to fetch."""
    return PageRequest(size=inquiry.page_size, sort=inquiry.sort, after=after)


def check_classified(rows: int, classified: Sequence[Classification]) -> None:
    """Step 7: as many classifications as rows.

    Raises:
        EngineUnavailable: another number: nothing can be trusted then.
    """
    if rows != len(classified):
        raise EngineUnavailable(f"expected {rows} classifications, got {len(classified)}")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a request when it is recorded; everything may be missing but id and times.

    Attributes:
        id: the inquiry's id, shared by its pages.
        time: as the ledger writes it.
        channel: the door.
        officer: ``issuer|subject``; unit: the token's unit.
        subject, filter, pseudonym_key: pseudonyms of whom or what was asked about.
        database, scope, basis, purpose: codes; "" where unknown, so that no free text stands in the log.
        letter, application: keyed hashes.
        revision: label of the revision at work.
        page: page number, from 1.
        read_as: another id under which this request read first, for whoever compares the database's own audit.
    """

    id: str
    time: str
    channel: str
    officer: str
    unit: str
    revision: str
    subject: str = ""
    filter: str = ""
    pseudonym_key: str = ""
    database: str = ""
    scope: str = ""
    basis: str = ""
    purpose: str = ""
    letter: str = ""
    application: str = ""
    page: int = 1
    read_as: str = ""


def entry(known: Known, outcome: str, codes: Sequence[str], answer: str, salt: str) -> Entry:
    """Step 9: the one entry of a request, of one shape whatever was found (P3)."""
    return Entry(
        id=known.id,
        time=known.time,
        kind=EntryKind.INQUIRY.value,
        channel=known.channel,
        salt=salt,
        officer=known.officer,
        unit=known.unit,
        subject=known.subject,
        filter=known.filter,
        pseudonym_key=known.pseudonym_key,
        database=known.database,
        scope=known.scope,
        basis=known.basis,
        purpose=known.purpose,
        letter=known.letter,
        application=known.application,
        outcome=outcome,
        codes=tuple(sorted(codes)),
        revision=known.revision,
        page=known.page,
        answer=answer,
        extra={"read": known.read_as} if known.read_as else None,
    )


def answer(
    inquiry_id: str,
    decision: Decision,
    records: Sequence[Mapping[str, Any]],
    count: int,
    next_cursor: str | None,
) -> dict[str, Any]:
    """Step 10: what is released. The same members in every answer, whatever was found."""
    return {
        "inquiry_id": inquiry_id,
        "records": list(records),
        "count": count,
        "next_cursor": next_cursor,
        "obligations": list(decision.obligations),
    }


def refusal(inquiry_id: str, decision: Decision) -> dict[str, Any]:
    """Step 10: the problem document of a decision that is no allow, the same whoever the subject is (Q13)."""
    return problem(
        STATUS[decision.outcome],
        decision.codes,
        missing=decision.missing,
        rules=decision.rules,
        inquiry_id=inquiry_id,
    )
