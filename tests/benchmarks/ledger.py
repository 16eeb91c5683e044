"""Measure the ledger beside plain INSERTs, the raw flush and itself, in paired rounds of one run.

    python -m tests.benchmarks.ledger [--rounds 3] [--seconds 3] [--entries 40000] [--json FILE]

Exit status 1 below a required ratio or rate. Each ratio is made within a round and its median over the rounds counts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from sidecar.demo.postgres import PostgresCluster
from tests.benchmarks import throughput
from tests.benchmarks.flush import SlowFlush, raw_rate
from tests.benchmarks.writers import PAPERS, PLAIN, rate
from tests.support.postgres import short_directory
from tests.support.state import USES, new_state, settings_for

ADDED_MS = 5.0
PROCESSES, THREADS = 2, 8
TESSERA = 1500
"""Writes a second that Tessera publishes for its POSIX driver on SSD (transparency-dev/tessera, docs/performance.md)."""

COMMIT_DELAYS_US = (0, 500, 2000)

REQUIRED = (
    ("entries", "plain", 0.8),
    ("entries +5 ms", "one flush an entry +5 ms", 4.0),
    ("sqlite entries", "sqlite one commit an entry", 3.0),
    ("sqlite entries +5 ms", "sqlite one commit an entry +5 ms", 3.0),
)
"""Variant, beside which, and the least median ratio."""

LEAST = (("integration", 20_000), ("verify, a core", 100_000))
"""Entries a second."""

Round = dict[str, float]


class Bench:
    """The databases of one run: a PostgreSQL whose flushes can be slowed, and a folder for SQLite."""

    def __init__(self, cluster: PostgresCluster, slow: SlowFlush, folder: Path, seconds: float) -> None:
        self._cluster, self._slow, self._folder, self._seconds = cluster, slow, folder, seconds
        self.url = cluster.url("state")

    def round(self) -> Round:
        """Every variant once."""
        found = {"raw fdatasync": raw_rate(self._folder, self._seconds)}
        for name in ("entries", "plain", "libpq", "grouped"):
            found[name] = self._postgresql(name)
        found["one writer"] = self._postgresql("plain", 1, 1)
        with self._slower():
            found["one flush an entry +5 ms"] = self._postgresql("plain", 1, 1)
            for name in ("plain", "grouped"):
                found[f"{name} +5 ms"] = self._postgresql(name)
            for delay in COMMIT_DELAYS_US:
                with self._commit_delay(delay):
                    found[f"entries, commit_delay {delay} +5 ms"] = self._postgresql("entries")
        found["entries +5 ms"] = found["entries, commit_delay 0 +5 ms"]
        found |= self._sqlite("") | self._sqlite(" +5 ms", ADDED_MS)
        return found

    def _postgresql(self, variant: str, processes: int = PROCESSES, threads: int = THREADS) -> float:
        return rate(variant, self._folder, self.url, processes=processes, threads=threads, seconds=self._seconds)

    @contextlib.contextmanager
    def _slower(self, milliseconds: float = ADDED_MS) -> Iterator[None]:
        self._slow.add(milliseconds)
        try:
            yield
        finally:
            self._slow.add(0)

    @contextlib.contextmanager
    def _commit_delay(self, microseconds: int) -> Iterator[None]:
        self._set("commit_delay", microseconds)
        try:
            yield
        finally:
            self._set("commit_delay", 0)

    def _set(self, name: str, value: int) -> None:
        self._cluster.execute(f"ALTER SYSTEM SET {name} = {value}")
        self._cluster.execute("SELECT pg_reload_conf()")

    def _sqlite(self, suffix: str, added: float = 0) -> Round:
        """Both on one file, in one process: SQLite has one writer at a time."""
        with pytest.MonkeyPatch.context() as patch, self._slower(added):
            for name, value in self._slow.environment.items():
                patch.setenv(name, value)
            found = {}
            for name, variant in (("entries", "entries"), ("one commit an entry", "sqlite_plain")):
                found[f"sqlite {name}{suffix}"] = rate(
                    variant, self._folder, "sqlite:///state.db", processes=1, threads=16, seconds=self._seconds
                )
            return found


@contextlib.contextmanager
def benches(seconds: float) -> Iterator[Bench]:
    """A fresh cluster and a fresh file."""
    folder = short_directory()
    try:
        slow = SlowFlush(folder)
        cluster = PostgresCluster(folder / "c")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in slow.environment.items():
                patch.setenv(name, value)
            cluster.start()
        try:
            cluster.createdb("state")
            for url, blob in ((cluster.url("state"), "bytea"), ("sqlite:///state.db", "blob")):
                engine = new_state(settings_for(folder, url))
                with engine.begin() as connection:
                    connection.exec_driver_sql(PLAIN.format(blob=blob))
                    papers = [{"id": f"p{n}", "used": 0, "uses": 2**31 - 1} for n in range(PAPERS)]
                    connection.execute(USES.insert(), papers)
                engine.dispose()
            yield Bench(cluster, slow, folder, seconds)
        finally:
            cluster.stop("immediate")
    finally:
        shutil.rmtree(folder)


def ratio(rounds: list[Round], one: str, other: str) -> float:
    """Median of the rounds' own ratios."""
    return statistics.median(each[one] / each[other] for each in rounds)


def judged(rounds: list[Round]) -> list[tuple[str, float, float]]:
    """What is required: its name, what came out, and the least."""
    ratios = [(f"{one} ÷ {other}", ratio(rounds, one, other), least) for one, other, least in REQUIRED]
    rates = [(name, statistics.median(each[name] for each in rounds), float(least)) for name, least in LEAST]
    return ratios + rates


def table(rounds: list[Round]) -> Table:
    """For people."""
    found = Table("variant", "a second", "÷ plain", "÷ raw fdatasync", f"÷ Tessera's {TESSERA:,}")
    for name in rounds[0]:
        middle = statistics.median(each[name] for each in rounds)
        beside = (ratio(rounds, name, "plain"), ratio(rounds, name, "raw fdatasync"), middle / TESSERA)
        found.add_row(name, f"{middle:,.0f}", *(f"{each:.2f}" for each in beside))
    return found


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--entries", type=int, default=40_000)
    parser.add_argument("--json", type=Path, default=Path("bench-ledger.json"))
    options = parser.parse_args()
    with benches(options.seconds) as bench:
        rounds = [bench.round() | throughput.measure(options.entries) for _ in range(options.rounds)]
    verdicts = judged(rounds)
    machine = {"cpus": os.cpu_count(), "load": os.getloadavg(), "python": platform.python_version()}
    options.json.write_text(json.dumps({"machine": machine, "rounds": rounds}, indent=1), encoding="utf-8")
    Console(width=120).print(table(rounds))
    for name, got, least in verdicts:
        print(f"{name}: {got:,.2f}, at least {least:,} required", "" if got >= least else "FAILED")
    return 0 if all(got >= least for _, got, least in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
