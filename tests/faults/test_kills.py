"""kill -9 at random points of commit, integration, signing and export: nothing acknowledged is lost, nothing signed is contradicted.

``KILL_ROUNDS`` rounds (30; `make kills`: 200) on PostgreSQL and SQLite in turn, drawn from ``KILL_SEED``, which is
part of the test's name. In each some processes of the ledger work until one, or all of them, or PostgreSQL itself is killed;
then they are simply started again: nobody repairs anything.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from sidecar.clock import SystemClock
from sidecar.demo.postgres import PostgresCluster
from sidecar.keys.files import read_ed25519_private
from sidecar.keys.generate import create_log_key
from sidecar.ledger import merkle
from sidecar.ledger.checkpoint import Checkpoint, open_checkpoint
from sidecar.ledger.note import Verifier, verifier
from sidecar.ledger.open import open_ledger
from sidecar.ledger.publish import CHECKPOINT_FILE
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signed import SignedFile, nothing_signed
from sidecar.ledger.signer import open_signer
from sidecar.ledger.stored import StoredLog
from sidecar.ledger.tables import ENTRIES, POSITIONS
from sidecar.ledger.verify import Kept, verify_database
from tests.support.ledger_rules import count
from tests.support.postgres import short_directory
from tests.support.state import NOTES, ORIGIN, new_state, settings_for
from tests.support.victims import Place, Told, Victim, commit, export, hear, integrate, spin

pytestmark = pytest.mark.functional

ROUNDS = int(os.environ.get("KILL_ROUNDS", "30"))
SEED = int(os.environ.get("KILL_SEED", "20261124"))
CAST = ((commit, integrate), (commit, integrate), (commit, commit, integrate), (commit, integrate, export))
"""Who works in a round."""

SERVER_EVERY = 10
"""Rounds on PostgreSQL in one of which it is PostgreSQL that is killed."""

MOST_TOLD = {"export": 3}
"""Of an export, which takes longer than anything else; of the others up to 25 things are heard before the kill."""

MOST_MICROSECONDS = 4000
"""Between the last thing heard and the kill: longer than any single step takes."""


@dataclass
class Acknowledged:
    """Everything that was ever acknowledged or seen."""

    entries: set[bytes] = field(default_factory=set)
    notes: list[bytes] = field(default_factory=list)

    def take(self, told: Told) -> None:
        kind, value = told
        if kind == "entry":
            self.entries.add(value)
        elif kind == "signed":
            self.notes.append(value)
        else:
            self.notes.append((Path(value) / CHECKPOINT_FILE).read_bytes())


class Scene:
    """One ledger that outlives all kills."""

    def __init__(self, folder: Path, url: str, cluster: PostgresCluster | None) -> None:
        self.place, self.cluster = Place(folder, url), cluster
        self.settings = settings_for(folder, url)
        self.engine: Engine = new_state(self.settings)
        self.told = Acknowledged()
        public = create_log_key(folder / "keys" / "log.pem", folder / "log.signed", nothing_signed(ORIGIN))
        self.log: Verifier = verifier(ORIGIN, public)

    def round(self, chance: random.Random) -> str:
        """Let some work, kill, and keep what they told; returns who was killed."""
        with contextlib.ExitStack() as stack:
            cast = [stack.enter_context(Victim(work, self.place)) for work in chance.choice(CAST)]
            heard = chance.choice(cast)
            for told in hear(cast, heard, chance.randrange(1, MOST_TOLD.get(heard.name, 25))):
                self.told.take(told)
            spin(chance.randrange(MOST_MICROSECONDS) / 1e6)
            killed = self._kill(chance, cast)
            for victim in cast:
                victim.kill()
                for told in victim.rest():
                    self.told.take(told)
        return killed

    def _kill(self, chance: random.Random, cast: list[Victim]) -> str:
        """The others go on for a moment and may not notice."""
        if self.cluster and chance.randrange(SERVER_EVERY) == 0:
            self.cluster.kill()
            self.cluster.start()
            return "postgresql"
        victim = chance.choice(cast)
        victim.kill()
        spin(chance.randrange(MOST_MICROSECONDS) / 1e6)
        return victim.name

    def restart(self) -> None:
        """What the next sequencer does by itself."""
        clock = SystemClock()
        ledger = open_ledger(self.settings, clock, engine=self.engine)
        watched = open_signer(self.settings, ledger, clock)
        sequencer = Sequencer(self.engine, ledger, clock, [], publisher=watched)
        while sequencer.step():
            pass
        sequencer.release()
        ledger.close()

    def leaves(self) -> list[bytes]:
        """Leaf hashes in the log's order."""
        with self.engine.connect() as connection:
            found = connection.execute(select(POSITIONS.c.leaf_hash).order_by(POSITIONS.c.position)).scalars()
            return [bytes(leaf) for leaf in found]

    def stored(self) -> Checkpoint:
        """The signed checkpoint that is served."""
        with self.engine.connect() as connection:
            found = StoredLog(connection).checkpoint()
        assert found is not None
        return open_checkpoint(found.note, self.log)

    def exported(self) -> Iterator[Checkpoint]:
        """Of every export that was not broken off."""
        for file in (self.place.folder / "exports").glob(f"*/{CHECKPOINT_FILE}"):
            yield open_checkpoint(file.read_bytes(), self.log)


