"""Answers that wait for their step hold no worker thread: one thread of a process releases them all (PEP 3333, P3).

A worker's thread makes the answer, which is recorded by then, and goes on to the next request. The answer waits in a
heap with granian's own handle of the request, through which it is sent when its time has come.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import structlog

from sidecar.clock import Clock, SystemClock
from sidecar.gateway.answer_time import leaving
from sidecar.web.answer_time import HELD

log = structlog.get_logger(__name__)

Headers = list[tuple[str, str]]
Release = Callable[[], object]

ENVIRONMENT: Final[Mapping[str, Any]] = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Granian",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
    HELD: 0.0,
}
"""What every request's environment has; of the process's own variables an application needs none."""


SWITCH_SECONDS: Final = 0.0005
"""After so long a thread that only computes lets another one run: what is due leaves no later for another's work."""


class Handle(Protocol):
    """Granian's handle of one request. The request stays open as long as the handle exists."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the answer; may be called from any thread."""


class Releases:
    """Calls what is due when it is due, from one thread of its own. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Release]] = []
        self._order = itertools.count()
        self._changed = threading.Condition(threading.Lock())
        threading.Thread(target=self._run, name="releases", daemon=True).start()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._heap)

    def at(self, due: float, release: Release) -> None:
        """Call ``release`` at ``due``, of the clock's monotonic seconds; those of one instant in the order they came."""
        mine = (due, next(self._order), release)
        with self._changed:
            heapq.heappush(self._heap, mine)
            if self._heap[0] is mine:  # else the thread wakes early enough
                self._changed.notify()

    def look(self) -> None:
        """Look at the clock now; for clocks that are set."""
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        release = self._next()
        sys.setswitchinterval(SWITCH_SECONDS)  # from the first answer on that waits
        while True:
            try:
                release()
            except BaseException:  # what Rust raises too: one answer must not keep back all the others
                log.exception("answer-not-sent")
            release = self._next()

    def _next(self) -> Release:
        """The next one that is due; blocks until then."""
        with self._changed:
            while True:
                if not self._heap:
                    self._changed.wait()
                elif (left := self._heap[0][0] - self._clock.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    return heapq.heappop(self._heap)[2]


class _Started:
    """``start_response`` of one request."""

    __slots__ = ("headers", "status")

    def __init__(self) -> None:
        self.status, self.headers = 500, Headers()

    def __call__(self, status: str, headers: Headers, exc_info: object = None) -> None:
        """Keep what is to be sent first; nothing was sent yet, so that an error may come later (PEP 3333)."""
        del exc_info
        self.status, self.headers = int(status[:3]), headers


def answering(
    application: Callable[..., Iterable[bytes]],
    options: Mapping[str, Any],
    access_log: object = None,
    *,
    clock: Clock | None = None,
    releases: Releases | None = None,
) -> Callable[[Handle, dict[str, Any]], int]:
    """What granian calls with each request, in the place of its own ``granian.wsgi._callback_wrapper``.

    Args:
        application: a WSGI application.
        options: granian's, of which none is used here.
        access_log: the format of granian's access log, which is off.
        clock: measures since the arrival; the machine's unless given.
        releases: keeps answers back; one of its own unless given.
    """
    del options, access_log
    clock = clock or SystemClock()
    monotonic, keep = clock.monotonic, (releases or Releases(clock)).at

    def answer(handle: Handle, scope: dict[str, Any]) -> int:
        arrived, started = monotonic(), _Started()
        environ = {**ENVIRONMENT, **scope}
        body = _whole(application(environ, started))
        status, headers = started.status, started.headers
        if step := environ[HELD]:
            due = leaving(arrived, monotonic(), step)
            keep(due, lambda: handle.response_bytes(status, headers, body))
        else:
            handle.response_bytes(status, headers, body)
        return status

    return answer


def _whole(parts: Iterable[bytes]) -> bytes:
    """The body; what a generator opened is closed (PEP 3333)."""
    try:
        return b"".join(parts)
    finally:
        if (close := getattr(parts, "close", None)) is not None:
            close()
