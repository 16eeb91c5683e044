"""The ledger on PostgreSQL: each commit is one prepared statement in autocommit, called at libpq's level.

A writer owns one connection, one sequence and one hash chain, and serves one commit at a time. PostgreSQL groups the
flushes of concurrent commits itself. Needs a session of its own: no transaction pooler between (prepared statements).
"""

from __future__ import annotations

import contextlib
import re
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic

import psycopg
from psycopg import pq
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.errors import LedgerUnavailable
from sidecar.ledger import merkle
from sidecar.ledger.build import Random, milliseconds, uuid7
from sidecar.ledger.entry import encode
from sidecar.ledger.statement import DONE, REFUSED, Compiled, for_postgresql, key, wire
from sidecar.ledger.types import WRITER_REST_SECONDS, Committed, Effect, EffectRefused, Entry, Leaf, T

GRACE_SECONDS = 2.0
"""How much longer than the server's own statement time-out we wait before we give the connection up."""

MAX_STATEMENTS = 100
"""Prepared statements a connection; combinations of effects are few, more would be a leak."""

_OPEN_WRITER = (
    "INSERT INTO ledger_writers (id, started, integrated_seq, integrated_chain, active, fault) "
    "VALUES (%s, %s, 0, %s, %s, '')"
)
_FIND_ENTRY = "SELECT leaf_hash FROM ledger_entries WHERE writer = %s AND writer_seq = %s"

_RETIRING = ("23", "25006", "26000", "57P")
"""SQLSTATEs after which a writer is not used again: its sequence is taken, the server is read-only or going down."""

_REFUSAL = re.compile(REFUSED.encode() + rb":(\d+):")


class _Doubtful(Exception):
    """The connection broke or fell silent after the statement was sent: the entry may exist."""


class _Writer:
    """One connection with its chain. Not thread-safe: whoever took it from the pool has it alone."""

    __slots__ = ("_connection", "_pg", "_poll", "_statements", "chain", "id", "last", "seq", "usable")

    def __init__(self, writer: str, connection: psycopg.Connection[Any], now: float) -> None:
        self.id = writer
        self.last = now  # of the monotonic clock, its last commit
        self.seq = 0
        self.chain = merkle.chain_start(writer)
        self.usable = True
        self._connection = connection
        self._pg = connection.pgconn
        self._statements: dict[bytes, bytes] = {}
        self._poll = select.poll()
        self._poll.register(self._pg.socket, select.POLLIN)

    def alive(self) -> bool:
        """Whether the idle connection stands: it is readable when the server closed it, or had something to say."""
        if not self._poll.poll(0):
            return True
        try:
            self._pg.consume_input()
        except psycopg.Error:
            return False
        return self._pg.status == pq.ConnStatus.OK and not self._poll.poll(0)

    def answers(self, deadline: float) -> bool:
        """Whether the server answers an empty question on this connection."""
        self.usable = False
        try:
            self._pg.send_query(b"SELECT 1")
            self._flush(deadline)
            self.usable = self._result(deadline).status == pq.ExecStatus.TUPLES_OK
        except (psycopg.Error, _Doubtful):
            return False
        return self.usable

    def send(self, sql: bytes, values: Sequence[bytes | None], formats: Sequence[int], deadline: float) -> None:
        """Send the statement.

        Raises:
            LedgerUnavailable: it could not be prepared; nothing was sent.
            _Doubtful: it broke on the way.
        """
        name = self._statements.get(sql) or self._prepare(sql, deadline)
        try:
            if name:
                self._pg.send_query_prepared(name, values, formats)
            else:
                self._pg.send_query_params(sql, values, param_formats=formats)
            self._flush(deadline)
        except psycopg.Error as exc:
            raise _Doubtful from exc

    def verdict(self, deadline: float) -> int:
        """Wait for the result: ``DONE``, or the index of the required effect that was refused.

        Raises:
            LedgerUnavailable: the server reported an error, which has undone the whole statement.
            _Doubtful: no clear result came.
        """
        result = self._result(deadline)
        if result.status == pq.ExecStatus.TUPLES_OK:
            self.usable = True
            return int(result.get_value(0, 0) or b"0")
        state = _sqlstate(result)
        if not state or result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) != b"ERROR":
            raise _Doubtful
        self.usable = not state.startswith(_RETIRING)
        refused = _REFUSAL.search(result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"")
        if state == "22P02" and refused:
            return int(refused[1])
        raise LedgerUnavailable(f"the state database refused the commit: SQLSTATE {state}")

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(psycopg.Error):
            self._connection.close()

    def _prepare(self, sql: bytes, deadline: float) -> bytes:
        """Prepare under a new name; b"" where there are too many already."""
        if len(self._statements) >= MAX_STATEMENTS:
            return b""
        name = b"ledger_%d" % len(self._statements)
        try:
            self._pg.send_prepare(name, sql)
            self._flush(deadline)
            result = self._result(deadline)
        except (psycopg.Error, _Doubtful) as exc:
            raise LedgerUnavailable("the connection broke before the commit") from exc
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise LedgerUnavailable(f"the commit's statement cannot be prepared: SQLSTATE {_sqlstate(result)}")
        self._statements[sql] = name
        return name

    def _flush(self, deadline: float) -> None:
        """Hand everything to the kernel; a body is small, so that the first call nearly always does."""
        while self._pg.flush():
            if not select.select([], [self._pg.socket], [], max(0.0, deadline - time.monotonic()))[1]:
                raise _Doubtful

    def _result(self, deadline: float) -> pq.abc.PGresult:
        """The one result of what was sent."""
        result = self._next(deadline)
        if result is None or self._next(deadline) is not None:
            raise _Doubtful
        return result

    def _next(self, deadline: float) -> pq.abc.PGresult | None:
        """The next result; waits by poll, which lets other threads run (``get_result`` would not)."""
        try:
            while self._pg.is_busy():
                if not self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise _Doubtful
                self._pg.consume_input()
            return self._pg.get_result()
        except psycopg.Error as exc:
            raise _Doubtful from exc


