"""A witness: cosigns a log's checkpoints as long as they are of one history (C2SP tlog-witness, tlog-cosignature).

It belongs to the procuratorate, with its own key, store and machine. What it keeps is small: for each log the largest
tree it has seen. What it does with a request:
1. the body is an old size, a proof and a checkpoint;
2. the log is one of its own, and has signed the checkpoint;
3. the old size is the one it has seen last;
4. the new tree begins with the old one;
5. the new tree is stored and flushed;
6. the cosignature is given.
A log that cannot prove rule 4 has two histories: that is alarmed at once, with the signed evidence.
A log's key is good for the deployment's later origins too (``origins``): each begins a history of its own, which is alarmed
as ``opened``, so that somebody asks why. From then on only the newest one is expected to speak.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sidecar.clock import Clock
from sidecar.errors import ConfigurationError
from sidecar.keys.files import read_secret, replace
from sidecar.ledger import merkle
from sidecar.ledger.checkpoint import Checkpoint, open_checkpoint
from sidecar.ledger.note import NoteInvalid, Verifier, cosign, verifier
from sidecar.ledger.origins import family, order

MAX_BODY = 65536
"""Bytes of a request: a checkpoint and 63 hashes have a tenth of it."""

MAX_PROOF = 63
"""Hashes of a consistency proof (C2SP tlog-witness)."""

STALE = timedelta(minutes=1)
"""How long a checkpoint smaller than the last may go by: when two sequencers change places, one comes late."""

TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_HASH = re.compile(r"[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = TEXT


@dataclass(frozen=True, slots=True)
class Alarm:
    """What the witness calls its people for.

    ``kind``: ``forked``, ``rolled-back``, ``silent``, ``opened``, or ``over`` when the log is back. ``note`` is the log's own
    signature under what it should never have signed, where there is one.
    """

    kind: str
    origin: str
    time: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """The last tree of a log; ``time`` is when it was cosigned last, in POSIX seconds."""

    size: int
    root: str
    time: int
    note: str


class Store:
    """One file with what was seen of each log, replaced in one step and flushed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Seen]:
        """What was seen.

        Raises:
            ConfigurationError: the file is missing or damaged. It is never made anew by itself: a witness that has
                forgotten would cosign another history.
        """
        try:
            content = json.loads(read_secret(self._path))
            return {origin: Seen(**seen) for origin, seen in content.items()}
        except (ValueError, TypeError, AttributeError) as exc:
            raise ConfigurationError(f"{self._path}: expected the trees that this witness has seen") from exc

    def write(self, seen: Mapping[str, Seen]) -> None:
        """Keep what was seen, durably.

        Raises:
            ConfigurationError: it cannot be written.
        """
        replace(self._path, json.dumps({origin: asdict(each) for origin, each in seen.items()}).encode())


class _Refused(Exception):
    """Carries an answer out of the steps."""

    def __init__(self, status: int, text: str, content_type: str = TEXT) -> None:
        super().__init__(text)
        self.reply = Reply(status, f"{text}\n".encode(), content_type)


