"""The registry as a snapshot in memory: units, their keys, officers' states, revoked tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType

import orjson
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.errors import LedgerUnavailable
from sidecar.identity.keysets import KeySetUnusable, VerificationKey, parse_key_set
from sidecar.identity.tables import OFFICERS, REGISTRY_REVISIONS, REVOKED_TOKENS, UNIT_KEYS, UNITS
from sidecar.identity.types import Unit
from sidecar.law.days import beijing_day
from sidecar.storage.engine import reading

REVOKED_MARGIN_SECONDS = 120
"""A revoked token is remembered so long beyond its ``exp``: more than any permitted leeway (60 s)."""

ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class UnitKey:
    """A unit's key for letters; Beijing days, both ends inclusive (R17)."""

    key: VerificationKey
    valid_from: int
    valid_to: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of the registry; frozen, exchanged as a whole."""

    revision: int = 0
    units: Mapping[str, Unit] = field(default_factory=lambda: MappingProxyType({}))
    keys: Mapping[tuple[str, str], UnitKey] = field(default_factory=lambda: MappingProxyType({}))
    officers: Mapping[tuple[str, str], str] = field(default_factory=lambda: MappingProxyType({}))
    revoked: frozenset[tuple[str, str]] = frozenset()


class Registry:
    """Answers from a snapshot that is at most ``refresh_seconds`` old when a request begins. Thread-safe.

    The rows are read anew only where the revision changed; revoked tokens every time. While one thread refreshes, the
    others use the old snapshot, unless it is older than twice the time.

    Every method raises ``LedgerUnavailable`` where the state database does not answer: what cannot be checked for
    revocation is not answered (P1).
    """

    def __init__(self, engine: Engine, clock: Clock, refresh_seconds: float) -> None:
        self._engine = reading(engine)
        self._clock = clock
        self._refresh = refresh_seconds
        self._lock = Lock()
        self._snapshot = Snapshot()
        self._loaded = float("-inf")

    def snapshot(self) -> Snapshot:
        """The present state, refreshed when it is due."""
        age = self._clock.monotonic() - self._loaded
        if age >= self._refresh and self._lock.acquire(blocking=age >= 2 * self._refresh):
            try:
                self._reload()
            finally:
                self._lock.release()
        return self._snapshot

    def unit(self, code: str) -> Unit | None:
        """The registered unit of a normalised credit code."""
        return self.snapshot().units.get(code)

    def unit_key(self, unit_code: str, kid: str) -> VerificationKey | None:
        """The unit's key of this name, if it is valid on the present Beijing day."""
        found = self.snapshot().keys.get((unit_code, kid))
        if found is None:
            return None
        today = beijing_day(self._clock.now())
        return found.key if found.valid_from <= today <= found.valid_to else None

    def officer_state(self, issuer: str, subject: str) -> str:
        """``active`` (also where the registry does not name the officer), ``suspended`` or ``revoked``."""
        return self.snapshot().officers.get((issuer, subject), ACTIVE)

    def token_revoked(self, issuer: str, token_id: str) -> bool:
        """Whether a token was taken back; ``jti`` is unique to its issuer only."""
        return (issuer, token_id) in self.snapshot().revoked

    def _reload(self) -> None:
        started = self._clock.monotonic()
        if started - self._loaded < self._refresh:
            return  # another thread has just done it
        now = int(self._clock.now().timestamp())
        try:
            with self._engine.connect() as connection:
                self._snapshot = load_snapshot(connection, now, self._snapshot)
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("the registry cannot be read from the state database") from exc
        self._loaded = started


def load_snapshot(connection: Connection, now: int, old: Snapshot | None = None) -> Snapshot:
    """Read the current revision; ``old`` saves reading rows that did not change. ``now``: POSIX seconds."""
    newest = select(REGISTRY_REVISIONS).order_by(REGISTRY_REVISIONS.c.number.desc()).limit(1)
    row = connection.execute(newest).first()
    revision, batch = (row.number, row.batch) if row else (0, "")
    tokens = select(REVOKED_TOKENS.c.issuer, REVOKED_TOKENS.c.token_id)
    kept = tokens.where(REVOKED_TOKENS.c.expires > now - REVOKED_MARGIN_SECONDS)
    revoked = frozenset((row.issuer, row.token_id) for row in connection.execute(kept))
    if old is not None and old.revision == revision:
        return Snapshot(revision, old.units, old.keys, old.officers, revoked)
    return Snapshot(
        revision, _units(connection, batch), _keys(connection, batch), _officers(connection, batch), revoked
    )


def _units(connection: Connection, batch: str) -> Mapping[str, Unit]:
    rows = connection.execute(select(UNITS).where(UNITS.c.batch == batch))
    return MappingProxyType({row.code: Unit(row.code, row.name, row.organ, row.region, row.state) for row in rows})


def _keys(connection: Connection, batch: str) -> Mapping[tuple[str, str], UnitKey]:
    rows = connection.execute(select(UNIT_KEYS).where(UNIT_KEYS.c.batch == batch))
    found = {}
    for row in rows:
        key = read_unit_key(row.jwk)
        if key is not None:  # a key that was damaged in the database verifies nothing
            found[row.unit, row.kid] = UnitKey(key, row.valid_from, row.valid_to)
    return MappingProxyType(found)


def read_unit_key(jwk: str) -> VerificationKey | None:
    """A verification key from its stored JWK; None where it is unusable."""
    try:
        (key,) = parse_key_set(b'{"keys":[' + orjson.dumps(orjson.loads(jwk)) + b"]}").values()
    except (ValueError, KeySetUnusable):
        return None
    return key


def _officers(connection: Connection, batch: str) -> Mapping[tuple[str, str], str]:
    rows = connection.execute(select(OFFICERS).where(OFFICERS.c.batch == batch))
    return MappingProxyType({(row.issuer, row.subject): row.state for row in rows})
