"""The ledger on SQLite: one thread a process commits; all that wait go into one transaction and share its sync."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.errors import LedgerUnavailable, SidecarError
from sidecar.ledger import merkle
from sidecar.ledger.build import Random, milliseconds, uuid7
from sidecar.ledger.entry import encode
from sidecar.ledger.statement import Single, for_sqlite, key
from sidecar.ledger.types import WRITER_REST_SECONDS, Committed, Effect, EffectRefused, Entry, Leaf, T

GROUP = 256
"""Most commits in one transaction; bounds how long other processes wait for the write lock."""

GRACE_SECONDS = 2.0
"""How much longer than the lock's time-out a caller waits for the thread."""

_OPEN_WRITER = "INSERT INTO ledger_writers (id, started, integrated_seq, integrated_chain, active, fault) VALUES (?, ?, 0, ?, ?, '')"
_INSERT_ENTRY = "INSERT INTO ledger_entries (writer, writer_seq, chain, leaf_hash, body) VALUES (?, ?, ?, ?, ?)"


@dataclass(slots=True)
class _Job:
    """One waiting commit; without ``leaf`` a mere question whether commits work."""

    body: bytes = b""
    leaf: Leaf | None = None
    effects: tuple[tuple[Single, Mapping[str, Any]], ...] = ()
    done: threading.Event = field(default_factory=threading.Event)
    abandoned: bool = False
    committed: Committed | None = None
    error: SidecarError | None = None


@dataclass(slots=True)
class _Writer:
    """The thread's connection, and where its chain stands."""

    id: str
    connection: sqlite3.Connection
    seq: int
    chain: bytes
    last: float  # of the monotonic clock, its last commit


