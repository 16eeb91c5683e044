"""The gateway child: granian's workers around the WSGI application (PEP 3333).

Run by ``sidecar serve`` as ``python -m sidecar.serve.gateway`` with the settings file in ``SIDECAR_CONFIG``. Granian
itself replaces a worker that ends and lets requests under way finish on SIGTERM. A worker that is told to end while it
starts has no request under way and ends at once.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import mp
from granian.server.mp import MPServer

from sidecar.serve.answers import answering
from sidecar.serve.process import PARENT_ENV, die_with_parent
from sidecar.settings import Settings, load

WORKER = "sidecar.serve.worker:application"
BACKLOG = 2048
BACKPRESSURE = 1024
"""Requests a worker holds at once: more than any deployment has clients, for a client turned away learns nothing."""
RESPAWN_SECONDS = 0.5
HEAD = HTTP1Settings(header_read_timeout=10_000, max_buffer_size=65_536)
"""A request's head: whole within ten seconds, and four times as large as a longest token with all other headers."""
DRAIN_SECONDS = 30
"""Longest that a request under way may take to finish after SIGTERM: longer than all time-outs on its path."""


ENDING = frozenset({signal.SIGTERM, signal.SIGINT})


def workers_end_when_told() -> None:
    """Give the signals that end a process their default effect in every fork of this one.

    Without it a worker keeps granian's own handlers until it serves: they only set a flag of a process that is not
    there, the signal is lost, and the worker is killed half a minute later. Blocked meanwhile, none falls between.
    """
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ENDING),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING),
        after_in_child=_end_when_told,
    )


def _end_when_told() -> None:
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


class Granian(MPServer):
    """Granian with our own way from a request to its answer: answers may wait without a thread."""

    @staticmethod
    def _spawn_wsgi_worker(*given: Any) -> None:
        """What a worker process runs."""
        mp._wsgi_call_wrap = answering  # type: ignore[attr-defined,assignment]  # noqa: SLF001  # granian has no other place for it
        MPServer._spawn_wsgi_worker(*given)  # noqa: SLF001  # its own method


def server(settings: Settings) -> Granian:
    """Granian as the settings want it; ``serve`` blocks until SIGTERM or SIGINT."""
    web = settings.server
    return Granian(
        WORKER,
        address=web.bind,
        port=web.port,
        interface=Interfaces.WSGI,
        workers=web.workers,
        blocking_threads=web.threads,
        http=HTTPModes.http1,
        http1_settings=HEAD,
        websockets=False,
        loop=Loops.asyncio,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        log_level=LogLevels.warning,
        log_access=False,
        ssl_cert=settings.path(web.tls_certificate) if web.tls_certificate else None,
        ssl_key=settings.path(web.tls_key_file) if web.tls_key_file else None,
        respawn_failed_workers=True,
        respawn_interval=RESPAWN_SECONDS,
        workers_kill_timeout=DRAIN_SECONDS,
    )


def main() -> int:
    """Serve until told to end."""
    die_with_parent()
    os.environ[PARENT_ENV] = str(os.getpid())  # the workers' parent is this process
    workers_end_when_told()
    server(load(Path(os.environ["SIDECAR_CONFIG"]))).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
