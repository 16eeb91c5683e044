"""A process that commits, gives positions and signs until it is killed; prints each entry and each checkpoint.

Run as a module with the folder of a ledger that has a log key.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sidecar.clock import SystemClock
from sidecar.ledger import signer
from sidecar.ledger.open import open_ledger
from sidecar.ledger.sequencer import Sequencer
from sidecar.storage.engine import open_state
from tests.support.crash_writer import say
from tests.support.state import entry, settings_for


def main(folder: str) -> None:
    settings, clock = settings_for(Path(folder)), SystemClock()
    signer.INTERVAL_SECONDS = 0.0  # every round signs: a kill falls between two of its steps more often
    engine = open_state(settings)
    ledger = open_ledger(settings, clock, engine=engine)
    watched = signer.open_signer(settings, ledger, clock, lambda made: say(f"signed {made.note.hex()}"))
    sequencer = Sequencer(engine, ledger, clock, [], publisher=watched)
    while True:
        committed, _ = ledger.commit(entry())
        say(f"entry {committed.leaf_hash.hex()}")
        sequencer.step()


if __name__ == "__main__":
    main(*sys.argv[1:])