class PostgresLedger:
    """Implements ``types.Ledger`` on PostgreSQL with at most ``writers`` commits at a time."""

    def __init__(self, engine: Engine, clock: Clock, random: Random, *, writers: int, timeout_ms: int) -> None:
        self._engine = engine
        self._clock = clock
        self._random = random
        self._timeout = timeout_ms / 1000 + GRACE_SECONDS
        self._writers = writers
        self._slots = threading.BoundedSemaphore(writers)
        self._idle: deque[_Writer] = deque()
        self._closed = False
        self._compiled: dict[tuple[str, ...], Compiled] = {}

    def commit(
        self,
        entry: Entry,
        effects: Sequence[Effect] = (),
        meanwhile: Callable[[Leaf], T] | None = None,
    ) -> tuple[Committed, T | None]:
        """See ``types.Ledger``."""
        body, leaf = encode(entry)
        compiled = self._compile(effects)
        raw = [effects[index].params[name] for index, name in compiled.sources]
        values = [wire(value) for value in raw]
        formats = [1 if type(value) is bytes else 0 for value in raw]
        with self._slot():
            attempt = _Attempt(self._take(), body, leaf, compiled, meanwhile)
            try:
                verdict = attempt.run(values, formats, time.monotonic() + self._timeout)
                if verdict == DONE:
                    attempt.writer.last = self._clock.monotonic()
            except _Doubtful as exc:
                self._resolve(attempt, exc)
                verdict = DONE
            finally:
                self._give_back(attempt.writer)
            if attempt.failure is not None:
                raise attempt.failure
        if verdict != DONE:
            raise EffectRefused(compiled.required[verdict])
        return attempt.committed, attempt.made

    def ready(self) -> bool:
        """Whether a writer answers; opening one inserts a row, so that a read-only server is found out."""
        try:
            with self._slot():
                writer = self._take()
                try:
                    return writer.answers(time.monotonic() + self._timeout)
                finally:
                    self._give_back(writer)
        except LedgerUnavailable:
            return False

    def close(self) -> None:
        """Wait for the commits under way, then close the writers' connections; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self._writers):
            self._slots.acquire(timeout=self._timeout)
        while self._idle:
            self._idle.pop().close()
        for _ in range(self._writers):  # late comers find it closed instead of waiting for their time-out
            self._slots.release()

    def _compile(self, effects: Sequence[Effect]) -> Compiled:
        shape = key(effects)
        compiled = self._compiled.get(shape)
        if compiled is None:
            compiled = self._compiled.setdefault(shape, for_postgresql(effects))
        return compiled

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        """The right to use one writer."""
        if not self._slots.acquire(timeout=self._timeout):
            raise LedgerUnavailable(f"all {self._writers} writers were busy for {self._timeout} s")
        try:
            if self._closed:
                raise LedgerUnavailable("the ledger is closed")
            yield
        finally:
            self._slots.release()

    def _take(self) -> _Writer:
        """The writer used last, if it has not rested too long and its connection still stands; else a new one."""
        while True:
            try:
                writer = self._idle.pop()
            except IndexError:
                return self._open()
            if self._clock.monotonic() - writer.last <= WRITER_REST_SECONDS and writer.alive():
                return writer
            writer.close()

    def _give_back(self, writer: _Writer) -> None:
        if writer.usable:
            self._idle.append(writer)
        else:
            writer.close()

    def _open(self) -> _Writer:
        """A fresh writer on a connection of its own, taken out of the engine's pool."""
        now = self._clock.now()
        name = uuid7(now, self._random)
        try:
            fairy = self._engine.raw_connection()
            connection = fairy.driver_connection
            fairy.detach()
            assert isinstance(connection, psycopg.Connection)  # noqa: S101  # the engine is ours: psycopg 3
            connection.autocommit = True
            stamp = milliseconds(now)
            connection.execute(_OPEN_WRITER, (name, stamp, merkle.chain_start(name), stamp))
        except (SQLAlchemyError, psycopg.Error) as exc:
            raise LedgerUnavailable("no connection to the state database, or it does not take writes") from exc
        return _Writer(name, connection, self._clock.monotonic())

    def _resolve(self, attempt: _Attempt[Any], doubt: _Doubtful) -> None:
        """Learn whether a doubtful entry exists. Not found proves nothing: the server may still be at it.

        Raises:
            LedgerUnavailable: it was not found, or nobody answers. The writer's sequence is never gone on with.
        """
        attempt.writer.usable = False
        attempt.writer.close()
        try:
            with self._engine.connect() as connection:
                cursor = connection.exec_driver_sql(_FIND_ENTRY, (attempt.writer.id, attempt.seq))
                found = cursor.scalar_one_or_none()
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("the connection broke during the commit") from exc
        if found != attempt.leaf.hash:
            raise LedgerUnavailable("the connection broke during the commit") from doubt
        attempt.run_meanwhile()


