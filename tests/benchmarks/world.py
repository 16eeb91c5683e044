"""A deployment for measuring: the demo's, made by the same commands, with the benchmark's county and issuer."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import yaml

from sidecar.demo import world as demo
from sidecar.demo.postgres import PostgresCluster
from sidecar.demo.world import Choice, World, wait_for
from sidecar.serve.process import end, spawn
from tests.benchmarks import county
from tests.benchmarks.requests import ISSUER, Desk

WORKERS, THREADS = 2, 2
"""Of the sidecar and of both baselines."""

DRAIN_SECONDS = 120.0
"""Longest that the sequencer may take for what a round left."""

WITHOUT_CACHES = {
    "SIDECAR_POLICY__DECISION_MEMO": "0",
    "SIDECAR_POLICY__CLASSIFICATION_CACHE": "0",
    "SIDECAR_IDENTITY__TOKEN_CACHE": "0",
    "SIDECAR_IDENTITY__LETTER_CACHE": "0",
}

SIDECAR: Mapping[str, Mapping[str, str]] = {
    "wasm": {"SIDECAR_POLICY__ENGINE": "wasm"},
    "opa": {"SIDECAR_POLICY__ENGINE": "opa"},
    "wasm-bare": {"SIDECAR_POLICY__ENGINE": "wasm", **WITHOUT_CACHES},
}
"""Variants of the sidecar → settings in the environment; none of them needs another approval."""

BASELINES = ("floor", "naive")


@contextlib.contextmanager
def deployment(opa: str, service: str = "") -> Iterator[tuple[World, Desk]]:
    """A world without a running sidecar, for the length of the ``with``; its files go with it.

    Args:
        opa: path of OPA.
        service: address that the archive's catalog has, instead of its service's own.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))  # short enough for sockets' paths
    folder.chmod(0o711)
    world = World(folder, Choice("postgresql", "opa", opa))
    try:
        world.cluster = PostgresCluster(folder / "postgres")
        world.cluster.start()
        county.fill(world.cluster)
        demo._keys(world)
        desk = Desk(world.unit_key("police"))
        demo._fill_archive(world)
        demo._archive(world)
        demo._settings(world)
        _trust(world, desk)
        _without_steps(world, service)
        demo._deployment(world)
        yield world, desk
    finally:
        demo._stop(world)
        if world.cluster:
            shutil.rmtree(world.cluster.directory, ignore_errors=True)
        shutil.rmtree(folder)


def _trust(world: World, desk: Desk) -> None:
    """The settings with the benchmark's issuer, by file, in the place of the demo's."""
    (world.folder / "bench.jwks.json").write_bytes(desk.jwks())
    tree = yaml.safe_load(world.config.read_text(encoding="utf-8"))
    tree["identity"]["issuers"] = [{"issuer": ISSUER, "jwks_file": "bench.jwks.json", "roles": ["officer"]}]
    tree["server"] |= {"workers": WORKERS, "threads": THREADS}
    world.config.write_text(demo._yaml(tree), encoding="utf-8")


def _without_steps(world: World, service: str) -> None:
    """Answers leave when they are made: the baselines have no answer time, and what is measured here is work."""
    for file in (world.folder / "catalogs").glob("*.yaml"):
        # As text: a YAML writer would make booleans of the catalog's yes and no.
        text = file.read_text(encoding="utf-8").replace("connector: {", "connector: {answer_step_ms: 0, ", 1)
        file.write_text(text.replace(world.archive_url, service or world.archive_url), encoding="utf-8")


@contextlib.contextmanager
def serving(world: World, variant: str) -> Iterator[str]:
    """A variant of the sidecar, or a baseline, ready for the length of the ``with``; its URL."""
    with _sidecar(world, SIDECAR[variant]) if variant in SIDECAR else _baseline(world, variant):
        yield world.url


@contextlib.contextmanager
def _sidecar(world: World, environment: Mapping[str, str]) -> Iterator[None]:
    world.processes["serve"] = spawn(world.command("serve"), environment=environment)
    try:
        wait_for("the sidecar's start", lambda: demo.ready(world))
        yield
        wait_for("the sequencer", lambda: _pending(world) == 0, DRAIN_SECONDS)
    finally:
        end(world.processes.pop("serve"), demo.STOP_SECONDS)


def cpu_seconds(world: World) -> float:
    """Processor time so far of all our children and of PostgreSQL."""
    postgres = psutil.Process(world.cluster._pid())
    family = [*psutil.Process().children(recursive=True), postgres, *postgres.children(recursive=True)]
    total = 0.0
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            spent = process.cpu_times()
            total += spent.user + spent.system
    return total


def _pending(world: World) -> int:
    """Entries that wait for their position: the next variant must not pay for them."""
    query = "SELECT (SELECT count(*) FROM ledger_entries) - (SELECT count(*) FROM ledger_positions)"
    with psycopg.connect(world.cluster.dsn("sidecar")) as connection:
        (count,) = connection.execute(query).fetchone()
    return count


@contextlib.contextmanager
def _baseline(world: World, name: str) -> Iterator[None]:
    environment = {"BENCH_COUNTY": world.cluster.dsn("county").replace("user=postgres", "user=county_reader")}
    command = _floor(world.port)
    with contextlib.ExitStack() as stack:
        if name == "naive":
            environment |= _naive(world, stack)
            command = [
                sys.executable, "-m", "gunicorn", "-w", str(WORKERS), "--threads", str(THREADS), "--log-level", "error",
                "-b", f"127.0.0.1:{world.port}", "tests.benchmarks.naive:application",
            ]  # fmt: skip
        stack.enter_context(_process(command, environment))
        wait_for(f"the start of {name}", lambda: _answers(world))
        yield


def _floor(port: int) -> list[str]:
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--loop", "asyncio",
        "--workers", str(WORKERS), "--blocking-threads", str(THREADS), "--backpressure", "1024", "--log-level", "error",
        "--port", str(port), "tests.benchmarks.floor:application",
    ]  # fmt: skip


def _naive(world: World, stack: contextlib.ExitStack) -> dict[str, str]:
    """OPA over TCP with the approved bundle, and a table of its own for its log."""
    port = demo.free_port()
    bundle = world.folder / "revisions" / "1" / "bundle.tar.gz"
    command = [world.choice.opa, "run", "--server", "-a", f"127.0.0.1:{port}", "-l", "error", "-b", str(bundle)]
    stack.enter_context(_process(command, {}))
    wait_for("OPA's start", lambda: _status(f"http://127.0.0.1:{port}", "/health") == 200)
    world.cluster.execute("CREATE TABLE IF NOT EXISTS bench_log (id bigserial PRIMARY KEY, entry text)", "sidecar")
    unit = world.folder / "keys" / "units" / "police.pub.pem"
    return {
        "BENCH_OPA_PORT": str(port),
        "BENCH_LOG": world.cluster.dsn("sidecar"),
        "BENCH_JWKS": str(world.folder / "bench.jwks.json"),
        "BENCH_UNIT": str(unit),
    }


@contextlib.contextmanager
def _process(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    child = spawn(command, environment={**environment, "PYTHONPATH": str(Path.cwd())})
    try:
        yield child
    finally:
        end(child, demo.STOP_SECONDS)


def _answers(world: World) -> bool:
    return _status(world.url, "/") is not None


def _status(url: str, path: str) -> int | None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()
