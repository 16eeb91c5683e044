"""Compares as many new pairs of worlds as are wanted, in parts, and writes the page: ``python -m tests.worlds.run``.

Each part is a run of the tests with a seed of its own and leaves its lines in ``.worlds/worlds.jsonl``; whoever stops it goes
on later where it was. ``WORLDS``: how many (10,000); ``WORLDS_PART``: of a part (500); ``WORLDS_SEED``: of the first part.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

from tests.worlds import report

ROOT = Path(__file__).resolve().parents[2]
LINES = ROOT / ".worlds" / "worlds.jsonl"
PAGE = ROOT / "docs" / "reports" / "worlds.md"


def done() -> int:
    """Pairs that were compared so far."""
    if not LINES.exists():
        return 0
    return sum(json.loads(line)["worlds"] for line in LINES.read_text(encoding="utf-8").splitlines())


def part(seed: int, worlds: int) -> None:
    """One more part. A difference ends everything, and is told by pytest."""
    told = {"WORLDS": str(worlds), "WORLDS_SEED": str(seed), "WORLDS_REPORT": str(LINES)}
    command = [sys.executable, "-m", "pytest", "tests/worlds/test_two_worlds.py", "-q", "-k", "nothing_tells"]
    if subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, **told}).returncode:
        sys.exit(f"a difference, or no servers: WORLDS={worlds} WORLDS_SEED={seed}")


def main() -> None:
    """All parts, and the page."""
    wanted, size = int(os.environ.get("WORLDS", "10000")), int(os.environ.get("WORLDS_PART", "500"))
    seed = int(os.environ.get("WORLDS_SEED") or secrets.randbelow(10**9))
    LINES.parent.mkdir(exist_ok=True)
    while (so_far := done()) < wanted:
        print(f"{so_far} of {wanted}; WORLDS_SEED={seed}", flush=True)  # noqa: T201  # a command
        part(seed, min(size, max(25, wanted - so_far)))
        seed += 1
    report.main(LINES, PAGE)
    LINES.unlink()


if __name__ == "__main__":
    main()
