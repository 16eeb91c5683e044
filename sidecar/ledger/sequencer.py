"""Gives entries their gapless positions: one lock holder at a time, one transaction a batch, projections included.

Per writer, entries are taken in sequence and only while its chain holds and each body hashes to its leaf; the writers'
heads are merged by entry time and id. With the Beijing year its origin ends (``turn``). A crash at any line leaves either the whole batch or nothing: the next holder goes on from the stored cursors.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, takewhile
from operator import itemgetter, le
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg
import structlog
from sqlalchemy import Connection, Engine, bindparam, select, text
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind
from sidecar.errors import LedgerUnavailable, SidecarError
from sidecar.ledger import merkle, origins, positions
from sidecar.ledger.build import EntryBuilder, Random, milliseconds, timestamp, uuid7
from sidecar.ledger.entry import EntryInvalid, read
from sidecar.ledger.projector import Positioned, Projector
from sidecar.ledger.stored import add_nodes
from sidecar.ledger.tables import STATE, WRITERS
from sidecar.ledger.turn import Turn
from sidecar.ledger.types import Effect, EffectRefused, Ledger
from sidecar.storage.engine import sqlite_file

LOCK_KEY = 0x7365616C65640001
"""Key of PostgreSQL's advisory lock ("sealed", 1); it is the database's own, so that deployments do not meet."""

HOT_MS = 24 * 3600 * 1000
"""Writers silent for longer are looked at only every ``SLOW_EVERY`` rounds."""

SLOW_EVERY = 50
"""Rounds between two looks at all writers."""

BEAT_MS = 5000
"""How often an idle holder says that it is there."""

_FETCH = (
    "SELECT w.id, w.integrated_seq, w.integrated_chain, e.writer_seq, e.chain, e.leaf_hash, e.body "
    "FROM ledger_writers w JOIN ledger_entries e ON e.writer = w.id "
    "AND e.writer_seq > w.integrated_seq AND e.writer_seq <= w.integrated_seq + {batch} "
    "WHERE w.fault = '' AND w.active > {since} ORDER BY w.id, e.writer_seq"
)
_MARK_FAULT = "UPDATE ledger_writers SET fault = %(fault)s WHERE id = %(writer)s AND fault = '' AND {guard}"

_log = structlog.get_logger(__name__)


class Lock(Protocol):
    """The right to be the sequencer, and the connection to use it with."""

    def acquire(self) -> Connection | None:
        """A connection while the lock is held; None while another holds it."""

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""


class Publisher(Protocol):
    """What follows the positions outside of their transaction: checkpoints."""

    def step(self, connection: Connection) -> None:
        """Do what is due; called after each round by whoever holds the lock, with its connection."""


class AdvisoryLock:
    """PostgreSQL: the lock lives and dies with the very connection that writes, so that a lost lock cannot write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def acquire(self) -> Connection | None:
        """See ``Lock``."""
        if self._connection is not None:
            return self._connection
        connection = self._engine.connect()
        connection.detach()  # never back to the pool, where the lock would go on being held
        try:
            held = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK_KEY}).scalar_one()
            connection.rollback()
        except SQLAlchemyError:
            connection.close()
            raise
        if not held:
            connection.close()
            return None
        self._connection = connection
        return connection

    def release(self) -> None:
        """See ``Lock``."""
        if self._connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                self._connection.close()
        self._connection = None


class FileLock:
    """SQLite: an exclusive flock beside the database file; the system frees it when its holder dies."""

    def __init__(self, engine: Engine, file: Path) -> None:
        self._engine = engine
        self._path = file.with_name(file.name + ".sequencer.lock")
        self._file: int | None = None
        self._connection: Connection | None = None

    def acquire(self) -> Connection | None:
        """See ``Lock``."""
        if self._connection is not None:
            return self._connection
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        self._file = file
        self._connection = self._engine.connect()
        return self._connection

    def release(self) -> None:
        """See ``Lock``."""
        if self._connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                self._connection.close()
        self._connection = None
        if self._file is not None:
            os.close(self._file)
        self._file = None


_Waiting = tuple[str, int, bytes, int, bytes, bytes, bytes]
"""A row of ``_FETCH``."""


def open_lock(engine: Engine) -> Lock:
    """The lock of a state database, not held."""
    file = sqlite_file(engine)
    return FileLock(engine, file) if file else AdvisoryLock(engine)


