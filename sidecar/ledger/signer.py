"""Signs the sequencer's tree as it grows, and never a tree that contradicts one signed before (C2SP tlog-checkpoint).

The order, and what a crash leaves behind:
1. the tree is computed from the leaf hashes and compared with the sequencer's; nothing is left;
2. it begins with the tree that was signed last, which stands in a file outside the database; nothing is left;
3. its size and root are written to that file and flushed: a promise, without a signature yet;
4. it is signed; the signature is deterministic, so that signing it again after a crash makes the same bytes;
5. the checkpoint is stored in the database, where it is served from.
Where an origin was closed (``turn``), its last tree is signed in this way, then the new origin's.
A log that breaks rule 1 or 2 is not signed until it is whole again: a database that was rolled back stays frozen, also
once it has grown beyond the signed tree, because its root is another one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind
from sidecar.errors import ConfigurationError, SidecarError
from sidecar.keys.files import read_ed25519_private
from sidecar.ledger import merkle, proofs
from sidecar.ledger.build import EntryBuilder, Random, milliseconds
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.origins import ROLLED_BACK, Origin, all_of, family, order
from sidecar.ledger.signed import LogRefused, SignedFile
from sidecar.ledger.stored import StoredCheckpoint, StoredLog, of_origin
from sidecar.ledger.tables import CHECKPOINTS, STATE
from sidecar.ledger.types import Ledger
from sidecar.settings import Settings

INTERVAL_SECONDS = 0.5
"""Least time between two checkpoints: with the sequencer's poll, an entry is under a signature within a second."""

SILENCE_SECONDS = 60.0
"""A log that does not grow is signed again after so long, so that its readers know that it is kept."""

FROZEN_SECONDS = 5.0
"""How often a log that is not signed is looked at again."""

FETCH = 4096
"""Leaf hashes read at a time."""

MINUTE_MS = 60_000

_log = structlog.get_logger(__name__)


def contained(log: StoredLog, size: int, last: Checkpoint) -> None:
    """Rule 2: the log of ``size`` leaves begins with the tree that was signed last.

    Raises:
        LogRefused: it does not.
    """
    if last.size > size:
        text = f"a tree of {last.size} entries was signed before, there are {size}"
        raise LogRefused(Code.LEDGER_ROLLED_BACK, text)
    if proofs.tree(log, last.size).root() != last.root:
        text = f"the first {last.size} entries are not those that were signed before"
        raise LogRefused(Code.LEDGER_FORKED, text)


def passed_over(connection: Connection, last: Checkpoint, present: str) -> Origin | None:
    """The closed origin that was signed last, when it is not the present one any more; checked, or None.

    Raises:
        LogRefused: the database knows less than was signed, or something else.
        ConfigurationError: the file of the last signed tree is another ledger's, or of a year that is destroyed.
    """
    if last.origin == present:
        return None
    known = next((origin for origin in all_of(connection) if origin.name == last.origin), None)
    if known is None and family(last.origin) == family(present) and order(last.origin):
        raise LogRefused(Code.LEDGER_ROLLED_BACK, f"{last.origin} was signed before, and there is no such origin")
    if known is None:
        raise ConfigurationError(f"ledger.signed_file: expected origin {present!r}, got {last.origin!r}")
    if known.reason == ROLLED_BACK and (known.seen_size, known.seen_root) == (last.size, last.root):
        return known
    if known.destroyed and (known.size, known.root) != (last.size, last.root):
        raise ConfigurationError(f"ledger.signed_file: {known.name} is destroyed; take the file of another replica")
    if not known.destroyed:
        contained(StoredLog(connection, known), known.size, last)
    return known


