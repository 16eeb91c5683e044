"""How fast entries get their positions, and how fast a log is verified, at any size of the log."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from sidecar.clock import SystemClock
from sidecar.demo.postgres import PostgresCluster
from sidecar.keys.generate import create_log_key
from sidecar.ledger.open import open_ledger
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signed import nothing_signed
from sidecar.ledger.signer import open_signer
from sidecar.ledger.verify import Alert, Verdict, verify_database
from sidecar.oversight.projector import AlertProjector, judged
from sidecar.policy.memo import MemoEngine
from sidecar.policy.types import Engine as PolicyEngine
from tests.benchmarks.preload import Preload
from tests.support import baseline
from tests.support.postgres import short_directory
from tests.support.state import ORIGIN, new_state, settings_for


class Log:
    """A log of any size with a sequencer of its own, signer and alerts included."""

    def __init__(self, folder: Path, cluster: PostgresCluster, policy: PolicyEngine) -> None:
        self._settings = settings_for(folder, cluster.url("state"))
        self.engine: Engine = new_state(self._settings)
        self.preload = Preload(cluster.dsn("state"))
        self._folder, self._policy = folder, policy
        create_log_key(folder / "keys" / "log.pem", folder / "log.signed", nothing_signed(ORIGIN))

    def integration(self, count: int) -> dict[str, float]:
        """Positions a second given to ``count`` entries that wait for them: by the clock, and of processor time here."""
        self.preload.wait(count)
        clock = SystemClock()
        ledger = open_ledger(self._settings, clock, engine=self.engine)
        signer = open_signer(self._settings, ledger, clock)
        sequencer = Sequencer(self.engine, ledger, clock, [AlertProjector(self._policy, ORIGIN)], publisher=signer)
        start, processor, done = time.perf_counter(), time.process_time(), 0
        while found := sequencer.step():
            done += found
        rates = {
            "integration": done / (time.perf_counter() - start),
            "integration, a core": done / (time.process_time() - processor),
        }
        sequencer.release()
        ledger.close()
        return rates

    def verification(self) -> dict[str, float]:
        """Entries a second of processor time of this process, without and with alerts recomputed; and of the clock."""
        found = {}
        for name, judge in (("verify, a core", self._judge), ("verify without alerts, a core", None)):
            start, processor = time.perf_counter(), time.process_time()
            report = verify_database(self.engine, judge=judge)
            assert report.ok, report.fault
            found[name] = report.size / (time.process_time() - processor)
            found[name.replace("a core", "by the clock")] = report.size / (time.perf_counter() - start)
        return found

    def _judge(self, fields: Mapping[str, Any], revision: str) -> Verdict:
        del revision
        return [[Alert(a.type, a.severity, tuple(a.rules)) for a in self._policy.alerts(judged(fields))]]

    def close(self) -> None:
        """Close the database's connections."""
        self.engine.dispose()


@contextlib.contextmanager
def log() -> Iterator[Log]:
    """An empty log on a cluster of its own."""
    folder = short_directory()
    try:
        with PostgresCluster(folder / "c", settings="shared_buffers = '256MB'\nmax_wal_size = '4GB'") as cluster:
            cluster.createdb("state")
            with baseline.engine() as engine:
                found = Log(folder, cluster, MemoEngine(engine, decisions=64, classifications=64))
                try:
                    yield found
                finally:
                    found.close()
    finally:
        shutil.rmtree(folder)


def measure(count: int) -> dict[str, float]:
    """Integration and verification of a log of ``count`` entries."""
    with log() as found:
        return found.integration(count) | found.verification()
