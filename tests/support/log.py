"""The sequencer and its signer beside a world in process, stepped by the test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sidecar.clock import FixedClock
from sidecar.keys.generate import create_log_key
from sidecar.ledger.note import Verifier, verifier
from sidecar.ledger.projector import Projector
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signed import nothing_signed
from sidecar.ledger.signer import open_signer
from tests.support.world import World


class SignedLog:
    """Signs a world's ledger when it is told to. ``close`` it."""

    def __init__(self, world: World, projectors: Sequence[Projector] = ()) -> None:
        settings, self._clock = world.settings, FixedClock(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
        origin, ledger = settings.deployment.id, world.gateway.ports.ledger
        public = create_log_key(
            settings.path(settings.ledger.log_key), settings.path(settings.ledger.signed_file), nothing_signed(origin)
        )
        self.verifier: Verifier = verifier(origin, public)
        self._sequencer = Sequencer(
            world.state, ledger, self._clock, projectors, publisher=open_signer(settings, ledger, self._clock)
        )

    def sign(self) -> None:
        """Give every entry its position and sign the tree."""
        self._clock.set(self._clock.now() + timedelta(minutes=2))
        while self._sequencer.step():
            pass

    def close(self) -> None:
        """Let the lock go."""
        self._sequencer.release()
