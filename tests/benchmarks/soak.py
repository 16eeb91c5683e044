"""Do positions and verification stay as fast as the log grows: 10⁴ to 10⁷ entries, most of them brought in by COPY.

    python -m tests.benchmarks.soak [--sizes 10000 100000 1000000 10000000] [--entries 20000] [--json FILE]

At each size so many entries wait for positions, and then the whole log is verified. Exit status 1 where a size is
slower than the fastest by more than a fifth, or where the disk has no room for it. 10⁷ entries take 16 GB.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.throughput import log

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
BYTES_AN_ENTRY = 1_600
"""On the disk: entry, position, three indexes, and the server's log meanwhile."""

FLAT = 0.8
"""Of the fastest size, at least; by processor time, which other work on the machine disturbs least."""

JUDGED = ("integration, a core", "verify, a core")


def main() -> int:
    """Grow, measure, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--json", type=Path, default=Path("soak.json"))
    options = parser.parse_args()
    free, needed = shutil.disk_usage(tempfile.gettempdir()).free, max(options.sizes) * BYTES_AN_ENTRY
    if free < needed:
        print(f"expected {needed:,} free bytes in {tempfile.gettempdir()}, got {free:,}")
        return 1
    found: dict[int, dict[str, float]] = {}
    with log() as growing:
        for size in sorted(options.sizes):
            waiting = min(options.entries, size // 2)
            growing.preload.grow(size - waiting)
            found[size] = growing.integration(waiting) | growing.verification()
            options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    Console(width=140).print(table(found))
    slow = [(name, size) for name in JUDGED for size in found if found[size][name] < FLAT * best(found, name)]
    for name, size in slow:
        print(
            f"{name}: {found[size][name]:,.0f} a second at {size:,} entries, {best(found, name):,.0f} at best: FAILED"
        )
    return 1 if slow else 0


def best(found: dict[int, dict[str, float]], name: str) -> float:
    """The rate at the size that was fastest."""
    return max(each[name] for each in found.values())


def table(found: dict[int, dict[str, float]]) -> Table:
    """For people."""
    names = list(next(iter(found.values())))
    made = Table("entries", *names)
    for size, rates in found.items():
        made.add_row(f"{size:,}", *(f"{rates[name]:,.0f}" for name in names))
    return made


if __name__ == "__main__":
    sys.exit(main())
