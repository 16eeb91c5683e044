"""Fills a state database on PostgreSQL with a log of any size by COPY: what years of inquiries leave behind.

The rows are those that commits, sequencer and signer would have written: `sidecar ledger verify` finds nothing wrong.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.ledger import merkle
from sidecar.ledger.build import milliseconds, salt, timestamp, uuid7
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.entry import encode
from sidecar.ledger.types import Entry
from tests.support.state import ORIGIN

WRITERS = 16
"""Two workers with eight connections each."""

BLOCK = 4096
"""Entries a transaction."""

SIGNED_EVERY = 10_000
"""Entries between two checkpoints: a busy minute."""

_SIZE = 2048
_ENTRIES = "ledger_entries (writer, writer_seq, chain, leaf_hash, body)"
_POSITIONS = "ledger_positions (position, writer, writer_seq, leaf_hash, entry_id)"
_COPY = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_END = struct.pack("!h", -1)
_ID, _SALT, _TIME = "0190a5f7-0000-7000-8000-000000000000", "A" * 22, "2026-01-02T03:04:05.678Z"


def inquiry(identifier: str, time: str, fresh: str) -> Entry:
    """An inquiry as it is most days: allowed, open scope, by letter."""
    return Entry(
        id=identifier,
        time=time,
        kind="inquiry",
        channel="api",
        salt=fresh,
        officer="https://idp.police.example|P-104-2231",
        unit="11320500014149325X",
        subject="wjT3p0tqXo6lTnL1r3cZJw",
        pseudonym_key="2026",
        database="county",
        scope="open",
        basis="reg-2022-17",
        purpose="case_handling",
        letter="pYz1Xh5b0dVb1cW6QO2mOQ",
        outcome="allow",
        codes=("granted",),
        revision="1-5f0d2c3b9a8e",
        page=1,
        answer="q2w1Zr8m0b7Vh3nS5tYk9LxPcQeJdUaGfIoBvRyTzWs",
    )


def _template() -> bytes:
    body = encode(inquiry(_ID, _TIME, _SALT))[0]
    assert all(body.count(mark.encode()) == 1 for mark in (_ID, _SALT, _TIME))
    body = body.replace(b"%", b"%%")
    return body.replace(_ID.encode(), b"%s").replace(_SALT.encode(), b"%s").replace(_TIME.encode(), b"%s")


@dataclass(slots=True)
class _Writer:
    id: str
    seq: int
    chain: bytes


@dataclass(slots=True)
class Preload:
    """A log that grows by COPY in a database made by ``tests.support.state.new_state``; ``grow`` may be called again."""

    dsn: str
    key: Ed25519PrivateKey | None = None
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    tree: merkle.Range = field(default_factory=merkle.Range)
    _writers: list[_Writer] = field(default_factory=list)
    _notes: list[tuple[int, bytes, int, bytes]] = field(default_factory=list)

    def grow(self, size: int) -> None:
        """Add entries until there are ``size``."""
        with psycopg.connect(self.dsn) as connection:
            self._resume(connection)
            while self.tree.size < size:
                self._block(connection, min(BLOCK, size - self.tree.size))
                connection.commit()
            self._signed(connection)
            self._head(connection)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) ledger_entries, ledger_positions, ledger_nodes, ledger_writers")

    def wait(self, count: int) -> None:
        """Add entries that have no position yet."""
        with psycopg.connect(self.dsn) as connection:
            self._resume(connection)
            for first in range(self.tree.size, self.tree.size + count, BLOCK):
                rows, _, _ = self._rows(first, min(BLOCK, self.tree.size + count - first))
                _copy(connection, _ENTRIES, rows)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) ledger_entries")

    def _resume(self, connection: psycopg.Connection) -> None:
        """Go on from where the sequencer is."""
        if not self._writers:
            self._open(connection)
        [(size, roots)] = connection.execute("SELECT size, roots FROM ledger_state").fetchall()
        self.tree = merkle.Range(size, [roots[n : n + 32] for n in range(0, len(roots), 32)])

    def _open(self, connection: psycopg.Connection) -> None:
        stamp = milliseconds(self.start)
        for _ in range(WRITERS):
            name = uuid7(self.start)
            self._writers.append(_Writer(name, 0, merkle.chain_start(name)))
            row = (name, stamp, self._writers[-1].chain, stamp)
            connection.execute("INSERT INTO ledger_writers VALUES (%s, %s, 0, %s, %s, '')", row)

    def _block(self, connection: psycopg.Connection, count: int) -> None:
        first = self.tree.size
        entries, positions, leaves = self._rows(first, count)
        made = self.tree.extend(leaves)
        _copy(connection, _ENTRIES, entries)
        _copy(connection, _POSITIONS, positions)
        _nodes(connection, made, first)
        if first // SIGNED_EVERY != self.tree.size // SIGNED_EVERY:
            self._signed(connection)

    def _rows(self, first: int, count: int) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """Rows of entries and of positions, and leaf hashes."""
        entries, positions, leaves = [_COPY], [_COPY], []
        for position, identifier, body, leaf in _made(first, count, self.start):
            writer = self._writers[position % WRITERS]
            writer.seq += 1
            writer.chain = merkle.chain_next(writer.chain, leaf)
            name, leaf_field = writer.id.encode(), b"\0\0\0\x20" + leaf
            place = b"\0\0\0\x24" + name + struct.pack("!iq", 8, writer.seq)
            chain = b"\0\0\0\x20" + writer.chain
            entries.append(b"\0\x05" + place + chain + leaf_field + struct.pack("!i", len(body)) + body)
            positions.append(
                b"\0\x05" + struct.pack("!iq", 8, position) + place + leaf_field + b"\0\0\0\x24" + identifier
            )
            leaves.append(leaf)
        return entries, positions, leaves

    def _signed(self, connection: psycopg.Connection) -> None:
        if self.key is None:
            return
        size, root = self.tree.size, self.tree.root()
        note = Checkpoint(ORIGIN, size, root).signed(self.key).encode()
        stamp = milliseconds(self.start) + size
        connection.execute(
            "INSERT INTO ledger_checkpoints VALUES (%s, %s, %s, %s, %s, '', 0) ON CONFLICT DO NOTHING",
            (size, root, stamp, stamp // 60_000, note),
        )

    def _head(self, connection: psycopg.Connection) -> None:
        state = (self.tree.size, b"".join(self.tree.roots))
        connection.execute("UPDATE ledger_state SET size = %s, roots = %s", state)
        for writer in self._writers:
            connection.execute(
                "UPDATE ledger_writers SET integrated_seq = %s, integrated_chain = %s WHERE id = %s",
                (writer.seq, writer.chain, writer.id),
            )


def _made(first: int, count: int, start: datetime) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    """Position, id, body and leaf hash of so many inquiries, a millisecond each."""
    template = _template()
    sha256, pad = hashlib.sha256, b""
    for position in range(first, first + count):
        now = start + timedelta(milliseconds=position)
        identifier = uuid7(now).encode()
        body = template % (identifier, salt().encode(), timestamp(now).encode())
        pad = pad or b',"pad":"' + b"0" * (_SIZE - len(body) - 9) + b'"'
        at = body.rindex(b',"page":')
        yield position, identifier, body, sha256(b"\0" + body[:at] + pad + body[at:]).digest()


def _copy(connection: psycopg.Connection, table: str, rows: list[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)".encode()) as copy:
        copy.write(b"".join(rows) + _END)


def _nodes(connection: psycopg.Connection, made: list[list[bytes]], first: int) -> None:
    for level, nodes in enumerate(made[8::8], 1):
        rows = [(level, number, node) for number, node in enumerate(nodes, first >> 8 * level)]
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO ledger_nodes VALUES (%s, %s, %s)", rows)
