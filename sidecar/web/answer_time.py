"""Answers of the inquiry endpoints leave at their step, errors too, whoever made them (P3).

A server that can keep an answer back without a thread (``sidecar.serve.answers``) puts ``HELD`` into the environment and
finds the step there. Behind any other server the thread waits: slower, and tells as little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from sidecar.clock import Clock
from sidecar.gateway.answer_time import leaving
from sidecar.gateway.proxy import PREFIX
from sidecar.web.http import STEP, Environ, StartResponse

HELD: Final = "sidecar.held"
"""Environment variable of a server that keeps answers back itself; the step in seconds is put there, 0 is at once."""

ENDPOINTS: Final = ("/v1/inquiries", "/v1/sessions", PREFIX)
"""What begins so is answered at the step, whatever the method, and also where there is nothing."""


class AnswerTime:
    """The outermost layer of the application."""

    def __init__(self, inner: Any, clock: Clock, longest: Callable[[], float], sleep: Callable[[float], None]) -> None:
        """Prepare.

        Args:
            inner: a WSGI application; it says the step of its answer in ``STEP``.
            clock: measures how long the work took, where the server does not keep answers back.
            longest: the step in seconds of answers that were made for no database.
            sleep: waits, where the server does not.
        """
        self.inner, self._clock, self._longest, self._sleep = inner, clock, longest, sleep

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """A WSGI application (PEP 3333)."""
        if not environ.get("PATH_INFO", "").startswith(ENDPOINTS):
            other: Iterable[bytes] = self.inner(environ, start_response)
            return other
        arrived = self._clock.monotonic()
        answer: Iterable[bytes] = self.inner(environ, start_response)
        step = environ.get(STEP)
        self._hold(environ, arrived, self._longest() if step is None else step)
        return answer

    def _hold(self, environ: Environ, arrived: float, step: float) -> None:
        if HELD in environ:
            environ[HELD] = step
        elif step:
            done = self._clock.monotonic()
            self._sleep(leaving(arrived, done, step) - done)