class _Head(NamedTuple):
    """An entry that waits for its position, with the chain after it. Heads are ordered by the entry's time and id."""

    time: str
    id: str
    writer: str
    writer_seq: int
    leaf_hash: bytes
    fields: Mapping[str, Any]
    chain: bytes


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a writer is not gone on with: a ``gap`` in its sequence, a broken ``chain``, an unreadable ``body``."""

    writer: str
    seq: int
    fault: str


class Sequencer:
    """One candidate for the lock. ``step`` and ``run`` belong to one thread."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        clock: Clock,
        projectors: Sequence[Projector],
        *,
        batch: int = 1000,
        poll_ms: int = 200,
        random: Random = os.urandom,
        publisher: Publisher | None = None,
    ) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._clock = clock
        self._projectors = tuple(projectors)
        self._batch = batch
        self._poll = poll_ms / 1000
        self._builder = EntryBuilder(clock, random)
        self._name = uuid7(clock.now(), random)
        self._turn = Turn(clock, self._projectors, self._name, random)
        self._year = 0
        self._rounds = 0
        self._beat = 0
        self._lock: Lock = open_lock(engine)

    def run(self, stop: threading.Event, report: Callable[[SidecarError | None], None] | None = None) -> None:
        """Work until ``stop``; after an error wait a poll and try again, for the lock too.

        ``report`` gets each round's error, or None, for readiness and metrics.
        """
        while not stop.is_set():
            error: SidecarError | None = None
            done: int | None = None
            try:
                done = self.step()
            except SidecarError as exc:
                error = exc
                _log.warning("sequencer-failed", error=exc.diagnostics())
            if report is not None:
                report(error)
            if not done or done < self._batch:
                stop.wait(self._poll)
        self.release()

    def release(self) -> None:
        """Let another have the lock."""
        self._lock.release()

    def step(self) -> int | None:
        """One round: positions for at most a batch of entries of each writer. None when another holds the lock.

        Raises:
            LedgerUnavailable: the database does not answer; the lock is given back.
            SidecarError: a projector failed; nothing of the batch is kept, it comes again.
        """
        try:
            connection = self._lock.acquire()
            if connection is None:
                return None
            over = self._year_over(connection)
            heads, faults = self._fetch(connection, all_writers=over is not None)
            if over is not None:
                heads = list(takewhile(lambda head: head.time < over, heads))
            if heads or self._beat_due():
                self._integrate(connection, heads)
            if over is not None and not heads:
                self._turn_year(connection)
            if self._publisher is not None:
                self._publisher.step(connection)
        except SQLAlchemyError as exc:
            self.release()
            raise LedgerUnavailable("the state database failed the sequencer") from exc
        for fault in faults:
            self._record(fault)
        return len(heads)

    def _fetch(self, connection: Connection, *, all_writers: bool) -> tuple[list[_Head], list[_Fault]]:
        """What comes next, merged, and which writers cannot be gone on with."""
        slow = all_writers or self._rounds % SLOW_EVERY == 0
        self._rounds += 1
        since = -1 if slow else milliseconds(self._clock.now()) - HOT_MS
        connection.execution_options(sqlite_begin="DEFERRED")
        with connection.begin():
            rows = _fetched(connection, self._batch, since)
        runs: list[list[_Head]] = []
        faults: list[_Fault] = []
        for _, writer_rows in groupby(rows, key=itemgetter(0)):
            run: list[_Head] = []
            fault = _follow(writer_rows, run)
            runs.append(run)
            faults += [fault] if fault else []
        return list(_merged(runs, self._batch)), faults

    def _year_over(self, connection: Connection) -> str | None:
        """When the present origin's year was over, as entries have it; None while it lasts."""
        if origins.beijing_year(self._clock.now()) <= self._year:
            return None
        connection.execution_options(sqlite_begin="DEFERRED")
        with connection.begin():
            self._year = origins.all_of(connection)[-1].year
        if origins.beijing_year(self._clock.now()) <= self._year:
            return None
        return timestamp(origins.begins(self._year + 1))

    def _turn_year(self, connection: Connection) -> None:
        """All that was there of the old year has its position: what comes belongs to the new one's origin."""
        connection.execution_options(sqlite_begin="IMMEDIATE")
        with connection.begin():
            opened = self._turn.year(connection)
        _log.info("origin-opened", origin=opened.name)

    def _beat_due(self) -> bool:
        return milliseconds(self._clock.now()) - self._beat >= BEAT_MS

    def _integrate(self, connection: Connection, heads: Sequence[_Head]) -> None:
        """Positions, cursors, tree and projections in one transaction."""
        now = milliseconds(self._clock.now())
        connection.execution_options(sqlite_begin="IMMEDIATE")
        with connection.begin():
            state = connection.execute(select(STATE.c.origin, STATE.c.first, STATE.c.size, STATE.c.roots)).one()
            tree = merkle.Range(state.size, [state.roots[i : i + 32] for i in range(0, len(state.roots), 32)])
            start = state.first + state.size
            entries = [
                Positioned(
                    position, head.writer, head.writer_seq, head.leaf_hash, head.fields, state.origin, state.first
                )
                for position, head in enumerate(heads, start)
            ]
            made = tree.extend([head.leaf_hash for head in heads])
            changes = {"size": tree.size, "roots": b"".join(tree.roots), "holder": self._name, "beat": now}
            here = (STATE.c.size == state.size, STATE.c.first == state.first)
            moved = connection.execute(STATE.update().where(*here).values(changes))
            if moved.rowcount != 1:
                raise LedgerUnavailable(f"another sequencer is at work at position {start}")
            if entries:
                positions.insert(connection, entries)
                add_nodes(connection, state.size, tree.size, made)
                connection.execute(_MOVE_CURSOR, _cursors(heads, now))
                for projector in self._projectors:
                    projector.project(connection, entries)
        self._beat = now

    def _record(self, fault: _Fault) -> None:
        """One ``system`` entry a fault: whoever marks the writer writes it, nobody twice."""
        entry = self._builder.build(
            EntryKind.SYSTEM,
            Channel.CLI,
            outcome="error",
            codes=(Code.LEDGER_DAMAGED,),
            extra={"fault": fault.fault, "writer": fault.writer, "writer_seq": str(fault.seq)},
        )
        mark = Effect("mark_fault", _MARK_FAULT, {"writer": fault.writer, "fault": fault.fault}, required=True)
        with contextlib.suppress(EffectRefused):
            self._ledger.commit(entry, [mark])


