"""Verifies the log from its stored bytes alone; shares nothing with the writer but the hashes (RFC 6962, RFC 8785).

Checked in one pass over the positions, then over what waits for one:
1. positions are 0, 1, 2 … without gap, each with its entry, each entry once;
2. each stored body is canonical and hashes, padded, to its leaf;
3. each writer's sequence is 1, 2, 3 … and its chain follows from its leaves;
4. tree, size and cursors are those that the sequencer stored;
5. events are numbered 1, 2, 3 … and name an entry's position and leaf.
Who can rewrite the whole database can rewrite all of that; compare ``size`` and ``root`` with what was kept elsewhere
(``expected``).
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, text

from sidecar.ledger import merkle

SIZES = (2048, 8192)
"""Size classes of a padded entry (ledger formats); stated here again on purpose."""

PROGRESS_EVERY = 1000
"""Positions between two calls of the progress callback."""

FETCH_ROWS = 1000
"""Rows held in memory at a time."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as stored; ``position`` is -1 while it waits. Missing parts of a broken log are None."""

    position: int
    writer: str
    writer_seq: int
    position_leaf: bytes | None
    chain: bytes | None
    leaf_hash: bytes | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Event:
    """An event as stored, with the leaf hash that stands at its position (None: nothing stands there)."""

    seq: int
    position: int
    leaf_hash: bytes
    leaf_at_position: bytes | None


@dataclass(frozen=True, slots=True)
class Head:
    """What the sequencer stored: origin, size, roots of the full subtrees, and each writer's last sequence number."""

    origin: str
    size: int
    roots: bytes
    cursors: dict[str, int]


class Source(Protocol):
    """Where a log is read from; all reads see the same state."""

    def head(self) -> Head:
        """What the sequencer stored."""

    def rows(self) -> Iterator[Row]:
        """Positions in order."""

    def pending(self) -> Iterator[Row]:
        """Entries without position, by writer and sequence."""

    def events(self) -> Iterator[Event]:
        """Events in order."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong: ``changed``, ``dropped``, ``duplicate``, ``reordered``, ``truncated`` or ``event``.

    ``position`` is the first bad position (of events: sequence number), -1 where an entry has none.
    """

    kind: str
    position: int
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. ``root`` is base64-free: raw bytes over all verified positions."""

    origin: str
    size: int
    root: bytes
    writers: int
    pending: int
    events: int
    fault: Fault | None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault is None


class _Broken(Exception):
    """Carries the first fault out of the passes."""

    def __init__(self, kind: str, position: int, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(kind, position, message)


@dataclass(slots=True)
class _Run:
    """Where the verification stands."""

    tree: merkle.Range = field(default_factory=merkle.Range)
    writers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    pending: int = 0
    events: int = 0


def verify(
    source: Source,
    *,
    expected: tuple[int, bytes] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Verify the log of ``source``.

    Args:
        source: see ``database`` and ``Export``.
        expected: size and root that were kept elsewhere; the log must contain that tree as its beginning.
        progress: called with positions done and all positions.
    """
    run, head = _Run(), source.head()
    try:
        _positions(source, head, run, expected, progress)
        _check_head(head, run)
        _pending(source, run)
        _events(source, run)
    except _Broken as broken:
        fault: Fault | None = broken.fault
    else:
        fault = None
    return Report(head.origin, run.tree.size, run.tree.root(), len(run.writers), run.pending, run.events, fault)


