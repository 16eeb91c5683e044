"""Verifies the log from its stored bytes alone; shares nothing with the writer but the hashes (RFC 6962, RFC 8785).

Checked in one pass over the positions, then over what waits for one:
1. positions are 0, 1, 2 … without gap, each with its entry, each entry once;
2. each stored body is canonical and hashes, padded, to its leaf;
3. each writer's sequence is 1, 2, 3 … and its chain follows from its leaves;
4. tree, size, roots of full tiles and cursors are those that the sequencer stored;
5. events are numbered 1, 2, 3 …, name an entry's position and leaf and repeat its fields; with a ``Judge`` they are
   those that its entry raises, no more and no less;
6. each stored checkpoint says what it was stored under and is the tree of that size; with the log's and the witnesses'
   keys its signatures are good;
7. the log begins with every tree that was kept elsewhere (``Kept``);
8. of several origins each begins where the one before it ended: writers, alerts, and its first entry, which names the
   tree before it. One that was destroyed is known by that entry only.
Who can rewrite the whole database can rewrite all of 1 to 5; who has the log key too, 6 as well. Only what was kept
elsewhere, by a witness above all, shows him.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg
from sqlalchemy import Connection, Engine, text

from sidecar.ledger import merkle
from sidecar.ledger.evidence import EvidenceInvalid, Key, read_checkpoint

SIZES = (2048, 8192)
"""Size classes of a padded entry (ledger formats); stated here again on purpose."""

TILE_BITS = 8
TILE = 1 << TILE_BITS
"""Hashes of a full tile."""

BLOCK = 1024
"""Rows held in memory at a time, and positions between two calls of the progress callback."""


class Row(NamedTuple):
    """An entry as stored; ``position`` is -1 while it waits. Missing parts of a broken log are None."""

    position: int
    writer: str
    writer_seq: int
    position_leaf: bytes | None
    chain: bytes | None
    leaf_hash: bytes | None
    body: bytes | None


Raw = tuple[int, str, int, bytes | None, bytes | None, bytes | None, bytes | None]
"""The values of a ``Row``: to make one of each takes as long as a hash."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event as stored; ``body`` is the CloudEvent's JSON."""

    seq: int
    position: int
    leaf_hash: bytes
    type: str
    severity: str
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A checkpoint as stored, with what it was stored under."""

    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A tree that was kept elsewhere: by a witness, a reader, or the file of the last signature.

    Without ``origin`` it is the present one's.
    """

    where: str
    size: int
    root: bytes
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """What an entry raises."""

    type: str
    severity: str
    rules: tuple[str, ...]


Verdict = list[list[Alert]] | None
"""The alerts that an entry raises, in order: alternatives where two revisions may have judged it, None where the
revision that did is not at hand."""

Judge = Callable[[Mapping[str, Any], str], Verdict]
"""From an entry's clear fields, and the revision of the last entry up to it that names one ("" before the first), to
its alerts: a function of that revision, ``extra`` and the fields named in ``JUDGED``, and of nothing else."""

JUDGED = ("channel", "codes", "database", "kind", "outcome", "purpose", "revision", "scope")
"""What alerts may depend on, beside ``extra``: most entries are alike in it, and judged once together."""

MEMO = 4096
"""Kinds of entries whose alerts are remembered."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the sequencer stored: origin, size, roots of the full subtrees, and each writer's last sequence number.

    ``starts`` is where the writers stood as the origin began, ``previous`` the tree of the one before. Of a closed one
    there is its ``root`` in place of the roots, and the ``reason`` it was closed for.
    """

    origin: str
    size: int
    roots: bytes
    cursors: dict[str, int]
    starts: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    first_event: int = 1
    previous: tuple[str, int, bytes] | None = None
    root: bytes = b""
    reason: str = ""


