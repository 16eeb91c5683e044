"""kill -9 anywhere between commit, position, promise, signature and publication: nothing acknowledged is lost or contradicted."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from sidecar.clock import FixedClock
from sidecar.keys.generate import create_log_key
from sidecar.ledger import merkle
from sidecar.ledger.checkpoint import open_checkpoint
from sidecar.ledger.note import verifier
from sidecar.ledger.open import open_ledger
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signed import SignedFile, nothing_signed
from sidecar.ledger.signer import open_signer
from sidecar.ledger.tables import POSITIONS
from sidecar.ledger.verify import Kept, verify_database
from tests.support.state import NOW, ORIGIN, new_state, settings_for

pytestmark = pytest.mark.functional

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("SIGNER_KILL_ROUNDS", "8"))
SEED = 20261124


def killed(folder: Path, lines: int) -> list[list[str]]:
    """What a process said until it was killed, some microseconds after so many lines."""
    command = [sys.executable, "-m", "tests.support.crash_signer", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.read().splitlines(keepends=True)
    return [line.split() for line in said if line.endswith("\n")]


def test_no_kill_loses_an_entry_or_contradicts_a_checkpoint(tmp_path):
    settings, chance = settings_for(tmp_path), random.Random(SEED)
    engine = new_state(settings)
    public = create_log_key(tmp_path / "keys" / "log.pem", tmp_path / "log.signed", nothing_signed(ORIGIN))
    entries, notes = [], []
    for _ in range(ROUNDS):
        said = killed(tmp_path, chance.randrange(1, 40))
        entries += [value for kind, value in said if kind == "entry"]
        notes += [bytes.fromhex(value) for kind, value in said if kind == "signed"]
    ledger, clock = open_ledger(settings, FixedClock(NOW), engine=engine), FixedClock(NOW)
    sequencer = Sequencer(engine, ledger, clock, [], publisher=open_signer(settings, ledger, clock))
    while sequencer.step():
        pass
    with engine.connect() as connection:
        leaves = [
            bytes(leaf)
            for leaf in connection.execute(select(POSITIONS.c.leaf_hash).order_by(POSITIONS.c.position)).scalars()
        ]
    assert {leaf.hex() for leaf in leaves} >= set(entries)
    assert len(leaves) - len(entries) <= ROUNDS  # committed, and killed before it was said
    log = verifier(ORIGIN, public)
    signed = [open_checkpoint(note, log) for note in notes]
    assert len(signed) > ROUNDS
    assert all(each.root == merkle.root(leaves[: each.size]) for each in signed)
    last = SignedFile(tmp_path / "log.signed").last()
    assert last.size >= max(each.size for each in signed)
    report = verify_database(engine, kept=[Kept("the promise", last.size, last.root)])
    assert (report.fault, report.pending) == (None, 0)
    sequencer.release()
    ledger.close()
    engine.dispose()
