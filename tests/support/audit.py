"""A by-pass watch over one real audit, with a ledger and a sequencer of its own and the machine's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from sidecar.clock import SystemClock
from sidecar.ledger.build import EntryBuilder
from sidecar.ledger.entry import decode
from sidecar.ledger.open import open_ledger
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.tables import ENTRIES
from sidecar.oversight.bypass.entries import Entries
from sidecar.oversight.bypass.findings import Rules
from sidecar.oversight.bypass.lines import Format
from sidecar.oversight.bypass.position import Positions
from sidecar.oversight.bypass.watch import BypassWatch, Report, Source, Times
from tests.support.state import new_state, settings_for

SECOND = timedelta(seconds=1)
PATIENCE = 60.0


class Audited:
    """Watches; grace and window are a second, so that a test need not wait."""

    def __init__(self, folder: Path, pattern: Path, form: Format, database: str, *users: str) -> None:
        self.clock = SystemClock()
        settings = settings_for(folder)
        self.engine = new_state(settings)
        self.ledger = open_ledger(settings, self.clock, engine=self.engine)
        self.sequencer = Sequencer(self.engine, self.ledger, self.clock, [])
        rules = Rules(database, frozenset(users), frozenset(), SECOND, 30 * SECOND)
        self.watch = BypassWatch(
            [Source("audit", pattern, form, rules)],
            ledger=self.ledger,
            positions=Positions(self.engine),
            entries=Entries(self.engine, timedelta(minutes=1)),
            clock=self.clock,
            keyed=lambda kind, _: f"keyed-{kind}",
            times=Times(SECOND, SECOND, SECOND),
        )
        self.database = database
        self.look(from_start=True)

    def close(self) -> None:
        """Close the ledger."""
        self.sequencer.release()
        self.ledger.close()
        self.engine.dispose()

    def inquiry(self) -> str:
        """An entry of an inquiry; its id."""
        entry = EntryBuilder(self.clock).build("inquiry", "api", outcome="allow")
        self.ledger.commit(replace(entry, database=self.database))
        return entry.id

    def look(self, *, from_start: bool = False) -> Report:
        """One look, after the sequencer."""
        while self.sequencer.step():
            pass
        [report] = self.watch.look(from_start=from_start)
        return report

    def until(self, enough: Callable[[int, int], bool]) -> tuple[int, int]:
        """Look until enough own reads and findings were seen; how many there were."""
        own = findings = 0
        deadline = time.monotonic() + PATIENCE
        while not enough(own, findings):
            assert time.monotonic() < deadline, (own, findings)
            report = self.look()
            own, findings = own + report.own, findings + report.findings
            time.sleep(0.1)
        return own, findings

    def settled(self) -> tuple[int, int]:
        """Look until everything that is in the audit now must have been judged."""
        end = datetime.now(UTC) + SECOND
        own = findings = 0
        while True:
            report = self.look()
            own, findings = own + report.own, findings + report.findings
            if report.until > end:
                return own, findings
            time.sleep(0.2)

    def found(self) -> list[str]:
        """What the entries say, in order."""
        with self.engine.connect() as connection:
            bodies = connection.execute(select(ENTRIES.c.body)).scalars().all()
        entries = [entry for entry in map(decode, bodies) if entry["kind"] == "bypass"]
        return [text for entry in entries for name, text in sorted(entry["extra"].items()) if name.startswith("found_")]
