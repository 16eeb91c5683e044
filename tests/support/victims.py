"""Processes that are killed: each does one part of the ledger's work for ever and tells what it has acknowledged.

They are forked from a server that has everything imported, so that hundreds of them start within a test's time.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

from sidecar.clock import SystemClock
from sidecar.errors import LedgerUnavailable
from sidecar.keys.files import read_ed25519_private
from sidecar.ledger import signer
from sidecar.ledger.build import uuid7
from sidecar.ledger.open import open_ledger
from sidecar.ledger.publish import publish
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signed import SignedFile
from sidecar.storage.engine import open_state
from tests.support.state import entry, note, settings_for

PATIENCE_SECONDS = 60.0
"""Longest wait for a sign of life on a busy machine."""

Told = tuple[str, Any]
"""``entry``: a leaf hash that was acknowledged. ``signed``: a note that was stored. ``exported``: a folder."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger is."""

    folder: Path
    url: str


def commit(place: Place, tell: Connection) -> None:
    """Commit entries, each with a note beside it."""
    ledger = open_ledger(settings_for(place.folder, place.url), SystemClock())
    while True:
        with contextlib.suppress(LedgerUnavailable):  # the server was killed: it comes back
            committed, _ = ledger.commit(entry(), [note(uuid7(SystemClock().now()))])
            tell.send(("entry", committed.leaf_hash))


def integrate(place: Place, tell: Connection) -> None:
    """Give positions and sign."""
    settings, clock = settings_for(place.folder, place.url), SystemClock()
    signer.INTERVAL_SECONDS = signer.FROZEN_SECONDS = 0.0  # every round signs: more kills fall between two of its steps
    engine = open_state(settings)
    ledger = open_ledger(settings, clock, engine=engine)
    watched = signer.open_signer(settings, ledger, clock, lambda made: tell.send(("signed", made.note)))
    sequencer = Sequencer(engine, ledger, clock, [], publisher=watched)
    while True:
        with contextlib.suppress(LedgerUnavailable):
            sequencer.step()


def export(place: Place, tell: Connection) -> None:
    """Export the log as tiles, again and again."""
    settings = settings_for(place.folder, place.url)
    engine = open_state(settings)
    key = read_ed25519_private(settings.path(settings.ledger.log_key))
    signed = SignedFile(settings.path(settings.ledger.signed_file))
    for number in itertools.count():
        folder = place.folder / "exports" / f"{os.getpid()}-{number}"
        with contextlib.suppress(LedgerUnavailable):
            publish(engine, folder, key, signed)
            tell.send(("exported", str(folder)))


_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload([__name__])


class Victim:
    """One such process. A context manager: killed at the end at the latest."""

    def __init__(self, work: Callable[[Place, Connection], None], place: Place) -> None:
        self.name = work.__name__
        self.heard, tell = _fork.Pipe(duplex=False)
        self._process = _fork.Process(target=work, args=(place, tell), daemon=True)
        self._process.start()
        tell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.heard.close()

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._process.kill()
        self._process.join()

    def rest(self) -> Iterator[Told]:
        """After its end: what it told before."""
        while self.heard in wait([self.heard], 0):
            try:
                yield self.heard.recv()
            except (EOFError, OSError):  # a message that the kill cut off was not told
                return


def hear(cast: Sequence[Victim], whom: Victim, count: int) -> Iterator[Told]:
    """What all tell until ``whom`` has told so many things; all are heard, for a full pipe would stop the others.

    Raises:
        TimeoutError: nobody tells anything.
    """
    speaking = {each.heard: each for each in cast}
    while count:
        ready = wait(speaking, PATIENCE_SECONDS)
        if not ready:
            raise TimeoutError(f"{whom.name} says nothing")
        for connection in ready:
            victim = speaking[connection]  # type: ignore[index]  # of ours
            yield victim.heard.recv()
            count -= victim is whom
            if not count:
                return


def spin(seconds: float) -> None:
    """Let so little time pass that sleeping would be too long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
