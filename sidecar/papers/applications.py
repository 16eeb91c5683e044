"""Applications and their states: each transition is one ledger entry and one conditioned update, or nothing (Q5–Q8).

draft → submitted → approved | refused; withdrawn from any of the first three; expired is a draft that was not handed in,
or an approval, after ``valid_to``.

With a decision, or where it is withdrawn after it was handed in, the content goes to the dossier, sealed for the organs;
at the end (refused, withdrawn, expired) it is erased here (P6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NoReturn, Protocol

import orjson
from sqlalchemy import Engine, Row, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind, Role
from sidecar.errors import CodedError, LedgerUnavailable, RequestInvalid
from sidecar.identity.types import Officer
from sidecar.keys.ids import RandomBytes, system_random
from sidecar.keys.ring import KeyRing
from sidecar.law.days import add_days, beijing_day, day_last_second
from sidecar.ledger.build import EntryBuilder, milliseconds
from sidecar.ledger.types import Effect, EffectRefused, Entry, Ledger
from sidecar.papers import changes, undertaking
from sidecar.papers.content import ERASED, Content, ContentSealer
from sidecar.papers.drafts import Draft, Stated, read_draft
from sidecar.papers.lookup import LASTING, application_of
from sidecar.papers.register import pseudonym_source
from sidecar.papers.tables import APPLICATION_EVENTS, APPLICATIONS
from sidecar.papers.types import Application, ApplicationState
from sidecar.policy.types import LegalParameters
from sidecar.storage.engine import reading

MAX_VALID_DAYS: Final = 3660
"""Bound of the form, not of the law: longer is a slip of the keyboard."""

S = ApplicationState
FROM: Final[Mapping[str, frozenset[ApplicationState]]] = {
    "submit": frozenset({S.DRAFT}),
    "approve": frozenset({S.SUBMITTED}),
    "refuse": frozenset({S.SUBMITTED}),
    "withdraw": frozenset({S.DRAFT, S.SUBMITTED, S.APPROVED}),
    "undertaking": frozenset({S.APPROVED}),
}
"""States from which an action is possible."""

TO: Final[Mapping[str, ApplicationState]] = {
    "submit": S.SUBMITTED,
    "approve": S.APPROVED,
    "refuse": S.REFUSED,
    "withdraw": S.WITHDRAWN,
    "undertaking": S.APPROVED,
}
DECISIONS: Final = frozenset({"approve", "refuse"})
"""Actions of an approver; the others are the applying officer's."""

ENDS: Final = frozenset({"refuse", "withdraw"})
"""Actions after which the content is erased."""


class Dossiers(Protocol):
    """Seals what goes into a dossier; ``papers.inputs.SealedInputs``."""

    def effects(self, entry_id: str, plaintext: bytes) -> Sequence[Effect]:
        """Effects that store it with its entry, readable for the organs only."""


@dataclass(frozen=True, slots=True)
class Happened:
    """A line of an application's history; ``time``: POSIX milliseconds."""

    version: int
    action: str
    state: str
    actor: str
    time: int
    entry_id: str


@dataclass(frozen=True, slots=True)
class ApplicationView:
    """An application as its officer and an approver see it; ``received``: POSIX milliseconds."""

    application: Application
    version: int
    received: int
    content: Content
    history: tuple[Happened, ...]