class Signer:
    """Belongs to the sequencer, which calls ``step`` while it holds its lock."""

    def __init__(
        self,
        key: Ed25519PrivateKey,
        signed: SignedFile,
        clock: Clock,
        *,
        told: Callable[[StoredCheckpoint], None] = lambda _: None,
    ) -> None:
        """``told`` is called with every checkpoint once it is stored; it must return at once."""
        self._key = key
        self._signed = signed
        self._clock = clock
        self._told = told
        self._tree: merkle.Range | None = None
        self._at = ("", -1)
        self._next = clock.monotonic()
        self._silent_until = self._next

    def step(self, connection: Connection) -> Checkpoint | None:
        """Sign the tree if it is time to; None where it is not.

        Raises:
            LogRefused: rule 1 or 2 does not hold.
            ConfigurationError: the file of the last signed tree cannot be read or written.
            SQLAlchemyError: the database does not answer.
        """
        now = self._clock.monotonic()
        if now < self._next:
            return None
        self._next = now + FROZEN_SECONDS
        try:
            done = self._sign(connection, now)
        except SidecarError:
            self._tree, self._at = None, ("", -1)  # the next look begins with the file again
            raise
        self._next = now + INTERVAL_SECONDS
        return done

    def _sign(self, connection: Connection, now: float) -> Checkpoint | None:
        connection.execution_options(sqlite_begin="DEFERRED")
        with self._signed.locked():
            with connection.begin():
                state = connection.execute(select(STATE.c.origin, STATE.c.first, STATE.c.size, STATE.c.roots)).one()
                if self._at == (state.origin, state.size) and now < self._silent_until:
                    return None
                closed = self._closed(connection, state.origin)
            if closed is not None:
                self._finish(connection, closed)
                return None
            with connection.begin():
                self._grow(StoredLog(connection), state.origin, state.size, bytes(state.roots))
            checkpoint = Checkpoint(state.origin, state.size, self._tree.root() if self._tree else merkle.EMPTY_ROOT)
            self._signed.keep(checkpoint)  # 3
        self._store(connection, checkpoint, state.first)
        self._at = (state.origin, state.size)
        self._silent_until = now + SILENCE_SECONDS
        return checkpoint

    def _store(self, connection: Connection, checkpoint: Checkpoint, first: int) -> None:
        stored = StoredCheckpoint(
            checkpoint.size,
            checkpoint.root,
            milliseconds(self._clock.now()),
            checkpoint.signed(self._key).encode(),  # 4
            b"",
            first,
        )
        store(connection, stored)  # 5
        self._told(stored)

    def _closed(self, connection: Connection, present: str) -> Origin | None:
        if self._at[0] == present:
            return None
        return passed_over(connection, self._signed.last(), present)

    def _finish(self, connection: Connection, closed: Origin) -> None:
        """Sign a closed origin's last tree, and let the next one begin. One that was rolled back is never signed again."""
        last = self._signed.last()
        if closed.reason != ROLLED_BACK and not closed.destroyed:
            with connection.begin():
                contained(StoredLog(connection, closed), closed.size, Checkpoint(closed.name, closed.size, closed.root))
            checkpoint = Checkpoint(closed.name, closed.size, closed.root)
            if checkpoint != last:
                self._signed.keep(checkpoint)
            self._store(connection, checkpoint, closed.first)
        with connection.begin():
            following = all_of(connection)[closed.number].name
        self._signed.keep(Checkpoint(following, 0, merkle.EMPTY_ROOT))
        self._tree = None

    def _grow(self, log: StoredLog, origin: str, size: int, roots: bytes) -> None:
        """Rules 1 and 2; afterwards the tree is the whole log's."""
        last = self._signed.last()
        if last.origin != origin:
            raise ConfigurationError("ledger.signed_file: another origin's tree was signed meanwhile")
        tree = self._tree
        if tree is None or (tree.size, tree.root()) != (
            last.size,
            last.root,
        ):  # another process has signed, or we start
            contained(log, size, last)
            tree = proofs.tree(log, last.size)
        if tree.size > size:
            text = f"a tree of {tree.size} entries was signed before, there are {size}"
            raise LogRefused(Code.LEDGER_ROLLED_BACK, text)
        for start in range(tree.size, size, FETCH):
            tree.extend([*log.leaves(start, min(FETCH, size - start))])
        if b"".join(tree.roots) != roots:
            contained(log, size, last)  # tells another history from a damaged one
            raise LogRefused(Code.LEDGER_DAMAGED, "the entries lead to another tree than the sequencer stored")
        self._tree = tree


def store(connection: Connection, made: StoredCheckpoint, witnesses: Sequence[str] = ()) -> None:
    """Keep a checkpoint with the cosignatures it has; of each minute the last one, and the last one cosigned most.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    row = {
        "size": made.first + made.size,
        "root": made.root,
        "time": made.time,
        "minute": made.time // MINUTE_MS,
        "note": made.note,
        "cosignatures": made.cosignatures,
        "witnesses": len(witnesses),
    }
    renewed = {"time", "minute"} | ({"cosignatures", "witnesses"} if witnesses else set())
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
    kept = insert(CHECKPOINTS).values(row)
    connection.execution_options(sqlite_begin="IMMEDIATE")
    with connection.begin():
        connection.execute(
            kept.on_conflict_do_update(index_elements=["size"], set_={name: kept.excluded[name] for name in renewed})
        )
        connection.execute(
            delete(CHECKPOINTS).where(
                CHECKPOINTS.c.minute == row["minute"],
                CHECKPOINTS.c.size < made.first + made.size,
                *of_origin(made.first),
                CHECKPOINTS.c.witnesses <= len(witnesses),
            )
        )


class Watched:
    """A signer whose faults are recorded: the sequencer goes on, and the procuratorate is told once of each."""

    def __init__(self, signer: Signer, ledger: Ledger, clock: Clock, random: Random = os.urandom) -> None:
        self._signer = signer
        self._ledger = ledger
        self._builder = EntryBuilder(clock, random)
        self._fault = ""

    def step(self, connection: Connection) -> None:
        """Sign if it is time to; nothing but a database that does not answer comes back from it.

        Raises:
            SQLAlchemyError: the database does not answer.
            LedgerUnavailable: the fault could not be recorded; it comes again.
        """
        try:
            if self._signer.step(connection) and self._fault:
                _log.info("log-signed-again", after=self._fault)
                self._fault = ""
        except LogRefused as exc:
            self._report(exc.code, str(exc))
        except ConfigurationError as exc:
            self._report(Code.LOG_UNSIGNED.value, str(exc))

    def _report(self, code: str, text: str) -> None:
        if code == self._fault:
            return
        _log.error("log-not-signed", code=code, reason=text)
        entry = self._builder.build(EntryKind.SYSTEM, Channel.CLI, outcome="error", codes=(code,))
        self._ledger.commit(entry)
        self._fault = code


def open_signer(
    settings: Settings, ledger: Ledger, clock: Clock, told: Callable[[StoredCheckpoint], None] = lambda _: None
) -> Watched | None:
    """The deployment's signer; None where it has no log key.

    Raises:
        ConfigurationError: the key cannot be used.
    """
    file = settings.path(settings.ledger.log_key)
    if not file.exists():
        _log.warning("log-key-missing")
        return None
    signed = SignedFile(settings.path(settings.ledger.signed_file))
    return Watched(Signer(read_ed25519_private(file), signed, clock, told=told), ledger, clock)
