"""The sequencer child: gives entries their positions, projects the alerts that the procuratorate reads, signs the log.

Run by ``sidecar serve`` as ``python -m sidecar.serve.sequencer`` with the settings file in ``SIDECAR_CONFIG``. Several
replicas run one each: a lock in the database lets one work, and another take over within a second.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from sidecar.clock import Clock, SystemClock
from sidecar.errors import SidecarError
from sidecar.ledger.cosigner import open_cosigner
from sidecar.ledger.open import open_ledger
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signer import Watched, open_signer
from sidecar.ledger.types import Ledger
from sidecar.oversight.projector import AlertProjector
from sidecar.policy.open import open_engine
from sidecar.policy.revisions import load_active
from sidecar.serve.process import die_with_parent
from sidecar.settings import Settings, load
from sidecar.storage.engine import open_state
from sidecar.web.logging import configure


def run(settings: Settings, stop: threading.Event) -> None:
    """Sequence until ``stop``.

    Raises:
        SidecarError: the ledger or the active revision cannot be opened; the parent starts the child again.
    """
    clock = SystemClock()
    state = open_state(settings)
    try:
        engine = open_engine(settings, load_active(state, settings), clock=clock)
        with closing(engine), closing(open_ledger(settings, clock, engine=state)) as ledger:
            projector = AlertProjector(engine, settings.deployment.id)
            limits = settings.ledger
            with _witnessed(settings, state, ledger, clock) as signer:
                Sequencer(
                    state, ledger, clock, [projector], batch=limits.batch, poll_ms=limits.poll_ms, publisher=signer
                ).run(stop)
    finally:
        state.dispose()


@contextlib.contextmanager
def _witnessed(settings: Settings, state: Engine, ledger: Ledger, clock: Clock) -> Iterator[Watched | None]:
    """The signer, whose checkpoints the witnesses are asked to cosign in a thread of its own."""
    cosigner = open_cosigner(settings, state, ledger, clock)
    if cosigner is None:
        yield open_signer(settings, ledger, clock)
        return
    with closing(cosigner):
        cosigner.start()
        yield open_signer(settings, ledger, clock, cosigner.told)


def main() -> int:
    """Work until SIGTERM or SIGINT; 0 only when told to end."""
    die_with_parent()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = load(Path(os.environ["SIDECAR_CONFIG"]))
    configure(settings.logging)
    try:
        run(settings, stop)
    except SidecarError as exc:
        sys.stderr.write(f"sequencer: {exc.diagnostics()}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
