"""Asks the witnesses to cosign each checkpoint (C2SP tlog-witness). None of them ever holds anything up.

In a thread of the sequencer's process: positions and signatures go on while a witness is slow or away. Too few
cosignatures for too long are an alert; a witness that has seen another history, or a larger one, is the highest one.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import requests
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind
from sidecar.errors import CodedError, ConfigurationError, LedgerUnavailable, SidecarError
from sidecar.ledger import proofs
from sidecar.ledger.build import EntryBuilder, Random
from sidecar.ledger.note import COSIGNATURE, NoteInvalid, Verifier, open_note, parse_verifier
from sidecar.ledger.origins import YEAR_OVER, all_of, named
from sidecar.ledger.signer import store
from sidecar.ledger.stored import StoredCheckpoint, StoredLog
from sidecar.ledger.types import Ledger
from sidecar.settings import Settings
from sidecar.settings import Witness as WitnessSettings
from sidecar.storage.engine import reading

TIMEOUT_SECONDS = 5.0
"""Longest wait for a witness to connect, and for each part of its answer."""

MAX_ANSWER = 16384
"""Bytes of an answer: a cosignature has a hundred."""

PAUSE_SECONDS = 1.0
"""Between two rounds: a busy log is cosigned once a second."""

_log = structlog.get_logger(__name__)

Post = Callable[[bytes], tuple[int, bytes]]
"""Sends a body to ``<prefix>/add-checkpoint``; status and body of the answer. Raises ``OSError`` where there is none."""


class Disagreement(CodedError):
    """A witness has seen a history that is not ours; the code says whether it is another or a larger one."""


class Unhelpful(CodedError):
    """A witness gave no good cosignature; it is asked again."""


@dataclass(slots=True)
class Asked:
    """One witness: its key, how it is asked, and, for each origin, which size it has and what it has given."""

    key: Verifier
    post: Post
    known: dict[str, int] = field(default_factory=dict)
    given: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    alarmed: set[tuple[str, str]] = field(default_factory=set)

    def agrees(self, checkpoint: StoredCheckpoint) -> bool:
        """Whether it has cosigned this checkpoint, and nothing is wrong with it since."""
        complained = any(origin == checkpoint.origin for origin, _ in self.alarmed)
        return self.given.get(checkpoint.origin, (-1, b""))[0] == checkpoint.size and not complained


class Cosigner:
    """``told`` is called by the signer; ``round`` by one thread."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        clock: Clock,
        witnesses: Sequence[Asked],
        *,
        quorum: int,
        alert_seconds: float,
        random: Random = os.urandom,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._clock = clock
        self._witnesses = tuple(witnesses)
        self._quorum = min(quorum, len(self._witnesses))
        self._alert_seconds = alert_seconds
        self._builder = EntryBuilder(clock, random)
        self._newest: StoredCheckpoint | None = None
        self._closed: dict[str, StoredCheckpoint] = {}
        self._event = threading.Event()
        self._stop = threading.Event()
        self._since = clock.monotonic()
        self._silent = False
        self._thread = threading.Thread(target=self._run, name="cosigner", daemon=True)

    def told(self, checkpoint: StoredCheckpoint) -> None:
        """There is a new checkpoint, or the old one was signed again."""
        newest = self._newest
        if newest is not None and newest.origin != checkpoint.origin:
            self._closed[newest.origin] = newest
        self._newest = checkpoint
        self._event.set()

    def finish(self, closed: Sequence[StoredCheckpoint]) -> None:
        """Ask for the last trees of closed origins as well, until a quorum has cosigned each."""
        self._closed |= {checkpoint.origin: checkpoint for checkpoint in closed}

    def start(self) -> None:
        """Ask for every checkpoint until ``close``."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; an answer under way is waited for."""
        self._stop.set()
        self._event.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._event.wait(self._alert_seconds)
            self._event.clear()
            if self._stop.is_set():
                return
            try:
                self.round()
            except SidecarError as exc:
                _log.warning("cosigner-failed", error=exc.diagnostics())
            except SQLAlchemyError:
                _log.warning("cosigner-failed", error="the state database does not answer")
            self._stop.wait(PAUSE_SECONDS)

    def round(self) -> None:
        """Ask every witness about the newest checkpoint, keep what they give, raise what must be raised.

        Raises:
            LedgerUnavailable: an alert could not be recorded; it comes again.
            SQLAlchemyError: the database does not answer.
        """
        newest = self._newest
        for checkpoint in (*self._closed.values(), *([newest] if newest else [])):
            with ThreadPoolExecutor(len(self._witnesses)) as pool:
                faults = list(pool.map(lambda asked, about=checkpoint: self._ask(asked, about), self._witnesses))
            self._keep(checkpoint)
            for asked, fault in zip(self._witnesses, faults, strict=True):
                self._judge(asked, checkpoint.origin, fault)
        self._closed = {name: each for name, each in self._closed.items() if self._agreed(each) < self._quorum}
        self._judge_silence(newest)

    def _agreed(self, checkpoint: StoredCheckpoint) -> int:
        return sum(asked.agrees(checkpoint) for asked in self._witnesses)

    def _ask(self, asked: Asked, newest: StoredCheckpoint) -> CodedError | None:
        """One witness; what went wrong."""
        try:
            asked.given[newest.origin] = (newest.size, self._cosignature(asked, newest))
        except (Disagreement, Unhelpful) as exc:
            return exc
        except OSError as exc:
            return Unhelpful(Code.WITNESS_SILENT, f"no answer: {type(exc).__name__}")
        asked.known[newest.origin] = newest.size
        return None

    def _cosignature(self, asked: Asked, newest: StoredCheckpoint) -> bytes:
        for _ in range(3):  # what it knows may be told once, and change once more where two sequencers ask
            known = asked.known.get(newest.origin, 0)
            status, answer = asked.post(self._body(min(known, newest.size), newest))
            if status == requests.codes.ok:
                return _checked(asked.key, newest, answer)
            if status == requests.codes.unprocessable:
                raise Disagreement(
                    Code.LEDGER_FORKED, "it does not accept the proof that our log contains what it has seen"
                )
            if status != requests.codes.conflict:
                raise Unhelpful(Code.WITNESS_SILENT, f"it answered {status}")
            asked.known[newest.origin] = self._conflict(answer, known, newest)
        raise Unhelpful(Code.WITNESS_SILENT, "what it has seen changes all the time")

    def _conflict(self, answer: bytes, sent: int, newest: StoredCheckpoint) -> int:
        """The size that the witness has, from which to go on."""
        text = answer.strip()
        if not text.isdigit() or len(text) > 19:  # digits of a signed 64-bit number
            raise Unhelpful(Code.WITNESS_SILENT, "it did not say which size it has")
        size = int(text)
        if size == sent:
            raise Disagreement(Code.LEDGER_FORKED, f"it has seen another tree of {size} entries")
        if size > newest.size and size > self._largest(newest):
            raise Disagreement(Code.LEDGER_ROLLED_BACK, f"it has seen {size} entries, we have {newest.size}")
        if size > newest.size:
            raise Unhelpful(Code.WITNESS_SILENT, "another sequencer is ahead of us")
        return size

    def _largest(self, newest: StoredCheckpoint) -> int:
        """Of all sequencers' checkpoints of this origin."""
        with reading(self._engine).connect() as connection:
            found = StoredLog(connection, named(connection, newest.origin)).checkpoint()
        return found.size if found else 0

    def _body(self, old: int, newest: StoredCheckpoint) -> bytes:
        with reading(self._engine).connect() as connection:
            path = proofs.consistency(StoredLog(connection, named(connection, newest.origin)), old, newest.size)
        lines = [f"old {old}", *(base64.b64encode(node).decode("ascii") for node in path), ""]
        return "\n".join(lines).encode() + b"\n" + newest.note

    def _keep(self, newest: StoredCheckpoint) -> None:
        held = {asked.key.name: asked.given.get(newest.origin, (-1, b"")) for asked in self._witnesses}
        given = {name: line for name, (size, line) in held.items() if size == newest.size}
        if given:
            with self._engine.connect() as connection:
                store(connection, replace(newest, cosignatures=b"".join(given.values())), list(given))

    def _judge(self, asked: Asked, origin: str, fault: CodedError | None) -> None:
        if fault is None:
            over = {each for each in asked.alarmed if each[0] == origin}
            if over:
                _log.info("witness-agrees-again", witness=asked.key.name, origin=origin)
            asked.alarmed -= over
            return
        if (origin, fault.code) in asked.alarmed:
            return
        if isinstance(fault, Disagreement):
            _log.error("witness-disagrees", witness=asked.key.name, code=fault.code, reason=str(fault))
            self._record(fault.code, asked.key.name)
        else:
            _log.warning("witness-unhelpful", witness=asked.key.name, origin=origin, reason=str(fault))
        asked.alarmed.add((origin, fault.code))

    def _judge_silence(self, newest: StoredCheckpoint | None) -> None:
        now = self._clock.monotonic()
        agreed = self._agreed(newest) if newest else 0
        if agreed >= self._quorum and newest:
            self._since = now
            self._silent = False
        elif now - self._since > self._alert_seconds and not self._silent:
            missing = self._quorum - agreed
            _log.error("witness-quorum-missing", missing=missing)
            self._record(Code.WITNESS_SILENT.value, "")
            self._silent = True

    def _record(self, code: str, witness: str) -> None:
        extra = {"witness": witness} if witness else {}
        entry = self._builder.build(EntryKind.SYSTEM, Channel.CLI, outcome="error", codes=(code,), extra=extra)
        self._ledger.commit(entry)


