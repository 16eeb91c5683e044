"""What the gateway needs from outside, as protocols; ``web.wire`` connects them. Everything is thread-safe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sidecar.clock import Clock
from sidecar.codes import FieldClass
from sidecar.errors import SidecarError
from sidecar.gateway.types import Inquiry
from sidecar.identity.types import Officer, Unit
from sidecar.keys.ring import KeyRing
from sidecar.ledger.types import Effect, Ledger
from sidecar.papers.kept_register import Held
from sidecar.papers.types import Letter
from sidecar.papers.uses import Shared
from sidecar.policy.types import ApplicationFacts, Engine, LegalParameters, LetterFacts, UndertakingFacts
from sidecar.records.connectors import HttpConnector
from sidecar.records.types import Connector


class Verifier(Protocol):
    """Step 1: ``identity.tokens.TokenVerifier``."""

    def verify(self, token: str, now: datetime) -> Officer:
        """The officer of a token; raises ``TokenRejected``, or ``LedgerUnavailable`` where revocation is unknown."""


class Registry(Protocol):
    """Step 4: ``identity.registry.Registry``; both raise ``LedgerUnavailable``."""

    def unit(self, code: str) -> Unit | None:
        """A registered unit."""

    def officer_state(self, issuer: str, subject: str) -> str:
        """Active | suspended | revoked."""


@dataclass(frozen=True, slots=True)
class Brought:
    """The papers of an inquiry as the policy sees them, and the letter whose use will be counted.

    Attributes:
        letter, application, undertaking: states and matches.
        valid_letter: the letter, where it is valid; None otherwise.
    """

    letter: LetterFacts
    application: ApplicationFacts
    undertaking: UndertakingFacts
    valid_letter: Letter | None


@dataclass(frozen=True, slots=True)
class Use:
    """What is counted for one page of an inquiry.

    Attributes:
        inquiry: id of the inquiry.
        shared: the inquiry's row is there: a following page, or a repeated request with the same Idempotency-Key.
        page: number of the page, from 1.
        officer: ``issuer|subject``.
        digest: ``read.request_digest`` of the inquiry.
        letter: the valid letter; None where none was brought.
        idempotency_key: as sent; "" without one.
        further: whether there is a following page.
        expires: POSIX seconds after which the inquiry has no further pages.
        now: POSIX seconds.
    """

    inquiry: str
    shared: bool
    page: int
    officer: str
    digest: bytes
    letter: Letter | None
    idempotency_key: str
    further: bool
    expires: int
    now: int


class Papers(Protocol):
    """Steps 3 and 5."""

    def bring(self, inquiry: Inquiry, officer: Officer, basis: str, purpose: str, params: LegalParameters) -> Brought:
        """Verify the papers and match them with the inquiry.

        Args:
            inquiry: as read.
            officer: as verified.
            basis: key of the allow-list, "" where it is not listed.
            purpose: purpose code, "" where it is unknown.
            params: the revision's parameters, by which a letter's basis is normalised.
        """

    def twin(self, officer: str, idempotency_key: str, digest: bytes, now: int) -> Shared | None:
        """The inquiry that this request repeats, if its key is still remembered.

        Raises:
            RequestInvalid: ``idempotency-mismatch``: the key belongs to another request.
        """

    def count(self, use: Use) -> Sequence[Effect]:
        """The effects that count the use in the entry's own statement, on condition that it is still there.

        They are named as in ``papers.uses``.
        """


class Register(Protocol):
    """Step 6: the seal register."""

    def marks(self, inquiry: Inquiry, refused: Sequence[Effect] = ()) -> Held:
        """Entries that concern this fetch; ``refused``: conditions of an earlier look that did not hold."""


class Attempts(Protocol):
    """Counts what has no valid token: ``ledger.attempts.AttemptCounter``."""

    def count(self, source: str, code: str) -> None:
        """Count one; raises ``LedgerUnavailable``."""


class Inputs(Protocol):
    """Step 9: seals what a decision was made from, for replay."""

    def effects(self, entry_id: str, plaintext: bytes) -> Sequence[Effect]:
        """Effects that store it sealed with the entry."""

    def committed(self, effects: Sequence[Effect], writer: str) -> None:
        """Told that effects made here are durable, and by which of the ledger's writers."""


@dataclass(frozen=True, slots=True)
class Database:
    """A legacy database behind a revision.

    Attributes:
        connector: reads it.
        filterable, sortable: declared fields with their classes.
        fault: why it is closed (its canary did not pass); None where it is open.
        service: the connector again where it is a legacy HTTP service, for the proxy.
        step: answers leave at multiples of so many seconds; 0 is at once.
    """

    connector: Connector
    filterable: Mapping[str, FieldClass]
    sortable: Mapping[str, FieldClass]
    fault: SidecarError | None = None
    service: HttpConnector | None = None
    step: float = 0.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that a revision brings: looked at once a request, swapped as a whole.

    Attributes:
        revision: label of the active revision.
        engine: decides by it.
        params: its legal parameters.
        databases: by name.
    """

    revision: str
    engine: Engine
    params: LegalParameters
    databases: Mapping[str, Database]


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports, wired. ``deployment`` is the issuer of receipts; ``random`` gives so many fresh bytes."""

    deployment: str
    verifier: Verifier
    registry: Registry
    papers: Papers
    register: Register
    inputs: Inputs
    ledger: Ledger
    attempts: Attempts
    keys: KeyRing
    clock: Clock
    ids: Callable[[], str]
    random: Callable[[int], bytes]