class _Attempt(Generic[T]):
    """One commit on one writer: what was sent, what came of it."""

    __slots__ = ("_body", "_chain", "_compiled", "_meanwhile", "_ran", "failure", "leaf", "made", "seq", "writer")

    def __init__(
        self, writer: _Writer, body: bytes, leaf: Leaf, compiled: Compiled, meanwhile: Callable[[Leaf], T] | None
    ) -> None:
        self.writer = writer
        self.leaf = leaf
        self.seq = writer.seq + 1
        self.made: T | None = None
        self.failure: BaseException | None = None
        self._body = body
        self._chain = merkle.chain_next(writer.chain, leaf.hash)
        self._compiled = compiled
        self._meanwhile = meanwhile
        self._ran = False

    @property
    def committed(self) -> Committed:
        return Committed(self.leaf.hash, self.writer.id, self.seq)

    def run(self, values: list[bytes | None], formats: list[int], deadline: float) -> int:
        """Send, do ``meanwhile``, wait; returns the verdict. The writer is usable again only on a clear result."""
        writer = self.writer
        writer.usable = False
        own = [writer.id.encode(), b"%d" % self.seq, self._chain, self.leaf.hash, self._body]
        writer.send(self._compiled.sql, own + values, [0, 0, 1, 1, 1, *formats], deadline)
        self.run_meanwhile()
        verdict = writer.verdict(deadline)
        if verdict == DONE:
            writer.seq, writer.chain = self.seq, self._chain
        return verdict

    def run_meanwhile(self) -> None:
        """Run the caller's function once; its failure is raised only when the state of the commit is known."""
        if self._meanwhile is None or self._ran:
            return
        self._ran = True
        try:
            self.made = self._meanwhile(self.leaf)
        except BaseException as exc:  # noqa: BLE001  # kept, and raised again by the ledger
            self.failure = exc


def _sqlstate(result: pq.abc.PGresult) -> str:
    return (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode("ascii")
