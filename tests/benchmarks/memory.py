"""Memory of the workers after 100,000 inquiries on 10,000 persons beside that after 20,000; exit status 1 if it grew.

python -m tests.benchmarks.memory
"""

from __future__ import annotations

import os
import shutil
import sys

import psutil
import psycopg

from sidecar.clock import SystemClock
from sidecar.demo.world import World
from tests.benchmarks.county import PERSONS
from tests.benchmarks.load import BenchFailed, drive
from tests.benchmarks.requests import SUBJECTS, Desk, write
from tests.benchmarks.world import WORKERS, deployment, serving

FIRST, LAST = 20_000, 100_000
"""Inquiries after which memory is looked at."""

MOST_GROWTH = 1.05
MOST_BYTES = 200_000_000
SLICE_SECONDS = 5
"""A slice of load; tokens are signed anew before each."""


def workers(world: World) -> list[psutil.Process]:
    """The processes that answer: the children of the gateway's."""
    gateway = world.running()["gateway"]
    found = [
        child for child in psutil.Process(gateway).children() if "resource_tracker" not in " ".join(child.cmdline())
    ]
    if len(found) != WORKERS:
        raise BenchFailed(f"expected {WORKERS} workers, got {len(found)}")
    return found


def inquire(world: World, desk: Desk, url: str, done: int, until: int) -> int:
    """Ask about everybody in turn until so many inquiries were answered; how many were."""
    requests = world.folder / "requests.txt"
    while done < until:
        asked = desk.round(SystemClock().now(), letters=PERSONS // SUBJECTS)
        start = done % len(asked)  # go on where the last slice ended: everybody is asked about
        write(asked[start:] + asked[:start], requests)
        done += drive(url, requests, SLICE_SECONDS).requests
    return done


def measure(world: World, desk: Desk) -> list[tuple[int, list[int]]]:
    """(inquiries, resident bytes of each worker), at both times."""
    found = []
    with serving(world, "wasm") as url:
        processes, done = workers(world), 0
        for until in (FIRST, LAST):
            done = inquire(world, desk, url, done, until)
            found.append((done, [process.memory_info().rss for process in processes]))
    with psycopg.connect(world.cluster.dsn("sidecar")) as connection:
        (entries,) = connection.execute("SELECT count(*) FROM ledger_entries").fetchone()
    if entries < done:
        raise BenchFailed(f"expected an entry for each of {done} inquiries, got {entries}")
    return found


def main() -> int:
    """Measure and judge."""
    opa = os.environ.get("SIDECAR_OPA") or shutil.which("opa")
    if not opa or not shutil.which("wrk"):
        raise BenchFailed("OPA and wrk are needed: run `make bench-memory`")
    with deployment(opa) as (world, desk):
        (first, before), (last, after) = measure(world, desk)
    held = True
    for old, new in zip(before, after, strict=True):
        good = new / old <= MOST_GROWTH and new < MOST_BYTES
        held &= good
        print(
            f"worker: {old / 1e6:.0f} MB after {first:,}, {new / 1e6:.0f} MB after {last:,}", "" if good else "FAILED"
        )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
