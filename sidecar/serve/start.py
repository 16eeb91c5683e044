"""From a settings file to a running deployment on one machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sidecar.clock import Clock
from sidecar.errors import RevisionUnapproved
from sidecar.policy.open import supervise
from sidecar.policy.revisions import last_number, load_active
from sidecar.serve import preflight
from sidecar.serve.parent import Parent, Pid
from sidecar.settings import SettingsInvalid, load
from sidecar.storage.engine import open_state
from sidecar.web.logging import configure

LOOK_SECONDS = 1.0
"""How often the parent asks which revision is active."""


def serve(config: Path, clock: Clock) -> None:
    """Check, then serve until SIGTERM or SIGINT.

    Raises:
        SidecarError: something would make answers wrong or entries lost; the text is the fix.
    """
    settings = load(config)
    configure(settings.logging)
    preflight.require(settings, clock)
    revision = ActiveRevision(config, clock)
    with contextlib.closing(revision):
        Parent(settings, config, clock, revision.engine, stale=revision.stale, reloadable=revision.reloadable).run()


class ActiveRevision:
    """The revision that OPA serves, and whether another one is active by now. Belongs to one thread."""

    def __init__(self, config: Path, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._state = open_state(load(config))
        self._number = 0
        self._next = 0.0

    def close(self) -> None:
        """Disconnect."""
        self._state.dispose()

    @contextlib.contextmanager
    def engine(self) -> Iterator[Pid]:
        """OPA as a child with the bundle of the active revision, where the settings want one.

        Raises:
            SidecarError: there is no approved revision, or OPA does not start.
        """
        settings = load(self._config)
        self._number = last_number(self._state)
        process = supervise(settings, load_active(self._state, settings))
        if process is None:
            yield lambda: None
            return
        try:
            yield lambda: process.pid
        finally:
            process.stop()

    def stale(self) -> bool:
        """Whether another revision was activated; asked of the database at most once a second."""
        now = self._clock.monotonic()
        if now < self._next:
            return False
        self._next = now + LOOK_SECONDS
        try:
            return last_number(self._state) != self._number
        except RevisionUnapproved:  # the database does not answer: it tells nothing new
            return False

    def reloadable(self) -> bool:
        """Whether the settings can be read."""
        try:
            load(self._config)
        except SettingsInvalid:
            return False
        return True
