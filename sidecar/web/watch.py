"""The worker's background thread: takes up a newly activated revision, tries closed databases again, keeps the counts.

One thread a worker looks once a second. What it finds is put in the gateway's one reference, so that a request sees
either the old revision or the new one, never parts of both. A revision that does not verify puts its fault there
instead: then every request is denied and recorded (P1).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from sqlalchemy import Engine as StateDatabase
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.codes import Channel, Code, EntryKind
from sidecar.errors import ClockAway, ClockBehind, LedgerUnavailable, SidecarError
from sidecar.gateway.ports import Runtime
from sidecar.gateway.run import Gateway
from sidecar.ledger.attempts import AttemptCounter
from sidecar.ledger.build import EntryBuilder
from sidecar.ledger.note import NoteInvalid, Verifier, cosigned_at
from sidecar.ledger.stored import StoredLog
from sidecar.ledger.tables import STATE, WRITERS
from sidecar.policy.revisions import Revision, last_number, load_active
from sidecar.settings import Settings
from sidecar.storage.engine import reading

log = structlog.get_logger(__name__)

INTERVAL_SECONDS: Final = 1.0
"""How often the thread looks."""

RETRY_ROUNDS: Final = 10
"""A closed database's canary is run again after 1, 2, 4 and 8 looks, then every so many: it may have been a busy start."""

RETIRE_ROUNDS: Final = 60
"""A revision that was replaced is closed after so many looks: longer than every time-out on a request's path."""


PURGE_ROUNDS: Final = 600
"""Inquiries that are over are forgotten after so many looks."""


class Composer(Protocol):
    """Makes, mends and closes the runtime of a revision: ``wire.Composer``."""

    def compose(self, revision: Revision) -> Runtime:
        """The runtime of a verified revision; raises ``SidecarError``."""

    def reopen(self, runtime: Runtime) -> Runtime:
        """The runtime with its closed databases tried again."""

    def close(self, runtime: Runtime) -> None:
        """Close what it opened."""


@dataclass(slots=True)
class _Retired:
    runtime: Runtime
    rounds: int