def _checked(key: Verifier, newest: StoredCheckpoint, answer: bytes) -> bytes:
    """The line of ``key`` among the answer's lines; others are left out."""
    for line in answer.splitlines(keepends=True):
        try:
            open_note(newest.note + line, [key])
        except NoteInvalid:
            continue
        return line
    raise Unhelpful(Code.WITNESS_SILENT, "it gave no cosignature of its key")


def open_cosigner(settings: Settings, engine: Engine, ledger: Ledger, clock: Clock) -> Cosigner | None:
    """The deployment's cosigner, not started; None where no witness is configured.

    Raises:
        ConfigurationError: a witness's key or address cannot be used.
    """
    chosen = settings.ledger
    if not chosen.witnesses:
        return None
    if chosen.quorum > len(chosen.witnesses):
        raise ConfigurationError(f"ledger.quorum: expected at most {len(chosen.witnesses)}, got {chosen.quorum}")
    asked = [Asked(_key(settings, each), _poster(settings, each)) for each in chosen.witnesses]
    if len({each.key.name for each in asked}) != len(asked):
        raise ConfigurationError("ledger.witnesses: expected each name once")
    seconds = chosen.witness_alert_minutes * 60.0
    cosigner = Cosigner(engine, ledger, clock, asked, quorum=chosen.quorum, alert_seconds=seconds)
    cosigner.finish(unfinished(engine, chosen.quorum))
    return cosigner


