"""The parent process of one machine: OPA, sequencer and gateway workers, started in order and ended in reverse.

1. Preflight: what would make answers wrong or entries lost stops the start with the fix in one line.
2. OPA, where it is the engine and supervised.
3. The sequencer, so that entries get positions from the first one on.
4. The gateway. Only now does a client get an answer.

On SIGTERM or SIGINT the gateway ends first, so that requests under way find OPA and the ledger still there. SIGHUP
ends the children in that order and starts them again: so they take up changed settings. When another revision was
activated, OPA and the sequencer start anew and the gateway goes on, which takes it up by itself; until OPA answers with
the new revision, requests are denied (P1). Children end with their parent, however it ends (``serve.process``).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType

import structlog

from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.serve.children import Child
from sidecar.serve.gateway import DRAIN_SECONDS
from sidecar.settings import Settings

log = structlog.get_logger(__name__)

TEND_SECONDS = 0.1
"""How often the parent looks after its children."""

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "sequencer": (sys.executable, "-m", "sidecar.serve.sequencer"),
    "gateway": (sys.executable, "-m", "sidecar.serve.gateway"),
}
"""Children in the order of their start; they end in reverse. Their settings come by environment, nothing by argument."""

STOP_SECONDS: Mapping[str, float] = {"sequencer": 10.0, "gateway": DRAIN_SECONDS + 5.0}
"""Longest each may take to end: a transaction, and the requests under way."""

CONFIG_ENV = "SIDECAR_CONFIG"
RETRY_SECONDS = 1.0
"""Pause before an engine that could not be started is tried again."""

METRICS_ENV = "PROMETHEUS_MULTIPROC_DIR"


Pid = Callable[[], int | None]
"""Tells a process id, or None while there is none."""


class Parent:
    """Keeps the children of one deployment running until it is told to end."""

    def __init__(
        self,
        settings: Settings,
        config: Path,
        clock: Clock,
        engine: Callable[[], contextlib.AbstractContextManager[Pid]],
        *,
        stale: Callable[[], bool] = lambda: False,
        reloadable: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare.

        Args:
            settings: the tree.
            config: the settings file, for the children.
            clock: for back-off.
            engine: runs the supervised OPA, or nothing, for the length of a ``with``; raises ``SidecarError``.
            stale: whether another revision was activated since ``engine`` was last entered; called often.
            reloadable: whether the settings can be read, asked at a hangup.
        """
        self._config = config
        self._clock = clock
        self._engine = engine
        self._stale = stale
        self._reloadable = reloadable
        self._wake = threading.Event()
        self._ending = False
        self._hangup = False
        self._run_directory = settings.path(settings.server.run_directory)
        self._published = ""
        self._sequencer, self._gateway = (Child(name, COMMANDS[name], clock) for name in ("sequencer", "gateway"))

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        self._prepare()
        with _handled({signal.SIGTERM: self._on_end, signal.SIGINT: self._on_end, signal.SIGHUP: self._on_hangup}):
            try:
                while not self._ending:
                    self._one_revision()
            finally:
                self._gateway.stop(STOP_SECONDS["gateway"])
        self._processes_file.unlink(missing_ok=True)
        log.info("ended")

    @property
    def _processes_file(self) -> Path:
        return self._run_directory / "processes.json"

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._ending = True
        self._wake.set()

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._hangup = True
        self._wake.set()

    def _prepare(self) -> None:
        """An empty folder for the workers' metrics: a file of an earlier run would be counted again."""
        metrics = self._run_directory / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir(mode=0o700, parents=True)
        os.environ[METRICS_ENV] = str(metrics)
        os.environ[CONFIG_ENV] = str(self._config.resolve())

    def _one_revision(self) -> None:
        """Serve until the end, a hangup or another revision; an engine that cannot be started is tried again."""
        try:
            with self._engine() as opa:
                try:
                    self._tend(opa, self._stale)
                finally:
                    self._settle()
        except SidecarError as exc:
            log.warning("engine-not-started", code=exc.code)
            pause = self._clock.monotonic() + RETRY_SECONDS
            try:
                self._tend(lambda: None, lambda: self._clock.monotonic() >= pause)  # the gateway denies, and records
            finally:
                self._settle()

    def _tend(self, opa: Pid, until: Callable[[], bool]) -> None:
        """Keep the children running until a signal, or until it is so."""
        while not self._woken() and not until():
            for child in (self._sequencer, self._gateway):
                child.tend()
            self._publish(
                {"serve": os.getpid(), "opa": opa(), "sequencer": self._sequencer.pid, "gateway": self._gateway.pid}
            )
            self._wake.wait(TEND_SECONDS)

    def _woken(self) -> bool:
        """Whether a signal asks for something that can be done."""
        if self._hangup and not self._ending and not self._reloadable():
            self._hangup = False
            self._wake.clear()
            log.error("settings-invalid", reason="the children go on with the old ones")
        return self._wake.is_set()

    def _settle(self) -> None:
        """End what must not outlive the engine: at an end or a hangup the gateway, and the sequencer always."""
        if self._ending or self._hangup:
            self._gateway.stop(STOP_SECONDS["gateway"])
        self._sequencer.stop(STOP_SECONDS["sequencer"])
        self._hangup = False
        if not self._ending:
            self._wake.clear()

    def _publish(self, processes: dict[str, int | None]) -> None:
        """Say which processes run, for people and process managers."""
        text = json.dumps(processes)
        if text != self._published:
            partial = self._processes_file.with_suffix(".partial")
            partial.write_text(text, encoding="ascii")
            partial.replace(self._processes_file)
            self._published = text


@contextlib.contextmanager
def _handled(handlers: Mapping[signal.Signals, Callable[[int, FrameType | None], None]]) -> Iterator[None]:
    """Our signal handlers for the length of the ``with``."""
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
