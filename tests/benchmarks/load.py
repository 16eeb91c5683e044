"""Load by wrk: 16 connections that each ask again as soon as they are answered (a closed loop)."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 16
SCRIPT = Path(__file__).with_name("load.lua")


class BenchFailed(Exception):
    """A measurement means nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: answers, the share of them that are no 2xx, answers a second, latencies and processor time.

    ``cpu_ms`` is that of all processes of the variant and of PostgreSQL, an answer: a busy machine distorts it least.
    """

    requests: int
    refused: float
    rate: float
    p50: int
    p99: int  # both in microseconds
    cpu_ms: float = 0.0


def drive(url: str, requests: Path, seconds: int) -> Measured:
    """Ask for so many seconds.

    Raises:
        BenchFailed: wrk did not run, or a connection broke: rates are only compared where every request was answered.
    """
    command = [
        "wrk",
        "-t",
        "1",
        "-c",
        str(CONNECTIONS),
        "-d",
        f"{seconds}s",
        "--timeout",
        "10s",
        "-s",
        str(SCRIPT),
        url,
    ]
    environment = {**os.environ, "BENCH_REQUESTS": str(requests)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), "")
    if done.returncode or not line:
        raise BenchFailed(f"wrk ended with status {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    result = json.loads(line.removeprefix("RESULT "))
    if result["broken"] or not result["requests"]:
        raise BenchFailed(f"{result['broken']} broken connections at {result['requests']} answers")
    return Measured(
        requests=result["requests"],
        refused=result["refused"] / result["requests"],
        rate=result["requests"] / result["microseconds"] * 1e6,
        p50=result["p50"],
        p99=result["p99"],
    )