def unfinished(engine: Engine, quorum: int) -> list[StoredCheckpoint]:
    """Last checkpoints of years that are over and which too few witnesses have cosigned.

    Raises:
        LedgerUnavailable: the database does not answer.
    """
    try:
        with reading(engine).connect() as connection:
            over = [each for each in all_of(connection) if each.reason == YEAR_OVER and not each.destroyed]
            found = [(each, StoredLog(connection, each).checkpoint()) for each in over]
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer, or `sidecar db upgrade` has not run") from exc
    return [last for each, last in found if last and last.size == each.size and last.witnesses < quorum]


def witness_keys(settings: Settings) -> list[Verifier]:
    """The keys of the deployment's witnesses.

    Raises:
        ConfigurationError: one cannot be read.
    """
    return [_key(settings, each) for each in settings.ledger.witnesses]


def _key(settings: Settings, witness: WitnessSettings) -> Verifier:
    file = settings.path(witness.verifier_file)
    try:
        key = parse_verifier(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{file}: cannot be read as a witness's verifier key") from exc
    if key.kind != COSIGNATURE:
        raise ConfigurationError(f"{file}: expected the key of a witness, got that of a log")
    return key


def _poster(settings: Settings, witness: WitnessSettings) -> Post:
    """Posts without following redirects, within time and size."""
    parts = urlsplit(witness.url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and (witness.insecure or parts.hostname in {"127.0.0.1", "::1", "localhost"})
    ):
        raise ConfigurationError("ledger.witnesses: expected an https:// address")
    session = requests.Session()
    session.trust_env = False
    session.headers["Accept-Encoding"] = "identity"
    if witness.ca_file is not None:
        session.verify = str(settings.path(witness.ca_file))
    url = witness.url.rstrip("/") + "/add-checkpoint"

    def post(body: bytes) -> tuple[int, bytes]:
        with session.post(url, data=body, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True) as answer:
            return answer.status_code, next(answer.iter_content(MAX_ANSWER), b"")

    return post
