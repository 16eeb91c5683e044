"""Ways to write entries, each in processes of its own as the gateway's workers are, counted over the same seconds."""

from __future__ import annotations

import multiprocessing
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq

from sidecar.clock import SystemClock
from sidecar.ledger.build import timestamp, uuid7
from sidecar.ledger.entry import encode
from sidecar.ledger.open import open_ledger
from tests.benchmarks.preload import inquiry
from tests.support.state import note, settings_for, use

PAPERS = 4096
"""Papers that are counted, so many that two writers seldom meet at one: the second would wait for the first's flush."""

PLAIN = "CREATE TABLE bench_plain (id varchar(36) PRIMARY KEY, body {blob} NOT NULL)"
_INSERT = "INSERT INTO bench_plain (id, body) VALUES (%s, %s)"
_BODY = encode(inquiry(uuid7(SystemClock().now()), timestamp(SystemClock().now()), "A" * 22))[0]

Step = Callable[[], object]
"""Makes one entry durable."""


@contextmanager
def entries(folder: Path, url: str, threads: int) -> Iterator[list[Step]]:
    """Entries with two effects each, as the gateway commits them: a letter's use is counted, a row is written."""
    with closing(open_ledger(settings_for(folder, url, pool_size=threads), SystemClock())) as ledger:

        def step() -> None:
            now = SystemClock().now()
            name = uuid7(now)
            entry = inquiry(name, timestamp(now), name[-22:])
            ledger.commit(entry, [use(f"p{int(name[-3:], 16)}"), note(name)])

        yield [step] * threads


@contextmanager
def plain(folder: Path, url: str, threads: int) -> Iterator[list[Step]]:
    """One INSERT and its commit through psycopg, prepared."""
    del folder
    opened = [psycopg.connect(_dsn(url), autocommit=True, prepare_threshold=0) for _ in range(threads)]
    yield [lambda c=each: c.execute(_INSERT, (uuid7(SystemClock().now()), _BODY)) for each in opened]  # type: ignore[misc]
    for each in opened:
        each.close()


@contextmanager
def libpq(folder: Path, url: str, threads: int) -> Iterator[list[Step]]:
    """The same through libpq's own calls: what is left where psycopg's cursors cost nothing."""
    del folder
    opened = [psycopg.connect(_dsn(url), autocommit=True) for _ in range(threads)]
    for each in opened:
        each.pgconn.prepare(b"plain", b"INSERT INTO bench_plain (id, body) VALUES ($1, $2)")

    def step(connection: pq.abc.PGconn) -> None:
        values = [uuid7(SystemClock().now()).encode(), _BODY]
        assert connection.exec_prepared(b"plain", values, [0, 1]).status == pq.ExecStatus.COMMAND_OK

    yield [lambda c=each.pgconn: step(c) for each in opened]  # type: ignore[misc]
    for each in opened:
        each.close()


@contextmanager
def grouped(folder: Path, url: str, threads: int) -> Iterator[list[Step]]:
    """What a group-commit thread of our own would reach: all that wait go into one transaction, in a pipeline."""
    del folder
    waiting: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()

    def commit() -> None:
        with psycopg.connect(_dsn(url), autocommit=True, prepare_threshold=0) as connection:
            while (first := waiting.get()) is not None:
                group = [first, *_more(waiting)]
                with connection.pipeline(), connection.transaction():
                    for _ in group:
                        connection.execute(_INSERT, (uuid7(SystemClock().now()), _BODY))
                for each in group:
                    each.set()

    def step() -> None:
        done = threading.Event()
        waiting.put(done)
        done.wait()

    thread = threading.Thread(target=commit)
    thread.start()
    yield [step] * threads
    waiting.put(None)
    thread.join()


def _more(waiting: queue.SimpleQueue[threading.Event | None]) -> Iterator[threading.Event]:
    try:
        while (each := waiting.get_nowait()) is not None:
            yield each
    except queue.Empty:
        return


@contextmanager
def sqlite_plain(folder: Path, url: str, threads: int) -> Iterator[list[Step]]:
    """One INSERT and its commit on SQLite, durable; whoever comes meanwhile waits."""
    del url
    connection = sqlite3.connect(folder / "state.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    lock = threading.Lock()

    def step() -> None:
        with lock:
            connection.execute("INSERT INTO bench_plain (id, body) VALUES (?, ?)", (uuid7(SystemClock().now()), _BODY))

    yield [step] * threads
    connection.close()


VARIANTS: dict[str, Callable[[Path, str, int], Any]] = {
    each.__name__: each for each in (entries, plain, libpq, grouped, sqlite_plain)
}


def _dsn(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def rate(variant: str, folder: Path, url: str, *, processes: int, threads: int, seconds: float) -> float:
    """Entries a second of ``processes`` of ``threads`` writers each."""
    context = multiprocessing.get_context("spawn")
    start, counts = context.Barrier(processes), context.SimpleQueue()
    arguments = (variant, (folder, url), threads, seconds, (start, counts))
    running = [context.Process(target=_work, args=arguments) for _ in range(processes)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    if any(each.exitcode for each in running):
        raise RuntimeError(f"{variant}: a writer failed")
    return sum(counts.get() for _ in running) / seconds


def _work(variant: str, place: tuple[Path, str], threads: int, seconds: float, shared: tuple[Barrier, Any]) -> None:
    start, counts = shared
    with VARIANTS[variant](*place, threads) as steps:
        for step in steps:
            step()
        start.wait()
        end = time.monotonic() + seconds
        done = [0] * threads
        running = [threading.Thread(target=_repeat, args=(step, end, done, n)) for n, step in enumerate(steps)]
        for each in running:
            each.start()
        for each in running:
            each.join()
        counts.put(sum(done))


def _repeat(step: Step, end: float, done: list[int], number: int) -> None:
    try:
        while time.monotonic() < end:
            step()
            done[number] += 1
    except BaseException:  # noqa: BLE001  # a writer that fails must not look like a slow one
        os._exit(1)
