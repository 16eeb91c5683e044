"""The deployment whose time is measured, as a process: the gateway's own server, and two places where 50 µs are planted.

Run as ``python -m tests.probes.held`` with the file of ``tests.worlds.served.write_settings``. Time and randomness are the
machine's, but for the day.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from sidecar.clock import FixedClock
from sidecar.serve import answers, gateway
from sidecar.serve.process import die_with_parent
from sidecar.settings import Logging
from sidecar.web.app import create_app
from sidecar.web.logging import configure
from sidecar.web.wire import build_services
from tests.support.world import NOW
from tests.worlds import served

PLANTED_SECONDS = 50e-6

NOWHERE, AT_WORK, AT_LEAVING = "nowhere", "at-work", "leaving"
"""Values of the header ``Planted``: nothing is planted; the work takes 50 µs longer; the finished answer leaves 50 µs after its instant."""


class DayClock(FixedClock):
    """The day stands still, so that tokens stay good; its seconds pass."""

    def monotonic(self) -> float:
        return time.monotonic()


def spend() -> None:
    """50 µs of this thread."""
    end = time.perf_counter() + PLANTED_SECONDS
    while time.perf_counter() < end:
        pass


class Late:
    """Sends later."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def response_bytes(self, *answer: Any) -> None:
        spend()
        self._handle.response_bytes(*answer)


def answering(*given: Any) -> Any:
    """The product's, with a place for what is planted."""
    answer = answers.answering(*given)

    def planting(handle: Any, scope: dict[str, Any]) -> int:
        planted = scope.get("HTTP_PLANTED")
        if planted == AT_WORK:
            return answer(handle, {**scope, "planted": spend})
        return answer(Late(handle) if planted == AT_LEAVING else handle, scope)

    return planting


class Planting:
    """Works longer where it is told to."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, environ: Any, start_response: Any) -> Any:
        environ.get("planted", int)()
        return self._inner(environ, start_response)


def __getattr__(name: str) -> Any:
    """``application``, made where it is asked for: in the worker."""
    if name != "application":
        raise AttributeError(name)
    settings, clock = served._settings(), DayClock(NOW)
    configure(Logging(level="warning", format="json"), clock)
    app = create_app(settings, build_services(settings, clock=clock, watch=False))
    app.wsgi_app = Planting(app.wsgi_app)  # type: ignore[method-assign]
    return app


def main() -> int:
    die_with_parent()
    gateway.workers_end_when_told()
    gateway.WORKER = "tests.probes.held:application"
    gateway.answering = answering  # type: ignore[assignment]
    gateway.server(served._settings()).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
