"""Measure the sidecar beside its baselines, in paired rounds of one run; exit status 1 below the required ratios.

    python -m tests.benchmarks.speed [--rounds 3] [--seconds 6] [--json FILE]

Every round asks each variant in turn, so that a machine's better and worse minutes meet all of them. Ratios are made
within a round and their medians over the rounds are compared: absolute rates belong to the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sidecar.clock import SystemClock
from sidecar.demo.exchange import exchange
from sidecar.demo.world import World
from tests.benchmarks.load import BenchFailed, Measured, drive
from tests.benchmarks.requests import REFUSED_EVERY, Asked, Desk, write
from tests.benchmarks.world import BASELINES, SIDECAR, cpu_seconds, deployment, serving

ORDER = ("floor", *SIDECAR, "naive")
REQUIRED = (("wasm", "floor", 0.42), ("opa", "floor", 0.35), ("wasm", "naive", 12.0))
"""Variant, against which baseline, and the least median ratio."""

WARM_SECONDS = 2
SAMPLES = 20
REFUSED_TOLERANCE = 0.02


def check(url: str, asked: Sequence[Asked], variant: str) -> int:
    """Records that the first requests show; that every one of them is answered as it must be.

    Raises:
        BenchFailed: an allowed request is refused or a refused one answered: a rate would measure something else.
    """
    shown = 0
    for one in asked[:SAMPLES]:
        answer = exchange(url, "POST", "/v1/inquiries", one.token, json.loads(one.body))
        expected = 200 if one.allowed or variant == "floor" else 403
        if answer.status != expected:
            raise BenchFailed(f"{variant}: expected {expected}, got {answer.status}: {answer.body[:300]!r}")
        shown += len(answer.json().get("records", []))
    return shown


def measure(world: World, desk: Desk, variant: str, seconds: int) -> tuple[Measured, int]:
    """One variant in one round, and how many records its checked answers showed."""
    requests = world.folder / "requests.txt"
    with serving(world, variant) as url:
        asked = desk.round(SystemClock().now())
        write(asked, requests)
        shown = check(url, asked, variant)
        drive(url, requests, WARM_SECONDS)
        before = cpu_seconds(world)
        measured = drive(url, requests, seconds)
        spent = cpu_seconds(world) - before
    share = 0.0 if variant == "floor" else 1 / REFUSED_EVERY
    if abs(measured.refused - share) > REFUSED_TOLERANCE:
        raise BenchFailed(f"{variant}: expected {share:.0%} refused, got {measured.refused:.1%}")
    return replace(measured, cpu_ms=spent / measured.requests * 1000), shown


def run(world: World, desk: Desk, rounds: int, seconds: int) -> dict[str, list[Measured]]:
    """All variants, so many rounds.

    Raises:
        BenchFailed: variants that check do not show the same records, or the floor shows no more than they do.
    """
    results: dict[str, list[Measured]] = {variant: [] for variant in ORDER}
    for number in range(rounds):
        shown: dict[str, int] = {}
        for variant in ORDER:
            measured, shown[variant] = measure(world, desk, variant, seconds)
            results[variant].append(measured)
            print(f"round {number + 1} {variant}: {measured.rate:.0f}/s", file=sys.stderr, flush=True)
        checked = {shown[variant] for variant in ORDER if variant != "floor"}
        if len(checked) != 1 or not 0 < checked.pop() < shown["floor"]:
            raise BenchFailed(f"expected the same open records of all and more of the floor, got {shown}")
    return results


def ratio(results: dict[str, list[Measured]], variant: str, baseline: str) -> float:
    """Median over the rounds of the ratio within each."""
    pairs = zip(results[variant], results[baseline], strict=True)
    return statistics.median(one.rate / other.rate for one, other in pairs)


def table(results: dict[str, list[Measured]]) -> Table:
    """For people."""
    found = Table("variant", "answers/s", "÷ floor", "÷ naive", "p50 ms", "p99 ms", "CPU ms")
    for variant, rounds in results.items():
        found.add_row(
            variant,
            f"{statistics.median(r.rate for r in rounds):.0f}",
            *(f"{ratio(results, variant, baseline):.2f}" for baseline in BASELINES),
            *(f"{statistics.median(getattr(r, name) for r in rounds) / 1000:.1f}" for name in ("p50", "p99")),
            f"{statistics.median(r.cpu_ms for r in rounds):.2f}",
        )
    return found


def verdicts(results: dict[str, list[Measured]]) -> list[dict[str, object]]:
    """What is required, and what came out."""
    found = [(variant, baseline, least, ratio(results, variant, baseline)) for variant, baseline, least in REQUIRED]
    return [{"of": v, "to": b, "least": least, "got": got, "held": got >= least} for v, b, least, got in found]


def document(results: dict[str, list[Measured]]) -> dict[str, object]:
    """For machines."""
    return {
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg(), "python": platform.python_version()},
        "rounds": {variant: [asdict(r) for r in rounds] for variant, rounds in results.items()},
        "required": verdicts(results),
    }


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    opa = os.environ.get("SIDECAR_OPA") or shutil.which("opa")
    if not opa or not shutil.which("wrk"):
        raise BenchFailed("OPA and wrk are needed: run `make bench`")
    with deployment(opa) as (world, desk):
        results = run(world, desk, options.rounds, options.seconds)
    options.json.write_text(json.dumps(document(results), indent=1), encoding="utf-8")
    Console().print(table(results))
    for verdict in verdicts(results):
        print(
            "{of} ÷ {to}: {got:.2f}, at least {least} required".format(**verdict), "" if verdict["held"] else "FAILED"
        )
    return 0 if all(verdict["held"] for verdict in verdicts(results)) else 1


if __name__ == "__main__":
    sys.exit(main())
