"""Tables of the ledger. The gateway inserts into entries, writers, data keys and sealed inputs; it changes nothing.

Only the sequencer updates ``ledger_writers`` and ``ledger_state``, inserts positions and nodes, and keeps checkpoints
(see ``roles``).
Hashes are 32 raw bytes; times are POSIX milliseconds; positions count from 0, a writer's sequence from 1.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary, String, Table

from sidecar.storage.metadata import METADATA

UUID_LENGTH = 36
"""Characters of a UUID in text."""

STATE = Table(
    "ledger_state",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("origin", String(255), nullable=False),
    Column("created", BigInteger, nullable=False),
    # Position of the present origin's first entry; its size and roots are counted from there.
    Column("first", BigInteger, nullable=False, server_default="0"),
    Column("size", BigInteger, nullable=False),
    # Roots of the full subtrees of the tree over all positions, largest first: checkpoints are made from them.
    Column("roots", LargeBinary, nullable=False),
    Column("holder", String(UUID_LENGTH), nullable=False),
    Column("beat", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single"),
)
"""One row: the ledger exists. ``size`` positions of its present origin are given; ``holder`` is the sequencer that last
was at work."""

ORIGINS = Table(
    "ledger_origins",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(255), nullable=False, unique=True),
    Column("label", String(16), nullable=False, unique=True),
    Column("year", BigInteger, nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("first_event", BigInteger, nullable=False),
    # While an origin is open: closed is 0, and the reason empty.
    Column("closed", BigInteger, nullable=False),
    Column("reason", String(16), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    # Of an origin that was rolled back: the largest tree that is known to have been signed.
    Column("seen_size", BigInteger, nullable=False),
    Column("seen_root", LargeBinary(32), nullable=False),
    Column("destroyed", BigInteger, nullable=False),
)
"""The logs that this ledger consists of, one a calendar year, the present one last. Their rows stay for ever."""

STARTS = Table(
    "ledger_starts",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("writer", String(UUID_LENGTH), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("chain", LargeBinary(32), nullable=False),
)
"""Where each writer stood when an origin began: its chain is verified from there when the origin before is gone."""

WRITERS = Table(
    "ledger_writers",
    METADATA,
    Column("id", String(UUID_LENGTH), primary_key=True),
    Column("started", BigInteger, nullable=False),
    # How far the sequencer has come with this writer, and the chain's value there.
    Column("integrated_seq", BigInteger, nullable=False),
    Column("integrated_chain", LargeBinary(32), nullable=False),
    # Last integration, at first the start: silent writers are looked at less often.
    Column("active", BigInteger, nullable=False, index=True),
    Column("fault", String(16), nullable=False),
)
"""A writer is one serial source of entries; a new one for every process start and after every doubtful commit."""

ENTRIES = Table(
    "ledger_entries",
    METADATA,
    Column("writer", String(UUID_LENGTH), primary_key=True),
    Column("writer_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("chain", LargeBinary(32), nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""One index only: everything else about an entry is found through its position."""

POSITIONS = Table(
    "ledger_positions",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("writer", String(UUID_LENGTH), nullable=False),
    Column("writer_seq", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("entry_id", String(UUID_LENGTH), nullable=False, index=True),
    Index("uq_ledger_positions_writer_writer_seq", "writer", "writer_seq", unique=True),
)
"""The order of all origins' entries, given by the sequencer. Several entries may share an ``entry_id``: the pages of one inquiry. A leaf is
found by its entry's id: an index on hashes would write all over the disk."""

NODES = Table(
    "ledger_nodes",
    METADATA,
    Column("level", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)
"""Roots of full tiles: hash ``number`` of tile level ``level`` (from 1; level 0 are the positions' leaf hashes). They
follow from the positions; a missing one is computed, a wrong one leads to a root that was not signed. Numbers begin at
the origin's first position, so that those of two origins never meet."""

CHECKPOINTS = Table(
    "ledger_checkpoints",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    # POSIX milliseconds of the last signature, and the same in minutes: of each minute the last one is kept, and the
    # last one with the most cosignatures.
    Column("time", BigInteger, nullable=False),
    Column("minute", BigInteger, nullable=False, index=True),
    Column("note", LargeBinary, nullable=False),
    Column("cosignatures", LargeBinary, nullable=False),
    Column("witnesses", BigInteger, nullable=False),
)
"""Signed checkpoints as they are served; ``cosignatures`` are lines behind the note, of ``witnesses`` witnesses. ``size``
counts the entries of earlier origins as well: only in the first one it is the note's."""

DATA_KEYS = Table(
    "ledger_data_keys",
    METADATA,
    Column("id", String(UUID_LENGTH), primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
"""A process's short-lived data key, wrapped for the recipients' public keys (age): no private key on the gateway."""

SEALED_INPUTS = Table(
    "ledger_sealed_inputs",
    METADATA,
    # Ids grow with time: rows are added at the index's end. The nonce tells the pages of one inquiry apart.
    Column("entry_id", String(UUID_LENGTH), primary_key=True),
    Column("nonce", LargeBinary(12), primary_key=True),
    Column("key_id", String(UUID_LENGTH), nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
)
"""The decision's inputs, for replay, sealed under a data key."""