class SqliteLedger:
    """Implements ``types.Ledger`` on SQLite. Several processes may each have one: they take turns at the file."""

    def __init__(self, engine: Engine, clock: Clock, random: Random, *, timeout_ms: int) -> None:
        self._engine = engine
        self._clock = clock
        self._random = random
        self._timeout = timeout_ms / 1000 + GRACE_SECONDS
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._compiled: dict[tuple[str, ...], tuple[Single, ...]] = {}
        self._gate = threading.Lock()
        self._closed = False
        self._writer: _Writer | None = None
        self._thread = threading.Thread(target=self._run, name="ledger-commit", daemon=True)
        self._thread.start()

    def commit(
        self,
        entry: Entry,
        effects: Sequence[Effect] = (),
        meanwhile: Callable[[Leaf], T] | None = None,
    ) -> tuple[Committed, T | None]:
        """See ``types.Ledger``."""
        body, leaf = encode(entry)
        singles = self._compile(effects)
        params = {effect.name: effect.params for effect in effects}
        job = _Job(body, leaf, tuple((single, params[single.name]) for single in singles))
        self._submit(job)
        try:
            made = meanwhile(leaf) if meanwhile else None
        finally:
            self._await(job)
        if not job.done.is_set():  # what stands in the job before that is not durable
            raise LedgerUnavailable(f"no commit within {self._timeout} s")
        if job.error is not None:
            raise job.error
        assert job.committed is not None  # noqa: S101  # done without error
        return job.committed, made

    def ready(self) -> bool:
        """Whether the write lock can be had; after a failure a fresh writer must have been stored as well."""
        job = _Job()
        try:
            self._submit(job)
        except LedgerUnavailable:
            return False
        self._await(job)
        return job.done.is_set() and job.error is None

    def close(self) -> None:
        """Finish the commits under way, then close the connection; a second call does nothing."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _compile(self, effects: Sequence[Effect]) -> tuple[Single, ...]:
        shape = key(effects)
        singles = self._compiled.get(shape)
        if singles is None:
            singles = self._compiled.setdefault(shape, for_sqlite(effects))
        return singles

    def _submit(self, job: _Job) -> None:
        with self._gate:  # nothing may stand in the queue behind the end mark
            if self._closed:
                raise LedgerUnavailable("the ledger is closed")
            self._jobs.put(job)

    def _await(self, job: _Job) -> None:
        if not job.done.wait(self._timeout):
            job.abandoned = True

    def _run(self) -> None:
        """The thread: take all that wait, commit them together, again."""
        last = False
        while not last:
            group, last = self._next_group()
            if group:
                self._commit_group(group)
        self._drop_writer()

    def _next_group(self) -> tuple[list[_Job], bool]:
        group: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            if not job.abandoned:
                group.append(job)
            if len(group) >= GROUP:
                return group, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit_group(self, group: list[_Job]) -> None:
        """One transaction. If it fails, nothing of it is there, and even a refusal was found on sand."""
        try:
            self._transaction(group)
        except (sqlite3.Error, SQLAlchemyError) as exc:
            self._drop_writer()
            for job in group:
                job.committed = None
                job.error = LedgerUnavailable("the state database did not take the commit")
                job.error.__cause__ = exc
        for job in group:
            job.done.set()

    def _transaction(self, group: list[_Job]) -> None:
        if self._writer and self._clock.monotonic() - self._writer.last > WRITER_REST_SECONDS:
            self._drop_writer()
        writer = self._writer = self._writer or self._open()
        execute = writer.connection.execute
        execute("BEGIN IMMEDIATE")
        seq, chain = writer.seq, writer.chain
        for job in group:
            if job.leaf is None:
                continue
            following = merkle.chain_next(chain, job.leaf.hash)
            if _one(writer, job, seq + 1, following):
                seq, chain = seq + 1, following
        execute("COMMIT" if seq > writer.seq else "ROLLBACK")
        if seq > writer.seq:
            writer.last = self._clock.monotonic()
        writer.seq, writer.chain = seq, chain

    def _open(self) -> _Writer:
        """A fresh writer; its row is stored before its first entry."""
        now = self._clock.now()
        name, stamp = uuid7(now, self._random), milliseconds(now)
        fairy = self._engine.raw_connection()
        connection = fairy.driver_connection
        fairy.detach()
        assert isinstance(connection, sqlite3.Connection)  # noqa: S101  # the engine is ours: pysqlite
        try:
            connection.execute(_OPEN_WRITER, (name, stamp, merkle.chain_start(name), stamp))
        except sqlite3.Error:
            connection.close()
            raise
        return _Writer(name, connection, 0, merkle.chain_start(name), self._clock.monotonic())

    def _drop_writer(self) -> None:
        """Forget the writer: whatever its last transaction came to, nothing follows it."""
        if self._writer is not None:
            with contextlib.suppress(sqlite3.Error):
                self._writer.connection.close()  # rolls back
        self._writer = None


def _one(writer: _Writer, job: _Job, seq: int, chain: bytes) -> bool:
    """One commit within the group's transaction; False when it was undone and the others go on."""
    execute = writer.connection.execute
    execute("SAVEPOINT job")
    try:
        _apply(writer, job, seq, chain)
    except (EffectRefused, sqlite3.Error) as exc:
        if not writer.connection.in_transaction:
            raise  # SQLite has undone everything (disk full, I/O error)
        execute("ROLLBACK TO job")
        execute("RELEASE job")
        job.error = exc if isinstance(exc, EffectRefused) else _refused_by_database(exc)
        return False
    execute("RELEASE job")
    return True


def _apply(writer: _Writer, job: _Job, seq: int, chain: bytes) -> None:
    execute = writer.connection.execute
    assert job.leaf is not None  # noqa: S101  # the caller skips mere questions
    for single, params in job.effects:
        if single.required and not _holds(execute(single.sql, params), single):
            raise EffectRefused(single.name)
    execute(_INSERT_ENTRY, (writer.id, seq, chain, job.leaf.hash, job.body))
    for single, params in job.effects:
        if not single.required:
            execute(single.sql, params)
    job.committed = Committed(job.leaf.hash, writer.id, seq)


def _holds(cursor: sqlite3.Cursor, single: Single) -> bool:
    return cursor.fetchone() is not None if single.condition else cursor.rowcount == 1


def _refused_by_database(exc: sqlite3.Error) -> LedgerUnavailable:
    error = LedgerUnavailable(f"the state database refused the commit: {getattr(exc, 'sqlite_errorname', 'error')}")
    error.__cause__ = exc
    return error