class Watch:
    """Keeps a gateway's runtime the active revision's. ``look`` is one look, for tests and start-up."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        settings: Settings,
        state: StateDatabase,
        attempts: AttemptCounter,
        composer: Composer,
        purge: Callable[[], object],
        witnesses: Sequence[Verifier] = (),
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._state = state
        self._attempts = attempts
        self._composer = composer
        self._purge = purge
        self._number = -1
        self._rounds = 0
        self._closed_rounds = 0
        self._clock_fault = ""
        self._witnesses = tuple(witnesses)
        self._retired: list[_Retired] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Look once a second until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, record the last counts, close what the revisions opened."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._tick(final=True)
        for retired in self._retired:
            self._composer.close(retired.runtime)
        if isinstance(self._gateway.runtime, Runtime):
            self._composer.close(self._gateway.runtime)

    def look(self) -> None:
        """One look. Nothing that it finds ends the thread."""
        self._rounds += 1
        self._revision()
        self._databases()
        self._retire()
        self._tick()
        self._latest()
        self._clock()
        if self._rounds % PURGE_ROUNDS == 0:
            self._forget()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            try:
                self.look()
            except Exception:  # the thread must go on: without it no revision would ever be taken up again
                log.exception("watch-failed")

    def _revision(self) -> None:
        current = self._gateway.runtime
        try:
            number = last_number(self._state)
            if isinstance(current, Runtime) and number == self._number:
                return
            found = self._composer.compose(load_active(self._state, self._settings))
        except SidecarError as exc:
            self._deny(current, exc)
            return
        self._replace(current, found, number)

    def _deny(self, current: Runtime | SidecarError, exc: SidecarError) -> None:
        """No approved revision can be had: deny, also where one was at work before."""
        if isinstance(current, Runtime) or current.code != exc.code:
            log.error("revision-unusable", code=exc.code)
        self._replace(current, exc, -1)

    def _replace(self, current: Runtime | SidecarError, found: Runtime | SidecarError, number: int) -> None:
        self._gateway.runtime, self._number = found, number
        if isinstance(current, Runtime):
            self._retired.append(_Retired(current, self._rounds))
        if isinstance(found, Runtime):
            log.info("revision-active", revision=found.revision)

    def _databases(self) -> None:
        current = self._gateway.runtime
        if not isinstance(current, Runtime) or all(d.fault is None for d in current.databases.values()):
            self._closed_rounds = 0
            return
        self._closed_rounds += 1
        if retry_due(self._closed_rounds):
            self._gateway.runtime = self._composer.reopen(current)

    def _retire(self) -> None:
        over = [retired for retired in self._retired if self._rounds - retired.rounds >= RETIRE_ROUNDS]
        for retired in over:
            self._retired.remove(retired)
            self._composer.close(retired.runtime)

    def _tick(self, *, final: bool = False) -> None:
        try:
            self._attempts.tick(final=final)
        except LedgerUnavailable:
            log.warning("attempts-unrecorded", code=LedgerUnavailable.code)

    def _forget(self) -> None:
        try:
            self._purge()
        except LedgerUnavailable:
            log.warning("purge-failed", code=LedgerUnavailable.code)

    def _latest(self) -> None:
        try:
            self._gateway.seen(latest_instant(self._state))
            if self._witnesses:
                found = latest_cosigned(self._state)
                times = cosigned_at(found, self._witnesses) if found else {}
                self._gateway.witnessed.look(times, self._gateway.ports.clock.monotonic())
        except NoteInvalid:
            log.warning("cosignature-invalid")
        except SQLAlchemyError:
            log.warning("ledger-unreadable", code=LedgerUnavailable.code)

    def _clock(self) -> None:
        """A clock by which everything is denied is recorded once, which alerts."""
        ports = self._gateway.ports
        try:
            self._gateway.check_clock(ports.clock.now())
        except (ClockAway, ClockBehind) as exc:
            if self._clock_fault != exc.code:
                self._record_clock(exc.code)
            return
        if self._clock_fault:
            log.info("clock-right-again", after=self._clock_fault)
        self._clock_fault = ""

    def _record_clock(self, code: str) -> None:
        ports = self._gateway.ports
        log.error("clock-wrong", code=code)
        entry = EntryBuilder(ports.clock).build(
            EntryKind.SYSTEM, Channel.API, outcome="error", codes=(Code.CLOCK_FAULT,), extra={"fault": code}
        )
        try:
            ports.ledger.commit(entry)
            self._clock_fault = code
        except LedgerUnavailable:
            log.warning("ledger-unreadable", code=LedgerUnavailable.code)  # it comes again


def retry_due(rounds: int) -> bool:
    """Whether closed databases are tried again at the look with this number since they closed."""
    return rounds % RETRY_ROUNDS == 0 or (rounds < RETRY_ROUNDS and rounds.bit_count() == 1)


def latest_instant(state: StateDatabase) -> datetime:
    """The latest instant the ledger's tables speak of: a writer's start or integration, the sequencer's beat.

    Raises:
        SQLAlchemyError: the state database does not answer.
    """
    with reading(state).connect() as connection:
        beat = connection.execute(select(STATE.c.beat)).scalar_one_or_none() or 0
        active = connection.execute(select(func.max(WRITERS.c.active))).scalar_one_or_none() or 0
    return datetime.fromtimestamp(max(beat, active) / 1000, UTC)


def latest_cosigned(state: StateDatabase) -> bytes | None:
    """The newest checkpoint of the present origin that a witness has cosigned; None where there is none.

    Raises:
        SQLAlchemyError: the state database does not answer.
    """
    with reading(state).connect() as connection:
        found = StoredLog(connection).checkpoint(witnesses=1)
    return found.cosigned if found else None
