"""One child process kept running: started, watched, restarted with back-off, ended in order."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import structlog

from sidecar.clock import Clock
from sidecar.serve.process import end, spawn

log = structlog.get_logger(__name__)

BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses before restarts of a child that ended; the last one repeats."""

STABLE_SECONDS = 30.0
"""A child that ran this long starts the back-off anew."""


class Child:
    """A child by name and command line; not thread-safe, its owner calls ``tend`` from its main thread."""

    def __init__(self, name: str, command: Sequence[str], clock: Clock) -> None:
        self.name = name
        self._command = tuple(command)
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._attempt = 0
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        """Process id, None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it now."""
        self._process = spawn(self._command)
        self._started = self._clock.monotonic()

    def tend(self) -> bool:
        """Restart it if it ended and its pause is over; whether it was started just now."""
        if self.pid is not None:
            return False
        if self._process is not None:
            self._note_end(self._process)
        if self._clock.monotonic() < self._not_before:
            return False
        self.start()
        return True

    def _note_end(self, process: subprocess.Popen[bytes]) -> None:
        now = self._clock.monotonic()
        self._attempt = 0 if now - self._started > STABLE_SECONDS else self._attempt
        self._not_before = now + BACKOFF_SECONDS[min(self._attempt, len(BACKOFF_SECONDS) - 1)]
        self._attempt += 1
        self._process = None
        log.error("child-ended", worker=self.name, status=process.returncode)

    def stop(self, seconds: float) -> bool:
        """End it: SIGTERM, then SIGKILL after ``seconds``; whether it ended by itself."""
        if self._process is None:
            return True
        orderly = end(self._process, seconds)
        if not orderly:
            log.error("child-killed", worker=self.name, seconds=seconds)
        self._process = None
        return orderly
