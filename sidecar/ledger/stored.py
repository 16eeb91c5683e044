"""The log as it is stored: hashes of tiles, entries and signed checkpoints, for whoever serves or proves it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from sidecar.codes import Code
from sidecar.ledger import entry, merkle
from sidecar.ledger.origins import Origin
from sidecar.ledger.signed import LogRefused
from sidecar.ledger.tables import CHECKPOINTS, ENTRIES, NODES, POSITIONS, STATE
from sidecar.ledger.tiles import TILE_BITS, WIDTH

BACKFILL = 256
"""Most nodes a level that one round adds: a log that is older than the table of nodes does not hold the round up."""

_LEAVES = (
    select(POSITIONS.c.leaf_hash)
    .where(POSITIONS.c.position >= bindparam("start"), POSITIONS.c.position < bindparam("end"))
    .order_by(POSITIONS.c.position)
)
_NODES = select(NODES.c.number, NODES.c.hash).where(
    NODES.c.level == bindparam("level"), NODES.c.number >= bindparam("start"), NODES.c.number < bindparam("end")
)
_BODIES = (
    select(POSITIONS.c.position, ENTRIES.c.body)
    .join(ENTRIES, (ENTRIES.c.writer == POSITIONS.c.writer) & (ENTRIES.c.writer_seq == POSITIONS.c.writer_seq))
    .where(POSITIONS.c.position >= bindparam("start"), POSITIONS.c.position < bindparam("end"))
    .order_by(POSITIONS.c.position)
)


class StoredLog:
    """One origin's log within one transaction of ``connection``; implements ``proofs.Hashes``. Positions count from 0."""

    def __init__(self, connection: Connection, origin: Origin | None = None) -> None:
        """The present origin's log unless another is named."""
        self._connection = connection
        self._origin = origin
        self._first = -1 if origin is None else origin.first

    @property
    def first(self) -> int:
        """How many entries earlier origins hold."""
        if self._first < 0:
            self._first = int(self._connection.execute(select(STATE.c.first)).scalar_one())
        return self._first

    def size(self) -> int:
        """How many positions are given."""
        if self._origin is not None and self._origin.closed:
            return self._origin.size
        found: int = self._connection.execute(select(STATE.c.size)).scalar_one()
        return found

    def hashes(self, level: int, start: int, count: int) -> list[bytes]:
        """See ``proofs.Hashes``. What the table of nodes lacks is computed from the level below.

        Raises:
            LogRefused: positions are missing.
        """
        return list(self.leaves(start, count)) if level == 0 else self._roots(level, start, count)

    def leaves(self, start: int, count: int) -> Iterator[bytes]:
        """Leaf hashes from position ``start`` on.

        Raises:
            LogRefused: one is missing; found at the end.
        """
        bounds = {"start": self.first + start, "end": self.first + start + count}
        found = self._connection.execute(_LEAVES, bounds).scalars().all()
        if len(found) != count:
            raise LogRefused(Code.LEDGER_DAMAGED, f"expected {count} positions from {start} on, got {len(found)}")
        return (bytes(leaf) for leaf in found)

    def _roots(self, level: int, start: int, count: int) -> list[bytes]:
        bounds = {"level": level, "start": self.first + start, "end": self.first + start + count}
        stored = {number - self.first: bytes(node) for number, node in self._connection.execute(_NODES, bounds)}
        return [
            stored[n] if n in stored else merkle.root(self.hashes(level - 1, n * WIDTH, WIDTH))
            for n in range(start, start + count)
        ]

    def entries(self, start: int, count: int) -> list[bytes]:
        """Padded entries from position ``start`` on.

        Raises:
            LogRefused: one is missing or cannot be read.
        """
        bounds = {"start": self.first + start, "end": self.first + start + count}
        rows = self._connection.execute(_BODIES, bounds).all()
        if len(rows) != count:
            raise LogRefused(Code.LEDGER_DAMAGED, f"expected {count} entries from {start} on, got {len(rows)}")
        try:
            return [entry.leaf(bytes(row.body)).data for row in rows]
        except entry.EntryInvalid as exc:
            raise LogRefused(Code.LEDGER_DAMAGED, f"an entry from {start} on cannot be read") from exc

    def checkpoint(self, *, witnesses: int = 0) -> StoredCheckpoint | None:
        """The largest signed checkpoint with at least so many cosignatures; None where there is none."""
        query = select(CHECKPOINTS).where(CHECKPOINTS.c.witnesses >= witnesses, *of_origin(self.first))
        if self._origin is not None and self._origin.closed:
            query = query.where(CHECKPOINTS.c.size <= self.first + self._origin.size)
        row = self._connection.execute(query.order_by(CHECKPOINTS.c.size.desc()).limit(1)).one_or_none()
        if row is None:
            return None
        size = row.size - self.first
        return StoredCheckpoint(
            size, bytes(row.root), row.time, bytes(row.note), bytes(row.cosignatures), self.first, row.witnesses
        )


def of_origin(first: int) -> tuple[ColumnElement[bool], ...]:
    """Conditions on checkpoints: those of the origin that begins there, and of later ones (none of those is empty)."""
    return (CHECKPOINTS.c.size > first,) if first else ()


def places(connection: Connection, identifier: str) -> list[tuple[int, bytes]]:
    """Positions over all origins, and leaf hashes, of the entries with this id: several where an inquiry has pages."""
    query = select(POSITIONS.c.position, POSITIONS.c.leaf_hash).where(POSITIONS.c.entry_id == identifier)
    return [(position, bytes(leaf)) for position, leaf in connection.execute(query.order_by(POSITIONS.c.position))]


def place(connection: Connection, leaf: bytes) -> int | None:
    """Position over all origins of a leaf hash, found by looking at all of them; None where there is none."""
    query = select(func.min(POSITIONS.c.position)).where(POSITIONS.c.leaf_hash == leaf)
    found: int | None = connection.execute(query).scalar_one()
    return found


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A signed checkpoint; ``time`` is POSIX milliseconds of its last signature, ``first`` what earlier origins hold."""

    size: int
    root: bytes
    time: int
    note: bytes
    cosignatures: bytes
    first: int = 0
    witnesses: int = 0

    @property
    def origin(self) -> str:
        """The name of its log."""
        return self.note.partition(b"\n")[0].decode()

    @property
    def cosigned(self) -> bytes:
        """The note with the cosignatures behind it, as it is served."""
        return self.note + self.cosignatures


def add_nodes(connection: Connection, old: int, new: int, made: Sequence[Sequence[bytes]]) -> None:
    """Store the roots of the tiles that became full between the sizes, and of some that an older log lacks.

    ``made`` are the roots of the subtrees that became full, a list for each height (``merkle.Range.extend``).
    """
    log = StoredLog(connection)
    level, width = 1, WIDTH
    while old // width != new // width:
        there = (NODES.c.level == level, NODES.c.number >= log.first)
        last = connection.execute(select(func.max(NODES.c.number)).where(*there)).scalar_one()
        first = 0 if last is None else last - log.first + 1
        numbers = range(first, min(new // width, first + BACKFILL))
        fresh = dict(enumerate(made[level * TILE_BITS], old // width))
        nodes = [(n, fresh.get(n) or _root(log, level, n)) for n in numbers]
        rows = [{"level": level, "number": log.first + n, "hash": node} for n, node in nodes]
        if rows:
            connection.execute(NODES.insert(), rows)
        level, width = level + 1, width * WIDTH


def _root(log: StoredLog, level: int, number: int) -> bytes:
    return merkle.root(log.hashes(level - 1, number * WIDTH, WIDTH))