_MOVE_CURSOR = (
    WRITERS.update()
    .where(WRITERS.c.id == bindparam("writer"))
    .values(integrated_seq=bindparam("seq"), integrated_chain=bindparam("chain"), active=bindparam("now"))
)


def _fetched(connection: Connection, batch: int, since: int) -> list[_Waiting]:
    """Rows of ``_FETCH`` by the driver itself, hashes and bodies in binary: SQLAlchemy's rows take longer than the rest."""
    connection.execute(text("SELECT 1"))  # it has begun the transaction
    driver: Any = connection.connection.dbapi_connection
    if isinstance(driver, psycopg.Connection):
        with driver.cursor(binary=True) as cursor:
            cursor.execute(_FETCH.format(batch="%s::bigint", since="%s::bigint").encode(), (batch, since))
            return cursor.fetchall()
    found: list[_Waiting] = driver.execute(_FETCH.format(batch="?", since="?"), (batch, since)).fetchall()
    return found


def _follow(rows: Iterator[_Waiting], run: list[_Head]) -> _Fault | None:
    """Append a writer's entries to ``run`` as long as sequence and chain hold."""
    for writer, integrated, before, found, after, leaf_hash, body in rows:
        last = run[-1] if run else None
        seq = (last.writer_seq if last else integrated) + 1
        following = merkle.chain_next(last.chain if last else before, leaf_hash)
        if found != seq:
            return _Fault(writer, seq, "gap")
        if after != following:
            return _Fault(writer, seq, "chain")
        try:
            fields, leaf = read(body)
        except EntryInvalid:
            return _Fault(writer, seq, "body")
        if leaf.hash != leaf_hash:
            return _Fault(writer, seq, "body")
        time, identifier = str(fields.get("time", "")), str(fields.get("id", ""))
        run.append(_Head(time, identifier, writer, seq, leaf_hash, fields, following))
    return None


def _merged(runs: Sequence[Sequence[_Head]], batch: int) -> Iterator[_Head]:
    """The runs in order, up to the end of the first that may go on beyond what was fetched."""
    ends = {id(run[-1]) for run in runs if len(run) == batch}
    for head in _in_order(runs):
        yield head
        if id(head) in ends:
            return


def _in_order(runs: Sequence[Sequence[_Head]]) -> Iterable[_Head]:
    """The runs merged; where no writer's clock went backwards, sorting gives the same at a tenth of the cost."""
    if all(all(map(le, run, run[1:])) for run in runs):
        return sorted(chain.from_iterable(runs))
    return heapq.merge(*runs)


def _cursors(heads: Sequence[_Head], now: int) -> list[dict[str, Any]]:
    """Each writer's last entry of the batch."""
    last = {head.writer: head for head in heads}
    return [
        {"writer": writer, "seq": head.writer_seq, "chain": head.chain, "now": now} for writer, head in last.items()
    ]
