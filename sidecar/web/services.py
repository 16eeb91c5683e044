"""What the views stand on, and how a view knows who asks: the same tokens, roles and records as the gateway (P2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine as StateDatabase

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind
from sidecar.errors import CodedError
from sidecar.gateway.problem import JSON, response
from sidecar.gateway.proxy import Proxy
from sidecar.gateway.run import Gateway
from sidecar.gateway.steps import bearer
from sidecar.gateway.types import Request, Response
from sidecar.identity.types import Officer
from sidecar.keys.ring import FileKeyRing
from sidecar.ledger.build import EntryBuilder
from sidecar.papers.applications import Applications
from sidecar.settings import Settings
from sidecar.web.watch import Watch


class RoleMissing(CodedError):
    """The token is good, but none of its roles may do this (403); the attempt was recorded."""

    status = 403


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a worker has, wired once.

    Attributes:
        settings: the deployment's settings.
        gateway: answers inquiries; its ports are used by the other views too.
        proxy: answers legacy clients' calls and opens their sessions.
        state: the state database.
        ring: the key ring, for the public keys of receipts.
        applications: applications with their states.
        builder: makes entries that are no inquiries.
        clock: time.
        watch: keeps the gateway's runtime that of the active revision.
        close: ends the background watch and closes what is open; for tests and orderly ends.
    """

    settings: Settings
    gateway: Gateway
    proxy: Proxy
    state: StateDatabase
    ring: FileKeyRing
    applications: Applications
    builder: EntryBuilder
    clock: Clock
    watch: Watch
    close: Callable[[], None]

    def public_keys(self) -> Response:
        """Public keys of receipts, the present one first."""
        return response(200, JSON, self.ring.public_jwks())

    def authenticate(self, request: Request) -> Officer:
        """Whose token it is, whatever the role.

        Raises:
            TokenRejected: no good token; its caller MUST count the attempt (``turned_away``).
        """
        return self.gateway.ports.verifier.verify(bearer(request.headers), self.clock.now())

    def officer(self, request: Request, roles: frozenset[str]) -> Officer:
        """Who asks, if the token has one of ``roles``; roles are accepted from the issuers named for them only.

        Raises:
            TokenRejected: no good token; its caller MUST count the attempt (``turned_away``).
            RoleMissing: none of the roles; recorded, which alerts (R18).
            LedgerUnavailable: the attempt could not be recorded.
        """
        officer = self.authenticate(request)
        if officer.roles & roles:
            return officer
        runtime = self.gateway.runtime
        entry = self.builder.build(
            EntryKind.SYSTEM,
            Channel.API,
            officer=f"{officer.issuer}|{officer.subject}",
            unit=officer.unit,
            outcome="refuse",
            codes=(Code.ROLE_MISSING,),
            revision=getattr(runtime, "revision", ""),
            extra={"route": request.path[:200]},
        )
        self.gateway.ports.ledger.commit(entry)
        raise RoleMissing(Code.ROLE_MISSING, "no role of the token may do this")
