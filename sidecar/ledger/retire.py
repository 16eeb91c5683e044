"""What people do with a ledger's origins: begin a new one after a rollback, destroy a closed one (E3, P2).

A new origin is begun only where the log contradicts a tree that its own key has signed: whoever begins one must show
that tree, which the new origin's first entry then quotes. An origin is destroyed whole, the oldest first, only when
1. it is closed, and its retention is over;
2. its last tree is signed, and cosigned by a quorum where there are witnesses;
3. an export of it is at hand that verifies, to the very tree that was closed;
4. it is recorded, with who approved it, before the first row goes. Broken off, it goes on where it stood.
Its row in ``ledger_origins``, its last checkpoint and the next origin's first entry stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind
from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.ledger import merkle, origins
from sidecar.ledger.build import EntryBuilder, milliseconds
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.origins import ROLLED_BACK, Origin
from sidecar.ledger.projector import Projector
from sidecar.ledger.sequencer import open_lock
from sidecar.ledger.signed import LogRefused, SignedFile
from sidecar.ledger.signer import contained
from sidecar.ledger.stored import StoredLog
from sidecar.ledger.tables import POSITIONS
from sidecar.ledger.turn import Turn
from sidecar.ledger.types import Effect, Ledger
from sidecar.ledger.verify import Report

ROWS = 4096
"""Positions destroyed in one transaction: the ledger goes on between two."""

_DESTROY = "UPDATE ledger_origins SET destroyed = %(now)s WHERE number = %(number)s AND destroyed = 0 AND {guard}"
_GONE = (
    (
        "DELETE FROM ledger_sealed_inputs WHERE entry_id IN "
        "(SELECT entry_id FROM ledger_positions WHERE position >= :start AND position < :end)"
    ),
    (
        "DELETE FROM ledger_entries WHERE (writer, writer_seq) IN "
        "(SELECT writer, writer_seq FROM ledger_positions WHERE position >= :start AND position < :end)"
    ),
    "DELETE FROM oversight_events WHERE position >= :start AND position < :end",
    "DELETE FROM ledger_nodes WHERE number >= :start AND number < :end",
    "DELETE FROM ledger_checkpoints WHERE size > :start AND size < :last AND size <= :end",
    "DELETE FROM ledger_positions WHERE position >= :start AND position < :end",
)


def contradicts(connection: Connection, seen: Checkpoint) -> bool:
    """Whether the ledger contradicts a tree that was signed; the caller has checked its signature."""
    known = next((origin for origin in origins.all_of(connection) if origin.name == seen.origin), None)
    if known is None:
        return True
    log = StoredLog(connection, known)
    try:
        contained(log, log.size(), seen)
    except LogRefused:
        return True
    return False


def begin_anew(
    engine: Engine,
    clock: Clock,
    projectors: Sequence[Projector],
    signed: SignedFile,
    *,
    seen: Checkpoint,
    approvers: str,
) -> Origin:
    """Close the present origin, which contradicts ``seen``, and begin a new one; done already, only the file follows.

    Raises:
        ConfigurationError: a sequencer is at work, the ledger contains ``seen``, or a larger tree was signed.
        LedgerUnavailable: the database does not answer.
    """
    lock = open_lock(engine)
    try:
        connection = lock.acquire()
        if connection is None:
            raise ConfigurationError("a sequencer is at work: stop the service first")
        with signed.locked():
            opened = _begin(connection, Turn(clock, projectors), signed.last(), seen, approvers)
            signed.keep(Checkpoint(opened.name, 0, merkle.EMPTY_ROOT))
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer, or `sidecar db upgrade` has not run") from exc
    finally:
        lock.release()
    return opened


def _begin(connection: Connection, turn: Turn, last: Checkpoint, seen: Checkpoint, approvers: str) -> Origin:
    connection.execution_options(sqlite_begin="IMMEDIATE")
    with connection.begin():
        known = origins.all_of(connection)
        before = known[-2] if len(known) > 1 else known[-1]
        if before.reason == ROLLED_BACK and (before.seen_size, before.seen_root) == (seen.size, seen.root):
            return known[-1]
        if last.origin == seen.origin and last.size > seen.size:
            raise ConfigurationError(f"a tree of {last.size} entries was signed: show the newest checkpoint there is")
        if not contradicts(connection, seen):
            raise ConfigurationError("the ledger contains that tree: there is nothing to begin anew for")
        return turn.after_rollback(connection, seen, {"approvers": approvers})


def check_ripe(connection: Connection, origin: Origin, now: datetime, years: int, quorum: int) -> None:
    """Rules 1 and 2, and that nothing older is left.

    Raises:
        ConfigurationError: one of them does not hold.
    """
    older = [each.name for each in origins.all_of(connection) if each.number < origin.number and not each.destroyed]
    if older:
        raise ConfigurationError(f"{older[0]} is older: it goes first")
    if not origin.closed:
        raise ConfigurationError(f"{origin.name} is the present log")
    if origins.beijing_year(now) <= origin.year + years:
        raise ConfigurationError(f"{origin.name} is kept until the end of {origin.year + years}")
    last = StoredLog(connection, origin).checkpoint()
    if origin.reason != ROLLED_BACK and (last is None or last.size != origin.size or last.witnesses < quorum):
        raise ConfigurationError(f"{origin.name} is not signed and cosigned to its end")


def check_export(origin: Origin, report: Report) -> None:
    """Rule 3.

    Raises:
        ConfigurationError: it does not hold.
    """
    if (report.origin, report.size, report.root) != (origin.name, origin.size, origin.root):
        raise ConfigurationError(f"the export is not {origin.name} with its {origin.size} entries")
    if not report.ok and not report.frozen:
        raise ConfigurationError("the export is not intact")


def destroy(
    engine: Engine,
    ledger: Ledger,
    clock: Clock,
    origin: Origin,
    *,
    approvers: str,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Rule 4, and then the rows; the caller has checked the other rules.

    Raises:
        LedgerUnavailable: the database does not answer; call it again.
    """
    if not origin.destroyed:
        extra = {"approvers": approvers, "origin": origin.name, "size": str(origin.size)}
        entry = EntryBuilder(clock).build(
            EntryKind.SYSTEM, Channel.CLI, outcome="allow", codes=(Code.LEDGER_DESTROYED,), extra=extra
        )
        values = {"now": milliseconds(clock.now()), "number": origin.number}
        ledger.commit(entry, [Effect("mark_destroyed", _DESTROY, values, required=True)])
    try:
        _take_rows(engine, origin, progress)
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer, or this role may not delete") from exc


def _take_rows(engine: Engine, origin: Origin, progress: Callable[[int], None]) -> None:
    final = origin.first + origin.size
    with engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection:
        for start in range(origin.first, final, ROWS):
            bounds = {"start": start, "end": min(start + ROWS, final), "last": final}
            with connection.begin():
                for statement in _GONE:
                    wanted = {name: value for name, value in bounds.items() if f":{name}" in statement}
                    connection.execute(text(statement), wanted)
            progress(bounds["end"] - origin.first)


def left(connection: Connection, origin: Origin) -> int:
    """How many positions of an origin are still there."""
    place = POSITIONS.c.position
    query = select(func.count()).where(place >= origin.first, place < origin.first + origin.size)
    found: int = connection.execute(query).scalar_one()
    return found