class Applications:
    """The store. Thread-safe.

    Roles are checked here as well as at the door. What is refused for the person or the state is recorded, which is
    what alerts come from (R18).

    Args:
        engine: the state database.
        ledger: where entries of kind ``dossier`` go.
        keys: makes pseudonyms and hashes.
        sealer: seals contents.
        clock: time.
        dossiers: seals contents for the organs.
        draft_days: how long a draft waits to be handed in.
        random: source of ids and salts.
    """

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        keys: KeyRing,
        sealer: ContentSealer,
        clock: Clock,
        *,
        dossiers: Dossiers,
        draft_days: int = 30,
        random: RandomBytes = system_random,
    ) -> None:
        self._engine = reading(engine)
        self._writing = engine
        self._dossiers = dossiers
        self._draft_seconds = draft_days * 86400
        self._ledger = ledger
        self._keys = keys
        self._sealer = sealer
        self._clock = clock
        self._builder = EntryBuilder(clock, random)

    # --- actions -------------------------------------------------------------------------------------------------

    def create(
        self, officer: Officer, draft: Draft, params: LegalParameters, databases: AbstractSet[str]
    ) -> ApplicationView:
        """A new draft of the officer.

        Raises:
            RequestInvalid: it is not complete or well formed.
            CodedError: ``role-missing``; recorded.
            LedgerUnavailable: it may or may not exist.
        """
        self._need_role(officer, "create", Role.OFFICER)
        day = beijing_day(self._clock.now())
        stated = read_draft(draft, params, databases, day)
        key_id, pseudonym = self._keys.pseudonym(*pseudonym_source(stated.subject), day // 10000)
        entry = self._entry(officer, "create")
        row = self._new_row(officer, stated, key_id, pseudonym, entry.id)
        entry = self._about(entry, row)
        self._ledger.commit(entry, [changes.insert(row), self._event(entry, row, "create", S.DRAFT, 1)])
        return self.view(officer, entry.id)

    def submit(self, officer: Officer, identifier: str) -> ApplicationView:
        """Hand a draft in; see ``approve`` for what is raised."""
        return self._act(officer, identifier, "submit", {})

    def withdraw(self, officer: Officer, identifier: str) -> ApplicationView:
        """Take an application back, an approved one as well; see ``approve`` for what is raised."""
        return self._act(officer, identifier, "withdraw", {})

    def approve(
        self, approver: Officer, identifier: str, *, copies_approved: bool, valid_to: int = 0, valid_days: int = 0
    ) -> ApplicationView:
        """Approve a submitted application of another person.

        Args:
            approver: who decides.
            identifier: the application's id.
            copies_approved: whether copies of documents are necessary (Q9).
            valid_to: last Beijing day, YYYYMMDD, inclusive; or
            valid_days: so many days after today.

        Raises:
            RequestInvalid: not exactly one of the validities, or it is none.
            CodedError: ``not-found`` (404), ``role-missing`` or ``self-approval`` (403), ``state-conflict`` (409): the
                state is another, or somebody else was first. All but the first are recorded.
            LedgerUnavailable: it may or may not have happened.
        """
        last = self._last_day(valid_to, valid_days)
        values = {"valid_to": int(day_last_second(last).timestamp()), "copies": int(copies_approved)}
        return self._act(approver, identifier, "approve", values)

    def refuse(self, approver: Officer, identifier: str, *, codes: Sequence[str], text: str) -> ApplicationView:
        """Refuse a submitted application of another person, with codes (in clear) and a text (sealed).

        Raises:
            RequestInvalid: no code, or one that there is not.
            CodedError, LedgerUnavailable: as ``approve``.
        """
        if not codes or not set(codes) <= set(Code):
            raise RequestInvalid(Code.BODY_INVALID, "codes: expected at least one reason code")
        return self._act(approver, identifier, "refuse", {"codes": tuple(sorted(set(codes))), "text": text.strip()})

    def sign(self, officer: Officer, identifier: str, wording: str) -> ApplicationView:
        """Sign the undertaking of one's own approved application, once (Q8).

        Args:
            officer: who signs; the id of the token that proves it is recorded.
            identifier: the application's id.
            wording: digest of the wording that was shown (``undertaking.Wording.digest``).

        Raises:
            RequestInvalid: no wording in force has the digest.
            CodedError, LedgerUnavailable: as ``approve``.
        """
        return self._act(officer, identifier, "undertaking", {"wording": undertaking.read(wording)})

    def purge(self, now: int) -> int:
        """Erase the contents of approvals and drafts that are over; how many.

        Args:
            now: POSIX seconds.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        c = APPLICATIONS.c
        over = update(APPLICATIONS).where(c.state.in_(sorted(LASTING)), c.valid_to < now, func.length(c.content) > 0)
        try:
            with self._writing.begin() as connection:
                return connection.execute(over.values(content=ERASED, content_key_id="")).rowcount
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("contents cannot be erased from the state database") from exc

    def _act(self, officer: Officer, identifier: str, action: str, values: Mapping[str, Any]) -> ApplicationView:
        self._need_role(officer, action, Role.APPROVER if action in DECISIONS else Role.OFFICER)
        row = self._row(identifier)
        if row is None:
            _not_found()
        self._check(officer, row, action)
        entry = self._about(self._entry(officer, action, values), _fields(row))
        try:
            self._ledger.commit(entry, self._effects(entry, officer, row, action, values))
        except EffectRefused:
            self._refuse(officer, action, Code.STATE_CONFLICT, row, status=409)
        return self.view(officer, identifier)

    def _check(self, officer: Officer, row: Row[Any], action: str) -> None:
        if action in DECISIONS:
            if _same_person(officer, row):
                self._refuse(officer, action, Code.SELF_APPROVAL, row)
        elif not _owns(officer, row):
            self._refuse(officer, action, Code.APPLICATION_MISMATCH, row)
        signed = action == "undertaking" and row.undertaking_by is not None
        if signed or self._application(row).state not in FROM[action]:
            self._refuse(officer, action, Code.STATE_CONFLICT, row, status=409)

    def _need_role(self, officer: Officer, action: str, role: Role) -> None:
        if role not in officer.roles:
            self._refuse(officer, action, Code.ROLE_MISSING)

    def _refuse(
        self, officer: Officer, action: str, code: Code, row: Row[Any] | None = None, *, status: int = 403
    ) -> NoReturn:
        """Record the attempt, then refuse it."""
        entry = self._entry(officer, action, {"codes": (code.value,)}, outcome="refuse")
        self._ledger.commit(entry if row is None else self._about(entry, _fields(row)))
        raise CodedError(code, f"{action}: not possible for this person or in this state", status=status)

    # --- entries and effects -------------------------------------------------------------------------------------

    def _entry(
        self, officer: Officer, action: str, values: Mapping[str, Any] | None = None, outcome: str = "allow"
    ) -> Entry:
        values = values or {}
        extra = {"transition": action}
        if "wording" in values:
            wording: undertaking.Wording = values["wording"]
            extra |= {"token": officer.token_id, "wording": wording.digest, "wording_version": str(wording.version)}
        return self._builder.build(
            EntryKind.DOSSIER,
            Channel.API,
            officer=_name(officer),
            unit=officer.unit,
            outcome=outcome,
            codes=values.get("codes", ()),
            extra=extra,
        )

    def _about(self, entry: Entry, row: Mapping[str, Any]) -> Entry:
        year = int(row["subject_key"][:4])
        return replace(
            entry,
            subject=row["subject"],
            pseudonym_key=row["subject_key"],
            application=self._keys.keyed_hash("application", row["id"], year),
            **{name: row[name] for name in ("database", "scope", "basis", "purpose")},
        )

    def _effects(
        self, entry: Entry, officer: Officer, row: Row[Any], action: str, values: Mapping[str, Any]
    ) -> list[Effect]:
        actor, state = _name(officer), TO[action]
        held = {
            "id": row.id,
            "before": row.state,
            "version": row.version,
            "state": state.value,
            "issuer": officer.issuer,
            "subject": officer.subject,
            "actor": actor,
            "approver": actor,
            "now": int(self._clock.now().timestamp()),
        }
        if action in ENDS:
            held |= self._rest(row, action, values)
        effects = [
            changes.change(action, held | {name: values[name] for name in ("valid_to", "copies") if name in values}),
            self._event(entry, _fields(row), action, state, row.version + 1),
        ]
        if action == "undertaking":
            digest = bytes.fromhex(values["wording"].digest)
            signed = {"id": row.id, "actor": actor, "signed": milliseconds(self._clock.now())}
            effects.append(changes.signed(signed | {"wording": digest, "entry_id": entry.id}))
        if action in DECISIONS or (action == "withdraw" and row.state == S.SUBMITTED):
            effects += self._filed(entry, row, values)
        return effects

    def _filed(self, entry: Entry, row: Row[Any], values: Mapping[str, Any]) -> Sequence[Effect]:
        """The dossier's copy of the content, with the refusal's text and codes where it is refused."""
        content = self._sealer.open(row.id, row.content)
        content = replace(content, refusal=values.get("text", ""), refusal_codes=values.get("codes", ()))
        filed = {"application": row.id, **asdict(content)}
        return self._dossiers.effects(entry.id, orjson.dumps(filed, option=orjson.OPT_SORT_KEYS))

    def _rest(self, row: Row[Any], action: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """What stays of the content at the end: the refusal that its officer reads (Q7), or nothing."""
        if action == "withdraw":
            return {"content": ERASED, "content_key_id": ""}
        refusal = Content("", "", "", "", "", values["text"], values["codes"])
        return {"content": self._sealer.seal(row.id, refusal), "content_key_id": self._sealer.key_id}

    def _event(self, entry: Entry, row: Mapping[str, Any], action: str, state: str, version: int) -> Effect:
        return changes.event(
            {
                "id": row["id"],
                "version": version,
                "action": action,
                "state": str(state),
                "actor": entry.officer,
                "time": milliseconds(self._clock.now()),
                "entry_id": entry.id,
            }
        )

    def _new_row(
        self, officer: Officer, stated: Stated, key_id: str, pseudonym: str, identifier: str
    ) -> dict[str, Any]:
        return {
            "id": identifier,
            "state": S.DRAFT.value,
            "version": 1,
            "officer_issuer": officer.issuer,
            "officer": officer.subject,
            "unit": officer.unit,
            "subject": pseudonym,
            "subject_key": key_id,
            "database": stated.database,
            "scope": stated.scope,
            "basis": stated.basis,
            "purpose": stated.purpose,
            "received": milliseconds(self._clock.now()),
            "valid_to": int(self._clock.now().timestamp()) + self._draft_seconds,
            "approver": None,
            "copies_approved": 0,
            "undertaking_by": None,
            "content": self._sealer.seal(identifier, stated.content),
            "content_key_id": self._sealer.key_id,
        }

    def _last_day(self, valid_to: int, valid_days: int) -> int:
        today = beijing_day(self._clock.now())
        if bool(valid_to) == bool(valid_days) or not 0 <= valid_days <= MAX_VALID_DAYS:
            raise RequestInvalid(Code.BODY_INVALID, "expected one of valid_to and valid_days, within ten years")
        last = valid_to or add_days(today, valid_days)
        if not today <= last <= add_days(today, MAX_VALID_DAYS):
            raise RequestInvalid(Code.BODY_INVALID, "valid_to: expected a day from today on, within ten years")
        return last

    # --- reading -------------------------------------------------------------------------------------------------

    def find(self, identifier: str) -> Application | None:
        """An application for the gateway, in its state of now.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        row = self._row(identifier)
        return None if row is None else self._application(row)

    def view(self, officer: Officer, identifier: str) -> ApplicationView:
        """An application for its officer, or for an approver once it is submitted.

        Raises:
            CodedError: ``not-found`` (404): there is none, or it is not theirs to see.
            LedgerUnavailable: the state database does not answer.
        """
        row = self._row(identifier)
        if row is None or not (_owns(officer, row) or (Role.APPROVER in officer.roles and row.state != S.DRAFT)):
            _not_found()
        query = select(APPLICATION_EVENTS).where(APPLICATION_EVENTS.c.application == identifier)
        history = self._read(query.order_by(APPLICATION_EVENTS.c.version))
        return ApplicationView(
            application=self._application(row),
            version=row.version,
            received=row.received,
            content=self._sealer.open(row.id, row.content),
            history=tuple(Happened(r.version, r.action, r.state, r.actor, r.time, r.entry_id) for r in history),
        )

    def _row(self, identifier: str) -> Row[Any] | None:
        found = self._read(select(APPLICATIONS).where(APPLICATIONS.c.id == identifier))
        return found[0] if found else None

    def _read(self, query: Any) -> Sequence[Row[Any]]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("applications cannot be read from the state database") from exc

    def _application(self, row: Row[Any]) -> Application:
        return application_of(row, int(self._clock.now().timestamp()))


def _owns(officer: Officer, row: Row[Any]) -> bool:
    return (officer.issuer, officer.subject) == (row.officer_issuer, row.officer)


def _same_person(officer: Officer, row: Row[Any]) -> bool:
    """Also where one person has tokens of two issuers: the same number in the same unit."""
    return _owns(officer, row) or (officer.unit, officer.subject) == (row.unit, row.officer)


def _fields(row: Row[Any]) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in APPLICATIONS.c}


def _name(officer: Officer) -> str:
    return f"{officer.issuer}|{officer.subject}"


def _not_found() -> NoReturn:
    raise CodedError(Code.NOT_FOUND, "there is no such application", status=404)
