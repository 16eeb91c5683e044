"""A process that commits until it is killed; prints each acknowledged entry. Run as a module.

Arguments: folder, URL of the state database, paper, prefix. Each commit counts one use of the paper and writes a note
with the entry's id.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from sidecar.clock import SystemClock
from sidecar.ledger.open import open_ledger
from sidecar.ledger.types import EffectRefused
from tests.support.state import entry, note, settings_for, use


def say(line: str) -> None:
    """One line to the parent, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(folder: str, url: str, paper: str, prefix: str) -> None:
    ledger = open_ledger(settings_for(Path(folder), url), SystemClock())
    say("ready")
    sys.stdin.readline()
    for n in itertools.count():
        try:
            committed, _ = ledger.commit(entry(), [use(paper), note(f"{prefix}{n}")])
        except EffectRefused:
            break
        say(committed.leaf_hash.hex())
    ledger.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