class Source(Protocol):
    """Where a log is read from; all reads see the same state."""

    def head(self) -> Head:
        """What the sequencer stored."""

    def blocks(self) -> Iterator[Sequence[Raw]]:
        """Positions in order, some at a time: what a ``Row`` is made of."""

    def pending(self) -> Iterator[Row]:
        """Entries without position, by writer and sequence."""

    def events(self) -> Iterator[Event]:
        """Events in order."""

    def checkpoints(self) -> Iterator[StoredNote]:
        """Signed checkpoints by size."""

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """Roots of full tiles: level (from 1), number, hash; by level and number."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong.

    ``changed``, ``dropped``, ``duplicate``, ``reordered``: of an entry. ``truncated``: the end is missing. ``event``: an
    alert is not what its entry raises. ``checkpoint``: a stored checkpoint or its signature is bad. ``rolled-back``: the
    log is whole but smaller than a tree that was signed or kept. ``forked``: it holds other entries than that tree.
    ``position`` is the first bad position (of events: sequence number; of forks: the last size that still agreed), -1
    where an entry has none.
    """

    kind: str
    position: int
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    ``root`` is over all verified positions, ``ends`` where each writer stands behind them. ``unjudged`` entries could not be compared with their alerts: there was no
    judge, or not the revision they were judged by.
    """

    origin: str
    size: int
    root: bytes
    writers: int
    pending: int
    events: int
    checkpoints: int
    unjudged: int
    fault: Fault | None
    head: Head
    ends: Mapping[str, tuple[int, bytes]]
    revision: str | None

    @property
    def frozen(self) -> bool:
        """Whether the origin was closed because it contradicts what was signed: it is evidence, no more."""
        return self.head.reason == "rolled-back"

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
    """Where the verification stands; ``tiles`` are the roots of full tiles, a list a level from 1."""

    tree: merkle.Range = field(default_factory=merkle.Range)
    tiles: list[list[bytes]] = field(default_factory=list)
    writers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    pending: int = 0
    events: int = 0
    checkpoints: int = 0
    unjudged: int = 0

    def grow(self, leaves: Sequence[bytes]) -> None:
        """Add leaf hashes to the tree."""
        made = self.tree.extend(leaves)
        for level, nodes in enumerate(made[TILE_BITS::TILE_BITS]):
            if level == len(self.tiles):
                self.tiles.append([])
            self.tiles[level] += nodes


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys of the log and its witnesses, for rule 6."""

    log: Key
    witnesses: tuple[Key, ...] = ()

    def of(self, origin: str) -> Keys:
        """The keys for an origin: all of a deployment have one log key, under a name each."""
        if self.log.name.partition("/")[0] != origin.partition("/")[0]:
            return self
        return replace(self, log=replace(self.log, name=origin))