class Witness:
    """Thread-safe; one process a store. Its caller calls ``look`` every few seconds."""

    def __init__(
        self,
        name: str,
        key: Ed25519PrivateKey,
        logs: Sequence[Verifier],
        store: Store,
        clock: Clock,
        *,
        alarm: Callable[[Alarm], None],
        silence: timedelta,
    ) -> None:
        """Read the store.

        Raises:
            ConfigurationError: it cannot be read.
        """
        self._name, self._key, self._clock = name, key, clock
        self._logs = {log.name: log for log in logs}
        self._store = store
        self._seen = store.read()
        self._alarm, self._silence = alarm, silence
        self._lock = threading.Lock()
        self._raised: dict[tuple[str, str], bool] = {}
        self._heard = {origin: clock.now() for origin in (self._newest(name) for name in self._logs)}
        self._stale: dict[str, tuple[int, str]] = {}

    def latest(self, origin: str) -> bytes | None:
        """The last checkpoint of a log with our cosignature; None where none was seen."""
        seen = self._seen.get(origin)
        return seen.note.encode() if seen else None

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer ``POST /add-checkpoint``; the module's docstring has the steps."""
        try:
            old, proof, note = _parse(body)  # 1
            checkpoint = self._opened(note)  # 2
            with self._lock:
                return self._add(old, proof, note, checkpoint)
        except _Refused as refused:
            return refused.reply

    def _opened(self, note: bytes) -> Checkpoint:
        log = self._log(note.partition(b"\n")[0].decode(errors="replace"))
        if log is None:
            raise _Refused(404, "this log is not witnessed here")
        try:
            return open_checkpoint(note, log)
        except NoteInvalid as exc:
            raise _Refused(403, str(exc)) from exc

    def _log(self, origin: str) -> Verifier | None:
        """The key of a log, or that of a later origin of its deployment: the same key under another name."""
        if origin in self._logs:
            return self._logs[origin]
        known = self._logs.get(family(origin))
        if known is None or order(origin) is None:
            return None
        return verifier(origin, Ed25519PublicKey.from_public_bytes(known.public))

    def _newest(self, name: str) -> str:
        """The newest origin of a deployment that was seen, else the one whose key is here."""
        return max({name, *(origin for origin in self._seen if family(origin) == family(name))}, key=_order)

    def _add(self, old: int, proof: Sequence[bytes], note: bytes, checkpoint: Checkpoint) -> Reply:
        origin, seen = checkpoint.origin, self._seen.get(checkpoint.origin)
        size, root = (seen.size, base64.b64decode(seen.root)) if seen else (0, merkle.EMPTY_ROOT)
        if old > checkpoint.size:
            raise _Refused(400, f"expected an old size up to {checkpoint.size}, got {old}")
        if checkpoint.size < size:
            self._stale.setdefault(origin, (int(self._clock.now().timestamp()), note.decode()))
        if checkpoint.size == size and checkpoint.root != root:
            self._fork(checkpoint, note, f"two trees of {size} entries were signed")
            raise _Refused(409, str(size), SIZE)
        if old != size:  # 3
            raise _Refused(409, str(size), SIZE)
        try:
            merkle.verify_consistency(size, root, checkpoint.size, checkpoint.root, proof)  # 4
        except merkle.ProofInvalid as exc:
            self._fork(checkpoint, note, f"the tree of {checkpoint.size} entries is not shown to begin with our {size}")
            raise _Refused(422, str(exc)) from exc
        return self._cosign(checkpoint, note)

    def _cosign(self, checkpoint: Checkpoint, note: bytes) -> Reply:
        now = int(self._clock.now().timestamp())
        line = cosign(checkpoint.text(), self._name, self._key, now)
        root = base64.b64encode(checkpoint.root).decode("ascii")
        seen = {**self._seen, checkpoint.origin: Seen(checkpoint.size, root, now, note.decode() + line)}
        opened = checkpoint.origin not in {*self._seen, *self._logs}
        self._store.write(seen)  # 5: a crash from here on has promised a tree that the log has signed
        self._seen = seen
        self._hear(checkpoint.origin)
        if opened:
            self._tell("opened", checkpoint.origin, "a new origin: expected at New Year, else ask why", note.decode())
        self._stale.pop(checkpoint.origin, None)
        for kind in ("silent", "rolled-back"):
            if self._raised.pop((kind, checkpoint.origin), False):
                self._tell("over", checkpoint.origin, f"{kind}: the log goes on at {checkpoint.size} entries")
        return Reply(200, line.encode())  # 6

    def _hear(self, origin: str) -> None:
        """It has spoken; the deployment's older origins need not any more."""
        newest = self._newest(origin)
        for older in [each for each in self._heard if family(each) == family(origin) and each != newest]:
            del self._heard[older]
            self._raised.pop(("silent", older), None)
        self._heard[newest] = self._clock.now() if origin == newest else self._heard.get(newest, self._clock.now())

    def look(self) -> None:
        """Alarm for logs that are silent, or that offer nothing but less than they had."""
        now = self._clock.now()
        with self._lock:
            for origin, heard in self._heard.items():
                if now - heard > self._silence:
                    self._once("silent", origin, f"no checkpoint since {heard.isoformat(timespec='seconds')}")
            for origin, (since, note) in self._stale.items():
                if now.timestamp() - since > STALE.total_seconds():
                    size = self._seen[origin].size
                    self._once("rolled-back", origin, f"the log offers less than the {size} entries it had", note)

    def _fork(self, checkpoint: Checkpoint, note: bytes, text: str) -> None:
        self._tell("forked", checkpoint.origin, text, note.decode())

    def _once(self, kind: str, origin: str, text: str, note: str = "") -> None:
        if not self._raised.get((kind, origin)):
            self._raised[kind, origin] = True
            self._tell(kind, origin, text, note)

    def _tell(self, kind: str, origin: str, text: str, note: str = "") -> None:
        self._alarm(Alarm(kind, origin, self._clock.now().isoformat(timespec="seconds"), text, note))


def _order(origin: str) -> tuple[int, int]:
    return order(origin) or (0, 0)


def _parse(body: bytes) -> tuple[int, list[bytes], bytes]:
    """Old size, proof, checkpoint."""
    head, blank, note = body.partition(b"\n\n")
    lines = head.decode("ascii", errors="replace").split("\n")
    match = _OLD.fullmatch(lines[0])
    hashes = lines[1:]
    if match is None or not blank or len(hashes) > MAX_PROOF or not all(map(_HASH.fullmatch, hashes)):
        raise _Refused(400, "expected an old size, up to 63 hashes, an empty line and a checkpoint")
    return int(match[1]), [base64.b64decode(each) for each in hashes], note
