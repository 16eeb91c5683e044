"""Writes the log to a folder as tiles, entry bundles and a signed checkpoint that outside tools verify (C2SP tlog-tiles)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from sidecar.codes import Code
from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.ledger import entry, merkle
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.note import verifier
from sidecar.ledger.origins import ROLLED_BACK, Origin, file_name, named
from sidecar.ledger.signed import LogRefused, SignedFile
from sidecar.ledger.signer import contained, passed_over
from sidecar.ledger.stored import StoredLog
from sidecar.ledger.tiles import WIDTH, Bundle, TileStream, pack
from sidecar.ledger.types import Leaf
from sidecar.ledger.verify import Database, Head, Row

CHECKPOINT_FILE = "checkpoint"
"""Written last: a folder without it is an export that was broken off."""


def publish(
    engine: Engine,
    folder: Path,
    key: Ed25519PrivateKey,
    signed: SignedFile,
    progress: Callable[[int], None] | None = None,
    *,
    origin: str = "",
) -> Checkpoint:
    """Write one snapshot of the log of an origin, else of the present one, to an empty folder, and sign its tree.

    1. Every leaf is hashed again from its entry and is the one at its position; tiles and bundles are written.
    2. The tree is the sequencer's.
    3. Nobody else signs meanwhile; what was signed last is of this origin, and both trees are of one history.
    4. Size and root are kept durably where nothing larger was signed; then the verifier key and, last, the signed
       checkpoint are written.

    Raises:
        ConfigurationError: the folder is not empty or cannot be written, or another origin's tree was signed last.
        LogRefused: rule 1, 2 or 3 does not hold.
        LedgerUnavailable: the database does not answer.
    """
    snapshot = (
        {"sqlite_begin": "DEFERRED"} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    )
    fixed = engine.execution_options(**snapshot)
    try:
        _prepare(folder)
        with fixed.connect() as connection:
            checkpoint = _tree(Database(connection, origin), folder, progress)
        with signed.locked(), fixed.connect() as connection:
            _admit(connection, checkpoint, signed)  # a crash from here on leaves a tree of the same history
        _sign(folder, checkpoint, key)
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer, or `sidecar db upgrade` has not run") from exc
    except OSError as exc:
        raise ConfigurationError(f"{folder}: cannot be written: {exc.strerror}") from exc
    return checkpoint


def _prepare(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigurationError(f"{folder}: expected an empty folder")


def _tree(source: Database, folder: Path, progress: Callable[[int], None] | None) -> Checkpoint:
    head = source.head()
    writer = _Writer(folder)
    for row in source.rows():
        writer.append(_leaf(row, writer.tree.size))
        if progress:
            progress(writer.tree.size)
    writer.finish()
    _check_whole(writer.tree, head)
    return Checkpoint(head.origin, head.size, writer.tree.root())


def _leaf(row: Row, place: int) -> Leaf:
    """Rule 1."""
    if row.position != place or row.body is None:
        raise _damaged(f"position {place} has no entry")
    try:
        leaf = entry.leaf(row.body)
    except entry.EntryInvalid as exc:
        raise _damaged(f"position {place} has an entry that cannot be read") from exc
    if leaf.hash != row.position_leaf:
        raise _damaged(f"position {place} has another leaf hash than its entry")
    return leaf


def _check_whole(tree: merkle.Range, head: Head) -> None:
    """Rule 2."""
    whole = tree.root() == head.root if head.root else b"".join(tree.roots) == head.roots
    if tree.size != head.size or not whole:
        raise _damaged("the entries lead to another tree than the sequencer stored")


def _damaged(text: str) -> LogRefused:
    return LogRefused(Code.LEDGER_DAMAGED, f"{text}; run `sidecar ledger verify`")


def _admit(connection: Connection, ours: Checkpoint, signed: SignedFile) -> None:
    """Rules 3 and 4. The log has grown since, and what was signed last may be larger than what we have seen."""
    last, origin = signed.last(), named(connection, ours.origin)
    if origin.closed:
        return _admit_closed(connection, origin, last)
    if passed_over(connection, last, ours.origin) is not None:
        raise ConfigurationError(
            "ledger.signed_file: the present origin is not signed yet; the sequencer does that first"
        )
    log = StoredLog(connection, origin)
    contained(log, log.size(), last)
    contained(log, log.size(), ours)
    if ours.size >= last.size:
        signed.keep(ours)
    return None


def _admit_closed(connection: Connection, origin: Origin, last: Checkpoint) -> None:
    """The last tree of a year that is over is signed again: the same bytes, when the sequencer has signed it."""
    if origin.reason == ROLLED_BACK:
        raise LogRefused(Code.LEDGER_ROLLED_BACK, f"{origin.name} is never signed again; export it as lines")
    stored = StoredLog(connection, origin).checkpoint()
    if stored is None or stored.size != origin.size or last.origin == origin.name:
        raise ConfigurationError(f"{origin.name} is not signed to its end yet; the sequencer does that first")


def _sign(folder: Path, checkpoint: Checkpoint, key: Ed25519PrivateKey) -> None:
    """Rule 4."""
    log = verifier(checkpoint.origin, key.public_key())
    (folder / f"{file_name(checkpoint.origin)}.vkey").write_text(f"{log}\n", encoding="ascii")
    (folder / CHECKPOINT_FILE).write_text(checkpoint.signed(key), encoding="utf-8")


class _Writer:
    """Tiles and bundles as they become full, and the tree so far."""

    def __init__(self, folder: Path) -> None:
        self.tree = merkle.Range()
        self._folder = folder
        self._tiles = TileStream()
        self._entries: list[bytes] = []

    def append(self, leaf: Leaf) -> None:
        """Add the next leaf."""
        self.tree.append(leaf.hash)
        self._entries.append(leaf.data)
        self._write((tile.path, data) for tile, data in self._tiles.append(leaf.hash))
        if len(self._entries) == WIDTH:
            self._bundle()

    def finish(self) -> None:
        """Write what is partial."""
        self._write((tile.path, data) for tile, data in self._tiles.partial())
        if self._entries:
            self._bundle()

    def _bundle(self) -> None:
        bundle = Bundle((self.tree.size - 1) // WIDTH, len(self._entries))
        self._write(iter([(bundle.path, pack(self._entries))]))
        self._entries = []

    def _write(self, files: Iterator[tuple[str, bytes]]) -> None:
        for path, data in files:
            file = self._folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