def _positions(
    source: Source,
    head: Head,
    run: _Run,
    expected: tuple[int, bytes] | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    rows = source.rows()
    _check_kept(run, expected)
    for row in rows:
        _check_place(row, run, rows)
        run.tree.append(_check_entry(row, run))
        _check_kept(run, expected)
        if progress and run.tree.size % PROGRESS_EVERY == 0:
            progress(run.tree.size, head.size)
    if expected and run.tree.size < expected[0]:
        raise _Broken("truncated", run.tree.size, f"expected at least {expected[0]} positions, got {run.tree.size}")
    if progress:
        progress(run.tree.size, head.size)


def _check_kept(run: _Run, expected: tuple[int, bytes] | None) -> None:
    if expected and run.tree.size == expected[0] and run.tree.root() != expected[1]:
        raise _Broken("changed", 0, f"the first {expected[0]} entries are not those of the root that was kept")


def _check_place(row: Row, run: _Run, rest: Iterator[Row]) -> None:
    """Rule 1, and the order of rule 3."""
    place = run.tree.size
    if row.position != place:
        kind = "dropped" if row.position > place else "duplicate"
        raise _Broken(kind, place, f"expected position {place}, got {row.position}")
    if row.body is None:
        raise _Broken("dropped", place, f"no entry {row.writer_seq} of writer {row.writer}")
    due = run.writers.get(row.writer, (0, b""))[0] + 1
    if row.writer_seq < due:
        raise _Broken("duplicate", place, f"entry {row.writer_seq} of writer {row.writer} stands here a second time")
    if row.writer_seq > due:
        later = any(r.writer == row.writer and r.writer_seq == due for r in rest)
        raise _Broken(
            "reordered" if later else "dropped",
            place,
            f"expected entry {due} of writer {row.writer}, got {row.writer_seq}",
        )


def _check_entry(row: Row, run: _Run) -> bytes:
    """Rules 2 and 3; returns the leaf hash."""
    seq, chain = run.writers.get(row.writer, (0, merkle.chain_start(row.writer)))
    if row.body is None or row.leaf_hash is None:
        raise _Broken("dropped", row.position, f"entry {row.writer_seq} of writer {row.writer} is not whole")
    leaf = merkle.leaf_hash(padded(row.body, row.position))
    for name, stored in (("leaf hash", row.leaf_hash), ("position's leaf hash", row.position_leaf)):
        if stored is not None and stored != leaf:
            raise _Broken("changed", row.position, f"{name}: expected {leaf.hex()}, got {stored.hex()}")
    chain = merkle.chain_next(chain, leaf)
    if row.chain != chain:
        raise _Broken("changed", row.position, f"the chain of writer {row.writer} breaks at entry {row.writer_seq}")
    run.writers[row.writer] = (seq + 1, chain)
    return leaf


def padded(body: bytes, position: int = -1) -> bytes:
    """The leaf's data from the stored body: ``pad`` inserted, canonical JSON of the least size class.

    Raises:
        _Broken: the body is not canonical, or too long.
    """
    try:
        value = json.loads(body)
    except ValueError as exc:
        raise _Broken("changed", position, "the body is no JSON") from exc
    if not isinstance(value, dict) or "pad" in value or _canonical(value) != body:
        raise _Broken("changed", position, "the body is not in canonical form")
    length = len(_canonical({**value, "pad": ""}))
    size = next((size for size in SIZES if length <= size), None)
    if size is None:
        raise _Broken("changed", position, f"expected at most {SIZES[-1]} bytes, got {length}")
    return _canonical({**value, "pad": "0" * (size - length)})


def _canonical(value: Any) -> bytes:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return b""


def _check_head(head: Head, run: _Run) -> None:
    """Rule 4."""
    if run.tree.size != head.size:
        kind = "truncated" if run.tree.size < head.size else "duplicate"
        raise _Broken(kind, min(run.tree.size, head.size), f"expected {head.size} positions, got {run.tree.size}")
    if b"".join(run.tree.roots) != head.roots:
        raise _Broken("reordered", 0, "the entries lead to another tree than the sequencer stored")
    for writer, seq in head.cursors.items():
        seen = run.writers.get(writer, (0, b""))[0]
        if seen != seq:
            raise _Broken("truncated", run.tree.size, f"writer {writer}: expected {seq} positions, got {seen}")


def _pending(source: Source, run: _Run) -> None:
    """Rules 2 and 3 for what has no position yet."""
    for row in source.pending():
        due = run.writers.get(row.writer, (0, b""))[0] + 1
        if row.writer_seq != due:
            raise _Broken("dropped", -1, f"expected entry {due} of writer {row.writer}, got {row.writer_seq}")
        _check_entry(row, run)
        run.pending += 1


def _events(source: Source, run: _Run) -> None:
    """Rule 5."""
    for event in source.events():
        if event.seq != run.events + 1:
            raise _Broken("event", run.events + 1, f"expected event {run.events + 1}, got {event.seq}")
        if event.leaf_hash != event.leaf_at_position:
            raise _Broken("event", event.seq, f"event {event.seq} names an entry that is not at {event.position}")
        run.events += 1


class Database:
    """A log in a state database; all reads within one transaction of ``connection``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def head(self) -> Head:
        """See ``Source``."""
        row = self._connection.execute(text("SELECT origin, size, roots FROM ledger_state")).one()
        cursors = self._connection.execute(text("SELECT id, integrated_seq FROM ledger_writers"))
        return Head(row.origin, row.size, bytes(row.roots), {writer: seq for writer, seq in cursors if seq})

    def rows(self) -> Iterator[Row]:
        """See ``Source``."""
        for row in self._stream(
            "SELECT p.position, p.writer, p.writer_seq, p.leaf_hash AS position_leaf, e.chain, e.leaf_hash, e.body "
            "FROM ledger_positions p LEFT JOIN ledger_entries e ON e.writer = p.writer AND e.writer_seq = p.writer_seq "
            "ORDER BY p.position"
        ):
            yield Row(*row)

    def pending(self) -> Iterator[Row]:
        """See ``Source``."""
        for row in self._stream(
            "SELECT -1, e.writer, e.writer_seq, NULL, e.chain, e.leaf_hash, e.body FROM ledger_entries e "
            "WHERE NOT EXISTS (SELECT 1 FROM ledger_positions p WHERE p.writer = e.writer "
            "AND p.writer_seq = e.writer_seq) ORDER BY e.writer, e.writer_seq"
        ):
            yield Row(*row)

    def events(self) -> Iterator[Event]:
        """See ``Source``."""
        for row in self._stream(
            "SELECT v.seq, v.position, v.leaf_hash, p.leaf_hash FROM oversight_events v "
            "LEFT JOIN ledger_positions p ON p.position = v.position ORDER BY v.seq"
        ):
            yield Event(*row)

    def _stream(self, sql: str) -> Iterator[Any]:
        return iter(self._connection.execution_options(yield_per=FETCH_ROWS).execute(text(sql)))


def verify_database(engine: Engine, **options: Any) -> Report:
    """Verify the log of a state database on one snapshot, while the ledger goes on."""
    snapshot = (
        {"sqlite_begin": "DEFERRED"} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    )
    with engine.execution_options(**snapshot).connect() as connection:
        return verify(Database(connection), **options)


class Export:
    """A log that ``ledger export`` wrote to a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def head(self) -> Head:
        """See ``Source``."""
        value = json.loads((self._folder / "manifest.json").read_text(encoding="utf-8"))
        return Head(value["origin"], value["size"], b64decode(value["roots"]), value["cursors"])

    def rows(self) -> Iterator[Row]:
        """See ``Source``."""
        return map(_exported, self._lines("entries.jsonl"))

    def pending(self) -> Iterator[Row]:
        """See ``Source``."""
        return map(_exported, self._lines("pending.jsonl"))

    def events(self) -> Iterator[Event]:
        """See ``Source``; events stand in the order of positions, so that one more pass finds their entries."""
        rows = self._lines("entries.jsonl")
        row: dict[str, Any] | None = None
        for event in self._lines("events.jsonl"):
            while row is None or row["position"] < event["position"]:
                row = next(rows, None)
                if row is None:
                    break
            found = b64decode(row["leaf_hash"]) if row and row["position"] == event["position"] else None
            yield Event(event["seq"], event["position"], b64decode(event["leaf_hash"]), found)

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        with (self._folder / name).open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


def _exported(value: dict[str, Any]) -> Row:
    leaf = b64decode(value["leaf_hash"])
    return Row(
        value["position"],
        value["writer"],
        value["writer_seq"],
        leaf if value["position"] >= 0 else None,
        b64decode(value["chain"]),
        leaf,
        value["body"].encode(),
    )
