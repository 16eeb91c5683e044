"""Faults that the story lets happen: OPA killed, an unapproved revision swapped in, a ledger that cannot be written.

Each is a context manager; the world is whole again afterwards.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import text

from sidecar.demo import legacy
from sidecar.demo.postgres import PostgresCluster
from sidecar.demo.world import World, wait_for

SWEEP_SECONDS = 0.002
"""Pause between two looks for an OPA that was started again."""

NOTICE_SECONDS = 1.2
"""The guard looks at the revision's files once a second."""


@contextlib.contextmanager
def opa_killed(world: World) -> Iterator[None]:
    """Kill OPA, and every one that is started again, for the length of the ``with``."""
    parent = world.serve_pid
    over = threading.Event()

    def sweep() -> None:
        while not over.is_set():
            for pid in _opa_children(parent):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(SWEEP_SECONDS)

    thread = threading.Thread(target=sweep)
    thread.start()
    try:
        wait_for("OPA's end", lambda: not list(_opa_children(parent)))
        yield
    finally:
        over.set()
        thread.join()


def _opa_children(parent: int) -> Iterator[int]:
    """Living children of ``parent`` that are OPA servers."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, ppid = stat.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()[:2]
            arguments = (stat.parent / "cmdline").read_bytes().split(b"\0")
            if int(ppid) == parent and state != "Z" and b"--server" in arguments:
                yield int(stat.parent.name)


@contextlib.contextmanager
def revision_swapped(world: World) -> Iterator[None]:
    """Put a module that nobody approved in the place of the active one."""
    module = world.folder / "revisions" / "1" / "policy.wasm"
    approved = module.read_bytes()
    module.write_bytes(approved + b"\x00\x05\x04swap")  # a custom section: valid WebAssembly, other bytes
    try:
        time.sleep(NOTICE_SECONDS)
        yield
    finally:
        module.write_bytes(approved)
        time.sleep(NOTICE_SECONDS)


@contextlib.contextmanager
def ledger_unavailable(world: World) -> Iterator[None]:
    """Make the state database refuse every commit."""
    fault = _refusing(world.cluster) if world.cluster else _locked(world)
    with fault:
        yield


@contextlib.contextmanager
def _refusing(cluster: PostgresCluster) -> Iterator[None]:
    """PostgreSQL takes no connection to the state database and ends those there are."""
    cluster.execute("ALTER DATABASE sidecar ALLOW_CONNECTIONS false")
    try:
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'sidecar'")
        yield
    finally:
        cluster.execute("ALTER DATABASE sidecar ALLOW_CONNECTIONS true")


@contextlib.contextmanager
def _locked(world: World) -> Iterator[None]:
    """SQLite's write lock is held by somebody else."""
    engine = world.state_engine()
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                connection.exec_driver_sql("ROLLBACK")
    finally:
        engine.dispose()


def tamper(world: World) -> None:
    """Turn one refusal into an allow, as somebody with the state database's password could."""
    engine = world.state_engine()
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT writer, writer_seq, body FROM ledger_entries")).all()
        writer, seq, body = next(row for row in rows if b'"outcome":"refuse"' in bytes(row.body))
        forged = bytes(body).replace(b'"outcome":"refuse"', b'"outcome":"allow"')
        connection.execute(
            text("UPDATE ledger_entries SET body = :body WHERE writer = :writer AND writer_seq = :seq"),
            {"body": forged, "writer": writer, "seq": seq},
        )
    engine.dispose()


def change_case(world: World, case: legacy.Case, **columns: object) -> None:
    """Change one row of the county's database."""
    engine = world.legacy_engine()
    table = legacy.CASES
    with engine.begin() as connection:
        connection.execute(table.update().where(table.c.AJBH == case.AJBH, table.c.XH == case.XH).values(columns))
    engine.dispose()