@pytest.fixture
def scenes(tmp_path: Path) -> Iterator[tuple[Scene, Scene]]:
    folder = short_directory()
    try:
        with PostgresCluster(folder / "c") as cluster:
            cluster.createdb("state")
            for name in ("sqlite", "postgresql"):
                (tmp_path / name).mkdir()
            found = (
                Scene(tmp_path / "postgresql", cluster.url("state"), cluster),
                Scene(tmp_path / "sqlite", "sqlite:///state.db", None),
            )
            yield found
            for scene in found:
                scene.engine.dispose()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("seed", [SEED])
def test_no_kill_loses_an_entry_or_contradicts_a_checkpoint(scenes: tuple[Scene, Scene], seed: int) -> None:
    chance = random.Random(seed)
    killed: list[str] = []
    for number in range(ROUNDS):
        scene = scenes[number % 2]
        killed.append(scene.round(chance))
        if number % 10 >= 8:
            scene.restart()
            everything_told_is_there(scene)
    for scene in scenes:
        scene.restart()
        everything_told_is_there(scene)
        whole(scene)
    assert {"commit", "integrate"} <= set(killed)


def everything_told_is_there(scene: Scene) -> None:
    """No entry is lost, and all checkpoints ever seen are of one history, which is the log's."""
    leaves = scene.leaves()
    assert scene.told.entries <= set(leaves)
    seen = {open_checkpoint(each, scene.log) for each in scene.told.notes} | {scene.stored(), *scene.exported()}
    ordered = sorted(seen, key=lambda each: each.size)
    assert len({each.size for each in ordered}) == len(ordered), "two trees of one size were signed"
    assert ordered[-1].size <= len(leaves)
    tree = merkle.Range()
    for each in ordered:
        tree.extend(leaves[tree.size : each.size])
        assert each.root == tree.root()
    promised = SignedFile(scene.place.folder / "log.signed").last()
    assert promised.size >= ordered[-1].size


def whole(scene: Scene) -> None:
    """The verifier, who has kept every checkpoint, finds nothing; effects are there exactly with their entries."""
    notes = [open_checkpoint(each, scene.log) for each in scene.told.notes]
    assert notes, "nothing was signed"
    report = verify_database(scene.engine, kept=[Kept("seen", each.size, each.root) for each in notes])
    assert (report.fault, report.pending) == (None, 0)
    assert count(scene.engine, NOTES) == count(scene.engine, ENTRIES) == report.size


def test_a_loss_or_a_contradiction_would_be_noticed(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "sqlite:///state.db", None)
    scene.round(random.Random(1))
    scene.restart()
    everything_told_is_there(scene)
    last, key = scene.stored(), read_ed25519_private(tmp_path / "keys" / "log.pem")
    scene.told.notes.append(Checkpoint(last.origin, last.size, bytes(32)).signed(key).encode())
    with pytest.raises(AssertionError):
        everything_told_is_there(scene)
    scene.told.notes.pop()
    scene.told.entries.add(bytes(32))
    with pytest.raises(AssertionError):
        everything_told_is_there(scene)
    scene.engine.dispose()
