"""The gateway's own server around an application that only waits: ``python -m tests.support.held``.

``/held`` is answered a step after it came, ``/waiting`` at once with how many wait, and ``/go`` lets a step pass: with
``HELD_CLOCK=set`` the clock stands still otherwise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from sidecar.clock import SystemClock
from sidecar.serve import answers, gateway
from sidecar.serve.process import die_with_parent
from sidecar.settings import Settings
from sidecar.web.answer_time import HELD

STEP, THREADS = 2.0, 2

_PORT, _CLOCK = "HELD_PORT", "HELD_CLOCK"


class SetClock(SystemClock):
    """Its monotonic seconds are set."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class _Worker:
    """What one worker process has."""

    clock: SystemClock
    releases: answers.Releases


def answering(*given: Any) -> Any:
    """The product's, with a clock and a heap that can be looked at; called in the worker."""
    _Worker.clock = SetClock() if os.environ.get(_CLOCK) == "set" else SystemClock()
    _Worker.releases = answers.Releases(_Worker.clock)
    return answers.answering(*given, clock=_Worker.clock, releases=_Worker.releases)


def application(environ: Any, start_response: Any) -> Iterable[bytes]:
    """A WSGI application (PEP 3333)."""
    if environ["PATH_INFO"] == "/held":
        environ[HELD] = STEP
    if environ["PATH_INFO"] == "/go":
        _Worker.clock.seconds += STEP
        _Worker.releases.look()
    body = str(_Worker.releases.waiting).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def environment(port: int, clock: str) -> dict[str, str]:
    """For the process."""
    return {**os.environ, _PORT: str(port), _CLOCK: clock, "PYTHONPATH": os.pathsep.join(sys.path)}


def main() -> int:
    die_with_parent()
    gateway.workers_end_when_told()
    gateway.WORKER = "tests.support.held:application"
    gateway.answering = answering  # type: ignore[assignment]
    server = {"port": int(os.environ[_PORT]), "workers": 1, "threads": THREADS}
    gateway.server(Settings.model_validate({"server": server})).serve()
    return 0


if __name__ == "__main__":
    from tests.support import held  # noqa: PLW0406  # the worker imports it by its name: there is to be one of it

    sys.exit(held.main())