def verify(
    source: Source,
    *,
    kept: Sequence[Kept] = (),
    keys: Keys | None = None,
    judge: Judge | None = None,
    revision: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Verify the log of ``source``.

    Args:
        source: see ``Database`` and ``Export``.
        kept: trees that were kept elsewhere.
        keys: with which signatures are checked; without them only what the checkpoints say is.
        judge: with which alerts are recomputed; without it only their order, place and fields are checked.
        revision: which one the entry before the first named, where there is an earlier origin.
        progress: called with positions done and all positions.
    """
    head = source.head()
    run = _Run(writers=dict(head.starts), events=head.first_event - 1)
    kept = [tree for tree in kept if tree.origin in {"", head.origin}]
    judged = _Judged(judge, revision or (None if head.previous else ""))
    try:
        events = _Events(source.events(), run)
        trees = _Trees(source, kept, keys.of(head.origin) if keys else None, run)
        _positions(source, head, trees, (events, judged), progress)
        _check_head(head, run)
        _check_nodes(source, run)
        events.finish()
        _pending(source, run)
    except _Broken as broken:
        fault: Fault | None = broken.fault
    else:
        fault = None
    counts = len(run.writers), run.pending, run.events - head.first_event + 1, run.checkpoints, run.unjudged
    return Report(head.origin, run.tree.size, run.tree.root(), *counts, fault, head, run.writers, judged.revision)


class _Trees:
    """Rules 6 and 7, as the tree grows past each size."""

    def __init__(self, source: Source, kept: Sequence[Kept], keys: Keys | None, run: _Run) -> None:
        self._kept = sorted(kept, key=lambda tree: tree.size)
        self._notes = source.checkpoints()
        self._note = next(self._notes, None)
        self._keys = keys
        self.run = run
        self._agreed = 0

    def grow(self, leaves: Sequence[bytes]) -> None:
        """Let the tree grow, and look at each size that something was signed or kept of."""
        done = 0
        while done < len(leaves):
            size = self.run.tree.size
            step = min(max(self._due() - size, 1), len(leaves) - done)
            self.run.grow(leaves[done : done + step] if step < len(leaves) else leaves)
            done += step
            self.look()

    def _due(self) -> int:
        """The next size to look at."""
        sizes = [self._note.size] if self._note else []
        sizes += [self._kept[0].size] if self._kept else []
        return min(sizes, default=sys.maxsize)

    def look(self) -> None:
        """Compare with what was signed or kept at the present size."""
        size = self.run.tree.size
        while self._note is not None and self._note.size <= size:
            self._check(self._note)
            self._note = next(self._notes, None)
        while self._kept and self._kept[0].size <= size:
            self._compare(self._kept.pop(0))

    def _check(self, stored: StoredNote) -> None:
        self._compare(Kept("the stored checkpoint", stored.size, stored.root))
        if self._keys is not None:
            try:
                found = read_checkpoint(stored.note, self._keys.log, self._keys.witnesses)
            except EvidenceInvalid as exc:
                raise _Broken("checkpoint", stored.size, str(exc)) from exc
            if (found.size, found.root) != (stored.size, stored.root):
                raise _Broken("checkpoint", stored.size, f"the checkpoint is of size {found.size}")
        self.run.checkpoints += 1

    def _compare(self, tree: Kept) -> None:
        if self.run.tree.root() != tree.root:
            text = f"the first {tree.size} entries are not those of {tree.where}; up to {self._agreed} all agree"
            raise _Broken("forked", self._agreed, text)
        self._agreed = tree.size

    def finish(self, head: Head) -> None:
        """At the end of the log: nothing larger was signed or kept."""
        if self.run.tree.size < head.size:
            return  # truncated: said by rule 4
        beyond = [Kept("the stored checkpoint", self._note.size, b"")] if self._note else []
        for tree in (*beyond, *self._kept):
            size = self.run.tree.size
            raise _Broken("rolled-back", size, f"expected the {tree.size} entries of {tree.where}, got {size}")


class _Events:
    """Rule 5, as the positions pass by. What is wrong is told at the end: a bad entry before it says more."""

    def __init__(self, events: Iterator[Event], run: _Run) -> None:
        self._events = events
        self._event: Event | None = None
        self._due = 0
        self._next()
        self._run = run
        self._broken: _Broken | None = None

    def take(self, block: Sequence[Raw], leaves: Sequence[bytes], verdicts: Sequence[Verdict]) -> None:
        """The events of a block's entries."""
        if self._broken is not None:
            return
        try:
            for raw, leaf, verdict in zip(block, leaves, verdicts, strict=True):
                found = self._at(Row._make(raw), leaf) if self._due <= raw[0] else _NOTHING
                if verdict is None:
                    self._run.unjudged += 1
                elif found not in verdict:
                    self._differs(raw[0], verdict, found)
        except _Broken as broken:
            self._broken = broken

    def _differs(self, position: int, verdict: list[list[Alert]], found: list[Alert]) -> None:
        text = f"the entry at {position} raises {_told(verdict[0])}, the feed has {_told(found)}"
        raise _Broken("event", self._run.events, text)

    def _at(self, row: Row, leaf: bytes) -> list[Alert]:
        """What the feed has up to the entry of ``row``."""
        found: list[Alert] = []
        fields = json.loads(row.body or b"{}")
        while self._event is not None and self._event.position <= row.position:
            found.append(self._one(self._event, row.position, leaf, fields))
            self._next()
        return found

    def _next(self) -> None:
        self._event = next(self._events, None)
        self._due = self._event.position if self._event else sys.maxsize

    def _one(self, event: Event, position: int, leaf: bytes, fields: Mapping[str, Any]) -> Alert:
        self._numbered(event)
        if (event.position, event.leaf_hash) != (position, leaf):
            raise _Broken("event", event.seq, f"event {event.seq} names an entry that is not at {event.position}")
        try:
            body = json.loads(event.body)
            data, rules = dict(body["data"]), tuple(body["data"].get("rules", ()))
            said = (body["sequence"], body["type"], body["severity"], body["position"], body["leafhash"])
        except (ValueError, KeyError, TypeError) as exc:
            raise _Broken("event", event.seq, f"event {event.seq} cannot be read") from exc
        expected = (str(event.seq), event.type, event.severity, str(position), leaf.hex())
        repeated = {name: value for name, value in data.items() if name not in {"position", "rules"}}
        if said != expected or any(fields.get(name) != value for name, value in repeated.items()):
            raise _Broken("event", event.seq, f"event {event.seq} says something else than its entry")
        return Alert(event.type, event.severity, rules)

    def _numbered(self, event: Event) -> None:
        if event.seq != self._run.events + 1:
            raise _Broken("event", self._run.events + 1, f"expected event {self._run.events + 1}, got {event.seq}")
        self._run.events += 1

    def finish(self) -> None:
        """At the end of the log there is no event of a later entry."""
        if self._broken is not None:
            raise self._broken
        if self._event is not None:
            self._numbered(self._event)
            text = f"event {self._event.seq} names an entry that is not at {self._event.position}"
            raise _Broken("event", self._event.seq, text)


_NOTHING: list[Alert] = []


def _told(alerts: Sequence[Alert]) -> str:
    return ", ".join(f"{alert.type} ({alert.severity})" for alert in alerts) or "nothing"


def _positions(
    source: Source,
    head: Head,
    trees: _Trees,
    alerts: tuple[_Events, _Judged],
    progress: Callable[[int, int], None] | None,
) -> None:
    blocks, run, (events, judged) = source.blocks(), trees.run, alerts
    trees.look()
    for block in blocks:
        first = run.tree.size == 0
        leaves, verdicts = _sound(block, run, judged) or _examined(block, run, blocks, judged)
        if first and head.previous:
            _check_opening(json.loads(block[0][-1] or b"{}"), head.previous)
        events.take(block, leaves, verdicts)
        trees.grow(leaves)
        if progress and run.tree.size < head.size:
            progress(run.tree.size, head.size)
    trees.finish(head)
    _check_size(head, run)
    if progress:
        progress(run.tree.size, head.size)


class _Judged:
    """Verdicts of the judge, remembered by all that they depend on."""

    def __init__(self, judge: Judge | None, revision: str | None) -> None:
        """``revision`` is that of the entry before the first; with None nothing is judged until an entry names one."""
        self._judge = judge
        self._memo: dict[tuple[bytes, ...], Verdict] = {}
        self.revision = revision

    def stated(self, shape: re.Match[bytes], body: bytes) -> Verdict:
        """Of an entry of the usual shape."""
        if self._judge is None:
            return None
        stated = shape.groups()
        if stated in self._memo:
            self.revision = shape["revision"][1:-1].decode()
            return self._memo[stated]
        verdict = self.fresh(json.loads(body))
        if shape["revision"] != b'""':  # else it depends on the entries before
            if len(self._memo) >= MEMO:
                self._memo.clear()
            self._memo[stated] = verdict
        return verdict

    def fresh(self, fields: Mapping[str, Any]) -> Verdict:
        """Of any entry."""
        self.revision = str(fields["revision"]) if fields.get("revision") else self.revision
        return self._judge(fields, self.revision) if self._judge and self.revision is not None else None


_Checked = tuple[list[bytes], list[Verdict]]
"""Leaf hashes of a block, and what its entries raise."""


def _sound(block: Sequence[Raw], run: _Run, judged: _Judged) -> _Checked | None:
    """Rules 1 to 3 of a whole block in one tight loop; None where something does not hold: look at each row then.

    It takes nothing for good that ``_examined`` would not, which says what is wrong and with which entry.
    """
    known, revision = run.writers, judged.revision
    moved: dict[str, tuple[int, bytes]] = {}
    leaves: list[bytes] = []
    verdicts: list[Verdict] = []
    try:
        for place, (position, writer, seq, place_leaf, after, entry_leaf, body) in enumerate(block, run.tree.size):
            data, verdict = _usual(body or b"", judged) or _unusual(body or b"", judged)
            done, before = moved.get(writer) or known.get(writer) or (0, merkle.chain_start(writer))
            leaf = _sha256(data).digest()
            following = _sha256(before + leaf).digest()
            if not leaf == entry_leaf == place_leaf or following != after or position != place or seq != done + 1:
                break
            moved[writer] = seq, following
            leaves.append(leaf)
            verdicts.append(verdict)
        else:
            known.update(moved)
            return leaves, verdicts
    except (_Broken, TypeError, ValueError):
        pass
    judged.revision = revision
    return None


def _usual(body: bytes, judged: _Judged) -> tuple[bytes, Verdict] | None:
    """What is hashed of an entry of the usual shape, and its verdict: canonical by its very pattern."""
    shape = _SHAPE(body)
    if shape is None or len(body) >= len(_PADS):
        return None
    at = shape.end("pad")
    return b"".join((b"\0", body[:at], _PADS[len(body)], body[at:])), judged.stated(shape, body)


def _unusual(body: bytes, judged: _Judged) -> tuple[bytes, Verdict]:
    fields, data = _padded(body, -1)
    return b"\0" + data, judged.fresh(fields)


def _examined(block: Sequence[Raw], run: _Run, rest: Iterator[Sequence[Raw]], judged: _Judged) -> _Checked:
    """Rules 1 to 3, row by row."""
    leaves: list[bytes] = []
    verdicts: list[Verdict] = []
    for number, row in enumerate(map(Row._make, block)):
        behind = map(Row._make, chain(islice(block, number + 1, None), chain.from_iterable(rest)))
        _check_place(row, run.tree.size + number, run, behind)
        leaf, fields = _check_entry(row, run)
        leaves.append(leaf)
        verdicts.append(judged.fresh(fields))
    return leaves, verdicts


def _check_place(row: Row, place: int, run: _Run, rest: Iterator[Row]) -> None:
    """Rule 1, and the order of rule 3."""
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


def _check_opening(fields: Mapping[str, Any], previous: tuple[str, int, bytes]) -> None:
    """Rule 8."""
    extra, (name, size, root) = fields.get("extra"), previous
    said = extra if isinstance(extra, dict) else {}
    expected = {"previous": name, "previous_size": str(size), "previous_root": b64encode(root).decode("ascii")}
    if any(said.get(key) != value for key, value in expected.items()):
        raise _Broken("changed", 0, f"the first entry names another tree before it than the {size} entries of {name}")


def _check_entry(row: Row, run: _Run) -> tuple[bytes, Mapping[str, Any]]:
    """Rules 2 and 3; returns the leaf hash and the clear fields."""
    seq, chain = run.writers.get(row.writer, (0, merkle.chain_start(row.writer)))
    if row.body is None or row.leaf_hash is None:
        raise _Broken("dropped", row.position, f"entry {row.writer_seq} of writer {row.writer} is not whole")
    fields, data = _padded(row.body, row.position)
    leaf = merkle.leaf_hash(data)
    for name, stored in (("leaf hash", row.leaf_hash), ("position's leaf hash", row.position_leaf)):
        if stored is not None and stored != leaf:
            raise _Broken("changed", row.position, f"{name}: expected {leaf.hex()}, got {stored.hex()}")
    chain = merkle.chain_next(chain, leaf)
    if row.chain != chain:
        raise _Broken("changed", row.position, f"the chain of writer {row.writer} breaks at entry {row.writer_seq}")
    run.writers[row.writer] = (seq + 1, chain)
    return leaf, fields


def padded(body: bytes) -> bytes:
    """The leaf's data from the stored body: ``pad`` inserted, canonical JSON of the least size class."""
    return _padded(body, -1)[1]


def _padded(body: bytes, position: int) -> tuple[Mapping[str, Any], bytes]:
    """The clear fields, and the leaf's data.

    Raises:
        _Broken: the body is not canonical, or too long.
    """
    try:
        value = json.loads(body)
    except ValueError as exc:
        raise _Broken("changed", position, "the body is no JSON") from exc
    if not isinstance(value, dict) or "pad" in value:
        raise _Broken("changed", position, "the body is no entry")
    # What stands before and behind the pad, each written anew once: that costs a third of writing the whole three times.
    head = _canonical({name: each for name, each in value.items() if name < "pad"})[:-1]
    tail = _canonical({name: each for name, each in value.items() if name > "pad"})[1:]
    comma = b"," if len(head) > 1 else b""
    if head + (comma if len(tail) > 1 else b"") + tail != body:
        raise _Broken("changed", position, "the body is not in canonical form")
    head, tail = head + comma + b'"pad":"', (b'",' if len(tail) > 1 else b'"') + tail
    length = len(head) + len(tail)
    size = next((size for size in SIZES if length <= size), None)
    if size is None:
        raise _Broken("changed", position, f"expected at most {SIZES[-1]} bytes, got {length}")
    return value, head + b"0" * (size - length) + tail


_sha256 = hashlib.sha256

_PADS = tuple(
    b',"pad":"' + b"0" * (next(size for size in SIZES if length <= size) - length) + b'"'
    for length in range(len(b',"pad":""'), SIZES[-1] + 1)
)
"""The member ``pad`` by the length of the body."""

_NAMES = (
    *("answer", "application", "basis", "channel", "codes", "database", "extra", "filter", "id", "kind", "letter"),
    *("officer", "outcome", "page", "pseudonym_key", "purpose", "revision", "salt", "scope", "subject", "time"),
    *("unit", "v"),
)

_VALUES = {
    "codes": rb'\[(?:"[a-z0-9-]++"(?:,"[a-z0-9-]++")*+)?+\]',
    "extra": rb"\{\}",
    "page": rb"(?:0|[1-9][0-9]{0,8}+)",
    "v": rb"1",
}


def _shape() -> re.Pattern[bytes]:
    """The usual shape of an entry in canonical form: printable ASCII that needs no escape, nothing in ``extra``.

    The groups are ``JUDGED``, and ``pad`` where it belongs: before ``page``, the first name behind it.
    """
    text = rb'"[ !#-\[\]-~]*+"'
    members = [
        b'"%b":(%b%b)'
        % (name.encode(), b"?P<%b>" % name.encode() if name in JUDGED else b"?:", _VALUES.get(name, text))
        for name in _NAMES
    ]
    behind = _NAMES.index("page")
    return re.compile(rb"\{" + b",".join(members[:behind]) + b"(?P<pad>)," + b",".join(members[behind:]) + rb"\}")


_SHAPE = _shape().fullmatch
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _canonical(value: Any) -> bytes:
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError:
        return b""


def _check_size(head: Head, run: _Run) -> None:
    """Rule 4."""
    if run.tree.size != head.size:
        kind = "truncated" if run.tree.size < head.size else "duplicate"
        raise _Broken(kind, min(run.tree.size, head.size), f"expected {head.size} positions, got {run.tree.size}")


def _check_head(head: Head, run: _Run) -> None:
    """Rule 4."""
    whole = run.tree.root() == head.root if head.root else b"".join(run.tree.roots) == head.roots
    if not whole:
        raise _Broken("reordered", 0, "the entries lead to another tree than the sequencer stored")
    for writer, seq in head.cursors.items():
        seen = run.writers.get(writer, (0, b""))[0]
        if seen != seq:
            raise _Broken("truncated", run.tree.size, f"writer {writer}: expected {seq} positions, got {seen}")


def _check_nodes(source: Source, run: _Run) -> None:
    """Rule 4, of the roots of full tiles; some may be missing, they are computed then."""
    for level, number, node in source.nodes():
        known = run.tiles[level - 1] if 1 <= level <= len(run.tiles) else []
        if number >= len(known) or known[number] != node:
            raise _Broken("changed", number * TILE**level, f"the root of tile {number} of level {level - 1} is another")


def _pending(source: Source, run: _Run) -> None:
    """Rules 2 and 3 for what has no position yet."""
    for row in source.pending():
        due = run.writers.get(row.writer, (0, b""))[0] + 1
        if row.writer_seq != due:
            raise _Broken("dropped", -1, f"expected entry {due} of writer {row.writer}, got {row.writer_seq}")
        _check_entry(row, run)
        run.pending += 1


_PLACED = (
    "SELECT p.position - {first}, p.writer, p.writer_seq, p.leaf_hash, e.chain, e.leaf_hash, e.body "
    "FROM ledger_positions p LEFT JOIN ledger_entries e ON e.writer = p.writer AND e.writer_seq = p.writer_seq "
    "WHERE p.position >= {first} AND p.position < {end} ORDER BY p.position"
)
_PENDING = (
    "SELECT -1, e.writer, e.writer_seq, NULL, e.chain, e.leaf_hash, e.body FROM ledger_entries e "
    "WHERE NOT EXISTS (SELECT 1 FROM ledger_positions p WHERE p.writer = e.writer "
    "AND p.writer_seq = e.writer_seq) ORDER BY e.writer, e.writer_seq"
)
_EVENTS = (
    "SELECT seq, position - {first}, leaf_hash, type, severity, body FROM oversight_events "
    "WHERE position >= {first} AND position < {end} ORDER BY seq"
)
_NOTES = (
    "SELECT size - {first}, root, note, cosignatures FROM ledger_checkpoints "
    "WHERE size >= {least} AND size <= {end} ORDER BY size"
)
_TILE_ROOTS = (
    "SELECT level, number - {first}, hash FROM ledger_nodes "
    "WHERE number >= {first} AND number < {end} ORDER BY level, number"
)
NO_END = 2**62
"""No position is so large."""


class Database:
    """The log of an origin in a state database; all reads within one transaction of ``connection``."""

    def __init__(self, connection: Connection, origin: str = "") -> None:
        """The present origin's log unless another is named, which must be there."""
        self._connection = connection
        rows = connection.execute(text("SELECT * FROM ledger_origins ORDER BY number")).all()
        self._row = next(row for row in reversed(rows) if origin in {"", row.name})
        self._before = next((row for row in rows if row.number == self._row.number - 1), None)
        first, closed = self._row.first, self._row.closed
        end = first + self._row.size if closed else NO_END
        self._bounds = {"first": first, "end": end, "least": first + (self._row.number > 1)}

    def head(self) -> Head:
        """See ``Source``."""
        row, before = self._row, self._before
        known: dict[str, Any] = {"starts": self._starts(row.number), "first_event": row.first_event}
        if before is not None:
            known["previous"] = (before.name, before.size, bytes(before.root))
        if row.closed:
            cursors = {writer: seq for writer, (seq, _) in self._starts(row.number + 1).items()}
            return Head(row.name, row.size, b"", cursors, **known, root=bytes(row.root), reason=row.reason)
        state = self._connection.execute(text("SELECT origin, size, roots FROM ledger_state")).one()
        writers = self._connection.execute(text("SELECT id, integrated_seq FROM ledger_writers")).all()
        stands = {row.id: row.integrated_seq for row in writers if row.integrated_seq}
        return Head(state.origin, state.size, bytes(state.roots), stands, **known)

    def _starts(self, number: int) -> dict[str, tuple[int, bytes]]:
        """Where the writers stood as the origin with this number began."""
        rows = self._stream("SELECT writer, seq, chain FROM ledger_starts WHERE number = :number", number=number)
        return {writer: (seq, bytes(chain)) for writer, seq, chain in rows}

    def blocks(self) -> Iterator[Sequence[Raw]]:
        """See ``Source``."""
        with contextlib.closing(self._cursor()) as cursor:
            cursor.execute(_PLACED.format(**self._bounds))
            while block := cursor.fetchmany(BLOCK):
                yield block

    def rows(self) -> Iterator[Row]:
        """Positions in order."""
        return map(Row._make, chain.from_iterable(self.blocks()))

    def _cursor(self) -> Any:
        """A cursor of the driver's own, in this transaction: SQLAlchemy's rows cost as much as their verification."""
        self._connection.scalar(text("SELECT 1"))  # it has begun the transaction
        driver: Any = self._connection.connection.driver_connection
        if isinstance(driver, psycopg.Connection):
            return driver.cursor("ledger_rows", binary=True)
        return driver.cursor()

    def pending(self) -> Iterator[Row]:
        """See ``Source``; a closed origin waits for nothing."""
        if not self._row.closed:
            for row in self._stream(_PENDING):
                yield Row(*row)

    def events(self) -> Iterator[Event]:
        """See ``Source``."""
        for row in self._stream(_EVENTS.format(**self._bounds)):
            yield Event(*row)

    def checkpoints(self) -> Iterator[StoredNote]:
        """See ``Source``."""
        for size, root, note, cosignatures in self._stream(_NOTES.format(**self._bounds)):
            yield StoredNote(size, bytes(root), bytes(note) + bytes(cosignatures))

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """See ``Source``."""
        for level, number, node in self._stream(_TILE_ROOTS.format(**self._bounds)):
            yield level, number, bytes(node)

    def _stream(self, sql: str, **params: int) -> Iterator[Any]:
        return iter(self._connection.execution_options(yield_per=BLOCK).execute(text(sql), params))


def verify_database(engine: Engine, *, origin: str = "", **options: Any) -> Report:
    """Verify the log of an origin, else of the present one, on one snapshot, while the ledger goes on."""
    with _snapshot(engine) as connection:
        return verify(Database(connection, origin), **options)


def verify_origins(engine: Engine, *, kept: Sequence[Kept] = (), **options: Any) -> list[Report]:
    """Verify the logs of all origins that are not destroyed, in order, on one snapshot; the present one is last."""
    reports: list[Report] = []
    with _snapshot(engine) as connection:
        rows = connection.execute(text("SELECT * FROM ledger_origins ORDER BY number")).all()
        for row in rows:
            if row.destroyed:
                continue
            trees = [tree for tree in kept if tree.origin or row is rows[-1]]
            if row.reason == "rolled-back":
                trees.append(Kept("the last tree that was signed", row.seen_size, bytes(row.seen_root), row.name))
            before = reports[-1:]
            revision = before[0].revision if before else None
            report = verify(Database(connection, row.name), kept=trees, revision=revision, **options)
            reports.append(replace(report, fault=report.fault or _joined(before, report)))
    unknown = [tree for tree in kept if tree.origin and tree.origin not in {row.name for row in rows}]
    for tree in unknown[:1]:
        last = reports[-1]
        fault = Fault("rolled-back", last.size, f"expected the log {tree.origin} of {tree.where}, it is not there")
        reports[-1] = replace(last, fault=last.fault or fault)
    return reports


def _joined(before: Sequence[Report], report: Report) -> Fault | None:
    """Rule 8, where the origin before was verified as well."""
    for last in before:
        if not last.ok:
            return None  # it is said there
        expected = (last.origin, last.size, last.root)
        if report.head.previous != expected:
            return Fault("changed", 0, f"expected to begin behind the {last.size} entries of {last.origin}")
        if report.head.starts != last.ends:
            return Fault("changed", 0, f"the writers do not begin where {last.origin} ended")
        following = last.head.first_event + last.events
        if report.head.first_event != following:
            return Fault("event", following, f"expected events from {following} on, got {report.head.first_event}")
    return None


@contextlib.contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    fixed = {"sqlite_begin": "DEFERRED"} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.execution_options(**fixed).connect() as connection:
        yield connection


class Export:
    """A log that ``ledger export`` wrote to a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def head(self) -> Head:
        """See ``Source``."""
        value = json.loads((self._folder / "manifest.json").read_text(encoding="utf-8"))
        starts = {writer: (seq, b64decode(chain)) for writer, (seq, chain) in value.get("starts", {}).items()}
        known: dict[str, Any] = {"starts": starts, "first_event": value.get("first_event", 1)}
        if value.get("previous"):
            name, size, root = value["previous"]
            known["previous"] = (name, size, b64decode(root))
        known |= {"root": b64decode(value.get("root", "")), "reason": value.get("reason", "")}
        return Head(value["origin"], value["size"], b64decode(value["roots"]), value["cursors"], **known)

    def blocks(self) -> Iterator[Sequence[Raw]]:
        """See ``Source``."""
        rows = map(_exported, self._lines("entries.jsonl"))
        while block := list(islice(rows, BLOCK)):
            yield block

    def pending(self) -> Iterator[Row]:
        """See ``Source``."""
        return map(_exported, self._lines("pending.jsonl"))

    def events(self) -> Iterator[Event]:
        """See ``Source``."""
        for each in self._lines("events.jsonl"):
            leaf, body = b64decode(each["leaf_hash"]), each["body"].encode()
            yield Event(each["seq"], each["position"], leaf, each["type"], each["severity"], body)

    def checkpoints(self) -> Iterator[StoredNote]:
        """See ``Source``."""
        for each in self._lines("checkpoints.jsonl"):
            yield StoredNote(each["size"], b64decode(each["root"]), each["note"].encode())

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """See ``Source``; they follow from the entries and are not exported."""
        return iter(())

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
