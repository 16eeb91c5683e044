"""From a settings file to a running deployment on one machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sidecar.clock import Clock
from sidecar.policy.open import supervise
from sidecar.policy.revisions import load_active
from sidecar.serve import preflight
from sidecar.serve.parent import Parent, Pid
from sidecar.settings import load
from sidecar.storage.engine import open_state
from sidecar.web.logging import configure


def serve(config: Path, clock: Clock) -> None:
    """Check, then serve until SIGTERM or SIGINT.

    Raises:
        SidecarError: something would make answers wrong or entries lost; the text is the fix.
    """
    settings = load(config)
    configure(settings.logging)
    preflight.require(settings, clock)
    Parent(settings, config, clock, lambda: _engine(config)).run()


@contextlib.contextmanager
def _engine(config: Path) -> Iterator[Pid]:
    """OPA as a child with the bundle of the active revision, where the settings want one."""
    settings = load(config)
    state = open_state(settings)
    try:
        revision = load_active(state, settings)
    finally:
        state.dispose()
    process = supervise(settings, revision)
    if process is None:
        yield lambda: None
        return
    try:
        yield lambda: process.pid
    finally:
        process.stop()
